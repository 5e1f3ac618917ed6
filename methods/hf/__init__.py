"""Methods that Hugging Face's transformers brings: pretrained elsewhere, run and judged here (extra `hf`)."""
