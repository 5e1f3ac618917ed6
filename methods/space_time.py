"""What the space-time-memory methods (STCN, MobileVOS) share: inference over a video, training over a clip."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from methods.errors import MethodError
from methods.interface import check_frame, check_start, one_hot_objects
from methods.masks import normalize, others, pad_to_multiple, soft_aggregate, unpad
from methods.memory import MemoryBank, MemoryPolicy, affinity, readout, similarity


@dataclass(frozen=True)
class Query:
    """What a network sees in B frames; the trailing number is the stride."""

    key16: Tensor  # (B, Ck, h, w), compared with the memory
    context16: Tensor  # (B, Cv, h, w), joins the readout in the decoder
    f16: Tensor
    f8: Tensor
    f4: Tensor

    def select(self, index) -> "Query":
        """The frames of `index` along the batch axis."""
        return Query(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Rollout:
    """A network's answers on a batch of B clips of T frames with at most K objects, O of them real.

    logits: (B, T - 1, K + 1, H, W) joint logits of frames 1..T-1, background first.
    embeddings: (O, T - 1, D, H / 4, W / 4) features before the classifier, one map an object.
    video, slot: (O,) int64, which clip and which channel an object belongs to.
    """

    logits: Tensor
    embeddings: Tensor
    video: Tensor
    slot: Tensor


class SpaceTimeMethod(nn.Module, ABC):
    """A matching network with a memory of past frames and their masks; subclasses give its three parts."""

    stride = 16

    def __init__(self, policy: MemoryPolicy, top_k: int | None) -> None:
        super().__init__()
        self.policy = policy
        self.top_k = top_k
        self.object_ids: list[int] = []
        self._memory: MemoryBank | None = None
        self._frame_index = 0

    @abstractmethod
    def encode_query(self, frames: Tensor) -> Query:
        """Normalised frames (B, 3, H, W), H and W multiples of 16 -> their keys and features."""

    @abstractmethod
    def encode_memory(self, frames: Tensor, f16: Tensor, masks: Tensor, others: Tensor) -> Tensor:
        """Frames (N, 3, H, W), masks of one object each and of all others (N, H, W) -> values (N, Cv, h, w)."""

    @abstractmethod
    def decode(self, readout16: Tensor, query: Query) -> tuple[Tensor, Tensor]:
        """Readouts (N, Cv, h, w) -> object logits (N, H, W) and embeddings (N, D, H / 4, W / 4).

        The query holds N frames, or one for all N: then what does not depend on the object is computed once.
        """

    @property
    @abstractmethod
    def embedding_channels(self) -> int:
        """D, the channels of the embeddings that `decode` returns."""

    @property
    def memory_frames(self) -> int:
        """Frames now in memory."""
        return 0 if self._memory is None else len(self._memory)

    def fill_memory(self, frames: int) -> None:
        """Act as if the video just started had gone on until `frames` frames are kept, all like the first.

        For measuring: the steady state of a long video without running it.
        """
        key, value = self._first
        self._memory = MemoryBank(self.policy)
        for count in range(frames):
            self._frame_index = count * self.policy.every
            self._memory.write(self._frame_index, key, value)

    @torch.inference_mode()
    def start(self, frame: Tensor, mask: Tensor) -> None:
        self.object_ids = check_start(frame, mask)
        self._memory = MemoryBank(self.policy)
        self._frame_index = 0
        padded, _ = pad_to_multiple(normalize(frame)[None], self.stride)
        objects, _ = pad_to_multiple(one_hot_objects(mask.to(frame.device), self.object_ids), self.stride)
        self._remember(padded, self.encode_query(padded), soft_aggregate(objects).softmax(0)[1:])
        self._first = self._memory.read()

    @torch.inference_mode()
    def step(self, frame: Tensor) -> Tensor:
        check_frame(frame)
        if self._memory is None:
            raise MethodError("step() before start(): give the first frame and its mask first")
        self._frame_index += 1
        padded, padding = pad_to_multiple(normalize(frame)[None], self.stride)
        query = self.encode_query(padded)
        probabilities = self.segment(query, *self._memory.read())
        if self._memory.wants(self._frame_index):
            self._remember(padded, query, probabilities[1:])
        return unpad(probabilities, padding)

    def segment(self, query: Query, memory_key: Tensor, memory_value: Tensor) -> Tensor:
        """Read the memory (1, Ck, N), (O, Cv, N) for one frame -> joint probabilities (O + 1, H, W)."""
        weights = affinity(similarity(memory_key, query.key16.flatten(2)), self.top_k)
        read = readout(memory_value, weights).unflatten(2, query.key16.shape[-2:])
        logits, _ = self.decode(read, query)
        return soft_aggregate(logits.float().sigmoid()).softmax(0)

    def _remember(self, frame: Tensor, query: Query, masks: Tensor) -> None:
        """Write normalised frame (1, 3, H, W) with its object probabilities (N, H, W)."""
        same = [0] * len(masks)
        value = self.encode_memory(frame[same], query.f16[same], masks, others(masks))
        self._memory.write(self._frame_index, query.key16.flatten(2), value.flatten(2))

    def roll_out(self, frames: Tensor, first_masks: Tensor, valid: Tensor) -> Rollout:
        """Segment clips from their first masks, feeding the predictions back as memory (STCN, section 4.1).

        frames float (B, T, 3, H, W) RGB in [0, 1]; first_masks float (B, K, H, W); valid bool (B, K)
        tells which of the K objects exist. Frame t reads the frames 0..t-1.
        """
        clips, length = frames.shape[:2]
        frames = normalize(frames)
        video, slot = valid.nonzero(as_tuple=True)
        flat = self.encode_query(frames.flatten(0, 1))
        at = [flat.select(slice(t, None, length)) for t in range(length)]
        masks, keys, values, logits, embeddings = first_masks, [], [], [], []
        for t in range(1, length):
            own = masks[video, slot]
            rest = masks.sum(1)[video] - own
            past = at[t - 1]
            value = self.encode_memory(frames[video, t - 1], past.f16[video], own, rest)
            keys.append(past.key16.flatten(2))
            values.append(value.flatten(2))
            weights = affinity(similarity(torch.cat(keys, 2), at[t].key16.flatten(2)))
            read = readout(torch.cat(values, 2), weights[video]).unflatten(2, value.shape[-2:])
            object_logits, embedding = self.decode(read, at[t].select(video))
            objects = object_logits.float().sigmoid()
            grid = objects.new_zeros(clips, valid.shape[1], *objects.shape[1:])
            joint = soft_aggregate(grid.index_put((video, slot), objects).transpose(0, 1)).transpose(0, 1)
            masks = joint.softmax(1)[:, 1:]
            logits.append(joint)
            embeddings.append(embedding)
        return Rollout(torch.stack(logits, 1), torch.stack(embeddings, 1), video, slot)
