"""SAM, Segment Anything (ViT-B, ViT-H), and MobileSAM: networks, prompts, and what makes VOS methods of them."""
