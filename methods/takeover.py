"""A student that takes over all of its teacher but the encoder: the second half of decoupled distillation.

Zhang et al.: Faster Segment Anything, arXiv 2306.14289, section 3.2.
"""

from torch import nn

from methods.checkpoint import load_strictly
from methods.errors import MethodError


def rest_of(method: nn.Module) -> dict[str, nn.Module]:
    """The parts of a network that are not its encoder, by name."""
    return {name: part for name, part in method.named_children() if name != method.encoder_name}


def take_over(student: nn.Module, teacher: nn.Module) -> None:
    """Copy the teacher's weights into every part of the student but its encoder.

    Raises MethodError, which names what does not fit, where the two have parts or sizes of their own.
    """
    own, given = rest_of(student), rest_of(teacher)
    try:
        load_strictly(nn.ModuleDict(own), nn.ModuleDict(given).state_dict(), "what the teacher hands on")
    except MethodError as error:
        text = (
            f"a {type(student).__name__} cannot take over all but the encoder of a {type(teacher).__name__}"
        )
        raise MethodError(f"{text}: {error}; give both the same sizes") from None
