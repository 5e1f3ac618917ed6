"""Losses that teach a student, and the choice of the pixels on which they act."""
