"""SAM's prompts in the frame's own pixels, and everything that a picture shows."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import methods
from methods.masks import IMAGENET_MEAN, IMAGENET_STD
from methods.sam.boxes import box_iou, mask_boxes, nms, scaled
from methods.sam.frames import input_size, to_frame, to_input, to_logits
from methods.sam.method import interior_points, looks
from methods.sam.network import Sam
from methods.sam.predictor import Predictor, point_grid, segment_everything, stability_score


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def predictor() -> Predictor:
    torch.manual_seed(0)
    predictor = Predictor(Sam("tiny_vit", 64, width=0.1, depth=0.1, decoder_channels=64).eval())
    predictor.set_image(torch.rand(3, 30, 50, generator=generator()))
    return predictor


# --- frames into the square and back -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "fitted"), [((480, 854), (576, 1024)), ((1080, 1920), (576, 1024)), ((333, 250), (1024, 769))]
)
def test_the_longer_side_becomes_the_inputs(size, fitted):
    assert input_size(*size, 1024) == fitted


@pytest.mark.parametrize(("height", "width"), [(90, 150), (31, 20), (64, 64)])
def test_frames_are_resized_as_pillow_does_normalised_and_padded_with_zeros(height, width):
    frame = torch.randint(0, 256, (height, width, 3), generator=generator(), dtype=torch.uint8).numpy()
    rows, columns = input_size(height, width, 64)
    pillow = np.asarray(Image.fromarray(frame).resize((columns, rows), Image.Resampling.BILINEAR))
    ours = to_input(torch.from_numpy(frame).permute(2, 0, 1) / 255, 64)
    assert ours.shape == (1, 3, 64, 64)
    colours = ours[0] * torch.tensor(IMAGENET_STD).view(3, 1, 1) + torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    difference = colours[:, :rows, :columns].permute(1, 2, 0).numpy() * 255 - pillow
    assert np.abs(difference).max() < 1.01  # Pillow rounds to 8 bits after each direction
    assert not ours[..., rows:, :].any()
    assert not ours[..., columns:].any()


@pytest.mark.parametrize("size", [(100, 180), (180, 100), (70, 50)])
def test_a_masks_logits_lead_back_to_it(size):
    mask = np.zeros(size, np.uint8)
    cv2.ellipse(mask, (size[1] // 2, size[0] // 2), (size[1] // 3, size[0] // 4), 20, 0, 360, 1, -1)
    mask = torch.from_numpy(mask).bool()[None]
    logits = to_logits(mask, 256)
    assert logits.shape == (1, 1, 64, 64)
    assert logits.abs().max() == 10
    back = to_frame(logits, size, 256)[:, 0] > 0
    assert (back & mask).sum() / (back | mask).sum() > 0.95


def test_a_ramp_comes_back_without_the_padding():
    """Logits that grow with x: half of the frame, not of the square, lies beyond the frame's middle."""
    ramp = (torch.arange(64) + 0.5).expand(1, 1, 64, 64) - 32 / 2
    back = to_frame(ramp, (200, 100), 256)
    assert back.shape == (1, 1, 200, 100)
    expected = ((torch.arange(100) + 0.5) / 100 * 32 - 16).expand(200, -1)
    torch.testing.assert_close(back[0, 0, :, 5:-5], expected[:, 5:-5])


# --- prompts -----------------------------------------------------------------------------------------


def test_prompts_in_one_batch_are_answered_as_one_by_one(predictor):
    boxes = torch.tensor([[2.0, 3.0, 20.0, 25.0], [10.0, 0.0, 49.0, 29.0], [5.0, 5.0, 9.0, 9.0]])
    points, labels = torch.rand(3, 2, 2, generator=generator()) * 30, torch.tensor([[1, 0], [1, 1], [0, -1]])
    together = predictor.predict(points, labels, boxes)
    assert together.masks.shape == together.logits.shape == (3, 3, 30, 50)
    assert together.masks.dtype == torch.bool
    for i in range(3):
        alone = predictor.predict(points[i : i + 1], labels[i : i + 1], boxes[i : i + 1])
        torch.testing.assert_close(together.logits[i], alone.logits[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.scores[i], alone.scores[0], atol=1e-4, rtol=1e-4)


def test_points_and_boxes_are_in_pixels_of_the_frame(predictor):
    fitted = torch.tensor([64 / 50, 38 / 30])  # 30 x 50 becomes 38 x 64
    box = torch.tensor([[5.0, 10.0, 25.0, 20.0]])
    point, label = torch.tensor([[[12.0, 14.0]]]), torch.ones(1, 1, dtype=torch.long)
    with torch.inference_mode():
        expected, _ = predictor.model.decode_masks(
            predictor.embedding, point * fitted, label, box * fitted.repeat(2)
        )
    assert torch.equal(predictor.predict(point, label, box).low_res, expected)


def test_an_answer_can_be_given_back_as_a_prompt(predictor):
    box = torch.tensor([[5.0, 10.0, 25.0, 20.0]])
    first = predictor.predict(boxes=box, multimask=False)
    second = predictor.predict(boxes=box, mask_logits=first.low_res, multimask=False)
    assert second.logits.shape == (1, 1, 30, 50)
    assert not torch.allclose(first.low_res, second.low_res)


def test_features_at_a_point_are_the_embedding_there(predictor):
    """A frame of 30 x 50 is seen at 38 x 64, where the embedding has a pixel every 16."""
    found = predictor.features_at(torch.tensor([[0.0, 0.0], [49.0, 29.0]]))
    for ours, theirs in zip(found, (predictor.embedding[0, :, 0, 0], predictor.embedding[0, :, 2, 3]), strict=True):
        torch.testing.assert_close(ours, theirs / theirs.norm())


def test_predicting_needs_an_image():
    with pytest.raises(methods.MethodError, match=r"predict\(\) before set_image\(\)"):
        Predictor(Sam("tiny_vit", 64, width=0.1, depth=0.1, decoder_channels=16)).predict(boxes=torch.zeros(1, 4))


def test_an_images_frame_is_checked(predictor):
    with pytest.raises(methods.MethodError, match=r"\(3, H, W\)"):
        predictor.set_image(torch.rand(30, 50, 3))


def test_interior_points_are_the_farthest_from_the_border():
    mask = np.zeros((40, 60), np.uint8)
    cv2.circle(mask, (15, 20), 9, 1, -1)
    cv2.rectangle(mask, (40, 0), (49, 39), 1, -1)
    outside = np.argwhere(np.pad(1 - mask, 1, constant_values=1)) - 1
    inside = np.argwhere(mask)
    free = np.sqrt(((inside[:, None] - outside) ** 2).sum(2).min(1))  # all pairs
    points = interior_points(torch.from_numpy(mask).bool(), 4)
    rooms = [free[(inside == (y, x)).all(1)].item() for x, y in points.tolist()]  # fails outside the mask
    assert rooms[0] == free.max() > 9
    assert rooms[1] >= 5  # another part of the mask
    assert len({tuple(p) for p in points.tolist()}) == 4


def test_a_mask_of_one_pixel_repeats_its_point():
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[3, 7] = True
    assert interior_points(mask, 3).tolist() == [[7, 3]] * 3


def test_looks_are_the_embedding_where_the_mask_is():
    embedding = torch.randn(1, 6, 4, 4, generator=generator())
    low_res = torch.full((2, 16, 16), -40.0)
    low_res[0, 4:8, 8:12] = 40
    low_res[1, :4, :8] = 40
    one, two = looks(embedding, low_res)
    cosine = torch.nn.functional.cosine_similarity
    torch.testing.assert_close(cosine(one, embedding[0, :, 1, 2], dim=0), torch.tensor(1.0))
    torch.testing.assert_close(cosine(two, embedding[0, :, 0, :2].sum(1), dim=0), torch.tensor(1.0))
    torch.testing.assert_close(one.norm(), torch.tensor(1.0))


# --- boxes -------------------------------------------------------------------------------------------


def test_boxes_hold_the_first_and_last_pixels_of_a_mask():
    masks = torch.zeros(3, 10, 20, dtype=torch.bool)
    masks[0, 2:5, 3:18] = True
    masks[1, 9, 0] = True
    assert mask_boxes(masks).tolist() == [[3, 2, 17, 4], [0, 9, 0, 9], [0, 0, 0, 0]]


def test_boxes_grow_about_their_centre_within_the_frame():
    boxes = torch.tensor([[10.0, 20.0, 20.0, 40.0], [0.0, 0.0, 90.0, 10.0]])
    assert scaled(boxes, 2, (50, 100)).tolist() == [[5, 10, 25, 49], [0, 0, 99, 15]]


def test_nms_keeps_what_greedy_search_keeps():
    corners = torch.randint(0, 40, (60, 2, 2), generator=generator()).sort(1).values.double()
    boxes, scores = corners.flatten(1), torch.rand(60, generator=generator()).double()

    def iou(a, b) -> float:
        sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
        common = max(sides[0], 0) * max(sides[1], 0)
        union = sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)) - common
        return common / union if union else 0.0

    kept = []
    for i in sorted(range(60), key=lambda i: -scores[i]):
        if all(iou(boxes[i].tolist(), boxes[j].tolist()) <= 0.3 for j in kept):
            kept.append(i)
    assert nms(boxes, scores, 0.3).tolist() == kept
    assert 5 < len(kept) < 60
    assert box_iou(boxes[:1], boxes[1:2]).item() == pytest.approx(iou(boxes[0].tolist(), boxes[1].tolist()))


# --- everything --------------------------------------------------------------------------------------


def test_the_grid_lies_at_the_centres_of_equal_cells():
    assert point_grid(2, (100, 200)).tolist() == [[50, 25], [150, 25], [50, 75], [150, 75]]


def test_stability_is_the_iou_of_two_cuts():
    logits = torch.tensor([[[-2.0, -0.5, 0.5, 2.0]], [[-3.0, -3.0, 3.0, 3.0]], [[-9.0, -9.0, -9.0, -9.0]]])
    assert stability_score(logits).tolist() == pytest.approx([1 / 3, 1, 0])


class FlatColours:
    """Knows what SAM would have to learn: a point means all that has its colour, less surely for darker ones."""

    image_size = 128

    def encode_image(self, images):
        return images

    def decode_masks(self, image, points, labels, boxes, mask_logits, multimask):
        assert labels.eq(1).all()
        assert multimask
        small = torch.nn.functional.avg_pool2d(image, 4)[0]
        x, y = points[:, 0].div(4).long().clamp(max=31).unbind(1)
        colours = small[:, y, x].t()
        apart = (small - colours[:, :, None, None]).abs().amax(1)
        logits = torch.where(apart < 0.05, 6.0, -6.0)
        # The other two answers are bad in one way each: a low score, and a border that is nowhere.
        bad, vague = logits.clone(), torch.linspace(-1, 1, 32).expand_as(logits)
        scores = 0.9 + 0.02 * colours.mean(1)
        answers = torch.stack([bad, logits, vague], 1)
        return answers, torch.stack([scores * 0 + 0.5, scores, scores + 0.1], 1)


def test_everything_is_each_region_of_a_picture_once():
    frame = torch.full((3, 96, 128), 0.5)
    regions = {
        (0.9, 0.1, 0.1): (8, 40, 8, 56),
        (0.1, 0.9, 0.3): (52, 88, 12, 44),
        (0.2, 0.2, 1.0): (20, 80, 76, 120),
    }
    for colour, (top, bottom, left, right) in regions.items():
        frame[:, top:bottom, left:right] = torch.tensor(colour)[:, None, None]
    found = segment_everything(Predictor(FlatColours()), frame, points_per_side=8, points_per_batch=20)
    assert len(found.masks) == 4  # and the background
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert (found.stability >= 0.95).all()
    for mask, box, point in zip(found.masks, found.boxes, found.points, strict=True):
        assert mask[int(point[1]), int(point[0])]
        assert torch.equal(box, mask_boxes(mask[None])[0])
    for top, bottom, left, right in regions.values():
        truth = torch.zeros(96, 128, dtype=torch.bool)
        truth[top:bottom, left:right] = True
        ious = (found.masks & truth).flatten(1).sum(1) / (found.masks | truth).flatten(1).sum(1)
        assert ious.max() > 0.98


def test_a_picture_in_which_nothing_is_good_enough_has_no_masks():
    found = segment_everything(Predictor(FlatColours()), torch.rand(3, 40, 60), 4, min_score=2.0)
    assert found.masks.shape == (0, 40, 60)
    assert found.boxes.shape == (0, 4)
