"""The DeAOT family behind the suite's adapter, and its roll-out for training."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor, nn

from methods.deaot.attention import attentions
from methods.deaot.frames import OBJECTS, fit_frames, joint_probabilities, one_hot_slots, resized
from methods.deaot.network import Features, Memories, Network
from methods.deaot.propagation import Memory, Own
from methods.deaot.steps import deaot_steps
from methods.errors import MethodError
from methods.follower import Follower
from methods.masks import most_likely, normalize
from methods.memory import MemoryPolicy
from methods.noise import drawing_from, permutations
from methods.space_time import Rollout
from methods.steps import Step

FIRST_FRAME_ONLY = 9999  # the official way to say it
ABSENT = -1e4  # logit of an object that does not exist: no probability in any floating type


@dataclass
class Group:
    """Up to 10 objects that share an identification bank, with what is remembered for them."""

    first: int  # place of its first object in the order in which they were given
    count: int
    long_term: Memories = ()
    short_term: Memories = ()


class DeAOT(Follower, Network):
    """Long-term memory of the annotated frames and every `long_term_gap`-th after, short-term of the previous.

    long_term_gap: published 9999 (annotated frames only) for T, S and B, 5 for L; `train_gap` in `roll_out`.
    max_long_edge: larger frames are made smaller first (published: 800 x 1.3); None never does.
    shuffle_slots: in training the objects take slots of the bank at random (published), so that all ten learn.
    attention: "vanilla" or "deformable"; attention_replaced, attention_groups, attention_factor: which of them and
    how, see `attentions`.
    width, drop: see `Network`. frozen: see there; None freezes at width 1 only, since no weights exist to keep
    at another.
    """

    compiled_parts = ("encode_frame", "decode", "embed_mask", "memory_write")  # the long-term memory may grow

    def __init__(
        self,
        encoder: str,
        layers: int,
        long_term_gap: int = FIRST_FRAME_ONLY,
        train_gap: int = FIRST_FRAME_ONLY,
        max_long_edge: int | None = 1040,
        attention: str = "vanilla",
        attention_replaced: str = "long_term",
        attention_groups: int = 4,
        attention_factor: int = 2,
        width: float = 1.0,
        frozen: bool | None = None,
        drop: float = 0.1,
        shuffle_slots: bool = True,
    ) -> None:
        for name, gap in (("long_term_gap", long_term_gap), ("train_gap", train_gap)):
            if gap < 1:
                raise MethodError(f"{name}: frames are remembered every {gap} frames; give 1 or more")
        build = attentions(attention, attention_replaced, attention_groups, attention_factor)
        super().__init__(encoder, layers, build, width, width == 1 if frozen is None else frozen, drop)
        self.backbone, self.shuffle_slots = encoder, shuffle_slots
        self.long_term_gap, self.train_gap, self.max_long_edge = long_term_gap, train_gap, max_long_edge
        self._groups: list[Group] = []
        self._since = 0  # frames since the last one that went into the long-term memory
        self._copied: list[Memories] = []  # by `fill_memory`, for each group

    @property
    def backbones(self) -> dict[str, nn.Module]:
        """Which part ImageNet checkpoints of which name initialise."""
        return {self.backbone: self.encoder}

    @property
    def attention_modules(self) -> list[str]:
        """The submodule of each layer whose output is its long-term attention (B, H W, frames H W)."""
        return [f"LSTT.layers.{i}.long_term_attn.attention.weights" for i in range(len(self.LSTT.layers))]

    @property
    def embedding_channels(self) -> int:
        """Channels of the embeddings of `roll_out`."""
        return self.decoder.conv_out.in_channels

    @property
    def memory_frames(self) -> int:
        """Frames in the long-term memory, of the objects with the most."""
        lengths = (g.long_term[0].key.shape[2] // g.short_term[0].key.shape[2] for g in self._groups)
        return max(lengths, default=0)

    @property
    def policy(self) -> MemoryPolicy:
        """Of the long-term memory. The short-term one holds the previous frame besides, always."""
        if self.long_term_gap >= FIRST_FRAME_ONLY:
            return MemoryPolicy(every=1, capacity=1)
        return MemoryPolicy(every=self.long_term_gap)

    def fill_memory(self, frames: int) -> None:
        """Act as if the long-term memory held `frames` frames and the short-term one another, all alike.

        For measuring. They are copies of the previous frame, that of the first call since an annotated one.
        """
        self._copied = self._copied or [group.short_term for group in self._groups]
        for group, memories in zip(self._groups, self._copied, strict=True):
            group.long_term, group.short_term = (
                tuple(Memory(*(_copies(maps, count) for maps in memory)) for memory in memories)
                for count in (frames, 1)
            )
        self._since = 0

    def frame_steps(self, height: int, width: int, objects: int, memory_frames: int) -> list[Step]:
        """As `Remembering.frame_steps`; see `deaot_steps`."""
        return deaot_steps(self, height, width, objects, memory_frames, self.max_long_edge)

    def _forget(self) -> None:
        self._groups = []

    def _follow(self, frame: Tensor) -> Tensor:
        features, size = self._encode(frame)
        probabilities, owns = self._segment(features, frame.shape[1:])
        labels = most_likely(probabilities)
        self._since += 1
        keep = self._since >= self.long_term_gap
        for group, own in zip(self._groups, owns, strict=True):
            group.short_term = self.memory_write(own, self._embed(labels, group, size))
            if keep:
                group.long_term = _both(group.long_term, group.short_term)
        self._since = 0 if keep else self._since
        return probabilities

    def video_state(self) -> dict:
        groups = [
            (g.first, g.count, *([tuple(m) for m in memories] for memories in (g.long_term, g.short_term)))
            for g in self._groups
        ]
        return {"ids": list(self._ids), "groups": groups, "since": self._since}

    def load_video_state(self, state: dict) -> None:
        self._ids, self._since, self._copied = list(state["ids"]), state["since"], []
        self._groups = [
            Group(first, count, *(tuple(Memory(*pair) for pair in pairs) for pairs in memories))
            for first, count, *memories in state["groups"]
        ]

    def _give(self, frame: Tensor, mask: Tensor, ids: list[int]) -> Tensor:
        """Make `frame` a reference frame for all objects, as in the official YouTube-VOS evaluation.

        New objects are where the mask has them, the others where memory says.
        """
        features, size = self._encode(frame)
        known = self._segment(features, frame.shape[1:])[0] if self._groups else torch.ones_like(frame[:1])
        given = torch.stack([mask == i for i in ids])
        probabilities = torch.cat([known * ~given.any(0), given.float()])
        self._since, self._copied = 0, []
        labels = most_likely(probabilities)
        before, self._groups = self._groups, []
        for first, old in zip_longest(range(0, len(self._ids), OBJECTS), before):
            group = Group(first, min(OBJECTS, len(self._ids) - first))
            group.short_term = self.LSTT.reference(features.top, self._embed(labels, group, size))
            group.long_term = _both(old.long_term, group.short_term) if old else group.short_term
            self._groups.append(group)
        return probabilities

    def _encode(self, frame: Tensor) -> tuple[Features, Sequence[int]]:
        """Features of a frame, and the size at which the network sees it."""
        fitted = fit_frames(normalize(frame)[None], self.max_long_edge)
        return self.encode_frame(fitted), fitted.shape[2:]

    def _embed(self, labels: Tensor, group: Group, size: Sequence[int]) -> Tensor:
        """Labels (H, W) that count the objects as they were given -> the embedding of a group's."""
        local = labels - group.first
        local = local * ((local >= 1) & (local <= group.count))
        return self.embed_mask(one_hot_slots(local[None], group.count + 1, size))

    def _segment(self, features: Features, size: Sequence[int]) -> tuple[Tensor, list[tuple[Own, ...]]]:
        """Probabilities (N + 1, *size) in the order of the objects, and the frame as each group sees it."""
        logits, owns = [], []
        for group in self._groups:
            embedding, own = self.LSTT.propagate(features.top, group.long_term, group.short_term)
            logits.append(self.decode(embedding, features)[0][:, : group.count + 1])
            owns.append(own)
        return joint_probabilities(logits, size), owns

    def roll_out(
        self,
        frames: Tensor,
        first_masks: Tensor,
        valid: Tensor,
        generator: torch.Generator | None = None,
        guide: Tensor | None = None,
    ) -> Rollout:
        """Segment clips from their first masks, feeding the labels it finds back as memory, or those of `guide`.

        frames float (B, T, 3, H, W) RGB in [0, 1]; first_masks float (B, K, H, W), K up to 10; valid bool (B, K)
        tells which of the K objects exist; the logit of one that does not is -1e4. In training the objects sit
        in slots of the bank drawn with `generator` (see `shuffle_slots`), as is what `Drop` leaves out. The labels
        carry no gradient, their embeddings do. The embeddings are joint to all objects: those of one clip share
        a map, resampled to (H // 4, W // 4).
        guide: int64 (B, T, H, W), 0 = background, else slots from 1 on: what is remembered of the frames.
        """
        clips, length, _, *size = frames.shape
        slots = self._slots(clips, generator).to(frames.device)
        count = valid.shape[1] + 1
        if count > OBJECTS + 1:
            raise MethodError(f"{count - 1} objects in a clip: give {OBJECTS} at most")
        fitted = fit_frames(normalize(frames.flatten(0, 1)), self.max_long_edge)
        flat = self.encode_frame(fitted)
        absent = ~torch.cat([valid.new_ones(clips, 1), valid], 1)[:, :, None, None]

        def embed(labels: Tensor) -> Tensor:
            placed = slots.gather(1, labels.flatten(1)).view_as(labels)
            return self.embed_mask(one_hot_slots(placed, OBJECTS + 1, fitted.shape[2:]))

        with drawing_from(generator, self):
            best, label = first_masks.max(1)
            memory = self.LSTT.reference(flat.top[::length], embed((label + 1) * (best > 0.5)))
            long_term, last, all_logits, all_pixels = memory, 0, [], []
            for t in range(1, length):
                features = flat.select(slice(t, None, length))
                embedding, own = self.LSTT.propagate(features.top, long_term, memory)
                logits, pixels = self.decode(embedding, features)
                logits = logits.gather(1, slots[:, :count, None, None].expand(-1, -1, *logits.shape[2:]))
                logits = resized(logits.float(), size).masked_fill(absent, ABSENT)
                all_logits.append(logits)
                all_pixels.append(nn.functional.interpolate(pixels, [side // 4 for side in size], mode="bilinear"))
                labels = most_likely(logits.detach(), 1) if guide is None else guide[:, t]
                memory = self.memory_write(own, embed(labels))
                if t - last >= self.train_gap:
                    long_term, last = _both(long_term, memory), t
        video, slot = valid.nonzero(as_tuple=True)
        return Rollout(torch.stack(all_logits, 1), torch.stack(all_pixels, 1)[video], video, slot)

    def _slots(self, clips: int, generator: torch.Generator | None) -> Tensor:
        """int64 (clips, 11): in which slot of the bank the background (always 0) and each object sit."""
        if not (self.training and self.shuffle_slots):
            return torch.arange(OBJECTS + 1).expand(clips, -1)
        return nn.functional.pad(permutations(clips, OBJECTS, generator) + 1, (1, 0))

    def adapt_checkpoint(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Official checkpoints know no deformable attention: its offsets stay at their start."""
        own = {k: v for k, v in self.state_dict().items() if ".attention." in k}
        return state if any(k in state for k in own) else {**own, **state}


def _copies(maps: Tensor, frames: int) -> Tensor:
    """One below the other. A single one keeps its layout in memory, joined ones do not, as in a video."""
    return maps.clone() if frames == 1 else torch.cat([maps[:, :, :0], *[maps] * frames], 2)


def _both(memory: Memories, later: Memories) -> Memories:
    return tuple(old.then(new) for old, new in zip(memory, later, strict=True))
