"""The stages of a frame for exporters: known, frozen, their examples laid out as files hold them."""

from dataclasses import replace

from bench.measure import scene as measured
from bench.system.errors import ConfigError
from methods.interface import Method, Remembering
from methods.stages import Stage

__all__ = ["Stage", "stages"]


def stages(
    method: Method, height: int, width: int, objects: int, memory_frames: int | None = None
) -> list[Stage]:
    """As `bench.measure.scene.stages`; the method stays in evaluation mode, without gradients.

    Raises ConfigError for a method whose stages are not known, and for an impossible size or memory.
    """
    check_remembers(method)
    method.eval().requires_grad_(False)
    found = measured.stages(method, measured.Scene(height, width, objects, memory_frames))
    return [replace(stage, inputs={k: x.contiguous() for k, x in stage.inputs.items()}) for stage in found]


def check_remembers(method: Method) -> None:
    """Raise ConfigError for a method without a memory and known stages."""
    if not isinstance(method, Remembering):
        raise ConfigError(f"{type(method).__name__} cannot be exported: it is no network with a memory")
