"""Training clips: sampled from videos or made from static images, each a pure function of (seed, number).

Every draw comes from `np.random.default_rng([seed, number])`, so all cells of a grid see the same
batches in the same order, whatever the number of workers and wherever training resumes.
"""

import copy
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from datasets.augment import augment_clip, visible_objects
from datasets.errors import DataError
from datasets.sequence import VideoSet
from datasets.static import StaticImage
from datasets.synthesis import DEFAULT, Picture, Synthesis, synthesize_clip

# The largest distance between a clip's frames from each progress of training on: STCN's schedule
CURRICULUM = ((0.0, 5), (0.1, 10), (0.2, 15), (0.3, 20), (0.4, 25), (0.9, 5))
REDRAWS = 20
MIX = 1

Clip = tuple[np.ndarray, np.ndarray]


@dataclass(eq=False)
class DrawnClips(ABC):
    """Clips drawn again until the first frame shows an object; at most `max_objects`, drawn at random, are kept.

    length: frames; size: pixels along a side; name: where they come from. Decoded images stay in memory up to
    `cache_mb` (per loader worker). natural_skip: the max_skip at which clips move as videos do from frame to frame.
    """

    name: str
    length: int = 3
    size: int = 96
    _: KW_ONLY
    max_objects: int = 2
    seed: int = 0
    cache_mb: float = 512
    natural_skip: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self.cache = ImageCache(self.cache_mb)

    @abstractmethod
    def draw(self, rng: np.random.Generator, max_skip: int) -> Clip:
        """A clip with the ids of its masks."""

    def clip(self, number: int, max_skip: int | None = None) -> Clip:
        """Clip `number`: uint8 (T, S, S, 3) RGB, uint8 (T, S, S) ids 1..n; max_skip: None takes `natural_skip`.

        Raises DataError where none shows an object.
        """
        max_skip = self.natural_skip if max_skip is None else max_skip
        rng = np.random.default_rng([self.seed, number])
        for _ in range(REDRAWS):
            frames, masks = self.draw(rng, max_skip)
            masks = keep_objects(masks, self.max_objects, rng)
            if masks[0].any():
                return frames, masks
        why = "its masks are empty or its objects smaller than 0.1 % of the frame; leave those out"
        raise DataError(f"no object in the first frame of any of {REDRAWS} clips from {self.name}: {why}")


class VideoClips(DrawnClips):
    """Clips from the annotated frames of videos.

    A clip is `length` annotated frames at rising distances, each up to `max_skip` frames of the video and
    at least the next annotated one (less where the sequence is short), played backwards half of the time,
    cropped and coloured by `augment_clip`. STCN, too, divides the skip by the `stride` of YouTube-VOS. Sequences
    are drawn uniformly; those with fewer than `length` annotated frames are left out, as in STCN. Raises DataError
    when no sequence is long enough.
    """

    def __init__(self, video_set: VideoSet, *size: int, **options: Any) -> None:
        super().__init__(video_set.name, *size, **options)
        self.videos = [s for s in video_set.sequences if len(s.annotated) >= self.length]
        if not self.videos:
            lacks = f"no sequence of {video_set.name} has {self.length} annotated frames, as a clip has"
            raise DataError(f"{lacks} (scale.<role>.length): training needs masks on more than the first frame")

    def draw(self, rng: np.random.Generator, max_skip: int) -> Clip:
        sequence = self.videos[rng.integers(len(self.videos))]
        times, skip = sequence.annotated, max_skip // sequence.stride
        chosen = [times[place] for place in sample_times(len(times), self.length, skip, rng)]
        frames = [self.cache.get(sequence.frames[t], partial(sequence.frame, t)) for t in chosen]
        masks = [self.cache.get(sequence.mask_file(t), partial(sequence.annotation, t)) for t in chosen]
        if len({mask.shape for mask in masks}) > 1:
            raise DataError(f"the frames of sequence {sequence.name} differ in size: resize them to one")
        return augment_clip(frames, masks, self.size, rng)


class StaticClips(DrawnClips):
    """Clips made from static images by `synthesize_clip`, with objects and scenes of a second and a third image.

    The speed of the motion grows as the root of `max_skip` (as the distance of a random walk), 1 at 10.
    `settings` says how they are made.
    """

    natural_skip = 10

    def __init__(
        self, stills: Items[StaticImage], *size: int, settings: Synthesis = DEFAULT, **options: Any
    ) -> None:
        super().__init__("the still images", *size, **options)
        if not stills:
            raise DataError("no still images to make clips from: open a folder of them or hold out fewer")
        self.stills, self.settings = tuple(stills), settings

    def draw(self, rng: np.random.Generator, max_skip: int) -> Clip:
        first, second, third = (self.stills[k] for k in rng.integers(len(self.stills), size=3))
        return synthesize_clip(
            *self._read(first),
            self.length,
            self.size,
            rng,
            partner=self._read(second) if rng.random() < self.settings.partner else None,
            other=self._read(third),
            motion=(max_skip / 10) ** 0.5,
            settings=self.settings,
        )

    def _read(self, still: StaticImage) -> Picture:
        image_and_mask = self.cache.get(still.image, lambda: np.dstack(still.read()))
        return image_and_mask[:, :, :3], image_and_mask[:, :, 3]


class MixedClips:
    """Clips from several sources, each as often as its weight says: `[(source, weight), ...]`.

    STCN draws uniformly from the videos of YouTube-VOS and five copies of those of DAVIS: the weight of a
    `VideoClips` is then `len(source.videos)` times its copies. Raises ValueError for a weight that is not
    above 0.
    """

    def __init__(self, sources: Items[tuple[DrawnClips, float]], seed: int = 0) -> None:
        weights = np.array([weight for _, weight in sources], float)
        if not len(weights) or not (np.isfinite(weights) & (weights > 0)).all():
            raise ValueError(f"sources to mix need weights above 0, not {weights.tolist()}")
        self.sources, self.seed = [source for source, _ in sources], seed
        self.shares = weights / weights.sum()

    def clip(self, number: int, max_skip: int | None = None) -> Clip:
        # A third entry keeps this draw apart from the source's own, which starts from [seed, number].
        rng = np.random.default_rng([self.seed, number, MIX])
        return self.sources[rng.choice(len(self.sources), p=self.shares)].clip(number, max_skip)


ClipSource = DrawnClips | MixedClips  # what a stream reads


class ImageCache:
    """Decoded images, each kept if it still fits in the budget: under random access as good as any order."""

    def __init__(self, budget_mb: float) -> None:
        self.budget_mb, self.free = budget_mb, budget_mb * 2**20
        self.images: dict[Path, np.ndarray] = {}

    def get(self, path: Path, read: Callable[[], np.ndarray]) -> np.ndarray:
        if path in self.images:
            return self.images[path]
        image = read()
        if image.nbytes <= self.free:
            self.images[path] = image
            self.free -= image.nbytes
        return image

    def __reduce__(self) -> tuple:
        return ImageCache, (self.budget_mb,)  # a spawned worker fills its own


def sample_times(available: int, length: int, max_skip: int, rng: np.random.Generator) -> list[int]:
    """`length` rising places in 0..available-1 at distances of 1..max_skip, reversed half of the time."""
    widest = max(1, min(max_skip, (available - 1) // max(1, length - 1)))
    places = np.concatenate([[0], np.cumsum(rng.integers(1, widest + 1, size=length - 1))])
    places += rng.integers(available - places[-1])
    return places[:: rng.choice([1, -1])].tolist()


def keep_objects(masks: np.ndarray, max_objects: int, rng: np.random.Generator) -> np.ndarray:
    """Relabel uint8 (T, S, S) to 1..n: at most `max_objects` of those in frame 0, the rest background."""
    ids = visible_objects(masks[0])
    ids = np.sort(rng.choice(ids, min(max_objects, len(ids)), replace=False))
    new = np.zeros(256, np.uint8)
    new[ids] = np.arange(1, len(ids) + 1)
    return new[masks]


def max_skip_at(progress: float) -> int:
    """Largest frame distance at `progress` 0..1 of training."""
    return [skip for start, skip in CURRICULUM if start <= progress][-1]


class Stream(Dataset[dict[str, torch.Tensor]]):
    """A map-style dataset of `steps * batch` items, or one of several equal, consecutive parts of every batch."""

    def __init__(self, steps: int, batch: int) -> None:
        self.steps, self.batch, self.whole_batch, self.part = steps, batch, batch, 0

    def part_of(self, part: int, parts: int) -> Self:
        """The stream of one of `parts` parts of every batch. Raises ValueError for a batch that has none such."""
        if self.whole_batch % parts or not 0 <= part < parts:
            raise ValueError(f"a batch of {self.whole_batch} items has no part {part} of {parts} equal ones")
        own = copy.copy(self)
        own.part, own.batch = part, self.whole_batch // parts
        return own

    def __len__(self) -> int:
        return self.steps * self.batch

    def number(self, place: int) -> int:
        """The number in all batches of the item at a place of this part's. Raises IndexError past the end."""
        if not 0 <= place < len(self):
            raise IndexError(f"item {place} of a stream of {len(self)}")
        step, within = divmod(place, self.batch)
        return step * self.whole_batch + self.part * self.batch + within

    def loader(self, first_step: int = 0, workers: int = 0) -> DataLoader:
        """Batches from step `first_step` on, in order, the same for any number of worker processes."""
        places = range(first_step * self.batch, len(self))
        return DataLoader(self, self.batch, sampler=places, num_workers=workers, worker_init_fn=_start_worker)


class ClipStream(Stream):
    """The `steps * batch` clips of a source, with the skip of the curriculum.

    An item is {"frames": float32 (T, 3, S, S) RGB in [0, 1], "masks": int64 (T, S, S) ids 1..n
    with 0 = background, "num_objects": int64 n}. Use `loader` to read it in batches.
    """

    def __init__(self, source: ClipSource, steps: int, batch: int) -> None:
        super().__init__(steps, batch)
        self.source = source

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        clip = self.number(place)
        frames, masks = self.source.clip(clip, max_skip_at(clip / (self.steps * self.whole_batch)))
        return {
            "frames": torch.from_numpy(frames).permute(0, 3, 1, 2).float().div_(255),
            "masks": torch.from_numpy(masks).long(),
            "num_objects": torch.tensor(int(masks.max())),
        }


def _start_worker(_worker: int) -> None:
    cv2.setNumThreads(0)  # OpenCV's thread pool does not survive a fork
    # A scheduler signals all processes of a job. The one that trains needs its clips until it has saved.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
