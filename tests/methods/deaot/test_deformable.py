"""Deformable attention against loops over pixels, torch's own sampling and attention, and its export."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from methods import MethodError
from methods.deaot.deformable import DeformableAttention, DeformableSampler, OffsetNetwork, bilinear_taps, gather


def random(*shape, seed=0, **kw):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **kw)


def moved(module, seed=0, size=0.3):
    """The module in float64 with an offset network that has learned something."""
    torch.manual_seed(seed)
    module = module.double()
    for network in (m for m in module.modules() if isinstance(m, OffsetNetwork)):
        torch.nn.init.normal_(network[0].weight)
        torch.nn.init.normal_(network[-1].weight, std=size)
    return module


def bilinear_kernel(p, q):
    """Equation 4 of the paper."""
    return max(0.0, 1 - abs(p[0] - q[0])) * max(0.0, 1 - abs(p[1] - q[1]))


def brute_force(maps, positions, groups):
    """Equation 3, with the sum over all pixels of the map rather than over the reduced grid."""
    batch, channels, height, width = maps.shape
    grid = positions.shape[-2:]
    sampled = maps.new_zeros(batch, channels, *grid)
    for b in range(batch):
        for c in range(channels):
            points = positions[b * groups + c // (channels // groups)]
            for i in range(grid[0]):
                for j in range(grid[1]):
                    p = points[:, i, j].tolist()
                    sampled[b, c, i, j] = sum(
                        bilinear_kernel(p, (y, x)) * maps[b, c, y, x].item()
                        for y in range(height)
                        for x in range(width)
                    )
    return sampled


@pytest.mark.parametrize("size", [(5, 7), (6, 4), (1, 3), (3, 1)])
def test_sampling_is_the_sum_over_all_pixels(size):
    sampler = moved(DeformableSampler(4, groups=2, factor=2))
    query, maps = random(2, 4, *size), random(2, 6, *size, seed=1)
    with torch.no_grad():
        expected = brute_force(maps, sampler.positions(query), groups=2)
        torch.testing.assert_close(sampler(query, [maps])[0], expected, atol=1e-12, rtol=0)


def test_sampling_at_any_point_is_torchs_grid_sample():
    maps, (y, x) = random(3, 4, 6, 9), torch.rand(2, 3, 200, 1, dtype=torch.float64)
    y, x = (y * 5).requires_grad_(), (x * 8).requires_grad_()
    grid = torch.stack([x / 8 * 2 - 1, y / 5 * 2 - 1], -1)
    expected = F.grid_sample(maps, grid, align_corners=True)[..., 0].transpose(1, 2)
    sampled = gather(maps, bilinear_taps(y, x, 6, 9))
    torch.testing.assert_close(sampled, expected, atol=1e-6, rtol=0)
    weights = random(*sampled.shape, seed=2)
    ours, theirs = (torch.autograd.grad((s * weights).sum(), (y, x)) for s in (sampled, expected))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("size", "factor", "grid"), [((6, 9), 2, (3, 5)), ((7, 4), 3, (3, 2)), ((2, 5), 8, (1, 1))]
)
def test_the_untrained_grid_is_regular_and_reaches_the_borders(size, factor, grid):
    sampler = DeformableSampler(4, groups=2, factor=factor)
    positions = sampler.positions(torch.randn(1, 4, *size))
    assert positions.shape == (2, 2, *grid)
    for axis, (length, count) in enumerate(zip(size, grid, strict=True)):
        expected = torch.linspace(0, length - 1, count) if count > 1 else torch.tensor([(length - 1) / 2])
        along = positions[0, axis, :, 0] if axis == 0 else positions[0, axis, 0]
        torch.testing.assert_close(along, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_reduction_and_offsets_maps_are_read_as_they_are(dtype):
    sampler = DeformableSampler(8, groups=4, factor=1).to(dtype)
    query, maps = torch.randn(2, 8, 30, 53).to(dtype), torch.randn(2, 12, 30, 53).to(dtype)
    assert sampler(query, [maps, query])[0].equal(maps)


def test_without_reduction_and_offsets_the_attention_is_the_vanilla_one():
    attention = DeformableAttention(8, groups=2, factor=1, branches=2).double()
    query, keys, values = random(2, 8, 5, 6), random(3, 2, 8, 5, 6, seed=1), random(3, 2, 12, 5, 6, seed=2)
    gate = F.silu(random(2, 12, 5, 6, seed=3))

    def tokens(maps):
        """(T, B, C, H, W) -> (B, T H W, C)."""
        return maps.permute(1, 0, 3, 4, 2).flatten(1, 3)

    plain = F.scaled_dot_product_attention(tokens(query[None]), tokens(keys), tokens(values))
    expected = plain.transpose(1, 2).reshape(2, 12, 5, 6)
    torch.testing.assert_close(attention(query, [*keys], [*values]), expected)
    torch.testing.assert_close(attention(query, [*keys], [*values], gate), expected * gate)


def test_attention_reads_the_sampled_memory_through_a_gate():
    """Equations 5 to 7, query by query."""
    attention = moved(DeformableAttention(4, groups=2, factor=2, branches=2))
    query, keys, values = random(1, 4, 4, 5), random(2, 1, 4, 4, 5, seed=1), random(2, 1, 8, 4, 5, seed=2)
    u = random(1, 8, 4, 5, seed=3)
    with torch.no_grad():
        read = attention(query, [*keys], [*values], F.silu(u))
        positions = attention.sampler.positions(query)
        sampled = [
            torch.cat([brute_force(part, positions, 2) for part in maps.chunk(branches, 1)], 1).flatten(2)
            for maps, branches in [(k, 1) for k in keys] + [(v, 2) for v in values]
        ]
    k, v = torch.cat(sampled[:2], 2)[0], torch.cat(sampled[2:], 2)[0]
    for y in range(4):
        for x in range(5):
            scores = [math.exp((query[0, :, y, x] @ k[:, n]).item() / math.sqrt(4)) for n in range(k.shape[1])]
            mean = sum(s * v[:, n] for n, s in enumerate(scores)) / sum(scores)
            torch.testing.assert_close(read[0, :, y, x], mean * u[0, :, y, x] / (1 + (-u[0, :, y, x]).exp()))


@pytest.mark.parametrize("groups", [1, 2])
def test_sampling_after_a_linear_projection_is_projecting_what_was_sampled(groups):
    sampler = moved(DeformableSampler(4, groups=groups, factor=2))
    project = torch.nn.Conv2d(3, 6, 1).double()  # W_k or W_v, with a bias
    x, query = random(1, 3, 5, 6), random(1, 4, 5, 6, seed=1)
    with torch.no_grad():
        after = sampler(query, [project(x)])[0]
        positions = sampler.positions(query)
        # Group s of the outputs sees x as sampled at the points of group s.
        rows = [project(brute_force(x, positions[[s]], 1)).chunk(groups, 1)[s] for s in range(groups)]
    torch.testing.assert_close(after, torch.cat(rows, 1))


def test_values_are_sampled_after_silu_which_is_not_silu_of_sampled_values():
    query, v = random(1, 4, 5, 6), random(1, 4, 5, 6, seed=1)
    between, at_pixels = moved(DeformableSampler(4, factor=2)), DeformableSampler(4, factor=1).double()
    with torch.no_grad():
        assert not torch.allclose(between(query, [F.silu(v)])[0], F.silu(between(query, [v])[0]), atol=1e-3)
        assert at_pixels(query, [F.silu(v)])[0].equal(F.silu(at_pixels(query, [v])[0]))


@pytest.mark.parametrize("size", [0.3, 50.0])
def test_points_stay_inside_the_map(size):
    query = random(2, 4, 7, 9)
    points = moved(DeformableSampler(4, groups=2, factor=2), size=size).positions(query).detach()
    assert (points >= 0).all() and (points[:, 0] <= 6).all() and (points[:, 1] <= 8).all()
    if size > 1:
        assert (points == 0).any() and (points[:, 0] == 6).any()


def test_groups_move_alone():
    sampler = moved(DeformableSampler(4, groups=2, factor=1))
    query = random(1, 4, 5, 5)
    other = query.clone()
    other[:, 2:] += 1 + random(1, 2, 5, 5, seed=1)
    maps = random(1, 6, 5, 5, seed=2)
    first, second = sampler(query, [maps])[0], sampler(other, [maps])[0]
    assert first[:, :3].equal(second[:, :3]) and not first[:, 3:].equal(second[:, 3:])


def test_the_layout_of_the_maps_in_memory_does_not_matter():
    attention = moved(DeformableAttention(8, groups=2, factor=2, branches=2))
    query, key, value = random(2, 8, 5, 6), random(2, 8, 10, 6, seed=1), random(2, 16, 10, 6, seed=2)
    last = [each.contiguous(memory_format=torch.channels_last) for each in (query, key, value)]
    plain, other = (attention(q, k.split(5, 2), v.split(5, 2)) for q, k, v in ((query, key, value), last))
    torch.testing.assert_close(plain, other)


def test_gradients_reach_the_offset_network():
    attention = DeformableAttention(8, groups=2, factor=2).double()
    query, key, value = (random(1, 8, 6, 7, seed=seed) for seed in range(3))

    def gradients(module):
        module.zero_grad()
        module(query, [key], [value]).pow(2).sum().backward()
        first, last = module.sampler.offsets[0], module.sampler.offsets[-1]
        return first.weight.grad.abs().max(), last.weight.grad.abs().max()

    at_start = gradients(attention)
    assert at_start[0] == 0 and at_start[1] > 1e-6  # nothing passes a layer of zeros, but it learns itself
    assert min(gradients(moved(copy.deepcopy(attention)))) > 1e-6


def test_gradient_of_the_attention():
    attention = moved(DeformableAttention(2, groups=1, factor=2), size=0.1)
    inputs = [random(1, 2, 3, 4, seed=seed, requires_grad=True) for seed in range(4)]
    assert torch.autograd.gradcheck(lambda q, k, v, u: attention(q, [k], [v], F.silu(u)), inputs)


def test_the_last_pixel_has_a_slope_to_learn_from():
    maps = torch.arange(5.0).square()[None, None, None]  # 0 1 4 9 16
    x = torch.tensor([[[0.0], [4.0]]], requires_grad=True)
    gather(maps, bilinear_taps(torch.zeros_like(x), x, 1, 5)).sum().backward()
    assert x.grad.flatten().tolist() == [1.0, 7.0]


def test_a_diverged_network_answers_nan_and_does_not_crash():
    sampler, query = moved(DeformableSampler(4, groups=1)), random(1, 4, 4, 4)
    query[0, 0, 0, 0] = torch.nan
    assert sampler(query, [random(1, 2, 4, 4)])[0].isnan().any()


def test_export_has_plain_operators_only():
    torch.manual_seed(0)
    attention = moved(DeformableAttention(8, groups=2, factor=2, branches=2)).float()
    narrow, wide = torch.randn(4, 1, 8, 6, 8), torch.randn(3, 1, 16, 6, 8)
    inputs = (narrow[0], [narrow[1], narrow[2]], [wide[0], wide[1]], wide[2])
    exported = torch.export.export(attention, inputs).run_decompositions()
    calls = [node for node in exported.graph.nodes if node.op == "call_function"]
    assert sum("index_select" in str(node.target) for node in calls) == 4 * 6  # two keys, four parts of values
    assert not [node for node in calls if "grid_sampler" in str(node.target)]
    assert max(node.meta["val"].ndim for node in calls if hasattr(node.meta.get("val"), "ndim")) <= 4
    softmax = [node for node in calls if "softmax" in str(node.target)]
    assert [node.args[1] for node in softmax] in ([-1], [2])
    torch.testing.assert_close(exported.module()(*inputs), attention(*inputs))


@pytest.mark.parametrize(("channels", "groups", "factor"), [(6, 4, 1), (8, 2, 0)])
def test_settings_that_do_not_fit_are_named(channels, groups, factor):
    with pytest.raises(MethodError, match=f"{channels} channels, {groups} groups, factor {factor}"):
        DeformableSampler(channels, groups, factor)


@pytest.mark.parametrize("shape", [(1, 8, 4, 5), (1, 6, 4, 4)])
def test_maps_that_do_not_fit_are_named(shape):
    with pytest.raises(MethodError, match=rf"cannot sample a map \({shape[0]}, {shape[1]}, {shape[2]}"):
        DeformableSampler(8, groups=4)(torch.ones(1, 8, 4, 4), [torch.ones(shape)])
