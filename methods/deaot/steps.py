"""The steps of DeAOT."""

from itertools import chain
from typing import Any

import torch
from torch import Tensor

from methods.deaot.frames import OBJECTS, Bicubic, Nearest, aligned_size, resized
from methods.deaot.network import Features, Network
from methods.deaot.propagation import Memory, Own
from methods.errors import MethodError
from methods.interface import one_hot_objects
from methods.masks import normalize
from methods.steps import STEPS, Part, Step, like_frames, noise_frame, stripes

FEATURES, OWN = Features._fields, Own._fields


@torch.no_grad()
def deaot_steps(
    network: Network, height: int, width: int, objects: int, memory_frames: int, max_long_edge: int | None
) -> list[Step]:
    """The steps of a DeAOT on the network's device; the long-term memory holds `memory_frames` frames.

    query_encode: frame (1, 3, H, W) RGB in [0, 1] -> `Features`, of the frame normalised and resized.
    memory_read: top and both memories -> embedding, and the frame inside each layer (`Own`).
    decode: -> probabilities (objects + 1, H, W), background first.
    memory_encode: -> short_key, short_value of each layer, the short-term memory of the next frame.

    Keys (1, Ck, T h, w) and values (1, Cv, T h, w) have names that end in the number of the layer. Raises
    MethodError for more than 10 objects, of which DeAOT makes several groups.
    """
    if objects > OBJECTS:
        raise MethodError(f"{objects} objects: the steps of DeAOT are those of one group of up to {OBJECTS}")
    size, fitted = (height, width), aligned_size(height, width, max_long_edge)
    encode, read = QueryEncode(network, size, fitted), MemoryRead(network)
    decode, write = Decode(network, objects, size), MemoryEncode(network, objects, size, fitted)
    frame = {"frame": noise_frame(height, width, network.encoder_projector.weight)}
    features = dict(zip(FEATURES, encode(**frame), strict=True))
    labels = stripes(height, width, objects).to(frame["frame"].device)
    first = write.annotated(labels, *features.values())
    names = memory_names(len(first), "long"), memory_names(len(first), "short")
    frames = [like_frames(x, memory_frames) for x in first], [like_frames(x, 1) for x in first]
    memory = {name: x for pair in zip(names, frames, strict=True) for name, x in zip(*pair, strict=True)}
    layers = range(len(first) // 2)
    inside = tuple(f"{part}_{i}" for i in layers for part in (OWN if i else OWN[:-1]))
    reading = Step(STEPS[1], read, {"top": features["top"], **memory}, ("embedding", *inside))
    found = reading.run(reading.inputs)
    planes = one_hot_objects(labels, list(range(objects + 1)))
    return [
        Step(STEPS[0], encode, frame, FEATURES),
        reading,
        Step(STEPS[2], decode, {"embedding": found.pop("embedding"), **features}, ("probabilities",)),
        Step(STEPS[3], write, {"probabilities": planes, **found}, memory_names(len(first), "short")),
    ]


def memory_names(tensors: int, term: str) -> tuple[str, ...]:
    """Names of the tensors of a memory, key and value of one layer after the other; term: long or short."""
    return tuple(f"{term}_{part}_{i}" for i in range(tensors // 2) for part in ("key", "value"))


class QueryEncode(Part):
    def __init__(self, network: Network, size: tuple[int, int], fitted: tuple[int, int]) -> None:
        super().__init__(network)
        self.fit = Bicubic(size, fitted, network.encoder_projector.weight.device)

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        fitted = self.fit(normalize(frame)).contiguous(memory_format=torch.channels_last)  # as `fit_frames`
        return tuple(self.network.encode_frame(fitted))


class MemoryRead(Part):
    def forward(self, top: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        layers = [Memory(*pair) for pair in zip(memory[::2], memory[1::2], strict=True)]
        half = len(layers) // 2
        embedding, owns = self.network.LSTT.propagate(top, layers[:half], layers[half:])
        return embedding, *(x for own in owns for x in own if x is not None)


class Decode(Part):
    def __init__(self, network: Network, objects: int, size: tuple[int, int]) -> None:
        super().__init__(network)
        self.objects, self.size = objects, size

    def forward(self, embedding: Tensor, f4: Tensor, f8: Tensor, f16: Tensor, top: Tensor) -> Tensor:
        logits, _ = self.network.decode(embedding, Features(f4, f8, f16, top))
        planes = resized(logits[:, : self.objects + 1], self.size)[0]
        return planes.permute(1, 2, 0).softmax(-1).permute(2, 0, 1)


class MemoryEncode(Part):
    def __init__(self, network: Network, objects: int, size: tuple[int, int], fitted: tuple[int, int]) -> None:
        super().__init__(network)
        self.slots = list(range(objects + 1))
        self.fit = Nearest(size, fitted, network.encoder_projector.weight.device)

    def forward(self, probabilities: Tensor, *inside: Tensor) -> tuple[Tensor, ...]:
        first, later = inside[: len(OWN) - 1], inside[len(OWN) - 1 :]
        parts: list[Any] = [(*first, None), *(later[i : i + len(OWN)] for i in range(0, len(later), len(OWN)))]
        owns = tuple(Own(*part) for part in parts)
        return tuple(chain.from_iterable(self.network.memory_write(owns, self._embed(probabilities.argmax(0)))))

    def annotated(self, labels: Tensor, *features: Tensor) -> tuple[Tensor, ...]:
        """The memory of an annotated frame, labels int64 (H, W) of 0..objects."""
        return tuple(chain.from_iterable(self.network.LSTT.reference(Features(*features).top, self._embed(labels))))

    def _embed(self, labels: Tensor) -> Tensor:
        return self.network.embed_mask(one_hot_objects(self.fit(labels), self.slots)[None])
