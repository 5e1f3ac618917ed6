"""Attention within windows, laid out over the whole map."""

from torch import Tensor


def window_to_map(weights: Tensor, size: tuple[int, int]) -> Tensor:
    """Weights of windows (B, H W, (2 radius + 1)^2) -> the same over the whole map (B, H W, H W)."""
    (height, width), side = size, round(weights.shape[2] ** 0.5)
    radius = side // 2
    padded = weights.new_zeros(*weights.shape[:2], height + 2 * radius, width + 2 * radius)
    for pixel in range(height * width):
        y, x = divmod(pixel, width)
        padded[:, pixel, y : y + side, x : x + side] = weights[:, pixel].unflatten(1, (side, side))
    return padded[:, :, radius : radius + height, radius : radius + width].flatten(2)
