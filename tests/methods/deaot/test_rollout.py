"""DeAOT on clips in training: what it answers is what its inference answers, and everything learns."""

import copy

import pytest
import torch

import methods
from methods.noise import Drop


def network(name: str = "deaot_t", **options):
    torch.manual_seed(0)
    method = methods.create(name, **{"width": 0.25, "frozen": True, "drop": 0.0, **options})
    for weight in method.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    return method


def clips(size=(48, 64), length: int = 5):
    """Two clips: the first has objects 1 and 2, the second 1 and 3 of three."""
    frames = torch.rand(2, length, 3, *size, generator=torch.Generator().manual_seed(0))
    valid = torch.tensor([[True, True, False], [True, False, True]])
    masks = torch.zeros(2, 3, *size)
    masks[:, 0, 4:20, 4:30] = 1
    masks[0, 1, 24:44, 20:50] = 1
    masks[1, 2, 24:44, 20:50] = 1
    return frames, masks, valid


@pytest.mark.parametrize(("name", "gap"), [("deaot_t", 9999), ("deaot_l", 2)])
@pytest.mark.parametrize("size", [(49, 65), (48, 60)])
def test_a_roll_out_answers_as_stepping_through_each_clip_does(name, gap, size):
    method = network(name, long_term_gap=gap, train_gap=gap)
    frames, masks, valid = clips(size)
    with torch.no_grad():
        rollout = method.roll_out(frames, masks, valid)
    assert rollout.logits.shape == (2, 4, 4, *size)
    assert rollout.embeddings.shape == (4, 4, method.embedding_channels, size[0] // 4, size[1] // 4)
    assert torch.equal(rollout.valid, valid)
    probabilities = rollout.logits.softmax(2)
    torch.testing.assert_close(probabilities.sum(2), torch.ones(2, 4, *size))
    assert not probabilities[0, :, 3].any()
    assert not probabilities[1, :, 2].any()
    method.start(frames[0, 0], (masks[0, 0] + 2 * masks[0, 1]).long())
    for t, frame in enumerate(frames[0, 1:]):
        torch.testing.assert_close(probabilities[0, t, :3], method.step(frame), atol=1e-5, rtol=0)


def test_training_draws_the_slots_of_the_objects():
    """Which is the same as exchanging the bank's kernels and the classifier's rows."""
    method = network()
    frames, masks, valid = (each[:1] for each in clips())
    slots = [0, *(torch.randperm(10, generator=torch.Generator().manual_seed(3)) + 1).tolist()]
    exchanged = copy.deepcopy(method)
    exchanged.patch_wise_id_bank.weight.data = method.patch_wise_id_bank.weight.data[:, slots]
    exchanged.decoder.conv_out.weight.data = method.decoder.conv_out.weight.data[slots]
    exchanged.decoder.conv_out.bias.data = method.decoder.conv_out.bias.data[slots]
    drawn = method.train().roll_out(frames, masks, valid, torch.Generator().manual_seed(3))
    torch.testing.assert_close(drawn.logits, exchanged.roll_out(frames, masks, valid).logits)
    assert not torch.allclose(drawn.logits, method.eval().roll_out(frames, masks, valid).logits)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "options", [{}, {"attention": "deformable"}, {"attention": "deformable", "attention_replaced": "both"}]
)
def test_every_part_learns(options, precision):
    method = network("deaot_s", **options, frozen=False, drop=0.1).train()
    frames, masks, valid = clips()
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        rollout = method.roll_out(frames, masks, valid, torch.Generator().manual_seed(0))
    target = torch.cat([1 - masks.sum(1, keepdim=True), masks], 1).argmax(1)
    loss = torch.nn.functional.cross_entropy(rollout.logits.transpose(1, 2)[:, :, 0], target)
    (loss + rollout.logits.transpose(1, 2)[:, :, -1].logsumexp(1).mean()).backward()
    assert loss.isfinite()
    without = [name for name, p in method.named_parameters() if p.grad is None or not p.grad.any()]
    # The offset network's first layer learns once its zero-initialised last one has left zero.
    assert all("attention.sampler.offsets.0" in name for name in without)


def test_frozen_parts_stay_as_loaded():
    method = network().train()
    before = copy.deepcopy(method.state_dict())
    frames, masks, valid = clips()
    method.roll_out(frames, masks, valid).logits[:, :, 0].sum().backward()
    still = {name for name, p in method.named_parameters() if p.grad is None}
    assert still == {n for n, _ in method.named_parameters() if n.startswith(tuple(
        f"encoder.features.{i}." for i in range(4)
    ))}  # fmt: skip
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_more_objects_than_slots_get_one_clear_message():
    with pytest.raises(methods.MethodError, match="11 objects in a clip: give 10 at most"):
        network().roll_out(torch.rand(1, 2, 3, 33, 33), torch.zeros(1, 11, 33, 33), torch.ones(1, 11).bool())


def test_what_is_dropped_depends_on_the_generator_alone():
    method = network(drop=0.5).train()
    drawn = []
    for global_seed, seed in ((0, 0), (1, 0), (0, 1)):
        torch.manual_seed(global_seed)
        drawn.append(method.roll_out(*clips(), torch.Generator().manual_seed(seed)).logits)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])


def test_dropping_keeps_the_mean():
    drop = Drop(0.25, axes=2).train()
    dropped = drop(torch.ones(100, 100, 2, 2))
    assert dropped.mean() == pytest.approx(1, abs=0.03)
    assert dropped.flatten(2).std(2).max() == 0  # a channel stays or goes as a whole
    assert torch.equal(drop.eval()(torch.ones(2, 3)), torch.ones(2, 3))
