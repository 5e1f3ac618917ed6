"""What networks that answer prompts are asked when they are judged. No torch: mistakes are answered quickly."""

from dataclasses import dataclass, field

from bench.system.errors import ConfigError

SPAN = 1024  # side of the published network's input, in whose pixels distances are given


@dataclass
class Questions:
    """The keys `ablation.prompts.*`: so many images, evenly spread, and points on each, drawn by the seed.

    distances: of a background point from the foreground point, in pixels of an input of 1024.
    Raises ConfigError for numbers that ask nothing.
    """

    images: int = 50
    points: int = 4
    seed: int = 0
    distances: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for key in ("images", "points"):
            if getattr(self, key) < 1:
                raise ConfigError(f"ablation.prompts.{key}={getattr(self, key)}: give 1 or more")
        if not all(1 <= distance <= SPAN for distance in self.distances):
            raise ConfigError(f"ablation.prompts.distances={self.distances}: give pixels from 1 to {SPAN}")
