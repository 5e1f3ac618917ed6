"""The embedded set: made from a seed, whole or not at all, and neither too easy nor impossible."""

import hashlib
import runpy
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates, uniform_filter

from datasets.embedded import EmbeddedSpec, ensure_embedded
from datasets.embedded.fixed import spline
from datasets.embedded.motion import Stage, drift
from datasets.embedded.render import box_blur, render_mask, sample
from datasets.embedded.scene import Scene, draw_scene
from datasets.embedded.textures import KINDS, dead_leaves, octaves, pattern
from datasets.errors import DataError
from datasets.images import davis_palette, read_frame, read_mask

SMALL = EmbeddedSpec(train_sequences=2, train_frames=3, val_sequences=1, val_frames=4)
EXPECTED = "ccb9e916a267ea667f2b6f4d26b34b42fa86ca4960ef31dc04af2986f5e25f7c"
REPOSITORY = Path(__file__).resolve().parents[2]


def checksum(folder: Path) -> str:
    """SHA-256 (hex) over the names, frames and masks of a set.

    Frames count as file bytes, masks as decoded ids: builds of zlib pack the same ids into different bytes.
    """
    total = hashlib.sha256()
    for split in ("train", "val"):
        names = (folder / "ImageSets/2017" / f"{split}.txt").read_text(encoding="utf-8").split()
        for name in names:
            for frame in sorted((folder / "JPEGImages/480p" / name).iterdir()):
                mask = folder / "Annotations/480p" / name / f"{frame.stem}.png"
                total.update(f"{split}/{name}/{frame.name}".encode())
                total.update(frame.read_bytes())
                total.update(read_mask(mask).tobytes())
    return total.hexdigest()


def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(7))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def start_generation(root: Path, spec: EmbeddedSpec, workers: int) -> subprocess.Popen:
    code = (
        "import sys; from pathlib import Path; from datasets.embedded import EmbeddedSpec, ensure_embedded; "
        f"ensure_embedded(Path(sys.argv[1]), {spec!r}, {workers})"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(root)], cwd=REPOSITORY)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_embedded(tmp_path_factory.mktemp("small"), SMALL, workers=1)


@pytest.fixture(scope="module")
def val_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default set's first four val sequences: a sequence does not depend on the others."""
    spec = EmbeddedSpec(train_sequences=1, train_frames=1, val_sequences=4)
    return ensure_embedded(tmp_path_factory.mktemp("val"), spec)


@pytest.fixture(scope="module")
def val(val_folder: Path) -> list[list[np.ndarray]]:
    """The masks of these sequences."""
    sequences = sorted((val_folder / "Annotations/480p").glob("val-*"))
    return [[read_mask(path) for path in sorted(sequence.iterdir())] for sequence in sequences]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    stage = Stage(96, 144, 30)
    return [draw_scene(np.random.Generator(np.random.PCG64([number])), stage, number) for number in range(4)]


def test_the_bytes_are_the_same_on_every_machine(small: Path) -> None:
    assert checksum(small) == EXPECTED


def test_the_number_of_workers_does_not_change_a_byte(small: Path, tmp_path: Path) -> None:
    assert files(ensure_embedded(tmp_path, SMALL, workers=2)) == files(small)


def test_the_layout_is_that_of_davis(small: Path) -> None:
    assert (small / "ImageSets/2017/train.txt").read_text() == "train-000\ntrain-001\n"
    assert (small / "ImageSets/2017/val.txt").read_text() == "val-000\n"
    for name, length in (("train-000", 3), ("train-001", 3), ("val-000", 4)):
        frames = sorted((small / "JPEGImages/480p" / name).iterdir())
        masks = sorted((small / "Annotations/480p" / name).iterdir())
        assert [path.name for path in frames] == [f"{i:05d}.jpg" for i in range(length)]
        assert [path.name for path in masks] == [f"{i:05d}.png" for i in range(length)]
        assert read_frame(frames[0]).shape == (96, 144, 3)
        with Image.open(masks[0]) as mask:
            assert (mask.mode, mask.size) == ("P", (144, 96))
            assert mask.getpalette()[:12] == davis_palette()[:12]


def test_no_frame_appears_twice(small: Path) -> None:
    frames = [path.read_bytes() for path in small.rglob("*.jpg")]
    assert len(set(frames)) == len(frames) == 2 * 3 + 4


def test_another_seed_is_another_set(small: Path, tmp_path: Path) -> None:
    spec = EmbeddedSpec(1, train_sequences=1, train_frames=1, val_sequences=1, val_frames=1)
    other = ensure_embedded(tmp_path, spec, workers=1)
    assert other.name != small.name
    frame = "JPEGImages/480p/val-000/00000.jpg"
    assert (other / frame).read_bytes() != (small / frame).read_bytes()


def test_a_set_that_is_there_is_not_generated_again(tmp_path: Path) -> None:
    spec = EmbeddedSpec(train_sequences=1, train_frames=1, val_sequences=1, val_frames=1)
    folder = ensure_embedded(tmp_path, spec, workers=1)
    (folder / "mine.txt").write_text("kept")
    assert ensure_embedded(tmp_path, spec, workers=1) == folder
    assert (folder / "mine.txt").read_text() == "kept"


def test_a_killed_generation_leaves_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    spec = EmbeddedSpec(train_sequences=1, train_frames=1, val_sequences=1, val_frames=40)
    killed = start_generation(tmp_path, spec, workers=2)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".*.partial-*/JPEGImages")) and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    assert list(tmp_path.glob(".*.partial-*"))
    assert not list(tmp_path.glob("embedded-*"))
    folder = ensure_embedded(tmp_path, spec, workers=1)
    assert len(list(folder.rglob("*.png"))) == 1 + 40


def test_two_processes_may_ask_at_once(small: Path, tmp_path: Path) -> None:
    both = [start_generation(tmp_path, SMALL, workers=1) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert files(tmp_path / small.name) == files(small)
    assert not list(tmp_path.glob(".*.partial-*"))


def test_every_object_first_covers_3_to_20_percent_of_the_frame(val: list[list[np.ndarray]]) -> None:
    for masks in val:
        count = int(max(mask.max() for mask in masks))
        areas = np.bincount(masks[0].ravel(), minlength=count + 1)[1:]
        assert 1 <= count <= 3
        assert areas.min() >= 0.03 * masks[0].size
        assert areas.max() <= 0.20 * masks[0].size


def test_copying_the_first_mask_scores_low_but_not_nothing(val: list[list[np.ndarray]]) -> None:
    scores = []
    for masks in val:
        for object_id in range(1, masks[0].max() + 1):
            first = masks[0] == object_id
            later = [mask == object_id for mask in masks[1:-1]]
            scores.append(np.mean([(first & mask).sum() / (first | mask).sum() for mask in later]))
    assert 0.15 < np.mean(scores) < 0.30


def test_some_objects_leave_and_return(val: list[list[np.ndarray]]) -> None:
    returned = 0
    for masks in val:
        for object_id in range(1, masks[0].max() + 1):
            seen = np.array([(mask == object_id).any() for mask in masks])
            returned += seen[0] and seen[-1] and not seen.all()
    assert returned >= 2


def test_colours_alone_do_not_find_the_objects(val: list[list[np.ndarray]], val_folder: Path) -> None:
    colour_matching = runpy.run_path(str(REPOSITORY / "docs/examples/colour_matching.py"))["ColourMatching"]
    scores = []
    for number, masks in enumerate(val[:2]):  # five objects
        paths = sorted((val_folder / f"JPEGImages/480p/val-{number:03d}").iterdir())
        frames = [torch.from_numpy(read_frame(path)).permute(2, 0, 1) / 255 for path in paths]
        method = colour_matching()
        method.start(frames[0], torch.from_numpy(masks[0]).long())
        found = [method.step(frame).argmax(0).numpy() for frame in frames[1:-1]]
        for object_id in range(1, masks[0].max() + 1):
            pairs = [(a == object_id, b == object_id) for a, b in zip(found, masks[1:-1], strict=True)]
            scores.append(np.mean([(a & b).sum() / max((a | b).sum(), 1) for a, b in pairs]))
    assert np.mean(scores) < 0.60  # of five objects; 0.50 over all of the set


def test_the_objects_colours_drift_smoothly(scenes: list[Scene]) -> None:
    gains = [layer.gain for scene in scenes for layer in scene.layers if layer.object_id]
    assert all(np.abs(np.diff(gain, axis=0)).max() <= 32 for gain in gains)  # of 256, from a frame to the next
    assert np.median([np.ptp(gain, axis=0).max() for gain in gains]) > 64  # over the sequence


def test_some_distractors_wear_an_objects_textures() -> None:
    stage, alike = Stage(96, 144, 12), 0
    for number in range(12):
        scene = draw_scene(np.random.Generator(np.random.PCG64([number])), stage, number)
        worn = {layer.material for layer in scene.layers if layer.object_id}
        alike += bool(worn & {layer.material for layer in scene.layers if layer.object_id == 0})
    assert 2 <= alike <= 10


def test_objects_have_parts_that_move_on_their_own(scenes: list[Scene]) -> None:
    parts = [[layer for layer in scene.layers if layer.object_id == 1] for scene in scenes]
    assert all(len(layers) > 1 for layers in parts)
    bends = [np.ptp(layers[0].angle - layer.angle) for layers in parts for layer in layers[1:]]
    assert max(bends) > 100


def test_some_objects_are_hidden_by_others_for_a_while(scenes: list[Scene]) -> None:
    stage, hidden = Stage(96, 144, 30), 0
    for scene in scenes:
        for object_id in range(1, scene.objects + 1):
            own = tuple(layer for layer in scene.layers if layer.object_id == object_id)
            alone = replace(scene, layers=(scene.layers[0], *own))
            shown = [
                (render_mask(scene, stage, i) == object_id).sum() / max((render_mask(alone, stage, i) > 0).sum(), 1)
                for i in (2, 8, 14, 20, 26)
            ]
            hidden += min(shown) < 0.8 < max(shown)
    assert hidden >= 2


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"val_frames": 0}, "val_frames is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"height": 20}, "height is 20"),
        ({"width": 400}, "96x400"),
    ],
)
def test_a_spec_out_of_range_is_named(wrong: dict[str, int], named: str) -> None:
    with pytest.raises(DataError, match=named):
        EmbeddedSpec(**wrong)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=str(tmp_path / "file")):
        ensure_embedded(tmp_path / "file", SMALL)


def test_no_workers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="workers is 0"):
        ensure_embedded(tmp_path, SMALL, workers=0)


def test_spline_is_the_uniform_cubic_b_spline() -> None:
    controls = rng().integers(-100_000, 100_000, (9, 2))
    knots = np.arange(-3, 10) * 5.0
    expected = BSpline(knots, controls.astype(float), 3)(np.arange(30))
    assert np.abs(spline(controls, frames=30, every=5) - expected).max() <= 1


def test_box_blur_is_the_mean_over_a_square() -> None:
    image = rng().integers(0, 256, (12, 17, 3))
    expected = uniform_filter(image.astype(float), size=(5, 5, 1), mode="nearest")
    assert np.abs(box_blur(image, radius=2) - expected).max() <= 1


def test_sample_is_bilinear_and_repeats() -> None:
    texture = rng().integers(0, 256, (16, 16, 4)).astype(np.int32)
    u, v = rng().integers(-(40 << 16), 40 << 16, (2, 50, 60))
    at = np.stack([v, u]) / 65536
    for channel in range(4):
        expected = map_coordinates(texture[..., channel].astype(float), at, order=1, mode="grid-wrap")
        # Weights are cut to 1/256 of a texel, so each axis may be off by 255 / 256, and the result by 1.
        assert np.abs(sample(texture, u, v)[..., channel] - expected).max() <= 3


def test_drift_keeps_its_bounds_and_its_pace() -> None:
    walk = drift(rng(), Stage(96, 144, 400), (150, 400), step=40, channels=3)
    assert walk.shape == (400, 3)
    assert walk.min() >= 150
    assert walk.max() <= 400
    assert np.abs(np.diff(walk, axis=0)).max() <= 40 // 5 + 1
    assert np.ptp(walk, axis=0).min() > 100


def test_noise_has_the_spectrum_of_pictures() -> None:
    """Power falls as a power of the frequency near -2 (Field, 1987)."""
    size, slopes = 128, []
    generator = rng()
    for _ in range(8):
        power = np.abs(np.fft.fft2(octaves(generator, size, 2, 2))) ** 2
        along = np.abs(np.fft.fftfreq(size) * size)
        radius = np.hypot(along, along[:, None]).round()
        radii = np.arange(3, 40)
        mean = [power[radius == r].mean() for r in radii]
        slopes.append(np.polyfit(np.log(radii), np.log(mean), 1)[0])
    assert -3.5 < np.mean(slopes) < -1.5


def test_dead_leaves_cover_the_canvas_at_all_sizes() -> None:
    generator = rng()
    canvas = np.zeros((256, 256, 3), np.int32)
    materials = [np.full((128, 128, 3), 200, np.int32)]
    covered = [
        (dead_leaves(generator, canvas, materials, count) > 0).any(axis=2).mean() for count in (0, 30, 300, 3000)
    ]
    assert covered == sorted(covered)
    assert covered[0] == 0
    assert covered[-1] > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_use_the_whole_range_of_a_byte(kind: str) -> None:
    values = pattern(kind, rng(), size=64, frequency=4)
    assert values.shape == (64, 64)
    assert values.min() >= 0
    assert values.max() <= 255
    assert np.ptp(values) > 150


def test_smooth_patterns_repeat_without_a_seam() -> None:
    values = pattern("gradient", rng(), size=64, frequency=1)
    inside = np.abs(np.diff(values, axis=1)).max()
    assert np.abs(values[:, 0] - values[:, -1]).max() <= inside < 40
