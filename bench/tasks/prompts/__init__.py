"""Training and judging networks that answer prompts on images (SAM, MobileSAM): decoupled distillation."""
