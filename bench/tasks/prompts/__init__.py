"""Training and evaluating networks that answer prompts on images (SAM, MobileSAM): decoupled distillation."""
