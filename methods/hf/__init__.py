"""Methods that Hugging Face's transformers brings: pretrained elsewhere, run and evaluated here (extra `hf`)."""
