"""Training: deterministic, resumable, and the same side by side as one by one."""

import dataclasses

import numpy as np
import pytest
import torch

import methods
from bench.losses.attention import AttentionTransfer
from bench.losses.cross_entropy import PolyCrossEntropy
from bench.losses.decoupled import Decoupled
from bench.losses.dist import Inter, Intra
from bench.losses.hint import Hint
from bench.losses.itrd import Correlation, MutualInformation
from bench.losses.logits import Logits
from bench.losses.masks import Dice, Jaccard
from bench.losses.pefd import ProjectorEnsemble
from bench.losses.pixels import Sampling
from bench.losses.representation import Representation
from bench.plan.recipe import Recipe, Schedule
from bench.tasks import TASKS
from bench.train import group
from bench.train.group import train_group
from bench.train.learner import Learner, lr_factor, snapshot_steps
from datasets.clips import ClipStream, VideoClips
from datasets.davis import open_davis
from methods.borrowed import rest_of, take_over

SCHEDULE = Schedule(steps=4, batch=2, crop=32, lr=1e-3, snapshots=2)
PLAIN = Recipe.of(PolyCrossEntropy())
DISTILLED = Recipe.of(PolyCrossEntropy(), Representation(1.0), Logits(0.1), name="distilled")
RANDOM = dataclasses.replace(DISTILLED, sampling=Sampling("random"))

VIDEOS = TASKS["videos"]


@pytest.fixture
def clips(tiny_davis):
    return ClipStream(VideoClips(open_davis(tiny_davis, 2017, "train"), size=32, seed=0), 4, 2)


def make_teacher():
    torch.manual_seed(1)
    return methods.create("stcn", width=0.125).requires_grad_(False)


@pytest.fixture
def teacher():
    return make_teacher()


def learner(folder, recipe=DISTILLED, schedule=SCHEDULE, name="mobilevos_r18") -> Learner:
    teacher = make_teacher()
    torch.manual_seed(0)
    method = methods.create(name, width=0.25)
    return Learner(name, method, recipe, schedule, folder, {}, VIDEOS, teacher=teacher)


def weights(folder) -> dict[str, torch.Tensor]:
    return torch.load(folder / "weights.pt", weights_only=True)["state_dict"]


def assert_same(a: dict, b: dict, **tolerance) -> None:
    for key, value in a.items():
        torch.testing.assert_close(value, b[key], **tolerance, msg=lambda text, key=key: f"{key}: {text}")


def test_the_same_seed_gives_the_same_weights(tmp_path, clips, teacher):
    for name in ("a", "b"):
        train_group([learner(tmp_path / name)], clips, SCHEDULE, 0, teacher, "cpu")
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"), atol=0, rtol=0)


def test_training_changes_the_weights_and_the_recipe_matters(tmp_path, clips, teacher):
    train_group([learner(tmp_path / "a")], clips, SCHEDULE, 0, teacher, "cpu")
    train_group([learner(tmp_path / "b", RANDOM)], clips, SCHEDULE, 0, teacher, "cpu")
    start = learner(tmp_path / "c").method.state_dict()["decoder.pred.weight"]
    after = [weights(tmp_path / name)["decoder.pred.weight"] for name in "ab"]
    assert not torch.equal(after[0], start)
    assert not torch.equal(after[0], after[1])


def test_students_trained_side_by_side_equal_students_trained_alone(tmp_path, clips, teacher):
    together = [
        learner(tmp_path / "t0"),
        learner(tmp_path / "t1", RANDOM),
        learner(tmp_path / "t2", PLAIN, name="mobilevos_mnv2"),
    ]
    train_group(together, clips, SCHEDULE, 0, teacher, "cpu")
    train_group([learner(tmp_path / "a0")], clips, SCHEDULE, 0, teacher, "cpu")
    train_group([learner(tmp_path / "a1", RANDOM)], clips, SCHEDULE, 0, teacher, "cpu")
    train_group([learner(tmp_path / "a2", PLAIN, name="mobilevos_mnv2")], clips, SCHEDULE, 0, None, "cpu")
    for number in range(3):
        assert_same(weights(tmp_path / f"t{number}"), weights(tmp_path / f"a{number}"))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe.of(PolyCrossEntropy(), MutualInformation(1.0)),
        Recipe.of(PolyCrossEntropy(), Correlation(0.1)),
        Recipe.of(PolyCrossEntropy(), Hint(1.0)),
        Recipe.of(PolyCrossEntropy(), AttentionTransfer(1.0)),
        Recipe.of(PolyCrossEntropy(), Representation(1.0), sampling=Sampling("uncertainty")),
        Recipe.of(PolyCrossEntropy(), Representation(1.0), sampling=Sampling("all")),
        Recipe.of(PolyCrossEntropy(share=0.15, start=0.0, end=0.5)),
        Recipe.of(PolyCrossEntropy(), Jaccard(1.0)),
        Recipe.of(PolyCrossEntropy(), Inter(1.0)),
        Recipe.of(PolyCrossEntropy(), Intra(1.0)),
        Recipe.of(PolyCrossEntropy(), ProjectorEnsemble(1.0)),
    ],
    ids=lambda recipe: ", ".join([*recipe.losses, recipe.sampling.pixels]),
)
def test_every_loss_teaches(tmp_path, clips, teacher, recipe):
    """The weights differ from those of the plain recipe, and only the method's own are kept."""
    schedule = dataclasses.replace(SCHEDULE, steps=2)
    train_group([learner(tmp_path / "a", PLAIN, schedule)], clips, schedule, 0, teacher, "cpu")
    train_group([learner(tmp_path / "b", recipe, schedule)], clips, schedule, 0, teacher, "cpu")
    plain, changed = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert plain.keys() == changed.keys()
    assert not torch.equal(plain["decoder.pred.weight"], changed["decoder.pred.weight"])


def test_a_decoupled_student_learns_its_encoder_and_keeps_the_teachers_rest(tmp_path, clips):
    """Nothing else moves, normalisation's statistics included, and it comes nearer to the teacher's features."""
    recipe = Recipe.of(Decoupled(1.0), rest="frozen")
    schedule = dataclasses.replace(SCHEDULE, steps=12, warmup=0.0)
    torch.manual_seed(1)
    teacher = methods.create("mobilevos_r18", width=0.25).requires_grad_(False)
    torch.manual_seed(0)
    method = methods.create("mobilevos_r18", width=0.25, encoder="mobilevos_mnv2", encoder_width=0.25)
    take_over(method, teacher)
    for part in rest_of(method).values():
        part.requires_grad_(False)
    student = Learner("student", method, recipe, schedule, tmp_path, {}, VIDEOS, teacher=teacher)
    long = ClipStream(clips.source, 12, 2)
    train_group([student], long, schedule, 0, teacher, "cpu")
    after, before = weights(tmp_path), teacher.state_dict()
    kept = [key for key in before if not key.startswith("query_encoder.")]
    assert all(torch.equal(after[key], before[key]) for key in kept)
    losses = [point["decoupled"] for point in student.curve]
    assert sum(losses[-3:]) < sum(losses[:3])


class Poisoned:
    """Clips whose labels after the first frame, which is given at test time too, are noise."""

    def __init__(self, source):
        self.source = source

    def clip(self, number, max_skip):
        frames, masks = self.source.clip(number, max_skip)
        noise = np.random.default_rng(number).integers(0, masks[0].max() + 1, masks.shape, np.uint8)
        return frames, np.concatenate([masks[:1], noise[1:]])


@pytest.mark.parametrize("labels", ["teacher", "truth"])
def test_labels_are_read_only_by_recipes_that_name_them(tmp_path, clips, teacher, labels):
    recipe = Recipe.of(PolyCrossEntropy(0.5), Dice(1.0), Inter(1.0), Intra(1.0), labels=labels)
    poisoned = ClipStream(Poisoned(clips.source), 4, 2)
    train_group([learner(tmp_path / "clean", recipe)], clips, SCHEDULE, 0, teacher, "cpu")
    train_group([learner(tmp_path / "poisoned", recipe)], poisoned, SCHEDULE, 0, teacher, "cpu")
    clean, other = weights(tmp_path / "clean"), weights(tmp_path / "poisoned")
    assert all(torch.equal(clean[key], other[key]) for key in clean) == (labels == "teacher")


def test_a_layer_towards_the_teacher_resumes_with_the_student(tmp_path, clips, teacher):
    student = learner(tmp_path, Recipe.of(PolyCrossEntropy(), Hint(1.0)))
    batch = next(VIDEOS.batches(clips, SCHEDULE, 0, "cpu"))
    student.learn(batch, VIDEOS.teach(teacher, batch, [student], "fp32"), 0)
    student.save()
    fresh = learner(tmp_path, Recipe.of(PolyCrossEntropy(), Hint(1.0)))
    fresh.resume()
    assert_same(student.projectors.state_dict(), fresh.projectors.state_dict(), atol=0, rtol=0)


def test_snapshots_lie_evenly_on_the_last_half_and_end_with_it(tmp_path, clips, teacher):
    train_group([learner(tmp_path)], clips, SCHEDULE, 0, teacher, "cpu")
    assert snapshot_steps(SCHEDULE) == [3, 4]
    files = sorted((tmp_path / "snapshots").iterdir())
    assert [file.name for file in files] == ["0000003.pt", "0000004.pt"]
    last = torch.load(files[-1], weights_only=True)["state_dict"]
    assert_same(last, weights(tmp_path), atol=0, rtol=0)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_an_interrupted_training_ends_at_the_same_weights(tmp_path, clips, teacher, monkeypatch, ema):
    schedule = dataclasses.replace(SCHEDULE, ema=ema)
    train_group([learner(tmp_path / "whole", schedule=schedule)], clips, schedule, 0, teacher, "cpu")
    monkeypatch.setattr(group, "SECONDS_BETWEEN_CHECKPOINTS", -1)

    class Killed(BaseException):
        pass

    unlucky = learner(tmp_path / "parts", schedule=schedule)
    honest = unlucky.learn

    def learn(*arguments):
        if unlucky.step == 3:
            raise Killed
        return honest(*arguments)

    unlucky.learn = learn
    with pytest.raises(Killed):
        train_group([unlucky], clips, schedule, 0, teacher, "cpu")
    resumed = learner(tmp_path / "parts", schedule=schedule)
    train_group([resumed], clips, schedule, 0, teacher, "cpu")
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    assert [point["step"] for point in resumed.curve] == [0, 1, 2, 3]
    assert sorted(p.name for p in (tmp_path / "parts").iterdir()) == ["snapshots", "weights.pt"]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path):
    student = learner(tmp_path)
    student.step = 1
    student.save()
    student.step = 2
    student.save()
    (tmp_path / "last.pt").write_bytes(b"half a file")
    fresh = learner(tmp_path)
    fresh.resume()
    assert fresh.step == 1


def test_averaged_weights_follow_the_current_ones(tmp_path, clips, teacher):
    schedule = dataclasses.replace(SCHEDULE, ema=0.5)
    student = learner(tmp_path, schedule=schedule)
    start = {key: value.clone() for key, value in student.method.state_dict().items()}
    train_group([student], clips, schedule, 0, teacher, "cpu")
    key = "decoder.pred.weight"
    moved = (student.method.state_dict()[key] - start[key]).norm()
    behind = (student.method.state_dict()[key] - weights(tmp_path)[key]).norm()
    assert 0 < behind < moved


def test_frozen_normalisation_keeps_its_statistics(tmp_path, clips):
    student = learner(tmp_path, PLAIN)
    student.freeze_norm = True
    before = student.method.query_encoder.bn1.running_mean.clone()
    train_group([student], clips, SCHEDULE, 0, None, "cpu")
    torch.testing.assert_close(student.method.query_encoder.bn1.running_mean, before)


def test_the_learning_rate_warms_up_and_decays_to_zero():
    schedule = Schedule(steps=100, warmup=0.1)
    factors = [lr_factor(step, schedule) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[-1] < 1e-3


def test_the_learning_rate_can_fall_as_aot_s():
    """Its official code: poly of power 0.9 to a twentieth."""
    schedule = Schedule(steps=101, warmup=0.01, decay="poly", lr_end=0.05)
    factors = [lr_factor(step, schedule) for step in range(101)]
    assert factors[51] == pytest.approx(0.05 + 0.95 * 0.5**0.9)
    assert factors[100] == pytest.approx(0.05 + 0.95 * 0.01**0.9)


def test_the_encoder_of_frames_can_stay_as_it_is(tmp_path, clips):
    schedule = dataclasses.replace(SCHEDULE, steps=1, backbone_lr=0.0, weight_decay=0.0, warmup=0.0)
    student = learner(tmp_path, PLAIN, schedule)
    before = {key: value.clone() for key, value in student.method.named_parameters()}
    train_group([student], clips, schedule, 0, None, "cpu")
    moved = {key for key, value in student.method.named_parameters() if not torch.equal(value, before[key])}
    assert any(key.startswith("memory_encoder.") for key in moved)
    assert not any(key.startswith("query_encoder.") for key in moved)


def test_the_encoder_of_frames_can_learn_slower(tmp_path, clips):
    """AdamW moves a weight by about its learning rate in each of its first steps."""
    schedule = dataclasses.replace(SCHEDULE, backbone_lr=0.1, weight_decay=0.0)
    student = learner(tmp_path, PLAIN, schedule)
    before = {key: value.detach().clone() for key, value in student.method.named_parameters()}
    train_group([student], clips, schedule, 0, None, "cpu")
    moved = {
        key: float((value.detach() - before[key]).abs().max()) for key, value in student.method.named_parameters()
    }
    encoder = max(most for key, most in moved.items() if key.startswith("query_encoder."))
    rest = max(most for key, most in moved.items() if not key.startswith("query_encoder."))
    assert encoder == pytest.approx(0.1 * rest, rel=0.2)


def test_the_learning_rate_can_drop_once():
    schedule = Schedule(steps=100, warmup=0.0, decay="step", drop_at=0.8)
    factors = [lr_factor(step, schedule) for step in range(100)]
    assert factors[:80] == [1.0] * 80
    assert factors[80:] == [0.1] * 20


@pytest.mark.parametrize("clip_grad", [1e-6, None])
def test_a_gradient_is_scaled_to_a_norm_or_left_as_it_is(tmp_path, clips, clip_grad):
    schedule = dataclasses.replace(SCHEDULE, steps=1, clip_grad=clip_grad)
    student = learner(tmp_path, PLAIN, schedule)
    train_group([student], clips, schedule, 0, None, "cpu")
    norm = torch.cat([p.grad.flatten() for p in student.method.parameters() if p.grad is not None]).norm()
    assert norm == pytest.approx(1e-6, rel=1e-2) if clip_grad else norm > 0.1


@pytest.mark.parametrize("clip_grad", [1.0, None])
def test_a_gradient_that_is_not_finite_ends_the_training_clipped_or_not(tmp_path, clips, clip_grad):
    schedule = dataclasses.replace(SCHEDULE, steps=1, clip_grad=clip_grad)
    student = learner(tmp_path, PLAIN, schedule)
    next(student.method.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    train_group([student], clips, schedule, 0, None, "cpu")
    assert "gradient norm nan" in student.failure or "gradient norm inf" in student.failure
