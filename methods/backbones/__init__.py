"""Image backbones in plain torch with the key names of the usual ImageNet checkpoints."""
