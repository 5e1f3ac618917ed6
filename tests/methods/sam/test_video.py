"""SAM follows objects through a video: by the prompts of the latest mask, and by a search when they are lost."""

import pytest
import torch
import torch.nn.functional as F

from methods.masks import IMAGENET_MEAN, IMAGENET_STD
from methods.sam.method import VideoSam, interior_points

RED, GREEN, BLUE = (0.9, 0.1, 0.1), (0.1, 0.9, 0.2), (0.1, 0.2, 0.9)
SIZE = (96, 128)


class Colours(VideoSam):
    """Sees what SAM would have to learn: an object is all that has one colour on grey.

    Points mean the colour below them, and a box alone the most colourful pixel in it; points of several colours
    or of none make it unsure of itself.
    """

    def __init__(self, **options) -> None:
        super().__init__("tiny_vit", image_size=128, width=0.1, depth=0.1, decoder_channels=16, **options)
        self.asked: list[dict] = []

    def encode_image(self, images):
        std, mean = (torch.tensor(x).view(3, 1, 1) for x in (IMAGENET_STD, IMAGENET_MEAN))
        self.picture = F.avg_pool2d((images * std + mean)[0] - 0.5, 4)  # grey is 0
        self.picture[:, 24:] = 0  # below the frame
        return F.avg_pool2d(self.picture, 4)[None]

    def decode_masks(self, embedding, points=None, labels=None, boxes=None, mask_logits=None, multimask=True):
        self.asked.append({"points": points, "boxes": boxes, "mask_logits": mask_logits, "multimask": multimask})
        if points is None:
            points = torch.stack([self.most_colourful(box) for box in boxes])[:, None]
        x, y = points.div(4).long().clamp(0, 31).unbind(2)
        colours = self.picture[:, y, x].permute(1, 2, 0)
        certain = (colours.std(1, correction=0).amax(1) < 0.05) & (colours.abs().amax((1, 2)) > 0.2)
        apart = (self.picture - colours[:, 0, :, None, None]).abs().amax(1)
        answers = torch.where(apart < 0.1, 8.0, -8.0)[:, None].expand(-1, 3 if multimask else 1, -1, -1)
        return answers, torch.where(certain, 0.95, 0.1)[:, None].expand(answers.shape[:2])

    def most_colourful(self, box):
        left, top, right, bottom = (box / 4).long().tolist()
        strength = self.picture.abs().amax(0)
        inside = torch.full_like(strength, -1)
        inside[top : bottom + 1, left : right + 1] = strength[top : bottom + 1, left : right + 1]
        place = inside.flatten().argmax()
        return torch.stack([place % 32, place // 32]) * 4.0


def frame(*objects: tuple[tuple[float, ...], int, int]) -> torch.Tensor:
    """Squares of 24 px, each (colour, top, left), on grey."""
    picture = torch.full((3, *SIZE), 0.5)
    for colour, top, left in objects:
        picture[:, top : top + 24, left : left + 24] = torch.tensor(colour)[:, None, None]
    return picture


def mask(*places: tuple[int, int, int]) -> torch.Tensor:
    """Object ids of the same squares, each (id, top, left)."""
    ids = torch.zeros(SIZE, dtype=torch.long)
    for object_id, top, left in places:
        ids[top : top + 24, left : left + 24] = object_id
    return ids


def iou(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def test_two_moving_objects_are_followed():
    method = Colours()
    method.start(frame((RED, 8, 8), (GREEN, 60, 92)), mask((9, 8, 8), (4, 60, 92)))
    for t in range(1, 7):
        answer = method.step(frame((RED, 8, 8 + 8 * t), (GREEN, 60 - 4 * t, 92))).argmax(0)
        assert iou(answer == 2, mask((9, 8, 8 + 8 * t)) == 9) > 0.9
        assert iou(answer == 1, mask((4, 60 - 4 * t, 92)) == 4) > 0.9


def test_each_frame_is_asked_for_what_the_previous_one_showed():
    method = Colours(box_margin=0.25, prompt_points=2)
    method.start(frame((RED, 8, 16)), mask((1, 8, 16)))
    method.step(frame((RED, 8, 16)))
    (asked,) = method.asked
    assert asked["boxes"].tolist() == [[16 - 5.75, 8 - 5.75, 39 + 5.75, 31 + 5.75]]
    expected = interior_points(mask((1, 8, 16)) == 1, 2)
    torch.testing.assert_close(asked["points"][0], expected)
    given = torch.full((1, 1, 32, 32), -10.0)
    given[..., 2:8, 4:10] = 10
    assert torch.equal(asked["mask_logits"], given)
    assert not asked["multimask"]
    method.step(frame((RED, 8, 24)))
    assert method.asked[1]["mask_logits"].max() == 8  # what was answered, no longer what was given


@pytest.mark.parametrize("options", [{"search_grid": 0, "search_scale": 3.0}, {"search_scale": 0}])
def test_either_search_finds_an_object_that_has_jumped(options):
    method = Colours(**options)
    method.start(frame((RED, 32, 40)), mask((1, 32, 40)))
    answer = method.step(frame((RED, 44, 64))).argmax(0)
    assert iou(answer == 1, mask((1, 44, 64)) == 1) > 0.9


def test_an_object_that_comes_back_elsewhere_is_found_by_the_grid_alone():
    shown = [frame((RED, 4, 4)), frame(), frame(), frame((RED, 68, 100))]
    answers = {}
    for grid in (0, 16):
        method = Colours(search_grid=grid)
        method.start(shown[0], mask((1, 4, 4)))
        answers[grid] = [method.step(each).argmax(0) for each in shown[1:]]
    assert not any(answer.any() for answer in [*answers[0], *answers[16][:2]])
    assert iou(answers[16][2] == 1, mask((1, 68, 100)) == 1) > 0.9


def test_an_object_of_other_looks_does_not_stand_in_for_a_lost_one():
    method = Colours()
    method.start(frame((RED, 32, 40)), mask((1, 32, 40)))
    assert not method.step(frame((BLUE, 32, 60))).argmax(0).any()
    assert iou(method.step(frame((BLUE, 32, 60), (RED, 4, 4))).argmax(0) == 1, mask((1, 4, 4)) == 1) > 0.9


def test_an_object_that_is_followed_does_not_stand_in_for_a_lost_one_of_its_looks():
    method = Colours()
    method.start(frame((RED, 32, 8), (RED, 32, 80)), mask((1, 32, 8), (2, 32, 80)))
    answer = method.step(frame((RED, 32, 80))).argmax(0)
    assert iou(answer == 2, mask((2, 32, 80)) == 2) > 0.9
    assert not (answer == 1).any()
