"""job=segment: a video of one's own."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

import methods
from bench.__main__ import main
from bench.jobs import results
from bench.jobs import segment as job
from bench.plan.compose import load_config
from bench.score import inference, segment
from bench.score.inference import to_tensor
from bench.system import locks
from bench.system.errors import USER_ERRORS, ConfigError
from bench.system.files import write_json
from datasets.errors import DataError
from datasets.images import read_ids, read_mask, write_mask
from datasets.video import open_video, write_video
from methods.masks import most_likely

av = pytest.importorskip("av")
pytest.importorskip("imageio")
FRAMES = 6


def square(left: int, top: int = 10, object_id: int = 1) -> np.ndarray:
    mask = np.zeros((48, 64), np.uint8)
    mask[top : top + 16, left : left + 16] = object_id
    return mask


def picture(number: int) -> np.ndarray:
    """Grey, with a bright square that moves."""
    return np.where(square(4 + 3 * number)[..., None], (220, 200, 40), (90, 90, 90)).astype(np.uint8)


@pytest.fixture
def weights(tmp_path) -> Path:
    torch.manual_seed(0)
    state = methods.create("mobilevos_r18", width=0.125).state_dict()
    torch.save({"state_dict": state, "meta": {"options": {"width": 0.125}}}, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


@pytest.fixture
def places(tmp_path, weights) -> dict[str, str]:
    """A clip, the mask of its first frame with the ids 1 and 5, and where the results go."""
    write_video(tmp_path / "clip.mp4", map(picture, range(FRAMES)), 10)
    write_mask(tmp_path / "first.png", square(4) + square(40, 30, object_id=5))
    return {
        "video": str(tmp_path / "clip.mp4"),
        "mask": str(tmp_path / "first.png"),
        "method": "mobilevos_r18",
        "weights": str(weights),
        "output": str(tmp_path / "out"),
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def composed():
    return load_config(["job=segment"])


@pytest.fixture
def run(places, composed, tmp_path):
    """Runs the job as the command line does, but for composing its configuration anew."""

    def run_job(**changes) -> int:
        config = composed.copy()
        for key, value in {**places, **changes}.items():
            config[key] = value
        return job.run(config, tmp_path / "runs")

    return run_job


def masks(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: read_ids(path) for path in sorted((folder / "masks").glob("*.png"))}


def by_hand(places, seen=lambda frame: frame, start: int = 0) -> dict[str, np.ndarray]:
    """The masks that the adapter gives."""
    method = methods.create(places["method"], width=0.125)
    method.load_state_dict(torch.load(places["weights"], weights_only=True)["state_dict"])
    found = {}
    for name, frame in open_video(Path(places["video"])).frames(start):
        tensor = to_tensor(seen(frame), "cpu")
        if not found:
            given = read_mask(Path(places["mask"]))
            small = cv2.resize(given, tensor.shape[:0:-1], interpolation=cv2.INTER_NEAREST_EXACT)
            method.start(tensor, torch.from_numpy(small).long())
            found[name] = given
        else:
            answer = method.step(tensor)
            full = torch.nn.functional.interpolate(answer[None], (48, 64), mode="bilinear")[0]
            found[name] = np.array([0, 1, 5], np.uint8)[most_likely(full)]
    return found


def test_masks_are_those_of_the_method_in_the_files_ids(run, places, tmp_path, capsys):
    assert run() == 0
    found = masks(tmp_path / "out")
    expected = by_hand(places)
    assert list(found) == [f"{number:05d}" for number in range(FRAMES)] == list(expected)
    for name, mask in found.items():
        np.testing.assert_array_equal(mask, expected[name])
    assert Image.open(tmp_path / "out/masks/00003.png").mode == "P"
    timings = json.loads((tmp_path / "out/timings.json").read_text())
    assert len(timings["step_ms"]) == FRAMES - 1
    assert (timings["objects"], timings["video_size"], timings["frames"]) == ([1, 5], "48x64", FRAMES)
    line = rf"{timings['ms_per_frame_median']:.1f} ms per frame \(median\), {timings['fps']:.1f} fps, .*; 6 frames"
    assert re.search(line, capsys.readouterr().out)


def test_the_overlay_shows_the_video_with_its_masks(run, tmp_path):
    run(method="copy_first_mask", weights=None, gif=True)
    with av.open(str(tmp_path / "out/overlay.mp4")) as film:
        assert film.streams.video[0].average_rate == 10
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == FRAMES
    for number, frame in enumerate(frames):
        elsewhere = square(0, 0) * 0 + 1
        elsewhere[4:32, :30], elsewhere[24:, 34:], elsewhere[4:32, 2 + 3 * number : 24 + 3 * number] = 0, 0, 0
        assert np.abs(frame.astype(int) - picture(number))[elsewhere > 0].mean() < 8
        assert frame[10:26, 4].min() > 180, "the outline is white"
    gif = Image.open(tmp_path / "out/overlay.gif")
    assert (gif.n_frames, gif.size, gif.info["duration"]) == (FRAMES, (64, 48), 100)


def test_the_overlay_of_a_large_video_is_smaller(run, monkeypatch, tmp_path):
    monkeypatch.setattr(segment, "OVERLAY_EDGE", 32)
    run(method="copy_first_mask", weights=None)
    with av.open(str(tmp_path / "out/overlay.mp4")) as film:
        context = film.streams.video[0].codec_context
        assert (context.height, context.width) == (24, 32)
    assert masks(tmp_path / "out")["00001"].shape == (48, 64)


def test_a_folder_of_frames_is_a_video_too(run, tmp_path):
    (tmp_path / "frames").mkdir()
    for number in range(FRAMES):
        Image.fromarray(picture(number)).save(tmp_path / f"frames/f{number}.png")
    assert run(video=str(tmp_path / "frames"), fps=5) == 0
    assert list(masks(tmp_path / "out")) == [f"f{number}" for number in range(FRAMES)]
    with av.open(str(tmp_path / "out/overlay.mp4")) as film:
        assert film.streams.video[0].average_rate == 5


def test_the_mask_may_be_of_a_later_frame(run, places, tmp_path):
    assert run(start=2) == 0
    found, expected = masks(tmp_path / "out"), by_hand(places, start=2)
    assert list(found) == list(expected) == ["00002", "00003", "00004", "00005"]
    assert all((found[name] == expected[name]).all() for name in found)


def test_the_method_may_see_smaller_frames(run, places, tmp_path):
    assert run(size=32) == 0
    smaller = by_hand(places, lambda frame: cv2.resize(frame, (32, 24), interpolation=cv2.INTER_AREA))
    found = masks(tmp_path / "out")
    assert all((found[name] == smaller[name]).all() for name in smaller)


def test_a_killed_run_goes_on_to_the_same_masks(places, tmp_path):
    script = (
        "import os, signal, sys\n"
        "from bench.score import segment\n"
        "from bench.__main__ import main\n"
        "segment.SECONDS_BETWEEN_STATES = 0\n"
        "honest = segment.write_checkpoint\n"
        "def save(path, state):\n"
        "    honest(path, state)\n"
        "    if len(state['step_ms']) == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "segment.write_checkpoint = save\n"
        "main(sys.argv[1:])\n"
    )
    arguments = ["job=segment", *(f"{key}={value}" for key, value in places.items())]
    killed = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, check=False)
    assert killed.returncode == -9
    out = tmp_path / "out"
    assert list(masks(out)) == ["00000", "00001", "00002", "00003"]
    written = (out / "masks/00002.png").stat().st_mtime_ns
    assert main(arguments) == 0
    assert (out / "masks/00002.png").stat().st_mtime_ns == written, "not done again"
    expected = by_hand(places)
    assert all((mask == expected[name]).all() for name, mask in masks(out).items())
    assert len(json.loads((out / "timings.json").read_text())["step_ms"]) == FRAMES - 1
    assert not (out / "state.pt").exists()


def test_what_is_finished_is_not_done_again_unless_the_task_is_another(run, tmp_path, monkeypatch):
    run()
    honest, calls = inference.object_masks, []
    monkeypatch.setattr(inference, "object_masks", lambda *a, **k: calls.append(1) or honest(*a, **k))
    assert run(gif=True) == 0
    assert calls == []
    write_mask(tmp_path / "first.png", square(20))
    assert run(start=3) == 0
    assert len(calls) == 2
    assert list(masks(tmp_path / "out")) == ["00003", "00004", "00005"], "those of the other task are gone"


def test_masks_that_were_deleted_are_made_again(run, tmp_path):
    run()
    before = masks(tmp_path / "out")
    (tmp_path / "out/masks/00002.png").unlink()
    assert run() == 0
    again = masks(tmp_path / "out")
    assert list(again) == list(before)
    assert all((again[name] == before[name]).all() for name in before)


def test_a_full_memory_is_told_with_what_helps(run, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(inference, "object_masks", full)
    with pytest.raises(ConfigError, match="mobilevos_r18 finds no room on cpu: give size="):
        run()


def test_missing_packages_are_told_before_anything_is_done(run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "imageio", None)
    (tmp_path / "frames").mkdir()
    with pytest.raises(DataError, match="videos need the package imageio: .venv/bin/python -m pip install"):
        run(video=str(tmp_path / "frames"))


def test_masks_of_other_programs_are_never_replaced(run, tmp_path):
    write_mask(tmp_path / "out/masks/mine.png", square(1))
    with pytest.raises(ConfigError, match="mine.png is none of job=segment's files: choose another output="):
        run()
    assert list(masks(tmp_path / "out")) == ["mine"]


def test_a_long_video_has_no_gif(run, monkeypatch, tmp_path):
    monkeypatch.setattr(job, "GIF_FRAMES", FRAMES - 1)
    with pytest.warns(UserWarning, match="gif=true is for videos of at most 5 frames"):
        run(method="copy_first_mask", weights=None, gif=True)
    assert not (tmp_path / "out/overlay.gif").exists()


def test_memory_does_not_grow_with_the_video(run, places, tmp_path, monkeypatch):
    """One frame at a time is read before its mask is written, and none is kept."""
    import gc
    import weakref

    alive = []
    honest = inference.to_tensor

    def watched(frame, device):
        gc.collect()
        alive.append(weakref.ref(frame))
        assert sum(ref() is not None for ref in alive) <= 2
        return honest(frame, device)

    monkeypatch.setattr(inference, "to_tensor", watched)
    assert run() == 0
    assert len(alive) == FRAMES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video": None}, r"job=segment needs video=/path/to/clip\.mp4"),
        ({"mask": None}, r"job=segment needs mask=/path/to/first\.png"),
        ({"weights": None}, r"'mobilevos_r18' needs weights=.*copy_first_mask needs none"),
        ({"method": "mobilevos"}, r"unknown method 'mobilevos'; known: "),
        ({"video": "/nowhere.mp4"}, r"video not found: /nowhere\.mp4"),
        ({"mask": "/nowhere.png"}, r"mask not found: /nowhere\.png"),
        ({"start": 6}, r"clip\.mp4 has 6 frames: there is no frame start=6"),
        ({"weights": "/nowhere.pt"}, r"checkpoint not found: /nowhere\.pt"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_begun(changes, message, run, tmp_path):
    with pytest.raises(USER_ERRORS, match=message):
        run(**changes)
    assert not (tmp_path / "out/masks").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("start=-1", "start=-1: give a whole number of at least 0"),
        ("size=big", "size=big: give a whole number of at least 32"),
        ("fps=0", "fps=0: give a number of at least 1"),
    ],
)
def test_a_wrong_number_is_told_when_the_configuration_is_composed(wrong, message):
    with pytest.raises(ConfigError, match=message):
        load_config(["job=segment", wrong])


def test_a_mask_must_fit_the_video(run, tmp_path):
    write_mask(tmp_path / "first.png", square(4)[:40])
    with pytest.raises(DataError, match=r"first\.png is 40x64 but a frame of .*clip\.mp4 is 48x64 \(height"):
        run()
    write_mask(tmp_path / "first.png", square(4) * 0)
    with pytest.raises(DataError, match=r"first\.png is empty"):
        run()
    speck = square(4)
    speck[40, 41] = 9
    write_mask(tmp_path / "first.png", speck)
    with pytest.raises(DataError, match="object 9 is too small to be seen at size=32"):
        run(size=32)


def test_the_command_line_answers_a_mistake_with_one_line(capsys):
    assert main(["job=segment", "method=copy_first_mask", "video=/nowhere.mp4", "mask=/nowhere.png"]) == 2
    assert capsys.readouterr().err == "error: video not found: /nowhere.mp4\n"


# Two commands at once, and what a disk or somebody else has damaged.


def hold_while(run, folder: Path, key: str, until) -> str:
    """The error of a run, "" for none, while another one is at the task `key` in the folder until `until()`."""
    folder.mkdir(parents=True)
    held, told = threading.Event(), []

    def other() -> None:
        with FileLock(folder / ".lock"):
            write_json(folder / "started.json", {"key": key})
            held.set()
            while not until(told):
                time.sleep(0.02)

    thread = threading.Thread(target=other)
    thread.start()
    held.wait()
    try:
        run()
    except ConfigError as error:
        told.append(str(error))
    thread.join()
    return "".join(told)


def test_a_second_command_with_another_task_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "SECONDS_TO_BEGIN", 0.05)
    told = hold_while(run, tmp_path / "out", "another", bool)
    assert told == f"another run segments something else into {tmp_path}/out: choose another output="
    assert not (tmp_path / "out/masks").exists()


def test_a_second_command_with_the_same_task_waits_for_the_first(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(locks, "SECONDS_TO_BEGIN", 0.05)
    assert run(output=str(tmp_path / "first")) == 0
    key = json.loads((tmp_path / "first/started.json").read_text())["key"]

    def finished(_) -> bool:
        if "another run is writing to" not in capsys.readouterr().err:
            return False
        shutil.copytree(tmp_path / "first", tmp_path / "out", dirs_exist_ok=True)
        return True

    monkeypatch.setattr(job, "segment", None)  # nothing is left to do
    assert hold_while(run, tmp_path / "out", key, finished) == ""
    assert len(masks(tmp_path / "out")) == FRAMES


def test_videos_of_one_name_have_folders_of_their_own(run, places, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "OUT", tmp_path / "reports")
    (tmp_path / "b").mkdir()
    write_video(tmp_path / "b/clip.mp4", map(picture, range(3)), 10)
    for video in (places["video"], str(tmp_path / "b/clip.mp4")):
        assert run(video=video, output=None, method="copy_first_mask", weights=None) == 0
    folders = sorted((tmp_path / "reports").iterdir(), key=lambda folder: len(masks(folder)))
    assert [len(masks(folder)) for folder in folders] == [3, FRAMES]
    assert all(re.fullmatch("segment-clip-copy_first_mask-[0-9a-f]{8}", folder.name) for folder in folders)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [cut, lambda path: path.write_bytes(b""), Path.unlink])
def test_a_damaged_mask_of_a_finished_video_is_made_anew_and_said_once(run, tmp_path, capsys, damage):
    run()
    before = masks(tmp_path / "out")
    damage(tmp_path / "out/masks/00002.png")
    capsys.readouterr()
    for told in (1, 0):
        assert run() == 0
        assert capsys.readouterr().err.count("5 are whole: all are made anew") == told
    after = masks(tmp_path / "out")
    assert all((after[name] == before[name]).all() for name in before)


@pytest.mark.parametrize("content", [b"", b"state", {"key": "another"}, [1], {"key": None, "method": 3}])
def test_a_damaged_state_costs_what_it_held(run, places, tmp_path, monkeypatch, content):
    monkeypatch.setattr(segment, "SECONDS_BETWEEN_STATES", 0)
    honest = inference.object_masks

    def killed(*values, **more):
        if (tmp_path / "out/state.pt").exists():
            raise KeyboardInterrupt
        return honest(*values, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(inference, "object_masks", killed)
        run()
    state = tmp_path / "out/state.pt"
    if isinstance(content, bytes):
        state.write_bytes(content)
    else:
        torch.save(content, state)
    assert run() == 0
    expected = by_hand(places)
    assert all((mask == expected[name]).all() for name, mask in masks(tmp_path / "out").items())


@pytest.mark.parametrize("content", ["[]", "{}", '{"frames": 6}', '{"frames": "six"}', "["])
@pytest.mark.parametrize("name", ["timings.json", "started.json"])
def test_other_json_in_the_place_of_state_is_set_aside(run, tmp_path, content, name, capsys):
    run()
    (tmp_path / "out" / name).write_text(content)
    capsys.readouterr()
    assert run() == 0
    assert capsys.readouterr().err.count(f"kept as {name}.damaged, made anew") == 1
    assert json.loads((tmp_path / "out/timings.json").read_text())["frames"] == FRAMES
    assert len(masks(tmp_path / "out")) == FRAMES


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_frames_of_a_single_row_or_column_have_a_film_too(run, tmp_path, size):
    (tmp_path / "frames").mkdir()
    for number in range(2):
        Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(tmp_path / f"frames/{number}.png")
    write_mask(tmp_path / "first.png", np.ones(size, np.uint8))
    assert run(video=str(tmp_path / "frames"), method="copy_first_mask", weights=None, gif=True) == 0
    assert (tmp_path / "out/overlay.mp4").stat().st_size


def test_a_method_that_ends_the_program_is_an_error(places, mine, told):
    name = mine("def step(self, frame):\n    raise SystemExit(0)")
    places |= {"method": name}
    del places["weights"]
    assert main(["job=segment", *(f"{key}={value}" for key, value in places.items())]) == 2
    assert re.search(
        r"error: \S*mine\.py:6 ends the program \(sys\.exit\(0\)\), which a method must not", told()[-1]
    )
