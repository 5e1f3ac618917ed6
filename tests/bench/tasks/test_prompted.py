"""Images, prompts and a teacher's embeddings: what networks that answer prompts learn from and are evaluated by."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
import torch

import methods
from bench.losses.decoupled import Decoupled
from bench.losses.masks import Masks
from bench.plan.cells import Questions
from bench.plan.recipe import Recipe, Schedule
from bench.system.errors import ConfigError, DiskFull
from bench.tasks import TASKS
from bench.tasks.prompts import embeddings
from bench.tasks.prompts.draw import Prompts, best, boxes_around, draw_background, draw_points
from bench.tasks.prompts.embeddings import store_embeddings
from bench.tasks.prompts.exam import Exam
from bench.tasks.prompts.images import PROMPTS, ImageStream, prompts_of
from bench.tasks.prompts.lesson import Teacher, teach
from bench.train.learner import Learner
from datasets.davis import open_davis
from datasets.images import write_mask
from datasets.static import StaticImage, frames_of, open_photos
from methods.borrowed import rest_of, take_over
from methods.distillation.prompted import focal_loss, mask_iou, mask_losses

SIDE = 64
SMALL = {"image_size": SIDE, "width": 0.1, "depth": 0.1, "decoder_channels": 16}


def network(name: str = "mobile_sam", seed: int = 0):
    torch.manual_seed(seed)
    return methods.create(name, **SMALL)


@pytest.fixture
def images(tiny_davis) -> list[StaticImage]:
    return frames_of(open_davis(tiny_davis, 2017, "train"))


@pytest.fixture
def stream(images) -> ImageStream:
    return ImageStream(images, SIDE, steps=5, batch=3, seed=0)


def labels_with(*objects: tuple[int, slice, slice]) -> np.ndarray:
    labels = np.zeros((40, 60), np.uint8)
    for number, rows, columns in objects:
        labels[rows, columns] = number
    return labels


# --- prompts ---------------------------------------------------------------------------------------


def test_points_lie_in_objects_each_of_which_comes():
    labels = labels_with((3, slice(2, 8), slice(2, 8)), (9, slice(10, 38), slice(20, 58)))
    points = draw_points(labels, 100, np.random.default_rng(0))
    found = [labels[y, x] for x, y in points]
    assert set(found) == {3, 9}
    assert 30 < found.count(3) < 70  # by object, not by area


def test_without_objects_points_lie_anywhere():
    points = draw_points(np.zeros((40, 60), np.uint8), 200, np.random.default_rng(0))
    assert (points.min(0) < 5).all() and (points.max(0) > (54, 34)).all()


def test_a_background_point_is_at_its_distance_and_not_on_the_object():
    labels = labels_with((1, slice(15, 25), slice(20, 40)))
    rng = np.random.default_rng(0)
    for point in draw_points(labels, 30, rng):
        other = draw_background(labels, point, 15, rng)
        assert np.hypot(*(other - point)) == pytest.approx(15, abs=0.8)
        assert labels[other[1], other[0]] == 0
    assert draw_background(labels, np.array([30, 20]), 200, rng) is None  # beyond the frame
    assert draw_background(np.ones_like(labels), np.array([30, 20]), 5, rng) is None  # on the object


def test_the_best_answer_is_the_one_of_the_highest_score():
    logits = torch.arange(2 * 3 * 3.0).view(2, 3, 3, 1, 1)
    scores = torch.tensor([[[1, 2, 0.0], [0, 0, 1], [3, 1, 2]]] * 2)
    assert best(logits, scores)[0].flatten().tolist() == [1, 5, 6]


def test_prompts_of_a_batch_are_answered_each_on_its_own_image():
    model = network("sam_vit_b")
    embedding = torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[[4.0, 4, 30, 30], [10, 20, 60, 50]], [[0, 0, 20, 60], [30, 30, 50, 40]]])
    with torch.inference_mode():
        logits, scores = Prompts(boxes=boxes).decode(model, embedding)
        for b in range(2):
            alone, score = model.decode_masks(embedding[b : b + 1], boxes=boxes[b], multimask=False)
            torch.testing.assert_close(logits[b], alone)
            torch.testing.assert_close(scores[b], score)


def test_boxes_of_low_resolution_masks_span_whole_cells():
    mask = torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[0, 2:4, 5:9] = True
    assert boxes_around(mask).tolist() == [[20, 8, 35, 15]]


# --- losses ----------------------------------------------------------------------------------------


def test_focal_loss_is_the_formula():
    logits, target = torch.tensor([[1.0, -2.0, 0.5, -0.5]]), torch.tensor([[True, False, False, True]])
    p = logits.sigmoid()
    expected = torch.where(
        target, -0.25 * (1 - p) ** 2 * p.log(), -0.75 * p**2 * (1 - p).log()
    )  # Lin et al., equation 5
    torch.testing.assert_close(focal_loss(logits, target), expected)


def test_a_right_mask_costs_little_and_padding_nothing():
    target = torch.zeros(2, 8, 8, dtype=torch.bool)
    target[:, 2:6, 2:6] = True
    valid = torch.zeros_like(target)
    valid[:, :6] = True
    right = torch.where(target, 10.0, -10.0)
    wrong = right.clone()
    wrong[:, 6:] = 10.0  # on padding alone
    losses = mask_losses(torch.stack([right, -right, wrong]), target, valid)
    assert losses.shape == (3, 2)
    assert losses[0].max() < 0.01
    assert losses[1].min() > 1
    torch.testing.assert_close(losses[0], losses[2])


def test_iou_of_masks():
    one, other = torch.zeros(4, 4, dtype=torch.bool), torch.zeros(4, 4, dtype=torch.bool)
    assert mask_iou(one, other) == 1
    one[:2], other[1:3] = True, True
    assert mask_iou(one, other) == pytest.approx(4 / 12)


# --- the stream ------------------------------------------------------------------------------------


def test_batches_are_a_function_of_the_seed(stream, images):
    again = ImageStream(images, SIDE, 5, 3, seed=0)
    for one, other in zip(stream.loader(1), again.loader(1), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
    other = ImageStream(images, SIDE, 5, 3, seed=1)
    assert not torch.equal(next(iter(stream.loader()))["image"], next(iter(other.loader()))["image"])


def test_parts_of_a_batch_are_the_batch(stream):
    whole = next(iter(stream.loader(2)))
    parts = [next(iter(stream.part_of(part, 3).loader(2))) for part in range(3)]
    assert all(torch.equal(torch.cat([part[key] for part in parts]), whole[key]) for key in whole)


def test_an_epoch_holds_every_image_once(stream):
    count = len(stream.images)
    assert sorted(stream.index(n) for n in range(count)) == list(range(count))
    assert [stream.index(n) for n in range(count)] != [stream.index(n) for n in range(count, 2 * count)]


def test_points_boxes_and_masks_of_an_item_belong_together(stream):
    for number in range(6):
        item = stream[number]
        assert item["image"].shape == (3, SIDE, SIDE)
        labels = stream.fitted(stream.index(number)).labels
        for place in range(PROMPTS):
            x, y = item["points"][place, 0].int().tolist()
            left, top, right, bottom = item["boxes"][place].tolist()
            assert left <= x <= right and top <= y <= bottom
            own = labels == labels[y, x]
            area = own.sum() / 16
            assert abs(int(item["truth"][place].sum()) - area) <= 0.35 * area + 4
        assert item["valid"].sum() == pytest.approx(labels.size / 16, rel=0.1)
        assert not (item["truth"] & ~item["valid"]).any()


def test_a_batch_asks_by_points_boxes_and_pairs(stream):
    batch = next(iter(stream.loader()))
    (_, point), (_, box), (_, pair) = prompts_of(batch)
    assert point.points.shape[2] == 1 and point.ambiguous
    assert box.points is None and not box.ambiguous
    assert pair.points.shape[2] == 2 and not pair.ambiguous
    assert sum(len(range(PROMPTS)[places]) for places, _ in prompts_of(batch)) == PROMPTS


# --- embeddings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-6), ("fp16", 2e-3)])
def test_stored_embeddings_are_the_teachers(stream, tmp_path, precision, tolerance):
    teacher = network("sam_vit_b")
    stored = store_embeddings(teacher, "key", stream, tmp_path, precision, 1.0, "cpu")
    batch = next(iter(stream.loader()))
    with torch.inference_mode():
        expected = teacher.encode_image(batch["image"])
    found = torch.tensor(stored[batch["index"].numpy()]).float()
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
    (file,) = tmp_path.glob("*/embeddings.npy")
    assert file.stat().st_size == pytest.approx(
        len(stream.images) * 16 * 16 * (4 if precision == "fp32" else 2), abs=200
    )


def test_embeddings_are_computed_once_and_a_killed_computation_goes_on(stream, tmp_path, monkeypatch):
    teacher, seen = network("sam_vit_b"), []
    honest = teacher.encode_image
    monkeypatch.setattr(embeddings, "PER_BATCH", 3)

    def encode(batch):
        if len(seen) == 2:
            seen.append("killed")
            raise KeyboardInterrupt
        seen.append(len(batch))
        return honest(batch)

    monkeypatch.setattr(teacher, "encode_image", encode)
    with pytest.raises(KeyboardInterrupt):
        store_embeddings(teacher, "key", stream, tmp_path, "fp32", 1.0, "cpu")
    stored = store_embeddings(teacher, "key", stream, tmp_path, "fp32", 1.0, "cpu")
    assert sum(n for n in seen if n != "killed") == len(stream.images)
    store_embeddings(teacher, "key", stream, tmp_path, "fp32", 1.0, "cpu")
    assert sum(n for n in seen if n != "killed") == len(stream.images)
    whole = store_embeddings(network("sam_vit_b"), "other", stream, tmp_path, "fp32", 1.0, "cpu")
    torch.testing.assert_close(torch.tensor(stored), torch.tensor(whole))


def test_embeddings_that_are_too_large_are_refused_before_any_is_computed(stream, tmp_path, monkeypatch):
    teacher = network("sam_vit_b")
    monkeypatch.setattr(teacher, "encode_image", lambda _: pytest.fail("computed"))
    with pytest.raises(ConfigError, match=r"need .* GB, and scale.student.embeddings_gb=1e-06 .*embeddings=fp16"):
        store_embeddings(teacher, "key", stream, tmp_path, "fp32", 1e-6, "cpu")
    full = OSError(28, "No space left on device")

    def fallocate(*_):
        raise full

    monkeypatch.setattr(embeddings.os, "posix_fallocate", fallocate)
    with pytest.raises(DiskFull, match=r"no space left to write to .*it goes on"):
        store_embeddings(teacher, "key", stream, tmp_path, "fp32", 1.0, "cpu")
    assert not list(tmp_path.glob("*/embeddings.npy"))


# --- evaluating ---------------------------------------------------------------------------------------

ASKED = Questions(images=4, points=3, distances=[200, 400])


class Colour(torch.nn.Module):
    """Answers every prompt by the bright pixels: what an object is on the images below."""

    embedding_channels, image_size = 1, SIDE

    def encode_image(self, images):
        return torch.nn.functional.avg_pool2d(images.mean(1, keepdim=True), 4)

    def decode_masks(self, embedding, points=None, labels=None, boxes=None, multimask=True):
        count = len(points if points is not None else boxes)
        logits = embedding.expand(count, 3 if multimask else 1, -1, -1)
        return logits, torch.ones(logits.shape[:2])


@pytest.fixture
def bright(tmp_path) -> list[StaticImage]:
    """Four images of a bright square on black, with its mask."""
    stills = []
    for number in range(4):
        mask = np.zeros((48, 64), np.uint8)
        mask[8 + 4 * number : 28 + 4 * number, 8:40] = 1
        image = tmp_path / f"{number}.png"
        cv2.imwrite(str(image), np.dstack([mask * 255] * 3))
        write_mask(tmp_path / f"mask{number}.png", mask)
        stills.append(StaticImage(str(number), image, tmp_path / f"mask{number}.png"))
    return stills


def test_who_answers_as_the_teacher_agrees_with_it_wholly(images):
    teacher = network("sam_vit_b")
    same = Exam(images, SIDE, ASKED, teacher, "cpu").grade(network("sam_vit_b"))
    assert {same.mean(kind) for kind in ("point", "box", "200", "400")} <= {1.0, None}
    assert same.mean("box") == 1.0 and same.mse == 0
    other = Exam(images, SIDE, ASKED, teacher, "cpu").grade(network("sam_vit_b", seed=5))
    assert other.mean("box") < 1 and other.mse > 0


def test_who_sees_the_objects_agrees_with_the_labels(bright):
    grades = Exam(bright, SIDE, ASKED, None, "cpu").grade(Colour())
    assert grades.mean_truth > 0.9
    assert grades.teacher == {} and grades.mean("point") is None
    assert len(grades.truth) == 4 and all(len(ious) == 3 for ious in grades.truth.values())


def test_questions_depend_on_their_seed_alone(images):
    def points(seed):
        exam = Exam(images, SIDE, dataclasses.replace(ASKED, seed=seed), None, "cpu")
        return [question.prompts["point"].points for question in exam.questions]

    one, again, other = points(0), points(0), points(1)
    assert all(map(torch.equal, one, again))
    assert not all(map(torch.equal, one, other))


def test_photos_without_masks_are_asked_for_what_the_teacher_sees(bright, tmp_path):
    (tmp_path / "photos").mkdir()
    for still in bright:
        (tmp_path / "photos" / still.image.name).write_bytes(still.image.read_bytes())
    photos = open_photos(tmp_path / "photos")
    assert [photo.mask for photo in photos] == [None] * 4
    exam = Exam(photos, SIDE, ASKED, Colour(), "cpu")
    assert exam.questions[0].truth is None
    left, top, right, bottom = exam.questions[0].prompts["box"].boxes[0, 0].tolist()
    assert (left, top) == pytest.approx((8, 8), abs=4) and (right, bottom) == pytest.approx((39, 27), abs=4)
    assert exam.grade(Colour()).mean("point") == 1.0


def test_grades_are_written_as_json(images):
    grades = Exam(images, SIDE, ASKED, network("sam_vit_b"), "cpu").grade(network("sam_vit_b"))
    assert json.loads(json.dumps(dataclasses.asdict(grades)))["mse"] == 0


# --- learning --------------------------------------------------------------------------------------


def learner(folder, recipe: Recipe, teacher, steps: int = 4) -> Learner:
    schedule = Schedule(steps=steps, batch=3, lr=1e-3, warmup=0.0, snapshots=0)
    student = network()
    take_over(student, teacher.network)
    for part in rest_of(student).values():
        part.requires_grad_(False)
    return Learner("student", student, recipe, schedule, folder, {}, TASKS["prompts"], teacher=teacher.network)


@pytest.fixture
def teacher(stream, tmp_path) -> Teacher:
    model = network("sam_vit_b").requires_grad_(False)
    return Teacher(model, store_embeddings(model, "key", stream, tmp_path / "stored", "fp32", 1.0, "cpu"))


def run(student: Learner, stream: ImageStream, teacher: Teacher) -> list[dict[str, torch.Tensor]]:
    """The weights before training and after each step."""
    states = [{key: value.clone() for key, value in student.method.state_dict().items()}]
    for batch in stream.loader():
        if student.step == student.schedule.steps:
            break
        student.learn(batch, teach(teacher, batch, [student], "fp32"), 0)
        states.append({key: value.clone() for key, value in student.method.state_dict().items()})
    return states


def moved(before: dict, after: dict) -> set[str]:
    """Which parts differ: the names of the network's children."""
    return {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}


def test_a_decoupled_student_comes_nearer_to_the_teachers_embedding(stream, teacher, tmp_path):
    recipe = Recipe.of(Decoupled(1.0), labels="teacher", rest="frozen")
    student = learner(tmp_path, recipe, teacher, steps=40)
    long = ImageStream(stream.images, SIDE, 40, 3, seed=0)
    states = run(student, long, teacher)
    losses = [point["decoupled"] for point in student.curve]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    assert moved(states[0], states[-1]) == {"image_encoder"}


def test_semi_coupled_students_learn_masks_through_a_decoder_that_stays(stream, teacher, tmp_path):
    recipe = Recipe.of(Masks(1.0), labels="teacher", rest="frozen")
    student = learner(tmp_path, recipe, teacher)
    states = run(student, stream, teacher)
    assert moved(states[0], states[-1]) == {"image_encoder"}
    assert {"masks", "predicted_iou", "total"} <= student.curve[0].keys()


def test_finetuning_moves_the_decoder_and_leaves_the_encoder_with_its_statistics(stream, teacher, tmp_path):
    recipe = Recipe.of(Decoupled(1.0), Masks(), labels="teacher", rest="frozen", finetune=0.5)
    student = learner(tmp_path, recipe, teacher)
    states = run(student, stream, teacher)
    assert moved(states[0], states[2]) == {"image_encoder"}
    assert moved(states[2], states[4]) == {"mask_decoder", "prompt_encoder"}


def test_labels_are_not_read_where_the_teacher_is_the_truth(stream, teacher, tmp_path):
    recipe = Recipe.of(Masks(1.0), labels="teacher", rest="frozen")
    batch = next(iter(stream.loader()))
    losses = []
    for noise in (False, True):
        student = learner(tmp_path / str(noise), recipe, teacher)
        given = {**batch, "truth": ~batch["truth"]} if noise else batch
        losses.append(student.learn(given, teach(teacher, given, [student], "fp32"), 0))
    assert losses[0] == losses[1]


def test_who_does_not_fit_the_teacher_is_named():
    wide = methods.create("mobile_sam", **{**SMALL, "decoder_channels": 32})
    with pytest.raises(methods.MethodError, match=r"cannot take over .*prompt_encoder.* the same sizes"):
        take_over(wide, network("sam_vit_b"))
