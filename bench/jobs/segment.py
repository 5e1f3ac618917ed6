"""job=segment: masks of a video of one's own, and the video with them drawn over it."""

import re
import sys
import warnings
from pathlib import Path
from statistics import fmean, median
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.jobs.results import results_folder
from bench.measure.room import check_room
from bench.measure.scene import Scene
from bench.plan.ablation import given_network
from bench.plan.cells import EVALUATION_VERSION, Network, content_hash, file_hash, name_for_files
from bench.plan.fingerprint import fingerprint
from bench.run.networks import build
from bench.run.work import is_tight
from bench.score.pictures import is_picture
from bench.score.segment import GIF_FRAMES, Task, check_first_frame, draw, segment
from bench.system.environment import describe_environment, pick_device
from bench.system.errors import ConfigError, say
from bench.system.files import aside, read_json, write_json, write_text
from bench.system.locks import alone
from datasets.images import read_drawn_mask
from datasets.video import open_video
from methods import outside

FPS = 24.0  # of a folder of frames
STARTED, TIMINGS = "started.json", "timings.json"
LONGEST_STEM = 60  # characters of the video's name in that of its folder
SHAPE = {  # of timings.json
    "frames": int, "fps": float | None, "ms_per_frame_median": float | None, "video_size": str,
    "objects": list[int], "device": str,
}  # fmt: skip
WRITTEN = ("masks/*.png", "overlay.*", "state.pt", TIMINGS)


def run(config: DictConfig, runs: Path) -> int:
    """Write masks/, overlay.mp4 and timings.json into the folder of results, or go on with what is there."""
    if outside.is_masks(config.method):
        raise ConfigError(f"'{config.method}' has nothing to run: masks are there already")
    network = given_network(config)
    task = _task(config, network, runs)
    stem = re.sub(r"[^\w.-]+", "-", task.video.path.stem)[:LONGEST_STEM]
    out = results_folder(config, f"segment-{stem}-{name_for_files(network.method)}-{task.key[:8]}")
    device = pick_device(config.device)
    with alone(out / ".lock", f"writing to {out}", lambda: _agree(out, task.key)):
        _begin(out, task.key)
        write_text(out / "config.yaml", OmegaConf.to_yaml(config))
        timings = read_json(out / TIMINGS, SHAPE)
        if timings is None or not _whole(out, timings):
            timings = _segment(network, task, out, runs, device)
        gif = config.gif and timings["frames"] <= GIF_FRAMES
        if config.gif and not gif:
            warnings.warn(
                f"gif=true is for videos of at most {GIF_FRAMES} frames: overlay.mp4 alone is written", stacklevel=2
            )
        films = draw(task, out, float(config.fps or task.video.fps or FPS), gif)
    say("\n".join([_line(timings), *map(str, (out / "masks", *films)), f"results: {out}"]), sys.stdout)
    return 0


def _segment(network: Network, task: Task, out: Path, runs: Path, device: str) -> dict:
    """The timings of a video whose masks have been written."""
    method: Any = build(network, runs, device)
    seen, objects = task.seen_size, len(task.object_ids)
    advice = "give size={edge}, the longer side of the frames that the method sees"
    if objects < seen[1]:
        check_room(method, Scene(*seen, objects, device=device), task.frames, advice)
    try:
        step_ms = segment(method, task, out, device)
    except (RuntimeError, MemoryError) as error:
        if not is_tight(error):
            raise
        raise ConfigError(
            f"{network.method} finds no room on {device}: give size=, the longer side of its frames in px"
        ) from None
    timings = _timings(network, task, step_ms, device)
    write_json(out / TIMINGS, timings)
    (out / "state.pt").unlink(missing_ok=True)
    return timings


def _whole(out: Path, timings: dict) -> bool:
    """Whether all masks are there that an earlier command has made. They are made anew together: each needs the
    one before."""
    found = [is_picture(path) for path in (out / "masks").glob("*.png")]
    whole = all(found) and len(found) == timings["frames"]
    if not whole:
        say(f"warning: of {timings['frames']} masks in {out / 'masks'} {sum(found)} are whole: all are made anew")
    return whole


def _agree(out: Path, key: str) -> None:
    """Raise ConfigError where another command is, or was until now, at another task in the folder."""
    begun = read_json(out / STARTED, {"key": str})
    if begun is not None and begun["key"] != key:
        raise ConfigError(f"another run segments something else into {out}: choose another output=")


def _task(config: DictConfig, network: Network, runs: Path) -> Task:
    for key, what in (("video", "clip.mp4, or a folder of frames"), ("mask", "first.png")):
        if not config[key]:
            raise ConfigError(f"job=segment needs {key}=/path/to/{what}")
    place, mask_path = (Path(config[key]).expanduser().absolute() for key in ("video", "mask"))
    video = open_video(place)
    stamp = fingerprint(video.path, runs, config.fingerprint)
    content = [EVALUATION_VERSION, [str(video.path), stamp], file_hash(str(mask_path)), config.start, config.size]
    task = Task(video, read_drawn_mask(mask_path), config.start, config.size, content_hash([*content, network.key]))
    check_first_frame(task, mask_path)
    return task


def _begin(out: Path, key: str) -> None:
    """Make room in the folder: for a task other than its last one everything is new.

    Raises ConfigError rather than replace files that this job did not write.
    """
    begun = read_json(out / STARTED, {"key": str})
    written = [path for name in WRITTEN for path in sorted(out.glob(name))]
    if begun is None and written and not aside(out / STARTED).exists():
        raise ConfigError(f"{written[0]} is none of job=segment's files: choose another output=")
    if begun is None or begun["key"] != key:
        for path in written:
            path.unlink()
    write_json(out / STARTED, {"key": key})


def _timings(network: Network, task: Task, step_ms: list[float], device: str) -> dict:
    """How long the method took for a frame, from pixels on the device to a mask; decoding and writing excluded.

    fps is 1000 / the mean of step_ms, which has one entry for every frame but the first.
    """
    height, width = task.mask.shape
    return {
        "ms_per_frame_median": median(step_ms) if step_ms else None,
        "fps": 1000 / fmean(step_ms) if step_ms else None,
        "frames": len(step_ms) + 1,
        "video_size": f"{height}x{width}",
        "objects": task.object_ids,
        "method": outside.short_name(network.method),
        "options": network.options,
        "weights": network.weights,
        **describe_environment(device),
        "step_ms": step_ms,
    }


def _line(timings: dict) -> str:
    shown = f"{timings['frames']} frames of {timings['video_size']}, objects: "
    shown += ", ".join(map(str, timings["objects"]))
    if timings["fps"] is None:
        return shown
    speed = f"{timings['ms_per_frame_median']:.1f} ms per frame (median), {timings['fps']:.1f} fps"
    return f"{speed}, {timings['device']}; {shown}"
