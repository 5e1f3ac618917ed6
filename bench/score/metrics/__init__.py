"""The table of metrics: each module of this package holds one, as METRIC. `register` adds one from outside.

Every evaluation has J and F, with a recall and a decay each; `bench.score.accuracy.frame_scores` computes both in
the part of a frame that matters. The further metrics are computed from whole frames; their means are in the field
`metrics` of a record and in scores.json.
"""

from importlib import import_module
from pkgutil import iter_modules

from bench.plan.cells import EXTRA_METRICS
from bench.score.metric import Metric

METRICS: dict[str, Metric] = {}


def register(metric: Metric) -> None:
    """Add a metric: cells are evaluated anew, nothing is trained again. ValueError for a name that is taken."""
    if metric.name in METRICS:
        raise ValueError(f"there is a metric '{metric.name}' already: choose another name")
    METRICS[metric.name] = metric
    if metric.name not in ("j", "f"):
        EXTRA_METRICS.append(metric.name)


def extra_metrics() -> list[Metric]:
    """All but J and F."""
    return [METRICS[name] for name in EXTRA_METRICS]


for _found in iter_modules(__path__, f"{__name__}."):
    register(import_module(_found.name).METRIC)
