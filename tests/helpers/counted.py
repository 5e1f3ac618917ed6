"""What the steps of a frame cost by torch's counter alone, which needs shapes only and so is fast."""

from bench.measure.complexity import gmacs_torch
from bench.measure.scene import Scene, frame_steps, frozen_copy
from methods.interface import Stepped


def gmacs_by_step(method: Stepped, scene: Scene) -> dict[str, float]:
    """As `Complexity.stages`."""
    steps = frame_steps(frozen_copy(method, "meta"), scene)
    return {step.name: gmacs_torch(step.module, *step.inputs.values()) for step in steps}
