"""A DeAOT student learns from what a DeAOT teacher answers, and from nothing else."""

import pytest
import torch

import methods
from bench.losses.attention import Attention
from bench.losses.masks import Dice
from bench.plan.compose import load_config, to_recipe
from bench.plan.recipe import Recipe, Schedule
from bench.system.errors import ConfigError
from bench.tasks import TASKS
from bench.train.answers import answer, batches, map_number
from bench.train.group import train_group
from bench.train.learner import Learner
from datasets.clips import ClipStream, VideoClips
from datasets.davis import open_davis

SCHEDULE = Schedule(steps=3, batch=2, crop=48, lr=1e-3, snapshots=1)
LABEL_FREE = to_recipe(load_config(["recipe=deaot"]).recipe)
NARROW = {"width": 0.125, "drop": 0.1}

VIDEOS = TASKS["videos"]


def network(name, **options):
    torch.manual_seed(0)
    return methods.create(name, **NARROW, **options)


@pytest.fixture
def clips(tiny_davis):
    return ClipStream(VideoClips(open_davis(tiny_davis, 2017, "train"), size=48, seed=0), 3, 2)


@pytest.fixture
def teacher():
    return network("deaot_l").requires_grad_(False)


def train(folder, recipe, clips, teacher, **options) -> dict[str, torch.Tensor]:
    method = network("deaot_t", **{"attention": "deformable", **options})
    learner = Learner("student", method, recipe, SCHEDULE, folder, {}, VIDEOS, teacher=teacher)
    train_group([learner], clips, SCHEDULE, 0, teacher, "cpu")
    assert learner.failure is None
    return torch.load(folder / "weights.pt", weights_only=True)["state_dict"]


class Poisoned:
    """Clips that say the opposite of the truth wherever a label is: after the first mask, which is given."""

    def __init__(self, source):
        self.source = source

    def clip(self, number, max_skip):
        frames, masks = self.source.clip(number, max_skip)
        masks[1:] = masks[0].max() - masks[1:].clip(max=masks[0].max())
        return frames, masks


def test_no_label_after_the_first_mask_is_read(tmp_path, clips, teacher):
    poisoned = ClipStream(Poisoned(clips.source), 3, 2)
    assert not torch.equal(clips[0]["masks"], poisoned[0]["masks"])
    clean = train(tmp_path / "clean", LABEL_FREE, clips, teacher)
    other = train(tmp_path / "poisoned", LABEL_FREE, poisoned, teacher)
    assert all(torch.equal(clean[key], other[key]) for key in clean)
    labels = Recipe.of(*LABEL_FREE.losses.values(), Dice(1.0), labels="truth")
    differently = train(tmp_path / "labels", labels, clips, teacher)
    poisonous = train(tmp_path / "labels-poisoned", labels, poisoned, teacher)
    assert any(not torch.equal(differently[key], poisonous[key]) for key in clean)


@pytest.mark.parametrize(
    "attention", [Attention(1.5, "kl"), Attention(1.5, "cka", 1), Attention(5.0), Attention(0.0)]
)
@pytest.mark.parametrize("factor", [1, 2])
def test_every_way_of_comparing_attention_teaches_something_else(tmp_path, clips, teacher, attention, factor):
    losses = {**LABEL_FREE.losses, "attention": attention}
    recipe = Recipe.of(*losses.values(), labels="teacher")
    default = train(tmp_path / "a", LABEL_FREE, clips, teacher, attention_factor=factor)
    other = train(tmp_path / "b", recipe, clips, teacher, attention_factor=factor)
    assert any(not torch.equal(default[key], other[key]) for key in default)


def test_there_is_a_map_for_each_frame_after_the_first(clips, teacher):
    batch = next(batches(clips, SCHEDULE, 0, "cpu"))
    with torch.no_grad():
        rollout = answer(teacher, batch, maps=[1, 3])
    assert {number: [len(each) for each in maps] for number, maps in rollout.maps.items()} == {1: [2, 2], 3: [2, 2]}
    for maps in rollout.maps.values():
        for weights in maps:  # of the 4 x 4 pixels that the network sees in 48 x 48
            assert weights.shape[1] == 16
            torch.testing.assert_close(weights.sum(2), torch.ones(2, 16))


def test_maps_that_are_not_there_are_named(teacher):
    assert (map_number(teacher, None), map_number(teacher, 2)) == (3, 2)
    with pytest.raises(ConfigError, match=r"teacher_map=4: the teacher has the maps 1 to 3"):
        map_number(teacher, 4)
    with pytest.raises(ConfigError, match="a MobileVOS has no attention maps"):
        map_number(methods.create("mobilevos_r18", width=0.25), None)
