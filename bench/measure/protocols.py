"""Speed on a desktop by named protocols: papers mean different things by FPS, so each is defined and timed apart.

All time one video at a time (batch 1) on a synthetic clip (`moving_texture`) with stripes as objects; what the
frames show does not change the work. All use the given method, which they leave in the middle of a video.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from bench.measure.scene import Scene, frame_steps, frames_read, moving_texture, started_copy, write_frames
from bench.measure.timing import Limits, Timing, device_seconds, figures, timed, wall_seconds
from bench.score.inference import follow, object_masks, to_tensor
from datasets.images import read_frame, read_mask, write_mask
from methods.interface import Method, Remembering, Stepped
from methods.masks import most_likely
from methods.steps import WRITE


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
    segmenting = [step for step in frame_steps(method, scene) if step.name != WRITE]
    values = {name: tensor for step in segmenting for name, tensor in step.inputs.items()}

    def segment() -> None:
        for step in segmenting:
            values.update(step.run(values))

    stored = frames_read(method, scene.memory_frames)
    return timed(
        "core", segment, scene.device, limits, objects=scene.objects, memory_frames=stored, clock=device_seconds
    )


@torch.inference_mode()
def milliseconds_by_step(method: Method, scene: Scene, limits: Limits | None = None) -> dict[str, Any] | None:
    """Median milliseconds of each step apart, timed as `core` is and on the same inputs always.

    The limits' time is that of all steps together. None for a method whose steps are not known.
    """
    if not isinstance(method, Stepped):
        return None
    found, limits = frame_steps(method, scene), limits or Limits()
    each = replace(limits, max_seconds=limits.max_seconds / len(found))
    work = {step.name: partial(step.run, step.inputs) for step in found}
    return {
        name: timed(name, run, scene.device, each, clock=device_seconds).ms_median for name, run in work.items()
    }


def frame(method: Method, scene: Scene, limits: Limits | None = None) -> Timing:
    """What a user of the method waits for: from a uint8 (H, W, 3) frame on the host to its mask of ids there.

    Upload, normalising, padding, the network, the memory write of those frames that are written (whole write
    cycles are timed), argmax and download. The memory holds `scene.memory_frames` frames at the start of a cycle.
    """
    (image,) = moving_texture(1, scene.height, scene.width)
    method.start(to_tensor(image, scene.device), scene.stripes())

    def segment() -> None:
        tensor = to_tensor(image, scene.device)
        object_masks(method, method.step(tensor), tensor)

    return _steady("frame", segment, method, scene, limits)


def step(method: Method, scene: Scene, limits: Limits | None = None) -> Timing:
    """`method.step` on a frame of noise: from a frame on the device to its probabilities there.

    Memory writes are included. The memory holds `scene.memory_frames` frames at the start of each write cycle. Of a
    copy: the method itself is left as it was.
    """
    method, image = started_copy(method, scene)
    return _steady("step", lambda: method.step(image), method, scene, limits)


def stcn(method: Method, scene: Scene, limits: Limits | None = None) -> Timing:
    """As STCN's paper: frames / seconds over whole videos, reading and writing of files excluded.

    The official eval_davis_2016.py and eval_davis.py (github.com/hkchengrex/STCN) start the clock when all
    normalised frames of a video are on the GPU, and stop it when all masks are on the host; the annotated frame
    is encoded meanwhile and counts as a frame; so do the memory writes. Ours differs in that normalising falls
    into the timed part, and in that the last frame may be written to the memory. The memory grows as the video
    goes on: a short one reads less than DAVIS's 69 frames do.
    """
    clip, mask = _warmed_up(method, scene)

    def whole_video() -> None:
        method.start(clip[0], mask)
        masks = [mask.byte(), *(most_likely(method.step(image)).byte() for image in clip[1:])]
        torch.stack(masks).cpu().numpy()

    seconds = wall_seconds(whole_video, torch.device(scene.device))
    return Timing("stcn", len(clip) / seconds, len(clip), scene.objects, getattr(method, "memory_frames", 0))


def aot(method: Method, scene: Scene, limits: Limits | None = None) -> Timing:
    """As AOT and DeAOT: frames / seconds over the frames after the first, all objects at once.

    The official networks/managers/evaluator.py (github.com/yoxu515/aot-benchmark) brackets every frame but the
    first by CUDA events: from the frame on the GPU, over matching, logits at full size, softmax and argmax, to the
    updated memory. Decoding, upload, download and saving are excluded. Its "All-Frame FPS" is this fps. Ours
    differs in that the GPU's queue is emptied after every frame.
    """
    clip, mask = _warmed_up(method, scene)
    device = torch.device(scene.device)

    def segment(image: Tensor) -> None:
        most_likely(method.step(image))

    first = device_seconds(partial(method.start, clip[0], mask), device)
    taken = [device_seconds(partial(segment, image), device) for image in clip[1:]]
    return figures("aot", taken, first, scene.objects, getattr(method, "memory_frames", 0))


def video(method: Method, scene: Scene, limits: Limits | None = None) -> Timing:
    """End to end, one frame after another: decode a JPEG from disk, segment, write the mask as a palette PNG.

    All frames count, the annotated one (its mask is read from a PNG) too. Nothing runs ahead: a program that
    decodes the next frame meanwhile would be quicker. Masks of untrained networks are ragged, so their PNGs are
    larger than those of trained ones.
    """
    _, mask = _warmed_up(method, replace(scene, frames=2))
    with TemporaryDirectory() as folder:
        paths = write_frames(moving_texture(scene.frames, scene.height, scene.width), Path(folder, "frames"))
        given = Path(folder, "00000.png")
        write_mask(given, mask.cpu().numpy())
        clip = ((read_frame(path), read_mask(given) if path == paths[0] else None) for path in paths)
        masks = follow(method, clip, scene.device)

        def segment(path: Path) -> None:
            write_mask(Path(folder, "masks", f"{path.stem}.png"), next(masks)[0])

        device = torch.device(scene.device)
        taken = [wall_seconds(partial(segment, path), device) for path in paths]
    return figures("video", taken, taken[0], scene.objects, getattr(method, "memory_frames", 0))


# A protocol takes the method (on the device), the scene and the limits of those that time until it is enough.
PROTOCOLS: dict[str, Callable[[Method, Scene, Limits | None], Timing | None]] = {
    protocol.__name__: protocol for protocol in (core, frame, stcn, aot, video)
}


def _steady(
    protocol: str, work: Callable[[], object], method: Method, scene: Scene, limits: Limits | None
) -> Timing:
    """Whole write cycles of a memory that holds `scene.memory_frames` frames at the start of each."""
    cycles: dict[str, Any] = {}
    if isinstance(method, Remembering):
        stored = frames_read(method, scene.memory_frames)
        refill = partial(method.fill_memory, stored)
        cycles = {"memory_frames": stored, "prepare": refill, "cycle": method.policy.every}
    return timed(protocol, work, scene.device, limits, objects=scene.objects, **cycles)


def _warmed_up(method: Method, scene: Scene) -> tuple[list[Tensor], Tensor]:
    """Frames and the first mask on the device, of which the method has seen two frames."""
    images, mask = moving_texture(scene.frames, scene.height, scene.width), scene.stripes()
    clip = [to_tensor(image, scene.device) for image in images]
    method.start(clip[0], mask)
    method.step(clip[1])
    return clip, mask
