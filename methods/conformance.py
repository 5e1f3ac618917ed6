"""What the adapter promises, as checks: the suite's tests run them on its own methods, job=check on anybody's.

The promises are those of `methods.interface.Method`, on small videos of noise: nothing here says how well a method
segments.
"""

import gc
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.interface import Method
from methods.outside import FOREIGN

HEIGHT, WIDTH = 50, 70
IDS = (3, 7)
MANY = 12  # more than the ten slots of DeAOT's identification bank
SIZES = ((16, 16), (33, 47), (47, 33), (64, 64))
# Frames' worth of memory a frame. Published methods whose memory grows by design keep less: R50-DeAOT-L 1.3.
MAX_GROWTH = 2.0
NOTICED_GROWTH = 0.02
Check = Callable[[Method, str], str | None]


class Broken(Exception):
    """A promise is not kept; the message says what was seen."""


class NotGiven(Exception):
    """The promise is about an optional part that the method does not have."""


@dataclass(frozen=True)
class Promise:
    """name, what is promised, how to mend it, and the check: (method, device) -> a remark or None.

    A check raises Broken or NotGiven, or whatever the method raises.
    """

    name: str
    what: str
    mend: str
    check: Check


PROMISES: list[Promise] = []


def _promise(name: str, what: str, mend: str) -> Callable[[Check], Check]:
    """Make a promise of the check below."""

    def add(check: Check) -> Check:
        PROMISES.append(Promise(name, what, mend, check))
        return check

    return add


@dataclass(frozen=True)
class Outcome:
    """How a check went. kept: True, False, or None where the promise is about a part that is not there."""

    promise: Promise
    kept: bool | None
    remark: str


def check_all(
    method: Method,
    device: str,
    describe: Callable[[BaseException], str] = repr,
    promises: Sequence[Promise] | None = None,
) -> Iterator[Outcome]:
    """Check one promise after another, by default all; `describe` makes a line of a method's own exception."""
    for promise in PROMISES if promises is None else promises:
        kept: bool | None = True
        try:
            with torch.no_grad():
                remark = promise.check(method, device) or ""
        except NotGiven as reason:
            kept, remark = None, str(reason)
        except FOREIGN as error:
            kept, remark = False, str(error) if isinstance(error, Broken) else describe(error)
        yield Outcome(promise, kept, remark)


def video(frames: int = 3, height: int = HEIGHT, width: int = WIDTH, device: str = "cpu") -> Tensor:
    """Noise, the same always: float (frames, 3, H, W) in [0, 1]."""
    return torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(0)).to(device)


def first_mask(ids: tuple[int, ...] = IDS, height: int = HEIGHT, width: int = WIDTH, device: str = "cpu") -> Tensor:
    """int64 (H, W): a bar across the frame for each id, from the top in the order given."""
    mask = torch.zeros(height, width, dtype=torch.long)
    room = (height - 2) // len(ids)
    for place, object_id in enumerate(ids):
        top = 1 + place * room
        mask[top : top + max(1, room - 1), width // 12 : width - width // 7] = object_id
    return mask.to(device)


def answers(method: Method, frames: Tensor, mask: Tensor) -> list[Tensor]:
    """The answers to all frames but the first."""
    method.start(frames[0], mask)
    return [method.step(frame) for frame in frames[1:]]


def _noise_answers(method: Method, device: str, ids: tuple[int, ...] = IDS) -> list[Tensor]:
    return answers(method, video(device=device), first_mask(ids, device=device))


@_promise(
    "shapes",
    "step() answers float (N + 1, H, W), N objects, at the frame's size",
    "give a plane to the background and one to each object, resized to frame.shape[1:]",
)
def _shapes(method: Method, device: str) -> None:
    for found in _noise_answers(method, device):
        _expect(isinstance(found, Tensor), f"step() gave a {type(found).__name__}, no tensor")
        _expect(found.is_floating_point(), f"step() gave {found.dtype}")
        _expect_shape(found, len(IDS))


@_promise("device", "answers are on the device of the frames", "make tensors on frame.device")
def _device(method: Method, device: str) -> str:
    frames = video(device=device)
    for found in answers(method, frames, first_mask(device=device)):
        _expect(found.device == frames.device, f"frames on {frames.device}, answers on {found.device}")
    return str(frames.device)


@_promise(
    "probabilities",
    "they are in [0, 1] and sum to 1 in every pixel",
    "take a softmax over the planes, or divide by their sum, after any resizing",
)
def _probabilities(method: Method, device: str) -> None:
    for found in _noise_answers(method, device):
        _expect_probabilities(found)


@_promise(
    "ids",
    "object_ids are those of the first mask, increasing; they may have gaps",
    "self.object_ids = sorted(set(mask.unique().tolist()) - {0})",
)
def _ids(method: Method, device: str) -> None:
    given = (200, 4, 31)
    found = _noise_answers(method, device, given)
    _expect_ids(method, sorted(given))
    _expect_shape(found[0], len(given))


@_promise(
    "order",
    "channel i + 1 is of object_ids[i]",
    "make the planes in the order of object_ids, whatever the order in the mask",
)
def _order(method: Method, device: str) -> None:
    """A still video of two squares: a method that follows them at all must not have their channels swapped."""
    mask = torch.zeros(64, 96, dtype=torch.long, device=device)
    mask[16:48, 8:40], mask[16:48, 56:88] = 9, 2
    frame = torch.full((3, 64, 96), 0.5, device=device)
    frame[0, mask == 9], frame[2, mask == 2] = 1.0, 1.0
    labels = answers(method, frame.expand(3, -1, -1, -1), mask)[-1].max(0).indices

    def overlap(first: int, second: int) -> float:
        """The lower IoU of two objects with channels 1 and 2."""
        pairs = [(labels == 1, mask == first), (labels == 2, mask == second)]
        return min(float((one & other).sum() / (one | other).sum().clamp(min=1)) for one, other in pairs)

    _expect(
        overlap(9, 2) < max(0.5, overlap(2, 9)),
        "of objects 9 (left) and 2 (right), channel 1 shows 9: it belongs to 2, the smaller id",
    )


@_promise(
    "determinism",
    "the same video gives the same answers",
    "switch dropout off (eval()), seed a generator of your own in start()",
)
def _deterministic(method: Method, device: str) -> None:
    _expect_same(_noise_answers(method, device), _noise_answers(method, device), "at once again")


@_promise("restart", "start() forgets the video before", "set all that a video changes in start()")
def _restart(method: Method, device: str) -> None:
    fresh = _noise_answers(method, device)
    answers(method, video(device=device).flip(0), first_mask((1,), device=device))
    again = _noise_answers(method, device)
    _expect_ids(method, sorted(IDS))
    _expect_same(fresh, again, "after another video")


@_promise(
    "many objects",
    f"{MANY} objects with ids up to {5 + 20 * (MANY - 1)} are followed",
    "loop over the objects, or over groups of them, and join the groups",
)
def _many_objects(method: Method, device: str) -> None:
    ids = tuple(range(5, 5 + 20 * MANY, 20))
    for found in _noise_answers(method, device, ids):
        _expect_shape(found, MANY)
        _expect_probabilities(found)
    _expect_ids(method, list(ids))


@_promise(
    "sizes",
    f"frames of {', '.join(f'{h}x{w}' for h, w in SIZES)} work",
    "pad or resize the frame to what the network takes, and undo it in the answer",
)
def _sizes(method: Method, device: str) -> None:
    for size in SIZES:
        mask = torch.zeros(size, dtype=torch.int32, device=device)  # any integer type will do
        mask[4:12, 4:12] = 1
        _expect_shape(answers(method, video(2, *size, device=device), mask)[0], 1, *size)


@_promise("inputs", "frames and masks that are given stay as they are", "work on frame.clone()")
def _inputs(method: Method, device: str) -> None:
    frames, mask = video(device=device), first_mask(device=device)
    before = frames.clone(), mask.clone()
    answers(method, frames, mask)
    _expect(torch.equal(frames, before[0]), "a frame that was given has changed")
    _expect(torch.equal(mask, before[1]), "a mask that was given has changed")


@_promise(
    "answers",
    "an answer is the caller's: it stays, and writing into it harms nothing",
    "return answer.clone() of a tensor that the method keeps",
)
def _own_answers(method: Method, device: str) -> None:
    frames, mask = video(4, device=device), first_mask(device=device)

    def run(then: Callable[[Tensor], object]) -> list[Tensor]:
        """The answers as they were when they came; `then` is called with each."""
        method.start(frames[0], mask)
        seen = []
        for frame in frames[1:]:
            answer = method.step(frame)
            seen.append(answer.clone())
            then(answer)
        return seen

    kept: list[Tensor] = []
    plain = run(kept.append)
    _expect_same(plain, kept, "once the next frame has come")
    with torch.inference_mode():  # answers that were made there may be written to there alone
        _expect_same(plain, run(Tensor.zero_), "when the caller has written into the one before")


@_promise(
    "memory",
    "a longer video needs no more memory, or little more",
    "keep every k-th frame, or the last k; detach what you keep",
)
def _memory(method: Method, device: str) -> str | None:
    """Tensors and numpy arrays that are held after 5 and after 15 frames; of a GPU's, tensors alone."""
    height, width, frames = 64, 96, 5
    method.start(video(1, height, width, device)[0], first_mask((1,), height, width, device))

    def run(count: int) -> None:
        for _ in range(count):  # frames of its own, so that one that is kept is seen
            method.step(torch.rand(3, height, width, device=device))

    run(frames)
    tracemalloc.start()
    try:
        before = _held_bytes()
        run(2 * frames)
        growth = (_held_bytes() - before) / (2 * frames * 3 * height * width * 4)
    finally:
        tracemalloc.stop()
    if growth < NOTICED_GROWTH:
        return "it does not grow"
    size = growth * 12 * 480 * 864 / 1e6
    digits = 1 if size < 10 else 0  # measured beside what Python itself allocates: two digits hold
    text = f"it grows: {size:.{digits}f} GB after 1000 frames of 480x864 with one object"
    _expect(growth < MAX_GROWTH, text)
    return text


@_promise(
    "late objects",
    "add() takes new objects: their pixels win, the others go on",
    "see methods/copy_first_mask.py for the shortest add()",
)
def _late_objects(method: Method, device: str) -> None:
    if not hasattr(method, "add"):
        raise NotGiven("no add(): sets whose objects appear late, such as YouTube-VOS, are refused")
    frames, late = video(4, device=device), first_mask((5,), device=device)
    fresh = answers(method, frames[:2], first_mask(device=device))
    added = method.add(frames[2], late)
    _expect_ids(method, sorted((*IDS, 5)))
    _expect_shape(added, 3)
    _expect_probabilities(added)
    won = torch.equal(added.max(0).indices == 2, late == 5)
    _expect(won, "in the frame that gives object 5, its channel is not the highest just where the mask is 5")
    after = method.step(frames[3])
    _expect_shape(after, 3)
    _expect_probabilities(after)
    again = answers(method, frames[:2], first_mask(device=device))
    _expect_ids(method, sorted(IDS))
    _expect_same(fresh, again, "after a video with a late object")


def _expect(kept: bool, seen: str) -> None:
    if not kept:
        raise Broken(seen)


def _expect_shape(found: Tensor, objects: int, height: int = HEIGHT, width: int = WIDTH) -> None:
    wanted, shape = (objects + 1, height, width), tuple(found.shape)
    _expect(shape == wanted, f"an answer {shape} in place of {wanted}: {objects} objects, {height}x{width}")


def _expect_probabilities(found: Tensor) -> None:
    low, high = float(found.min()), float(found.max())
    _expect(bool(found.isfinite().all()), "some are NaN or infinite")
    _expect(low >= 0 and high <= 1 + 1e-5, f"they lie between {low:.3g} and {high:.3g}")
    off = float((found.float().sum(0) - 1).abs().max())
    _expect(off < 1e-3, f"the sum of a pixel's is wrong by up to {off:.3g}")


def _expect_ids(method: Method, wanted: list[int]) -> None:
    found = list(method.object_ids)
    _expect(found == wanted, f"object_ids is {found} in place of {wanted}")


def _expect_same(before: list[Tensor], now: list[Tensor], when: str) -> None:
    for one, other in zip(before, now, strict=True):
        _expect(one.shape == other.shape, f"an answer {tuple(other.shape)}, before {tuple(one.shape)}, {when}")
        off = float((one - other).abs().max())
        _expect(off < 1e-4, f"an answer differs by up to {off:.3g} {when}")


def _held_bytes() -> int:
    """Bytes of all tensors that Python knows, shared storages once, and of what Python and numpy have allocated."""
    gc.collect()
    storages = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), Tensor):  # isinstance would wake lazy modules
            storage = thing.untyped_storage()
            try:
                storages[storage.data_ptr()] = storage.nbytes()
            except RuntimeError:  # a fake one, of somebody's tracing, has no bytes
                continue
    return sum(storages.values()) + tracemalloc.get_traced_memory()[0]
