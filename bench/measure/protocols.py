"""Speed on a desktop by named protocols: papers mean different things by FPS, so each is defined and timed apart.

All time one video at a time (batch 1) on a synthetic clip (bench.measure.clip) with stripes as objects; what the
frames show does not change the work. All use the given method, which they leave in the middle of a video.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from bench.measure.clip import moving_texture, write_frames
from bench.measure.latency import Limits, device_seconds, timed_cycles, wall_seconds
from bench.measure.steps import frame_steps, frames_read, stripes
from bench.score.evaluate import to_tensor
from datasets.images import read_frame, read_mask, write_mask
from methods.interface import Method, Remembering, Stepped
from methods.masks import most_likely
from methods.steps import WRITE


@dataclass(frozen=True)
class Scene:
    """What is segmented.

    frames: of the video of `stcn`, `aot` and `video`, the annotated one included; 2 or more.
    memory_frames: read by `core` and `frame`; None: the memory's capacity, or 8 when it is unbounded.
    """

    height: int = 480
    width: int = 864
    objects: int = 1
    frames: int = 11
    memory_frames: int | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Timing:
    """Times by one protocol.

    ms_*: of a frame, over `frames` frames; None where the protocol times the video as a whole.
    ms_first: the first frame, apart: of `core` and `frame` the first call, which is cold when nothing ran before
    it; of `aot` and `video` the annotated frame. None without one.
    fps: frames per second as the protocol counts them.
    memory_frames: in the memory that is read; at the end of the video where one is run, 0 without a memory.
    """

    protocol: str
    fps: float
    frames: int
    objects: int
    memory_frames: int
    ms_first: float | None = None
    ms_median: float | None = None
    ms_p90: float | None = None
    ms_p99: float | None = None
    ms_iqr: float | None = None


@torch.inference_mode()
def core(method: Method, scene: Scene, limits: Limits | None = None) -> Timing | None:
    """The network alone: encode the query, read the memory, decode, join the objects.

    From a frame (1, 3, H, W) of RGB in [0, 1] on the device to probabilities there, against a memory of
    `scene.memory_frames` frames that were joined before: the steps but for the last, with normalising and
    padding (DeAOT: resizing) inside. Writing to the memory is excluded. On a GPU by CUDA events. None for a
    method whose steps are not known.
    """
    if not isinstance(method, Stepped):
        return None
    stored, size = frames_read(method, scene.memory_frames), (scene.height, scene.width, scene.objects)
    segmenting = [step for step in frame_steps(method, *size, stored or None) if step.name != WRITE]
    values = {name: tensor for step in segmenting for name, tensor in step.inputs.items()}

    def segment() -> None:
        for step in segmenting:
            values.update(step.run(values))

    warm, taken = timed_cycles(segment, scene.device, limits or Limits(), clock=device_seconds)
    return _timing("core", scene, taken, warm[0] if warm else None, stored)


@torch.inference_mode()
def milliseconds_by_step(
    method: Method, scene: Scene, limits: Limits | None = None
) -> dict[str, float] | None:
    """Median milliseconds of each step apart, timed as `core` is and on the same inputs always.

    The limits' time is that of all steps together. None for a method whose steps are not known.
    """
    if not isinstance(method, Stepped):
        return None
    found = frame_steps(method, scene.height, scene.width, scene.objects, scene.memory_frames)
    limits = limits or Limits()
    each = replace(limits, max_seconds=limits.max_seconds / len(found))
    taken = {
        step.name: timed_cycles(partial(step.run, step.inputs), scene.device, each, clock=device_seconds)[1]
        for step in found
    }
    return {name: 1000 * median(seconds) for name, seconds in taken.items()}


def frame(method: Method, scene: Scene, limits: Limits | None = None) -> Timing:
    """What a user of the method waits for: from a uint8 (H, W, 3) frame on the host to its mask of ids there.

    Upload, normalising, padding, the network, the memory write of those frames that are written (whole write
    cycles are timed), argmax and download. The memory holds `scene.memory_frames` frames at the start of a cycle.
    """
    (image,), mask = moving_texture(1, scene.height, scene.width), _mask(scene)
    method.start(to_tensor(image, scene.device), mask)
    remembers = isinstance(method, Remembering)
    stored = frames_read(method, scene.memory_frames)
    warm, taken = timed_cycles(
        lambda: _ids(method, method.step(to_tensor(image, scene.device))),
        scene.device,
        limits or Limits(),
        prepare=partial(method.fill_memory, stored) if remembers else lambda: None,
        cycle=method.policy.every if remembers else 1,
    )
    return _timing("frame", scene, taken, warm[0] if warm else None, stored)


def stcn(method: Method, scene: Scene, limits: Limits | None = None) -> Timing:
    """As STCN's paper: frames / seconds over whole videos, reading and writing of files excluded.

    The official eval_davis_2016.py and eval_davis.py (github.com/hkchengrex/STCN) start the clock when all
    normalised frames of a video are on the GPU, and stop it when all masks are on the host; the annotated frame
    is encoded meanwhile and counts as a frame; so do the memory writes. Ours differs in that normalising falls
    into the timed part, and in that the last frame may be written to the memory. The memory grows as the video
    goes on: a short one reads less than DAVIS's 69 frames do.
    """
    clip, mask = _clip(scene, scene.frames)
    _warm_up(method, clip, mask)

    def whole_video() -> None:
        method.start(clip[0], mask)
        masks = [mask.byte(), *(most_likely(method.step(image)).byte() for image in clip[1:])]
        torch.stack(masks).cpu().numpy()

    seconds = wall_seconds(whole_video, torch.device(scene.device))
    return Timing("stcn", len(clip) / seconds, len(clip), scene.objects, _memory_frames(method))


def aot(method: Method, scene: Scene, limits: Limits | None = None) -> Timing:
    """As AOT and DeAOT: frames / seconds over the frames after the first, all objects at once.

    The official networks/managers/evaluator.py (github.com/yoxu515/aot-benchmark) brackets every frame but the
    first by CUDA events: from the frame on the GPU, over matching, logits at full size, softmax and argmax, to the
    updated memory. Decoding, upload, download and saving are excluded. Its "All-Frame FPS" is this fps. Ours
    differs in that the GPU's queue is emptied after every frame.
    """
    clip, mask = _clip(scene, scene.frames)
    device = torch.device(scene.device)
    _warm_up(method, clip, mask)
    first = device_seconds(lambda: method.start(clip[0], mask), device)
    taken = [
        device_seconds(lambda image=image: most_likely(method.step(image)), device) for image in clip[1:]
    ]
    return _timing("aot", scene, taken, first, _memory_frames(method))


def video(method: Method, scene: Scene, limits: Limits | None = None) -> Timing:
    """End to end, one frame after another: decode a JPEG from disk, segment, write the mask as a palette PNG.

    All frames count, the annotated one (its mask is read from a PNG) too. Nothing runs ahead: a program that
    decodes the next frame meanwhile would be quicker. Masks of untrained networks are ragged, so their PNGs are
    larger than those of trained ones.
    """
    images, mask = moving_texture(scene.frames, scene.height, scene.width), _mask(scene)
    _warm_up(method, [to_tensor(image, scene.device) for image in images[:2]], mask)
    with TemporaryDirectory() as folder:
        paths = write_frames(images, Path(folder, "frames"))
        given = Path(folder, "00000.png")
        write_mask(given, mask.cpu().numpy())
        results = Path(folder, "masks")

        def segment(path: Path) -> None:
            image = to_tensor(read_frame(path), scene.device)
            if path == paths[0]:
                labels = read_mask(given)
                method.start(image, torch.from_numpy(labels).long().to(scene.device))
            else:
                labels = _ids(method, method.step(image))
            write_mask(results / f"{path.stem}.png", labels)

        device = torch.device(scene.device)
        taken = [wall_seconds(partial(segment, path), device) for path in paths]
    return _timing("video", scene, taken, taken[0], _memory_frames(method))


# A protocol takes the method (on the device), the scene and the limits of those that time until it is enough.
PROTOCOLS: dict[str, Callable[[Method, Scene, Limits | None], Timing | None]] = {
    "core": core,
    "frame": frame,
    "stcn": stcn,
    "aot": aot,
    "video": video,
}


def _timing(protocol: str, scene: Scene, taken: list[float], first: float | None, stored: int) -> Timing:
    low, middle, high, p90, p99 = np.percentile(np.array(taken) * 1000, (25, 50, 75, 90, 99)).tolist()
    return Timing(
        protocol=protocol,
        fps=len(taken) / sum(taken),
        frames=len(taken),
        objects=scene.objects,
        memory_frames=stored,
        ms_first=None if first is None else 1000 * first,
        ms_median=middle,
        ms_p90=p90,
        ms_p99=p99,
        ms_iqr=high - low,
    )


def _clip(scene: Scene, frames: int) -> tuple[list[Tensor], Tensor]:
    """Frames and the first mask on the device."""
    images = moving_texture(frames, scene.height, scene.width)
    return [to_tensor(image, scene.device) for image in images], _mask(scene)


def _mask(scene: Scene) -> Tensor:
    return stripes(scene.height, scene.width, scene.objects).to(scene.device)


def _warm_up(method: Method, clip: list[Tensor], mask: Tensor) -> None:
    method.start(clip[0], mask)
    method.step(clip[1])


def _ids(method: Method, probabilities: Tensor) -> np.ndarray:
    """Probabilities (N + 1, H, W) -> uint8 (H, W) object ids on the host."""
    labels = most_likely(probabilities).byte().cpu().numpy()
    return np.array([0, *method.object_ids], np.uint8)[labels]


def _memory_frames(method: Method) -> int:
    return method.memory_frames if isinstance(method, Remembering) else 0
