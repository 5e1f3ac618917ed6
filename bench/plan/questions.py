"""What networks that answer prompts are asked when they are judged. No torch: mistakes are answered quickly."""

from dataclasses import dataclass, field

from bench.system.errors import ConfigError

SPAN = 1024  # side of the published network's input, in whose pixels distances are given


@dataclass
class Questions:
    """The keys `ablation.prompts.*`: so many images, evenly spread, and points on each, drawn by the seed.

    distances: of a background point from the foreground point, in pixels of an input of 1024.
    """

    images: int = 50
    points: int = 4
    seed: int = 0
    distances: list[int] = field(default_factory=list)


def check(questions: Questions) -> None:
    """Raise ConfigError for numbers that ask nothing."""
    for key in ("images", "points"):
        if getattr(questions, key) < 1:
            raise ConfigError(f"ablation.prompts.{key}={getattr(questions, key)}: give 1 or more")
    if min(questions.distances, default=1) < 1 or max(questions.distances, default=1) > SPAN:
        raise ConfigError(f"ablation.prompts.distances={questions.distances}: give pixels from 1 to {SPAN}")
