"""Attention of every pixel to a square window around it, computed tile by tile.

A tile of queries meets only the patch of keys that their windows cover: one small matrix product in place of
a row of the dense HW x HW one. Windows end at the border of the map.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Queries at a time (rows, columns); measured at 16x28 and 31x55, see tests/methods/deaot/test_speed.py
TILE = (8, 16)
Slices = tuple[slice, slice]
TileWork = Callable[[Slices, Slices, Tensor], Tensor]


def window_scores(query: Tensor, key: Tensor, radius: int, tile: tuple[int, int] = TILE) -> Tensor:
    """query, key (B, C, H, W) -> dot products (B, H W, (2 radius + 1)^2), -inf beyond the border.

    Entry (2 radius + 1) i + j of pixel (y, x) belongs to the key at (y + i - radius, x + j - radius).
    """
    query, key = query.permute(0, 2, 3, 1), key.permute(0, 2, 3, 1)

    def scores(own: Slices, seen: Slices, index: Tensor) -> Tensor:
        products = query[:, *own].flatten(1, 2) @ key[:, *seen].flatten(1, 2).transpose(1, 2)
        return F.pad(products, (0, 1), value=-torch.inf).gather(2, index.expand(len(query), -1, -1))

    return _by_tiles(scores, query.shape[1:3], radius, tile, query.device)


def window_readout(weights: Tensor, value: Tensor, radius: int, tile: tuple[int, int] = TILE) -> Tensor:
    """weights (B, H W, (2 radius + 1)^2) of the values (B, C, H, W) in each window -> sums (B, H W, C)."""
    value = value.permute(0, 2, 3, 1)
    weights = weights.unflatten(1, value.shape[1:3])

    def sums(own: Slices, seen: Slices, index: Tensor) -> Tensor:
        patch = value[:, *seen].flatten(1, 2)
        mine = weights[:, *own].flatten(1, 2)
        return _spread(mine, index, patch.shape[1]) @ patch

    return _by_tiles(sums, value.shape[1:3], radius, tile, value.device)


def _by_tiles(work: TileWork, size: Sequence[int], radius: int, tile: tuple[int, int], device) -> Tensor:
    """Call work(own, seen, index) -> (B, queries, C) for every tile and put its answers together (B, H W, C)."""
    rows = []
    for own_rows, seen_rows in _steps(size[0], tile[0], radius):
        row = []
        for own_columns, seen_columns in _steps(size[1], tile[1], radius):
            own, seen = (own_rows, own_columns), (seen_rows, seen_columns)
            answer = work(own, seen, _index(own, seen, size, radius, device))
            row.append(answer.unflatten(1, (own_rows.stop - own_rows.start, -1)))
        rows.append(torch.cat(row, 2))
    return torch.cat(rows, 1).flatten(1, 2)


def _steps(length: int, step: int, radius: int) -> Iterator[Slices]:
    """Parts of one axis, each with what its windows cover."""
    for start in range(0, length, step):
        stop = min(start + step, length)
        yield slice(start, stop), slice(max(start - radius, 0), min(stop + radius, length))


def _index(own: Slices, seen: Slices, size: Sequence[int], radius: int, device) -> Tensor:
    """Where in the patch each query's window lies: int64 (queries, window), its length for beyond the border."""
    offsets = torch.arange(-radius, radius + 1, device=device)
    y, x = (torch.arange(part.start, part.stop, device=device)[:, None] + offsets for part in own)
    height, width = (part.stop - part.start for part in seen)
    inside = ((y >= 0) & (y < size[0]))[:, None, :, None] & ((x >= 0) & (x < size[1]))[None, :, None, :]
    flat = (y - seen[0].start)[:, None, :, None] * width + (x - seen[1].start)[None, :, None, :]
    return torch.where(inside, flat, height * width).flatten(2).flatten(0, 1)


def _spread(weights: Tensor, index: Tensor, length: int) -> Tensor:
    """(B, queries, window) -> (B, queries, length), zero outside the windows."""
    spread = weights.new_zeros(*weights.shape[:2], length + 1)
    return spread.scatter(2, index.expand(len(weights), -1, -1), weights)[..., :length]
