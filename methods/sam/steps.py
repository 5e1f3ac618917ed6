"""The steps of SAM on a frame: the image encoder, and the decoder that answers a point for each object."""

import torch
from torch import Tensor

from methods.sam.frames import fit, input_size, to_frame
from methods.sam.network import Sam
from methods.steps import Part, Step, noise_frame


@torch.no_grad()
def sam_steps(model: Sam, height: int, width: int, objects: int) -> list[Step]:
    """The steps of a frame of this size on the model's device; those of a memory there are none.

    query_encode: frame (1, 3, H, W) RGB in [0, 1] -> embedding (1, C, h, w), of the frame resized, normalised and
    padded.
    decode: and points (objects, 1, 2) in pixels of the input -> logits (objects, 3, H, W), scores (objects, 3).
    """
    encode, decode = ImageEncode(model, (height, width)), MaskDecode(model, (height, width))
    frame = {"frame": noise_frame(height, width, next(model.parameters()))}
    fitted = input_size(height, width, model.image_size)
    places = (torch.arange(objects) + 0.5) / objects * fitted[1]
    points = torch.stack([places, torch.full_like(places, fitted[0] / 2)], 1)[:, None]
    inputs = {"embedding": encode(**frame), "points": points.to(frame["frame"])}
    return [
        Step("query_encode", encode, frame, ("embedding",)),
        Step("decode", decode, inputs, ("logits", "scores")),
    ]


class ImageEncode(Part):
    def __init__(self, model: Sam, size: tuple[int, int]) -> None:
        super().__init__(model)
        self.fitted = input_size(*size, model.image_size)

    def forward(self, frame: Tensor) -> Tensor:
        return self.network.encode_image(fit(frame, self.fitted, self.network.image_size))


class MaskDecode(Part):
    def __init__(self, model: Sam, size: tuple[int, int]) -> None:
        super().__init__(model)
        self.size = size

    def forward(self, embedding: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        labels = torch.ones(points.shape[:2], dtype=torch.long, device=points.device)
        low_res, scores = self.network.decode_masks(embedding, points, labels)
        return to_frame(low_res, self.size, self.network.image_size), scores
