"""How things move: smooth random curves over a sequence, in integers."""

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.random import Generator

from datasets.embedded.fixed import PX, SINE_BITS, TURN, cosine, sine, spline

KNOT = 5  # frames between the control points of every motion
SPEED = (5, 26)  # thousandths of the frame's geometric mean side, per frame


@dataclass(frozen=True)
class Stage:
    """The frame's size in px and the sequence's length."""

    height: int
    width: int
    frames: int

    @property
    def side(self) -> int:
        """Geometric mean of height and width, in 1/PX px."""
        return isqrt(self.height * self.width * PX * PX)

    @property
    def knots(self) -> int:
        return (self.frames - 1) // KNOT + 4

    def smooth(self, controls: np.ndarray) -> np.ndarray:
        return spline(np.asarray(controls), self.frames, KNOT)


def turned(x: np.ndarray | int, y: np.ndarray | int, angle: np.ndarray | int) -> np.ndarray:
    """(..., 2): the vector (x, y) turned by `angle` TURN-ths."""
    cos, sin = cosine(angle), sine(angle)
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1) >> SINE_BITS


def wander(rng: Generator, stage: Stage, most: int) -> np.ndarray:
    """Angles (frames,) that turn at most `most` TURN-ths per knot, from a random one."""
    steps = rng.integers(-most, most + 1, stage.knots)
    return stage.smooth(int(rng.integers(TURN)) + np.cumsum(steps))


def drift(rng: Generator, stage: Stage, between: tuple[int, int], step: int, channels: int) -> np.ndarray:
    """(frames, channels) within `between`, at most `step` further each knot; turns back at the ends."""
    low, high = between
    start = rng.integers(low, high + 1, channels)
    walk = start - low + np.cumsum(rng.integers(-step, step + 1, (stage.knots, channels)), axis=0)
    return stage.smooth(high - np.abs(walk % (2 * (high - low)) - (high - low)))


def draw_path(rng: Generator, stage: Stage, start: np.ndarray, leave_by: int | None) -> np.ndarray:
    """Middles (frames, 2) x, y in 1/PX px: a walk with smooth turns that stays in the frame.

    With `leave_by`, the largest distance of the outline from the middle, the walk crosses the nearest
    border around the middle of the sequence, is away entirely for a while, and comes back.
    """
    size = np.array([stage.width, stage.height]) * PX
    heading = int(rng.integers(TURN))
    points, point = [], start
    for knot in range(stage.knots):
        if knot > 1:
            step = KNOT * stage.side * int(rng.integers(SPEED[0], SPEED[1] + 1)) // 1000
            heading += int(rng.integers(-TURN // 6, TURN // 6 + 1))
            following = point + turned(step, 0, heading)
            if (following < size // 6).any() or (following > size - size // 6).any():
                heading = _heading_to(size // 2 - point) + int(rng.integers(-TURN // 9, TURN // 9 + 1))
                following = point + turned(step, 0, heading)
            point = following
        points.append(point)
    points[0] = 2 * points[1] - points[2]  # already moving in frame 0
    if leave_by is not None:
        _lead_out(points, size, leave_by)
    return stage.smooth(np.stack(points))


def spread_points(rng: Generator, stage: Stage, count: int) -> np.ndarray:
    """(count, 2) points in the inner frame, each the furthest of a few candidates from those before."""
    size = np.array([stage.width, stage.height]) * PX
    points = [rng.integers(size // 6, size - size // 6)]
    while len(points) < count:
        candidates = rng.integers(size // 6, size - size // 6, (8, 2))
        gaps = ((candidates[:, None] - np.stack(points)) ** 2).sum(axis=2).min(axis=1)
        points.append(candidates[int(gaps.argmax())])
    return np.stack(points)


def _lead_out(points: list[np.ndarray], size: np.ndarray, leave_by: int) -> None:
    """Move the control points so that the path leaves over the border nearest to it, and returns."""
    first = (len(points) - 1) // 2
    away = range(first, first + (2 if len(points) > 8 else 1))  # two where there is time to come back
    before = points[first - 1]
    gaps = np.concatenate([before, size - before])
    side = int(gaps.argmin())
    axis, border, outward = side % 2, (0 if side < 2 else int(size[side % 2])), (-1 if side < 2 else 1)
    # One control point weighs 4/6 in a B-spline, two together 46/48.
    depth = leave_by * (110 if len(away) > 1 else 160) // 100
    for knot in (away.start - 1, *away, away.stop):
        points[knot] = points[knot].copy()
        points[knot][axis] = border + outward * (depth if knot in away else 0)


def _heading_to(vector: np.ndarray) -> int:
    """The angle of a vector to a sixteenth of a turn, without a float arctangent."""
    angles = np.arange(0, TURN, TURN // 16)
    return int(angles[(cosine(angles) * vector[0] + sine(angles) * vector[1]).argmax()])
