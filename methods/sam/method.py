"""SAM and MobileSAM behind the suite's adapter: each frame is asked for what the previous one showed.

SAM segments images; how it follows an object is ours, see `VideoSam`.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from methods.errors import MethodError
from methods.follower import Follower
from methods.interface import one_hot_objects
from methods.masks import soft_aggregate
from methods.sam.boxes import mask_boxes, scaled
from methods.sam.frames import fit, input_size, to_frame, to_logits
from methods.sam.network import Sam
from methods.sam.predictor import Predictor, point_grid
from methods.steps import Part, Step, noise_frame

SHARED = 0.5  # of a proposal's pixels: more on objects that were found means it is one of them


@dataclass(frozen=True)
class Track:
    """What asks for an object: how it looked at first, and where it was found last.

    looks (C,); box (4,) and points (P, 2) in pixels of the frame, low_res (1, S / 4, S / 4) mask logits.
    """

    looks: Tensor
    box: Tensor | None = None
    points: Tensor | None = None
    low_res: Tensor | None = None


class VideoSam(Follower, Sam):
    """Follows objects by prompts from the mask of the latest frame in which each was found.

    The prompt is the mask's box, grown by `box_margin` of its sides each way, `prompt_points` points inside it
    (see `interior_points`) and the mask's logits; the answer is one mask an object, and the objects are joined by
    soft aggregation. An object whose predicted IoU is below `lost_score`, or whose mask is empty, is lost: then
    its box grown to `search_scale` times its sides is asked alone, and after it, of a grid of `search_grid` x
    `search_grid` points all over the frame, those `search_points` whose embedding is most like the object's at
    first. Of the masks found so, the one counts whose own embedding is most like it, given a predicted IoU of
    `lost_score` and a cosine of `search_similarity` at least, and no more than half of it on objects that were
    not lost. An object that is not found has no pixels in the frame, and its prompts stay.

    These options and their defaults are ours; no paper's. search_scale=0 or search_grid=0 leaves that search out.
    Everything else goes to `Sam`.
    """

    def __init__(
        self,
        encoder: str,
        box_margin: float = 0.1,
        prompt_points: int = 3,
        lost_score: float = 0.5,
        search_scale: float = 2.0,
        search_grid: int = 16,
        search_points: int = 8,
        search_similarity: float = 0.8,
        **network,
    ) -> None:
        super().__init__(encoder, **network)
        if prompt_points < 0 or search_grid < 0:
            raise MethodError("prompt_points and search_grid count points: give 0 or more")
        if search_points < 1:
            raise MethodError("search_points: give 1 or more, or search_grid=0 for no search all over the frame")
        self.box_margin, self.prompt_points, self.lost_score = box_margin, prompt_points, lost_score
        self.search_scale, self.search_similarity = search_scale, search_similarity
        self.search_grid, self.search_points = search_grid, search_points
        self._predictor = Predictor(self)
        self._tracks: list[Track] = []  # as the objects

    @torch.no_grad()
    def frame_steps(self, height: int, width: int, objects: int, memory_frames: int) -> list[Step]:
        """As `Stepped.frame_steps`: the image encoder, and the decoder that answers a point for each object.

        query_encode: frame (1, 3, H, W) RGB in [0, 1] -> embedding (1, C, h, w), of the frame resized, normalised
        and padded.
        decode: and points (objects, 1, 2) in pixels of the input -> logits (objects, 3, H, W), scores (objects, 3).
        There are no steps of a memory.
        """
        encode, decode = ImageEncode(self, (height, width)), MaskDecode(self, (height, width))
        frame = {"frame": noise_frame(height, width, next(self.parameters()))}
        fitted = input_size(height, width, self.image_size)
        places = (torch.arange(objects) + 0.5) / objects * fitted[1]
        points = torch.stack([places, torch.full_like(places, fitted[0] / 2)], 1)[:, None]
        inputs = {"embedding": encode(**frame), "points": points.to(frame["frame"])}
        return [
            Step("query_encode", encode, frame, ("embedding",)),
            Step("decode", decode, inputs, ("logits", "scores")),
        ]

    def _forget(self) -> None:
        self._tracks = []

    def _follow(self, frame: Tensor) -> Tensor:
        self._predictor.set_image(frame)
        return self._join(*self._find())

    def _give(self, frame: Tensor, mask: Tensor, ids: list[int]) -> Tensor:
        self._predictor.set_image(frame)
        planes = one_hot_objects(mask, ids)
        low_res = to_logits(planes, self.image_size)[:, 0]
        features = looks(self._predictor.embedding, low_res)
        if self._tracks:
            before, known = self._find()
            low_res, planes = torch.cat([before, low_res]), torch.cat([known * (1 - planes.sum(0)), planes])
        self._tracks = [*self._tracks, *(Track(each) for each in features)]
        return self._join(low_res, planes)

    def video_state(self) -> dict:
        return {"ids": list(self._ids), "tracks": [dict(vars(track)) for track in self._tracks]}

    def load_video_state(self, state: dict) -> None:
        self._ids = list(state["ids"])
        self._tracks = [Track(**track) for track in state["tracks"]]

    def _join(self, low_res: Tensor, objects: Tensor) -> Tensor:
        """Mask logits (N, h, w) and probabilities (N, H, W), one object by itself -> the frame's answer.

        Objects that have pixels in it are asked for by these from now on.
        """
        probabilities = soft_aggregate(objects).softmax(0)
        labels = probabilities.argmax(0)
        planes = torch.stack([labels == i + 1 for i in range(len(objects))])
        boxes = mask_boxes(planes)
        for i in planes.flatten(1).any(1).nonzero()[:, 0].tolist():
            points = interior_points(planes[i], self.prompt_points)
            self._tracks[i] = replace(self._tracks[i], box=boxes[i], points=points, low_res=low_res[i][None])
        return probabilities

    def _find(self) -> tuple[Tensor, Tensor]:
        """Where the objects are in the frame that is set: mask logits (N, h, w), probabilities (N, H, W)."""
        low_res, scores = self._ask()
        logits = self._predictor.upscale(low_res[:, None])[:, 0]
        found = (scores >= self.lost_score) & (logits > 0).flatten(1).any(1)
        for wanted, search in ((self.search_scale, self._search_near), (self.search_grid, self._search_all)):
            lost = (~found).nonzero()[:, 0]
            if not wanted or not len(lost):
                continue
            proposals, scores = search(lost)
            best, sure = self._most_alike(lost, proposals, scores, low_res[found] > 0)
            low_res[lost], found[lost] = best, sure
            logits[lost] = self._predictor.upscale(best[:, None])[:, 0]
        return low_res, logits.sigmoid() * found[:, None, None]

    def _of(self, part: str) -> Tensor:
        """A part of all tracks, one object after the other."""
        return torch.stack([getattr(track, part) for track in self._tracks])

    def _ask(self) -> tuple[Tensor, Tensor]:
        """All objects by the prompts of their tracks: mask logits (N, h, w), predicted IoUs (N,)."""
        points, boxes = self._of("points"), self._of("box")
        low_res, scores = self._predictor.decode(
            points if self.prompt_points else None,
            torch.ones(points.shape[:2], dtype=torch.long, device=points.device) if self.prompt_points else None,
            scaled(boxes, 1 + 2 * self.box_margin, self._predictor.size),
            self._of("low_res"),
            multimask=False,
        )
        return low_res[:, 0].clone(), scores[:, 0]

    def _search_near(self, lost: Tensor) -> tuple[Tensor, Tensor]:
        """Masks (L, 3, h, w) and predicted IoUs (L, 3) in the enlarged boxes of the lost objects."""
        return self._predictor.decode(boxes=scaled(self._of("box")[lost], self.search_scale, self._predictor.size))

    def _search_all(self, lost: Tensor) -> tuple[Tensor, Tensor]:
        """Masks (L, M, h, w) and predicted IoUs (L, M) at the points of the frame most like the lost objects."""
        grid = point_grid(self.search_grid, self._predictor.size).to(lost.device)
        alike = self._of("looks")[lost] @ self._predictor.features_at(grid).t()
        points = grid[alike.topk(min(self.search_points, len(grid)), 1).indices]
        one_each = points.flatten(0, 1)[:, None]
        answers = self._predictor.decode(one_each, torch.ones_like(one_each[..., 0], dtype=torch.long))
        low_res, scores = (part.unflatten(0, points.shape[:2]).flatten(1, 2) for part in answers)
        return low_res, scores

    def _most_alike(self, lost: Tensor, proposals: Tensor, scores: Tensor, taken: Tensor) -> tuple[Tensor, Tensor]:
        """Each object's most similar of proposals (L, M, h, w): logits (L, h, w), bool (L,) where it will do."""
        features = looks(self._predictor.embedding, proposals.flatten(0, 1)).unflatten(0, scores.shape)
        alike = (features * self._of("looks")[lost, None]).sum(2)
        inside = proposals > 0
        pixels = inside.flatten(2).sum(2)
        elsewhere = (inside & taken.any(0)).flatten(2).sum(2)
        able = (scores >= self.lost_score) & (pixels > 0) & (elsewhere <= SHARED * pixels)
        best, place = alike.masked_fill(~able, -1).max(1)
        return proposals[torch.arange(len(lost), device=lost.device), place], best >= self.search_similarity


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


def interior_points(mask: Tensor, count: int) -> Tensor:
    """bool (H, W), not empty -> float (count, 2) x, y inside it, each as far from the border as there is room.

    The first one is the centre of the largest disc that fits in; its disc is taken out before the next one is
    looked for. A mask that is used up repeats its first point.
    """
    free = np.pad(mask.cpu().numpy().astype(np.uint8), 1)  # beyond the frame is outside
    found: list[tuple[float, float]] = []
    while len(found) < count and free.any():
        distance = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        y, x = np.unravel_index(distance.argmax(), distance.shape)
        found.append((x - 1.0, y - 1.0))
        cv2.circle(free, (int(x), int(y)), int(distance[y, x]), 0, cv2.FILLED)
    found += found[:1] * (count - len(found))
    return torch.tensor(found, dtype=torch.float32, device=mask.device)


def looks(embedding: Tensor, low_res: Tensor) -> Tensor:
    """Image embedding (1, C, h, w) averaged over each soft mask (M, 4 h, 4 w) of logits -> (M, C), length 1."""
    inside = F.avg_pool2d(low_res.sigmoid()[:, None], 4)[:, 0].flatten(1)
    return F.normalize(inside @ embedding[0].flatten(1).t(), dim=1)
