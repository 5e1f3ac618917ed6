"""The students: published sizes, bounded memory, training over clips."""

import itertools

import pytest
import torch

import methods

PUBLISHED_PARAMS_M = {"mobilevos_r18": 8.1, "mobilevos_mnv2": 2.5, "mobilevos_mnv2_no_aspp": 1.9}
STUDENTS = ["mobilevos_r18", "mobilevos_r18_no_aspp", "mobilevos_mnv2", "mobilevos_mnv2_no_aspp"]


def params(name: str, **options) -> int:
    return sum(p.numel() for p in methods.create(name, **options).parameters())


@pytest.mark.parametrize(("name", "millions"), PUBLISHED_PARAMS_M.items())
def test_parameters_are_within_3_percent_of_the_published(name, millions):
    assert params(name) == pytest.approx(millions * 1e6, rel=0.03)


def test_without_aspp_only_the_pyramid_is_missing():
    for backbone in ("mobilevos_r18", "mobilevos_mnv2"):
        pyramid = sum(p.numel() for p in methods.create(backbone).decoder.aspp.parameters())
        assert params(backbone) - params(f"{backbone}_no_aspp") == pyramid > 0


@pytest.mark.parametrize("name", STUDENTS)
def test_width_narrows_the_network(name):
    assert params(name, width=0.25) < params(name) / 5


@pytest.mark.parametrize("name", ["mobilevos_r18", "mobilevos_mnv2"])
def test_memory_stays_bounded_over_2000_frames(name):
    method = methods.create(name, width=0.25)
    frame, mask = torch.rand(3, 16, 16), torch.zeros(16, 16, dtype=torch.long)
    mask[4:12, 4:12] = 1
    method.start(frame, mask)
    method.step(frame)
    query = method.encode_query(
        frame[None]
    )  # what the encoders make of 2000 frames takes longest, and is not asked
    value = method.encode_memory(frame[None], query.f16, mask[None].float(), 0 * mask[None].float())
    method.encode_query, method.encode_memory = lambda *_: query, lambda *_: value
    sizes = set()
    for _ in range(2000):
        method.step(frame)
        keys, values = method._memory.read()
        sizes.add((method.memory_frames, keys.untyped_storage().nbytes(), values.untyped_storage().nbytes()))
    assert len(sizes) == 1
    assert sizes.pop()[0] == 2


def clip(objects: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    frames = torch.rand(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    masks = torch.zeros(2, objects, 32, 32)
    masks[:, 0, 4:14, 4:14] = 1
    masks[0, 1:, 18:28, 18:28] = 1
    return frames, masks, masks.flatten(2).any(2)


@pytest.mark.parametrize("name", [*STUDENTS, "stcn"])
def test_roll_out_shapes_and_gradients(name):
    method = methods.create(name, width=0.25).train()
    rollout = method.roll_out(*clip())
    assert rollout.logits.shape == (2, 2, 3, 32, 32)  # clips, frames after the first, background + 2
    assert rollout.embeddings.shape[:2] == (3, 2)  # two objects in the first clip, one in the second
    assert rollout.embeddings.shape[-2:] == (8, 8)
    assert list(zip(rollout.video.tolist(), rollout.slot.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0)]
    rollout.logits.pow(2).mean().backward()
    missing = [n for n, p in method.named_parameters() if p.grad is None]
    assert missing == []


def test_an_object_that_does_not_exist_gets_no_probability():
    method = methods.create("mobilevos_r18", width=0.25)
    probabilities = method.roll_out(*clip()).logits.softmax(2)
    assert probabilities[1, :, 2].max() < 1e-6


def test_past_frames_are_left_out_at_random_in_training_alone():
    """A chance of 1 leaves the first frame, which is all that the second frame reads anyway."""

    def answers(method, seed=0):
        torch.manual_seed(seed)
        return method.roll_out(*clip(), torch.Generator().manual_seed(seed)).logits

    torch.manual_seed(0)
    whole = methods.create("mobilevos_mnv2", width=0.25)
    dropping = methods.create("mobilevos_mnv2", width=0.25, memory_drop=1.0)
    dropping.load_state_dict(whole.state_dict())
    expected = answers(whole)
    torch.testing.assert_close(answers(dropping), expected)
    for part in dropping.children():
        part.eval()  # normalisation, which training would change too
    dropping.training = True
    found = answers(dropping)
    torch.testing.assert_close(found[:, 0], expected[:, 0])
    assert not torch.equal(found[:, 1], expected[:, 1])
    assert torch.equal(answers(dropping, seed=1), found)


RULES = {
    "first and previous": {"queue_length": 2},
    "previous alone": {"queue_length": 1, "write_rule": "last"},
    "first and every third": {"queue_length": 2, "write_rule": "first+every", "memory_every": 3},
    "every third": {"queue_length": None, "write_rule": "first+every", "memory_every": 3},
    "unbounded": {"queue_length": None},
}


def rolled_and_stepped(name: str, **options) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities of the frames after the first of an 8-frame clip: all at once, and frame by frame."""
    torch.manual_seed(0)
    method = methods.create(name, width=0.25, **options)
    frames = torch.rand(1, 8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    masks = clip()[1][:1]
    with torch.inference_mode():
        rolled = method.roll_out(frames, masks, torch.ones(1, 2, dtype=torch.bool)).logits.softmax(2)[0]
    method.start(frames[0, 0], masks[0, 0].long() + 2 * masks[0, 1].long())
    return rolled, torch.stack([method.step(frame) for frame in frames[0, 1:]])


@pytest.mark.parametrize("name", ["mobilevos_r18", "mobilevos_mnv2"])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_clip_is_remembered_as_a_video_is(name, rule):
    rolled, stepped = rolled_and_stepped(name, **rule)
    torch.testing.assert_close(rolled, stepped, atol=1e-5, rtol=0)


def test_rules_of_the_memory_give_different_answers():
    answers = [rolled_and_stepped("mobilevos_r18", **rule)[0] for rule in RULES.values()]
    assert all(not torch.equal(one, other) for one, other in itertools.combinations(answers, 2))


@pytest.mark.parametrize(
    "options", [{"memory_every": 1, "top_k": None}, {"memory_every": 1}, {"memory_every": 3, "train_every": 3}]
)
def test_stcn_remembers_a_clip_every_so_many_frames_too(options):
    rolled, stepped = rolled_and_stepped("stcn", **{"memory_every": 1, **options})
    torch.testing.assert_close(rolled, stepped, atol=1e-5, rtol=0)
