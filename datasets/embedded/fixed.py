"""Fixed-point numbers: the embedded set is the same bytes on every machine because no float touches a pixel.

NumPy's float sine and exponential differ in the last bit between processors; integers do not. Angles
are integers in TURN-ths of a full turn, sines are scaled by 1 << SINE_BITS, positions and lengths are in
1/256 px (`PX`), texture coordinates in 1/65536 texel.
"""

import math

import numpy as np

PX = 256
TURN = 4096
SINE_BITS = 14
# Rounding to 14 bits hides the last-bit differences between C libraries.
SINE = np.array([round(math.sin(2 * math.pi * i / TURN) * (1 << SINE_BITS)) for i in range(TURN)])


def sine(angle: np.ndarray | int) -> np.ndarray:
    """Sine of integer angle(s), times 1 << SINE_BITS."""
    return SINE[angle & (TURN - 1)]


def cosine(angle: np.ndarray | int) -> np.ndarray:
    """Cosine of integer angle(s), times 1 << SINE_BITS."""
    return SINE[(angle + TURN // 4) & (TURN - 1)]


def spline(controls: np.ndarray, frames: int, every: int) -> np.ndarray:
    """Smooth curve near `controls`, integer (M,) or (M, D), one point per frame: (frames, ...).

    A uniform cubic B-spline with a control point each `every` frames, frame 0 beside controls[1]: its
    weights are whole numbers over 6 * every**3. M must be at least (frames - 1) // every + 4.
    """
    segment, f = np.divmod(np.arange(frames), every)
    k = every
    weights = (
        (k - f) ** 3,
        3 * f**3 - 6 * f**2 * k + 4 * k**3,
        -3 * f**3 + 3 * f**2 * k + 3 * f * k**2 + k**3,
        f**3,
    )
    shape = (-1,) + (1,) * (controls.ndim - 1)
    total = sum(weight.reshape(shape) * controls[segment + i] for i, weight in enumerate(weights))
    return total // (6 * k**3)
