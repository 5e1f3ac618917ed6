"""job=segment: masks of a video of one's own, and the video with them drawn over it."""

import warnings
from pathlib import Path
from statistics import fmean, median

import torch
from omegaconf import DictConfig, OmegaConf

from bench.jobs.results import results_folder
from bench.plan.ablation import given_network
from bench.plan.cells import EVALUATION_VERSION, Network, content_hash, file_hash, identity, name_for_files
from bench.plan.fingerprint import fingerprint
from bench.run.networks import build
from bench.score.segment import GIF_FRAMES, Task, check_first_frame, draw, segment
from bench.system.environment import describe_environment, pick_device
from bench.system.errors import ConfigError
from bench.system.files import full_path, read_json, write_json, write_text
from datasets.images import read_drawn_mask
from datasets.video import open_video
from methods import outside

FPS = 24.0  # of a folder of frames
SMALLEST = 32  # px of the longer side
STARTED, TIMINGS = "started.json", "timings.json"
WRITTEN = ("masks/*.png", "overlay.*", "state.pt", TIMINGS)


def run(config: DictConfig, runs: Path) -> int:
    """Write masks/, overlay.mp4 and timings.json into the folder of results, or go on with what is there."""
    if outside.is_masks(config.method):
        raise ConfigError(f"'{config.method}' has nothing to run: masks are there already")
    network, task = given_network(config), _task(config, runs)
    out = results_folder(config, f"segment-{task.video.path.stem}-{name_for_files(network.method)}")
    device = pick_device(config.device)
    _begin(out, task.key)
    write_text(out / "config.yaml", OmegaConf.to_yaml(config))
    timings = read_json(out / TIMINGS)
    if timings is None or timings["frames"] != sum(1 for _ in (out / "masks").glob("*.png")):
        try:
            step_ms = segment(build(network, runs, device), task, out, device)
        except torch.OutOfMemoryError:
            raise ConfigError(
                f"{network.method} finds no room on {device}: give size=, the longer side of its frames in px"
            ) from None
        timings = _timings(network, task, step_ms, device)
        write_json(out / TIMINGS, timings)
        (out / "state.pt").unlink(missing_ok=True)
    gif = config.gif and timings["frames"] <= GIF_FRAMES
    if config.gif and not gif:
        warnings.warn(
            f"gif=true is for videos of at most {GIF_FRAMES} frames: overlay.mp4 alone is written", stacklevel=2
        )
    films = draw(task, out, float(config.fps or task.video.fps or FPS), gif)
    print(_line(timings))
    for path in (out / "masks", *films):
        print(path)
    print(f"results: {out}")
    return 0


def _task(config: DictConfig, runs: Path) -> Task:
    for key, what in (("video", "clip.mp4, or a folder of frames"), ("mask", "first.png")):
        if not config[key]:
            raise ConfigError(f"job=segment needs {key}=/path/to/{what}")
    for key, least in (("start", 0), ("size", SMALLEST), ("fps", 1)):
        value = config[key]
        whole = key == "fps" or isinstance(value, int)
        if value is not None and (isinstance(value, bool | str) or not whole or value < least):
            raise ConfigError(f"{key}={value}: give a {'whole ' * (key != 'fps')}number of at least {least}")
    place, mask_path = (Path(config[key]).expanduser().absolute() for key in ("video", "mask"))
    video, options, weights = open_video(place), OmegaConf.to_container(config.options), full_path(config.weights)
    stamp = fingerprint(video.path, runs, config.fingerprint)
    content = [EVALUATION_VERSION, [str(video.path), stamp], file_hash(str(mask_path)), config.start, config.size]
    content += [identity(config.method), options, file_hash(weights)]
    task = Task(video, read_drawn_mask(mask_path), config.start, config.size, content_hash(content))
    check_first_frame(task, mask_path)
    return task


def _begin(out: Path, key: str) -> None:
    """Make room in the folder: for a task other than its last one everything is new.

    Raises ConfigError rather than replace files that this job did not write.
    """
    begun = read_json(out / STARTED)
    written = [path for name in WRITTEN for path in sorted(out.glob(name))]
    if begun is None and written:
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
