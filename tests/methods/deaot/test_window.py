"""Attention within a window equals dense attention with everything outside the window masked out."""

import pytest
import torch
from windows import window_to_map

from methods.deaot.window import window_readout, window_scores


def dense(query, key, value, bias, radius):
    """The definition: all pairs of pixels, -inf where the key is outside the query's window."""
    height, width = query.shape[2:]
    y, x = (axis.flatten() for axis in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    dy, dx = y - y[:, None], x - x[:, None]
    near = (dy.abs() <= radius) & (dx.abs() <= radius)
    offset = ((dy + radius) * (2 * radius + 1) + dx + radius).where(near, 0)
    scores = query.flatten(2).transpose(1, 2) @ key.flatten(2)
    scores = scores + bias.gather(2, offset.expand(len(query), -1, -1))
    weights = scores.masked_fill(~near, -torch.inf).softmax(2)
    return weights, weights @ value.flatten(2).transpose(1, 2)


def problem(height, width, radius, batch=2):
    generator = torch.Generator().manual_seed(height * width)
    draw = (
        (batch, 8, height, width),
        (batch, 8, height, width),
        (batch, 12, height, width),
        (batch, height * width, (2 * radius + 1) ** 2),
    )
    return [torch.randn(shape, generator=generator) for shape in draw]


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (16, 28), (21, 34)])
@pytest.mark.parametrize("tile", [(8, 16), (1, 4), (100, 100)])
@pytest.mark.parametrize("radius", [0, 2, 7])
def test_window_attention_is_masked_dense_attention(size, tile, radius):
    query, key, value, bias = problem(*size, radius)
    expected_weights, expected = dense(query, key, value, bias, radius)
    weights = (window_scores(query, key, radius, tile) + bias).softmax(2)
    torch.testing.assert_close(window_to_map(weights, size), expected_weights, atol=1e-5, rtol=0)
    read = window_readout(weights, value, radius, tile)
    torch.testing.assert_close(read, expected, atol=1e-5, rtol=0)


def test_gradients_are_those_of_masked_dense_attention():
    ours, theirs = [], []
    for found, inputs in ((ours, problem(9, 20, 3)), (theirs, problem(9, 20, 3))):
        query, key, value, bias = (x.requires_grad_() for x in inputs)
        if found is ours:
            weights = (window_scores(query, key, 3) + bias).softmax(2)
            read = window_readout(weights, value, 3)
        else:
            _, read = dense(query, key, value, bias, 3)
        read.pow(2).sum().backward()
        found += [x.grad for x in (query, key, value, bias)]
    for mine, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-4, rtol=1e-4)
