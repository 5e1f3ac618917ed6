"""What moves in a scene: bodies of several parts with joints, each part a layer with its outline and texture."""

from dataclasses import dataclass, replace
from math import isqrt

import numpy as np
from numpy.random import Generator

from datasets.embedded.fixed import PX, SINE_BITS, TURN, cosine, sine
from datasets.embedded.motion import Stage, draw_path, drift, turned, wander
from datasets.embedded.textures import rounded, value_noise

BODY = 26  # texels: half of a body's length
LIMBS = (1, 4)
LIMB = ((35, 80), (32, 80))  # half length in percent of the body's, half width in percent of the limb's length
NARROWEST = 7  # texels: half width of a part
AREA = {1: (70, 155), 2: (65, 140), 3: (55, 105)}  # thousandths of the frame, by number of objects
OVERLAP = 72  # percent of the parts' areas that show, about
LIGHT = ((170, 345), 80)  # gain of a thing's colours in 1/256, and by how much it may change per knot
TINT = ((-40, 40), 30)  # the same, of each channel beside the others
GRAINS = (1, 2, 2, 3)  # texels of a texture per texel of an outline


@dataclass(frozen=True)
class Layer:
    """One textured part: its texture, outline and motion, and the id of the whole in the mask.

    `material` is its texture's place in the scene's list. `shape` is int32 (S, S, 2), opacity 0..255 and shading
    in 1/256; None covers the frame. `reach` is how far opaque texels lie from the middle, along and across.
    `object_id` 0 is in no mask (background, distractors); None hides nothing (a shadow).
    The motion holds integers for each frame: middle x, y in 1/PX px as `path` (frames, 2), `angle` in TURN-ths,
    `zoom` in 1/65536 texel per px, `squash` in 1/256, how wide a thing looks that turns its side. The elastic
    deformation shifts columns by a sine of the row, and rows by a sine of the column, `sway` 1/65536 texel high,
    `waves` TURN-ths per texel, at `phase` (frames, 2). The texture, `grain` texels to one of the shape, moves
    under the outline by `slide` (frames, 2) in its 1/65536 texel, as on a thing that rolls. `gain` (frames, 3) in
    1/256 multiplies colours; `sun` (2,) in 1/256 per 1 << SINE_BITS 1/PX px lights a side.
    """

    material: int
    shape: np.ndarray | None
    object_id: int | None
    reach: tuple[int, int]
    path: np.ndarray
    angle: np.ndarray
    zoom: np.ndarray
    squash: np.ndarray
    sway: int
    waves: int
    phase: np.ndarray
    grain: int
    slide: np.ndarray
    gain: np.ndarray
    sun: np.ndarray


@dataclass(frozen=True)
class Part:
    """A piece of a body, lengths in texels: half axes `long`, `across`, and how it hangs on part `parent`.

    `joint` is where on the parent, along its axis and across; `angle` from the parent's axis, in TURN-ths, and
    `swing`, the most it moves to both sides. `material` counts the body's materials.
    """

    parent: int
    joint: tuple[int, int]
    long: int
    across: int
    angle: int
    swing: int
    material: int
    boxy: bool


def draw_body(rng: Generator) -> list[Part]:
    """A body with limbs, some of two parts, some in pairs; a parent comes before its parts."""
    across = BODY * int(rng.integers(45, 101)) // 100
    parts = [Part(0, (0, 0), BODY, across, 0, 0, 0, rng.integers(3) == 0)]
    limbs = int(rng.integers(LIMBS[0], LIMBS[1] + 1))
    while len(parts) <= limbs:
        (shortest, longest), (thinnest, thickest) = LIMB
        long = max(BODY * int(rng.integers(shortest, longest + 1)) // 100, NARROWEST)
        thick = max(long * int(rng.integers(thinnest, thickest + 1)) // 100, NARROWEST)
        swing, material, boxy = int(rng.integers(TURN // 7)), int(rng.integers(3)), rng.integers(3) == 0
        if len(parts) > 1 and rng.integers(3) == 0:  # a second part of the last limb
            joint, angle = (parts[-1].long * 8 // 10, 0), int(rng.integers(-TURN // 6, TURN // 6 + 1))
            parts.append(Part(len(parts) - 1, joint, long * 8 // 10, thick, angle, swing, material, boxy))
            continue
        angle = int(rng.integers(TURN))
        for side in (1, -1)[: 1 + int(rng.integers(2))]:
            along, aside = BODY * int(cosine(angle)) * 7 // 10, side * across * int(sine(angle)) * 7 // 10
            joint = (along >> SINE_BITS, aside >> SINE_BITS)
            parts.append(Part(0, joint, long, thick, side * angle, swing, material, boxy))
    return parts


def draw_thing(
    rng: Generator,
    stage: Stage,
    body: list[Part],
    materials: list[int],
    object_id: int,
    *,
    among: int,
    start: np.ndarray,
    leaves: bool = False,
) -> list[Layer]:
    """The layers of one thing from back to front: its shadow, then its parts."""
    rough = int(rng.integers(30, 101))
    shapes = [_draw_shape(rng, part, rough) for part in body]
    opaque = sum(int((shape[..., 0] > 0).sum()) for shape, _ in shapes) * OVERLAP // 100
    rest_radius = isqrt(opaque * PX * PX * 113 // 355)  # of a disc of that area; pi = 355/113
    smallest, largest = AREA[among]
    thousandths = int(rng.integers(smallest, largest + 1))
    radius = isqrt(stage.side**2 * thousandths * 113 // (355 * 1000))
    radii = stage.smooth(radius * rng.integers(80, 122, stage.knots) // 100)
    zoom, angle = (rest_radius << 16) // radii, wander(rng, stage, TURN // 8)
    sway = rest_radius * int(rng.integers(2, 12)) // 100
    squash = 256 - (cosine(wander(rng, stage, TURN // 12)) ** 2 >> 2 * SINE_BITS - 7) * int(rng.integers(0, 2))
    middles, angles, away = _articulate(rng, stage, body, angle)
    furthest = max(far + sum(reach) * PX + 2 * sway for far, (_, reach) in zip(away, shapes, strict=True))
    path = draw_path(rng, stage, start, furthest * int(radii.max()) // rest_radius if leaves else None)
    gain = drift(rng, stage, *LIGHT, 1) + drift(rng, stage, *TINT, 3)
    slide = stage.smooth(np.cumsum(rng.integers(-7, 8, (stage.knots, 2)), axis=0) * int(rng.integers(0, 3)) << 16)
    sun = _draw_sun(rng, radius)
    grain = GRAINS[int(rng.integers(len(GRAINS)))]
    shadow = _draw_shadow(stage, path, radii, squash, materials[0])
    layers = []
    for i, part in enumerate(body):
        shape, reach = shapes[i]
        offset = middles[i] * 65536 // zoom[:, None]
        offset[:, 0] = offset[:, 0] * squash >> 8
        layers.append(
            Layer(
                material=materials[part.material % len(materials)],
                shape=shape,
                object_id=object_id,
                reach=(reach[0] + sway // PX + 1, reach[1] + sway // PX + 1),
                path=path + offset,
                angle=angles[i],
                zoom=zoom,
                squash=squash,
                sway=sway * (65536 // PX),
                waves=TURN * PX * 10 // (rest_radius * int(rng.integers(24, 45))),
                phase=np.stack([wander(rng, stage, TURN // 5), wander(rng, stage, TURN // 5)], axis=1),
                grain=grain,
                slide=slide + (rng.integers(0, 128, 2) << 16),
                gain=gain + int(rng.integers(-30, 31)),
                sun=sun,
            )
        )
    return [shadow, *(layers[i] for i in rng.permutation(len(layers)))]


def draw_scenery(rng: Generator, stage: Stage, camera: np.ndarray, material: int) -> Layer:
    """A thing at rest, which only the camera moves: a rock, a bush, a post."""
    across = int(rng.integers(NARROWEST, BODY))
    shape, reach = _draw_shape(rng, Part(0, (0, 0), 2 * BODY, across, 0, 0, 0, rng.integers(2) == 0), 90)
    size = np.array([stage.width, stage.height]) * PX
    radius = stage.side * int(rng.integers(12, 30)) // 100
    path, zoom = rng.integers(0, size) + camera - camera[0], np.full(stage.frames, (2 * BODY * PX << 16) // radius)
    layer = still_layer(stage, material, object_id=0, shape=shape, reach=reach, path=path, zoom=zoom)
    return replace(
        layer,
        angle=layer.angle + int(rng.integers(TURN)),
        grain=2,
        slide=layer.slide + (rng.integers(0, 128, 2) << 16),
        gain=np.full((stage.frames, 3), int(rng.integers(150, 320))),
        sun=_draw_sun(rng, radius),
    )


def still_layer(
    stage: Stage,
    material: int,
    object_id: int | None,
    shape: np.ndarray | None,
    reach: tuple[int, int],
    path: np.ndarray,
    zoom: np.ndarray,
) -> Layer:
    """A layer that moves as a whole, neither turned nor deformed, as bright as its texture."""
    still = np.zeros((stage.frames, 2), np.int64)
    return Layer(
        material=material,
        shape=shape,
        object_id=object_id,
        reach=reach,
        path=path,
        angle=still[:, 0],
        zoom=zoom,
        squash=np.full(stage.frames, 256),
        sway=0,
        waves=0,
        phase=still,
        grain=1,
        slide=still,
        gain=np.full((stage.frames, 3), 256),
        sun=np.zeros(2, np.int64),
    )


def _draw_sun(rng: Generator, radius: int) -> np.ndarray:
    return turned(int(rng.integers(0, 90)) << SINE_BITS, 0, int(rng.integers(TURN))) // radius


def _articulate(
    rng: Generator, stage: Stage, body: list[Part], angle: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
    """Each part's middle (frames, 2) from the body's in 1/PX texel, its angle (frames,), and its middle's reach."""
    middles, angles, away = [np.zeros((stage.frames, 2), np.int64)], [angle], [0]
    for part in body[1:]:
        along, across = part.joint[0] * PX, part.joint[1] * PX
        swing = sine(wander(rng, stage, TURN // 4)) * part.swing >> SINE_BITS
        angles.append(angles[part.parent] + part.angle + swing)
        joint = middles[part.parent] + turned(along, across, angles[part.parent])
        arm = part.long * PX * 7 // 10
        middles.append(joint + turned(arm, 0, angles[-1]))
        away.append(away[part.parent] + abs(along) + abs(across) + arm)
    return middles, angles, away


def _draw_shape(rng: Generator, part: Part, rough: int) -> tuple[np.ndarray, tuple[int, int]]:
    """(shape int32 (S, S, 2), reach) of a part: an ellipse or box that noise bends, by `rough` percent."""
    size = 64 if part.long < 22 else 128
    row, column = np.mgrid[:size, :size] - size // 2
    p, q = (axis + (_bumps(rng, size) * rough // 100) for axis in (column, row))
    depth = rounded(p, q, part.long, part.across, part.boxy)
    inside = depth < 1 << 16
    inside[[0, 1, -2, -1]] = inside[:, [0, 1, -2, -1]] = False
    shade = 280 - (depth.clip(0, 1 << 16) * int(rng.integers(0, 130)) >> 16)
    reach = int(np.abs(column[inside]).max()) + 1, int(np.abs(row[inside]).max()) + 1
    return np.stack([255 * inside, shade], axis=2).astype(np.int32), reach


def _bumps(rng: Generator, size: int) -> np.ndarray:
    """Shifts in texels, coarse and fine; less steep than 1, so that what is whole remains whole."""
    coarse = value_noise(rng, size, size // 16, size // 16) - 128
    fine = value_noise(rng, size, size // 4, size // 4) - 128
    return (coarse * 10 >> 8) + (fine * 3 >> 8)


def _draw_shadow(stage: Stage, path: np.ndarray, radii: np.ndarray, squash: np.ndarray, material: int) -> Layer:
    """A soft dark spot under a thing, half a radius below its middle."""
    size = 32
    row, column = np.mgrid[:size, :size] - size // 2
    opacity = (110 - (column**2 + row**2) * 110 // (14 * 14)).clip(0)
    shape = np.stack([opacity, 0 * opacity], axis=2).astype(np.int32)
    path, zoom = path + np.stack([0 * radii, radii * 6 // 10], axis=1), (11 * PX << 16) // radii
    layer = still_layer(stage, material, object_id=None, shape=shape, reach=(15, 15), path=path, zoom=zoom)
    return replace(layer, squash=squash)
