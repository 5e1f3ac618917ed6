"""What the space-time-memory methods (STCN, MobileVOS) share: inference on videos, training on clips, and steps."""

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property, reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import SkipDecoder
from methods.borrowed import BorrowedEncoder
from methods.follower import Follower
from methods.interface import one_hot_objects
from methods.masks import most_likely, normalize, others, pad_to_multiple, slot_planes, soft_aggregate, unpad
from methods.memory import MemoryBank, MemoryPolicy, Query, VideoMemory, affinity, readout, similarity
from methods.steps import STEPS, Part, Step, like_frames, noise_frame, stripes


@dataclass(frozen=True)
class Rollout:
    """A network's answers on a batch of B clips of T frames with at most K objects, O of them real.

    logits: (B, T - 1, K + 1, H, W) joint logits of frames 1..T-1, background first.
    embeddings: (O, T - 1, D, H / 4, W / 4) features before the classifier, one map an object.
    video, slot: (O,) int64, which clip and which channel an object belongs to.
    maps: attention maps that somebody looked at meanwhile, by number: one (B, queries, keys) an evaluated frame.
    query: keys and features of all B T frames, where the network makes such.
    """

    logits: Tensor
    embeddings: Tensor
    video: Tensor
    slot: Tensor
    maps: dict[int, list[Tensor]] = field(default_factory=dict)
    query: Query | None = None

    @cached_property
    def labels(self) -> Tensor:
        """The answers as labels int64 (B, T, H, W), once for all who learn from them; the first frame's are 0."""
        return F.pad(most_likely(self.logits.detach(), 2), (0, 0, 0, 0, 1, 0))

    @property
    def valid(self) -> Tensor:
        """bool (B, K): which objects exist."""
        exists = self.logits.new_zeros(self.logits.shape[0], self.logits.shape[2] - 1, dtype=torch.bool)
        exists[self.video, self.slot] = True
        return exists


class SpaceTimeMethod(Follower, nn.Module):
    """A matching network with a memory of past frames and their masks; subclasses give its parts.

    decoder: the module that takes readout and context (N, 2 Cv, h, w) and features at strides 8 and 4 to what
    `decode` returns, by its last convolution `pred`.
    encoder_name: the module that makes features of frames, (B, 3, H, W) -> maps at strides 4, 8 and 16 with its
    `channels`. encoder_backbone: the name of the ImageNet weights that it may start from.
    policy, clip_policy: what is remembered of videos, and of the clips of a training, by default the same.
    memory_drop: in training, the chance that a remembered frame is not read; the first is where no other is (ours).
    """

    stride = 16
    decoder: SkipDecoder
    encoder_name: str
    encoder_backbone: str
    compiled_parts = ("encode_query", "encode_memory", "decode")  # the memory read grows with the video

    def __init__(
        self,
        policy: MemoryPolicy,
        top_k: int | None,
        memory_drop: float = 0.0,
        clip_policy: MemoryPolicy | None = None,
    ) -> None:
        super().__init__()
        self.policy, self.top_k, self.memory_drop = policy, top_k, memory_drop
        self.clip_policy = clip_policy or policy
        self._memory = VideoMemory(policy)
        self._frame_index = 0  # since the latest annotated frame

    def encode_query(self, frames: Tensor) -> Query:
        """Normalised frames (B, 3, H, W), H and W multiples of 16 -> their keys and features."""
        f4, f8, f16 = getattr(self, self.encoder_name)(frames)
        return Query(*self.project(f16), f16, f8, f4)

    @abstractmethod
    def project(self, f16: Tensor) -> tuple[Tensor, Tensor]:
        """Features at stride 16 -> key16 and context16 of a `Query`."""

    @abstractmethod
    def encode_memory(self, frames: Tensor, f16: Tensor, masks: Tensor, others: Tensor) -> Tensor:
        """Frames (N, 3, H, W), masks of one object each and of all others (N, H, W) -> values (N, Cv, h, w)."""

    def decode(self, readout16: Tensor, query: Query) -> tuple[Tensor, Tensor]:
        """Readouts (N, Cv, h, w) -> object logits (N, H, W) and embeddings (N, D, H / 4, W / 4).

        The query holds N frames, or one for all N: then what does not depend on the object is computed once.
        """
        context16 = query.context16.expand_as(readout16)
        return self.decoder(torch.cat([readout16, context16], 1), query.f8, query.f4)

    @property
    @abstractmethod
    def own_backbones(self) -> dict[str, nn.Module]:
        """Which parts ImageNet checkpoints of which name initialise where the encoder is not borrowed."""

    @property
    def backbones(self) -> dict[str, nn.Module]:
        """Which parts ImageNet checkpoints of which name initialise."""
        encoder = getattr(self, self.encoder_name)
        if isinstance(encoder, BorrowedEncoder):
            return {encoder.backbone: encoder.encoder}
        return self.own_backbones

    @property
    def embedding_channels(self) -> int:
        """D, the channels of the embeddings that `decode` returns."""
        return self.decoder.pred.in_channels

    @property
    def memory_frames(self) -> int:
        """Frames now in memory, of the objects with the most."""
        return len(self._memory)

    def fill_memory(self, frames: int) -> None:
        """Act as if the video had begun with the latest annotated frame and gone on until `frames` frames are
        kept, all like that one.

        For measuring: the steady state of a long video without running it.
        """
        self._memory = VideoMemory(self.policy)
        self._memory.add_objects(len(self._ids))
        for count in range(frames):
            self._frame_index = count * self.policy.every
            copies = (part.clone() for part in self._annotated)  # a video's frames share no storage
            self._memory.write(self._frame_index, *copies)

    @torch.no_grad()
    def frame_steps(self, height: int, width: int, objects: int, memory_frames: int) -> list[Step]:
        """As `Stepped.frame_steps`.

        query_encode: frame (1, 3, H, W) RGB in [0, 1] -> it normalised and padded to multiples of 16, a `Query`.
        memory_read: key16 and a memory (1, Ck, T h w), (objects, Cv, T h w) -> read16 (objects, Cv, h, w).
        decode: -> probabilities (objects + 1, H, W), padded, background first.
        memory_encode: -> new_value (objects, Cv, h, w), which the memory keeps with key16.
        """
        encode, read, decode, write = (part(self) for part in (QueryEncode, MemoryRead, Decode, MemoryEncode))
        frame = {"frame": noise_frame(height, width, next(self.parameters()))}
        padded, *query = encode(**frame)
        features = dict(zip(Query._fields, query, strict=True))
        planes = one_hot_objects(stripes(height, width, objects), list(range(1, objects + 1)))
        planes, _ = pad_to_multiple(planes.to(padded), self.stride)
        annotated = torch.cat([1 - planes.sum(0, keepdim=True), planes])
        written = {"padded": padded, "f16": features["f16"], "probabilities": annotated}
        memory = {
            "key16": features["key16"],
            "key": like_frames(features["key16"].flatten(2), memory_frames),
            "value": like_frames(write(**written).flatten(2), memory_frames),
        }
        decoded = {"read16": read(**memory), **features}
        every = (1.0, 1.0, 1.0, writes_per_frame(self.policy))
        parts = (
            (encode, frame, ("padded", *Query._fields)),
            (read, memory, ("read16",)),
            (decode, decoded, ("probabilities",)),
            (write, written, ("new_value",)),
        )
        return [Step(name, *part, share) for name, part, share in zip(STEPS, parts, every, strict=True)]

    def _forget(self) -> None:
        self._memory = VideoMemory(self.policy)

    def _follow(self, frame: Tensor) -> Tensor:
        self._frame_index += 1
        padded, padding = pad_to_multiple(normalize(frame)[None], self.stride)
        query = self.encode_query(padded)
        probabilities = self.segment(query, *self._memory.read())
        if self._memory.wants(self._frame_index):
            self._remember(padded, query, probabilities[1:])
        return unpad(probabilities, padding)

    def video_state(self) -> dict:
        return {"ids": list(self._ids), "memory": self._memory.state(), "frame_index": self._frame_index}

    def load_video_state(self, state: dict) -> None:
        self._ids, self._frame_index = list(state["ids"]), state["frame_index"]
        self._forget()
        self._memory.load(state["memory"])

    def segment(self, query: Query, *memory: Tensor) -> Tensor:
        """Read memories for one frame -> joint probabilities (O + 1, H, W), background first.

        memory: key (1, Ck, N) and value (objects, Cv, N) of each group of objects with a memory of its own;
        O is the number of objects of all groups.
        """
        groups = zip(memory[::2], memory[1::2], strict=True)
        reads = [self.read(query.key16, key, value) for key, value in groups]
        logits, _ = self.decode(reads[0] if len(reads) == 1 else torch.cat(reads), query)
        return soft_aggregate(logits.float().sigmoid()).softmax(0)

    def read(self, key16: Tensor, memory_key: Tensor, memory_value: Tensor) -> Tensor:
        """Key (1, Ck, h, w) of a frame, memory (1, Ck, N) and (objects, Cv, N) -> readouts (objects, Cv, h, w)."""
        weights = affinity(similarity(memory_key, key16.flatten(2)), self.top_k)
        return readout(memory_value, weights).unflatten(2, key16.shape[-2:])

    def _give(self, frame: Tensor, mask: Tensor, ids: list[int]) -> Tensor:
        """Take new objects from their mask and all others from memory, and remember the frame for all.

        As STCN does for YouTube-VOS: the new objects' pixels are theirs alone, and what memory says of the
        others is aggregated anew.
        """
        padded, padding = pad_to_multiple(normalize(frame)[None], self.stride)
        query = self.encode_query(padded)
        objects, _ = pad_to_multiple(one_hot_objects(mask, ids), self.stride)
        if len(self._memory):
            known = self.segment(query, *self._memory.read())[1:]
            objects = torch.cat([known * (1 - objects.sum(0)), objects])
        probabilities = soft_aggregate(objects).softmax(0)
        self._memory.add_objects(len(ids))
        self._frame_index = 0
        self._annotated = self._remember(padded, query, probabilities[1:])
        return unpad(probabilities, padding)

    def _remember(self, frame: Tensor, query: Query, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Write normalised frame (1, 3, H, W) with its object probabilities (N, H, W) -> its key and value."""
        same = [0] * len(masks)
        value = self.encode_memory(frame[same], query.f16[same], masks, others(masks)).flatten(2)
        key = query.key16.flatten(2)
        self._memory.write(self._frame_index, key, value)
        return key, value

    def roll_out(
        self,
        frames: Tensor,
        first_masks: Tensor,
        valid: Tensor,
        generator: torch.Generator | None = None,
        guide: Tensor | None = None,
    ) -> Rollout:
        """Segment clips from their first masks, feeding the predictions back as memory (STCN, section 4.1), or
        the labels of `guide`.

        frames float (B, T, 3, H, W) RGB in [0, 1]; first_masks float (B, K, H, W); valid bool (B, K)
        tells which of the K objects exist. Frame t reads what `clip_policy` keeps of the frames 0..t-1, in training
        with `memory_drop` drawn from the generator. guide: int64 (B, T, H, W), 0 = background, 1..K.
        """
        clips, length = frames.shape[:2]
        frames = normalize(frames)
        video, slot = valid.nonzero(as_tuple=True)
        flat = self.encode_query(frames.flatten(0, 1))
        at = [flat.select(slice(t, None, length)) for t in range(length)]
        masks, memory, logits, embeddings = first_masks, MemoryBank(self.clip_policy), [], []
        for t in range(1, length):
            if memory.wants(t - 1):
                own, past = masks[video, slot], at[t - 1]
                rest = masks.sum(1)[video] - own
                value = self.encode_memory(frames[video, t - 1], past.f16[video], own, rest)
                memory.write(t - 1, past.key16.flatten(2), value.flatten(2))
            key, remembered = memory.read(self._recalled(len(memory), generator))
            top_k = None if self.training else self.top_k  # as STCN, which learns from every weight
            weights = affinity(similarity(key, at[t].key16.flatten(2)), top_k)
            read = readout(remembered, weights[video]).unflatten(2, at[t].key16.shape[-2:])
            object_logits, embedding = self.decode(read, at[t].select(video))
            objects = object_logits.float().sigmoid()
            grid = objects.new_zeros(clips, valid.shape[1], *objects.shape[1:])
            joint = soft_aggregate(grid.index_put((video, slot), objects).transpose(0, 1)).transpose(0, 1)
            masks = joint.softmax(1)[:, 1:] if guide is None else slot_planes(guide[:, t], valid.shape[1])
            logits.append(joint)
            embeddings.append(embedding)
        return Rollout(torch.stack(logits, 1), torch.stack(embeddings, 1), video, slot, query=flat)

    def _recalled(self, remembered: int, generator: torch.Generator | None) -> list[int] | None:
        """Which of so many remembered frames are read; None: all."""
        if not (self.training and self.memory_drop):
            return None
        drawn = torch.rand(remembered, generator=generator).tolist()
        return [k for k, number in enumerate(drawn) if number >= self.memory_drop] or [0]


def writes_per_frame(policy: MemoryPolicy) -> float:
    """Which share of the frames is encoded for the memory."""
    bank = MemoryBank(policy)
    return sum(bank.wants(index) for index in range(1, policy.every + 1)) / policy.every


class QueryEncode(Part):
    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        padded, _ = pad_to_multiple(normalize(frame), self.network.stride)
        return padded, *self.network.encode_query(padded)


class MemoryRead(Part):
    def forward(self, key16: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return self.network.read(key16, key, value)


class Decode(Part):
    def forward(self, read16: Tensor, *query: Tensor) -> Tensor:
        logits, _ = self.network.decode(read16, Query(*query))
        return aggregate(logits.float().sigmoid())


class MemoryEncode(Part):
    def forward(self, padded: Tensor, f16: Tensor, probabilities: Tensor) -> Tensor:
        masks = probabilities[1:]
        frames, f16 = (x.expand(len(masks), -1, -1, -1) for x in (padded, f16))
        return self.network.encode_memory(frames, f16, masks, others(masks))


def aggregate(objects: Tensor) -> Tensor:
    """`soft_aggregate` and its softmax: (N, H, W) -> (N + 1, H, W). The softmax of log-odds is the odds' share,
    which spares runtimes a softmax over the first dimension."""
    background = reduce(torch.mul, (1 - objects).split(1))
    p = torch.cat([background, objects]).clamp(1e-7, 1 - 1e-7)
    odds = p / (1 - p)
    return odds / odds.sum(0, keepdim=True)
