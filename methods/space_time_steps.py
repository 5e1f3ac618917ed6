"""The steps of the space-time-memory methods (STCN, MobileVOS)."""

from functools import reduce

import torch
from torch import Tensor, nn

from methods.interface import one_hot_objects
from methods.masks import normalize, others, pad_to_multiple
from methods.memory import MemoryBank, MemoryPolicy
from methods.query import Query
from methods.steps import STEPS, Part, Step, like_frames, noise_frame, stripes


@torch.no_grad()
def space_time_steps(method: nn.Module, height: int, width: int, objects: int, memory_frames: int) -> list[Step]:
    """The steps of a `SpaceTimeMethod`, on its device.

    query_encode: frame (1, 3, H, W) RGB in [0, 1] -> it normalised and padded to multiples of 16, and a `Query`.
    memory_read: key16 and a memory (1, Ck, T h w), (objects, Cv, T h w) -> read16 (objects, Cv, h, w).
    decode: -> probabilities (objects + 1, H, W), padded, background first.
    memory_encode: -> new_value (objects, Cv, h, w), which the memory keeps with key16.
    """
    encode, read, decode, write = (part(method) for part in (QueryEncode, MemoryRead, Decode, MemoryEncode))
    frame = {"frame": noise_frame(height, width, next(method.parameters()))}
    padded, *query = encode(**frame)
    features = dict(zip(Query._fields, query, strict=True))
    planes = one_hot_objects(stripes(height, width, objects), list(range(1, objects + 1)))
    planes, _ = pad_to_multiple(planes.to(padded), method.stride)
    annotated = torch.cat([1 - planes.sum(0, keepdim=True), planes])
    written = {"padded": padded, "f16": features["f16"], "probabilities": annotated}
    memory = {
        "key16": features["key16"],
        "key": like_frames(features["key16"].flatten(2), memory_frames),
        "value": like_frames(write(**written).flatten(2), memory_frames),
    }
    decoded = {"read16": read(**memory), **features}
    every = (1.0, 1.0, 1.0, writes_per_frame(method.policy))
    parts = (
        (encode, frame, ("padded", *Query._fields)),
        (read, memory, ("read16",)),
        (decode, decoded, ("probabilities",)),
        (write, written, ("new_value",)),
    )
    return [Step(name, *part, share) for name, part, share in zip(STEPS, parts, every, strict=True)]


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
    def forward(
        self, read16: Tensor, key16: Tensor, context16: Tensor, f16: Tensor, f8: Tensor, f4: Tensor
    ) -> Tensor:
        logits, _ = self.network.decode(read16, Query(key16, context16, f16, f8, f4))
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
