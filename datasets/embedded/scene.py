"""What is in a sequence and how it moves: drawn from a seed, not yet rendered.

Lengths follow the frame's size, so that a larger frame shows the same scene finer.
"""

from dataclasses import dataclass, replace
from math import isqrt

import numpy as np
from numpy.random import Generator

from datasets.embedded.fixed import PX, SINE_BITS, TURN, cosine, sine, spline
from datasets.embedded.textures import Recipe, draw_recipe, paint

KNOT = 5  # frames between the control points of every motion
SPRITE = 128  # texels along the side of an object's texture
BACKDROP = 256
SPEED = (5, 26)  # thousandths of the frame's geometric mean side, per frame
AREA = {1: (50, 150), 2: (45, 130), 3: (40, 95)}  # thousandths of the frame, by number of objects
# Taken in turn rather than drawn, so that a small split has its share of each.
OBJECT_COUNTS = (2, 3, 1, 2)
LEAVING_EVERY = 3  # in each so-many-th sequence an object leaves and returns


@dataclass(frozen=True)
class Layer:
    """One textured thing: texture int32 (S, S, 4) RGBA 0..255, its motion, and its id in the mask.

    `object_id` 0 is in no mask (background and distractors). `reach` is the largest distance, in
    texels, of an opaque texel from the middle; None means a texture that repeats over the whole frame.
    The motion holds integers for each frame: middle x, y in 1/PX px as `path` (frames, 2), `angle` in TURN-ths,
    `zoom` in 1/65536 texel per px. The elastic deformation shifts texture columns by a sine of the row, and rows
    by a sine of the column, `sway` 1/65536 texel high, `waves` TURN-ths per texel, at `phase` (frames, 2).
    """

    texture: np.ndarray
    object_id: int
    reach: int | None
    path: np.ndarray
    angle: np.ndarray
    zoom: np.ndarray
    sway: int
    waves: int
    phase: np.ndarray


@dataclass(frozen=True)
class Scene:
    """Layers from back to front, and what the camera does to each frame.

    `light` (frames, 3) is the gain per channel and `tilt` (frames, 2) its slope to the right and down, in
    1/256; `blur` (frames,) is the weight 0..256 of the blurred picture, `blur_radius` in px.
    """

    layers: tuple[Layer, ...]
    objects: int
    light: np.ndarray
    tilt: np.ndarray
    blur: np.ndarray
    blur_radius: int


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


def draw_scene(rng: Generator, stage: Stage, number: int) -> Scene:
    """The random scene of sequence `number`: 1 to 3 objects, 1 to 3 distractors like them, a background."""
    objects = OBJECT_COUNTS[number % len(OBJECT_COUNTS)]
    recipes = [draw_recipe(rng, (2, 6)) for _ in range(objects)]
    if objects > 1 and rng.integers(4) == 0:
        recipes[1] = recipes[0].alike(rng)
    leaves = number % LEAVING_EVERY == 0 and stage.frames > 2 * KNOT  # shorter ones leave no time to return
    leaver = int(rng.integers(objects)) if leaves else None
    starts = _spread_points(rng, stage, objects)
    things = [
        _draw_thing(rng, stage, recipe, i + 1, among=objects, start=starts[i], leaves=i == leaver)
        for i, recipe in enumerate(recipes)
    ]
    for _ in range(int(rng.integers(1, 4))):
        recipe = recipes[int(rng.integers(objects))].alike(rng)
        start = _spread_points(rng, stage, 1)[0]
        things.append(_draw_thing(rng, stage, recipe, 0, among=3, start=start, leaves=False))
    order = rng.permutation(len(things))
    return Scene(
        layers=(_draw_background(rng, stage, recipes), *(things[i] for i in order)),
        objects=objects,
        light=stage.smooth(rng.integers(190, 320, (stage.knots, 1)) + rng.integers(-20, 21, (stage.knots, 3))),
        tilt=stage.smooth(rng.integers(-70, 71, (stage.knots, 2))),
        blur=stage.smooth(np.clip(rng.integers(-250, 320, stage.knots), 0, 256)),
        blur_radius=int(rng.integers(1, 3)),
    )


def _draw_thing(
    rng: Generator, stage: Stage, recipe: Recipe, object_id: int, *, among: int, start: np.ndarray, leaves: bool
) -> Layer:
    texture, reach, rest_radius = _draw_sprite(rng, recipe)
    smallest, largest = AREA[among]
    thousandths = int(rng.integers(smallest, largest + 1))
    radius = isqrt(stage.side**2 * thousandths * 113 // (355 * 1000))  # of a disc of that area; pi = 355/113
    radii = radius * rng.integers(80, 122, stage.knots) // 100
    sway = rest_radius * int(rng.integers(8, 20)) // 100
    furthest = (reach * PX + sway) * int(radii.max()) // rest_radius
    return Layer(
        texture=texture,
        object_id=object_id,
        reach=reach + sway // PX + 1,
        path=_draw_path(rng, stage, start, furthest if leaves else None),
        angle=_wander(rng, stage, TURN // 9),
        zoom=(rest_radius << 16) // stage.smooth(radii),
        sway=sway * (65536 // PX),
        waves=TURN * PX * 10 // (rest_radius * int(rng.integers(24, 45))),
        phase=np.stack([_wander(rng, stage, TURN // 5), _wander(rng, stage, TURN // 5)], axis=1),
    )


def _draw_background(rng: Generator, stage: Stage, recipes: list[Recipe]) -> Layer:
    recipe = draw_recipe(rng, (3, 9))
    if rng.integers(3) == 0:  # camouflage: one colour of an object
        recipe = replace(recipe, colours=np.stack([*recipe.colours[:2], recipes[0].alike(rng).colours[0]]))
    opaque = np.full((BACKDROP, BACKDROP, 1), 255)
    steps = rng.integers(-stage.side // 8, stage.side // 8 + 1, (stage.knots, 2))
    return Layer(
        texture=np.concatenate([paint(recipe, rng, BACKDROP), opaque], axis=2).astype(np.int32),
        object_id=0,
        reach=None,
        path=stage.smooth(np.cumsum(steps, axis=0)),
        angle=_wander(rng, stage, TURN // 60),
        zoom=stage.smooth(rng.integers(80, 125, stage.knots)) * (BACKDROP // 2 * PX * 65536 // 100) // stage.side,
        sway=int(rng.integers(0, 4)) << 16,
        waves=TURN // 64,
        phase=np.stack([_wander(rng, stage, TURN // 12), _wander(rng, stage, TURN // 12)], axis=1),
    )


def _draw_sprite(rng: Generator, recipe: Recipe) -> tuple[np.ndarray, int, int]:
    """A blob in the recipe's texture: (texture, reach in texels, radius of a disc of its area in 1/PX texel).

    The outline is a level line of metaballs: a body with two to five limbs.
    """
    row, column = np.mgrid[:SPRITE, :SPRITE] - SPRITE // 2
    body = int(rng.integers(15, 24))
    field = _ball(column, row, body)
    for _ in range(int(rng.integers(2, 6))):
        angle, limb = int(rng.integers(TURN)), int(rng.integers(7, 14))
        away = body + limb * int(rng.integers(40, 100)) // 100
        x, y = away * int(cosine(angle)) >> SINE_BITS, away * int(sine(angle)) >> SINE_BITS
        field += _ball(column - x, row - y, limb)
    inside = field >= 1 << 16
    inside[[0, -1]] = inside[:, [0, -1]] = False
    area = int(inside.sum())
    distance = column**2 + row**2
    reach = isqrt(int(distance[inside].max())) + 1

    # A dome lit from a random side, so that the texture alone does not tell the object.
    light = int(rng.integers(TURN))
    slope = (column * int(cosine(light)) + row * int(sine(light)) >> SINE_BITS) * int(rng.integers(0, 3))
    shade = np.clip(256 + slope - distance * int(rng.integers(0, 120)) // (reach * reach), 90, 330)
    colour = np.clip(paint(recipe, rng, SPRITE) * shade[..., None] >> 8, 0, 255)
    texture = np.concatenate([colour, 255 * inside[..., None]], axis=2).astype(np.int32)
    return texture, reach, isqrt(area * PX * PX * 113 // 355)


def _ball(dx: np.ndarray, dy: np.ndarray, radius: int) -> np.ndarray:
    """A metaball's field around its middle: (radius / distance)**4, times 1 << 16."""
    ratio = (radius**2 << 8) // (dx**2 + dy**2 + 1)
    return ratio * ratio


def _draw_path(rng: Generator, stage: Stage, start: np.ndarray, leave_by: int | None) -> np.ndarray:
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
            following = point + _polar(step, heading)
            if (following < size // 6).any() or (following > size - size // 6).any():
                heading = _heading_to(size // 2 - point) + int(rng.integers(-TURN // 9, TURN // 9 + 1))
                following = point + _polar(step, heading)
            point = following
        points.append(point)
    points[0] = 2 * points[1] - points[2]  # already moving in frame 0
    if leave_by is not None:
        _lead_out(points, size, leave_by)
    return stage.smooth(np.stack(points))


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


def _polar(length: int, angle: int) -> np.ndarray:
    return np.array([length * int(cosine(angle)) >> SINE_BITS, length * int(sine(angle)) >> SINE_BITS])


def _heading_to(vector: np.ndarray) -> int:
    """The angle of a vector to a sixteenth of a turn, without a float arctangent."""
    angles = np.arange(0, TURN, TURN // 16)
    return int(angles[(cosine(angles) * vector[0] + sine(angles) * vector[1]).argmax()])


def _wander(rng: Generator, stage: Stage, most: int) -> np.ndarray:
    """Angles (frames,) that turn at most `most` TURN-ths per knot, from a random one."""
    steps = rng.integers(-most, most + 1, stage.knots)
    return stage.smooth(int(rng.integers(TURN)) + np.cumsum(steps))


def _spread_points(rng: Generator, stage: Stage, count: int) -> np.ndarray:
    """(count, 2) points in the inner frame, each the furthest of a few candidates from those before."""
    size = np.array([stage.width, stage.height]) * PX
    points = [rng.integers(size // 6, size - size // 6)]
    while len(points) < count:
        candidates = rng.integers(size // 6, size - size // 6, (8, 2))
        gaps = ((candidates[:, None] - np.stack(points)) ** 2).sum(axis=2).min(axis=1)
        points.append(candidates[int(gaps.argmax())])
    return np.stack(points)
