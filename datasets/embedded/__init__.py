"""The embedded set: synthetic videos in the DAVIS layout, generated from a seed on first use.

One to three objects of jointed, deforming parts per sequence occlude each other, leave and return, and change
colour and light. A moving camera sees them before 1/f noise and dead leaves, among distractors in the same palette,
some of which wear an object's textures. It needs no download and is the same bytes on every machine.
"""

from datasets.embedded.store import EmbeddedSpec, ensure_embedded, generate

__all__ = ["EmbeddedSpec", "ensure_embedded", "generate"]
