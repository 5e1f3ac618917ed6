"""Losses that teach a student, and the choice of the pixels on which they act."""

SAMPLERS = ("random", "boundary", "uncertainty", "all")  # of pixels, see sampling.sample_pixels
NORMALIZERS = ("n", "n2")  # see representation.representation_loss
