"""What a space-time-memory network sees in frames."""

from typing import NamedTuple

from torch import Tensor


class Query(NamedTuple):
    """Keys and features of B frames; the trailing number is the stride."""

    key16: Tensor  # (B, Ck, h, w), compared with the memory
    context16: Tensor  # (B, Cv, h, w), joins the readout in the decoder
    f16: Tensor
    f8: Tensor
    f4: Tensor

    def select(self, index) -> "Query":
        """The frames of `index` along the batch axis."""
        return Query(*(each[index] for each in self))
