"""What a space-time-memory network sees in frames."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Query:
    """Keys and features of B frames; the trailing number is the stride."""

    key16: Tensor  # (B, Ck, h, w), compared with the memory
    context16: Tensor  # (B, Cv, h, w), joins the readout in the decoder
    f16: Tensor
    f8: Tensor
    f4: Tensor

    def select(self, index) -> "Query":
        """The frames of `index` along the batch axis."""
        return Query(*(getattr(self, name)[index] for name in self.__dataclass_fields__))
