"""The embedded set: synthetic videos in the DAVIS layout, generated from a seed on first use.

One to three textured, deforming objects per sequence occlude each other, leave and return, over a
moving textured background, among distractors that look like them, with blur and light change. It needs
no download and is the same bytes on every machine.
"""

from datasets.embedded.store import EmbeddedSpec, ensure_embedded, generate

__all__ = ["EmbeddedSpec", "ensure_embedded", "generate"]
