"""What a metric of masks is; `bench.score.metrics` is the table of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A number for each frame and object, whose mean over the frames and then the objects becomes a column.

    of_frame: (prediction, ground truth, ids of N objects) -> finite float (N,), in [0, 1] where `unit` is "%": it
    is shown times 100. Both masks are integer (H, W) object ids, 0 = background, without void. It must be a
    function of a module, so that it can be sent to other processes.
    title, digits, better ("higher" or "lower") and note are those of its column.
    """

    name: str
    title: str
    of_frame: Callable[[np.ndarray, np.ndarray, Sequence[int]], np.ndarray]
    digits: int = 1
    unit: str = "%"
    better: str = "higher"
    note: str = ""
