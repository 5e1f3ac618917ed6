"""What is in a sequence and how it moves: drawn from a seed, not yet rendered.

Lengths follow the frame's size, so that a larger frame shows the same scene finer. All that is in a scene
takes its colours from one palette, and some distractors wear an object's own textures.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from datasets.embedded.fixed import PX, TURN
from datasets.embedded.motion import Stage, drift, spread_points, wander
from datasets.embedded.textures import LEAVES, dead_leaves, draw_palette, paint
from datasets.embedded.things import Layer, draw_body, draw_scenery, draw_thing, still_layer

COLOURS = 4  # in a scene's palette
TILE = 128  # texels along the side of a texture
BACKDROP = 256
GROUND = 2  # materials of the background, which most distractors and things at rest wear too
FREQUENCY = (2, 9)  # waves per tile
# Taken in turn rather than drawn, so that a small split has its share of each.
OBJECT_COUNTS = (2, 3, 1, 2)
OTHERS_IN_FRONT = 3  # one in so many distractors and things at rest may hide an object
LEAVING_EVERY = 3  # in each so-many-th sequence an object leaves and returns


@dataclass(frozen=True)
class Scene:
    """Layers from back to front, the first over the whole frame, and what the camera does to each frame.

    `materials` are their textures, int32 (T, T, 3) RGB 0..255, which repeat; empty before the scene is painted.
    `light` (frames, 3) is the gain per channel and `tilt` (frames, 2) its slope to the right and down, in
    1/256; `blur` (frames,) is the weight 0..256 of the blurred picture, `blur_radius` in px.
    """

    layers: tuple[Layer, ...]
    materials: tuple[np.ndarray, ...]
    objects: int
    light: np.ndarray
    tilt: np.ndarray
    blur: np.ndarray
    blur_radius: int


def draw_scene(rng: Generator, stage: Stage, number: int) -> Scene:
    """The random scene of sequence `number`: 1 to 3 objects, distractors like them, things at rest, a background.

    Not painted yet: see `paint_scene`. Materials are the background, GROUND of the ground, two of each object.
    """
    objects = OBJECT_COUNTS[number % len(OBJECT_COUNTS)]
    bodies = [draw_body(rng) for _ in range(objects)]
    worn = [[1 + GROUND + 2 * i, 2 + GROUND + 2 * i] for i in range(objects)]
    leaves = number % LEAVING_EVERY == 0 and stage.frames > 10  # shorter ones leave no time to return
    leaver = int(rng.integers(objects)) if leaves else None
    starts = spread_points(rng, stage, objects)
    shown = [
        draw_thing(rng, stage, bodies[i], worn[i], i + 1, among=objects, start=starts[i], leaves=i == leaver)
        for i in range(objects)
    ]
    others = []
    for _ in range(
        int(rng.integers(1, 3))
    ):  # distractors: in the ground's or an object's textures, some of its build
        like = int(rng.integers(objects))
        body = bodies[like] if rng.integers(3) == 0 else draw_body(rng)
        start = spread_points(rng, stage, 1)[0]
        wears = worn[like][::-1] if rng.integers(4) == 0 else list(range(1, 1 + GROUND))
        others.append(draw_thing(rng, stage, body, wears, 0, among=3, start=start))
    camera = stage.smooth(np.cumsum(rng.integers(-stage.side // 8, stage.side // 8 + 1, (stage.knots, 2)), axis=0))
    for _ in range(int(rng.integers(0, 3))):
        others.append([draw_scenery(rng, stage, camera, 1 + int(rng.integers(GROUND)))])
    background = _draw_background(rng, stage, camera)
    behind: list[list[Layer]] = []
    for thing in others:
        (behind if rng.integers(OTHERS_IN_FRONT) else shown).append(thing)
    things = behind + [shown[i] for i in rng.permutation(len(shown))]
    return Scene(
        layers=(background, *(layer for thing in things for layer in thing)),
        materials=(),
        objects=objects,
        light=drift(rng, stage, (190, 330), 80, 1) + drift(rng, stage, (-20, 20), 15, 3),
        tilt=stage.smooth(rng.integers(-70, 71, (stage.knots, 2))),
        blur=stage.smooth(np.clip(rng.integers(-250, 320, stage.knots), 0, 256)),
        blur_radius=int(rng.integers(1, 3)),
    )


def paint_scene(rng: Generator, scene: Scene) -> Scene:
    """The scene with its materials, all in one palette."""
    palette = draw_palette(rng, COLOURS)
    tiles = [
        paint(rng, palette, TILE, int(rng.integers(FREQUENCY[0], FREQUENCY[1] + 1)))
        for _ in range(GROUND + 2 * scene.objects)
    ]
    fewest, most = LEAVES
    count = int(rng.integers(fewest, most + 1))
    canvas = paint(rng, palette, BACKDROP, int(rng.integers(2, 2 * FREQUENCY[1])))
    return replace(scene, materials=(dead_leaves(rng, canvas, tiles[:GROUND], count), *tiles))


def _draw_background(rng: Generator, stage: Stage, camera: np.ndarray) -> Layer:
    angle = wander(rng, stage, TURN // 60)
    zoom = stage.smooth(rng.integers(80, 125, stage.knots)) * (BACKDROP // 2 * PX * 65536 // 100) // stage.side
    return replace(
        still_layer(stage, material=0, object_id=0, shape=None, reach=(0, 0), path=camera, zoom=zoom),
        angle=angle,
        sway=int(rng.integers(0, 4)) << 16,
        waves=TURN // 64,
        phase=np.stack([wander(rng, stage, TURN // 12), wander(rng, stage, TURN // 12)], axis=1),
    )
