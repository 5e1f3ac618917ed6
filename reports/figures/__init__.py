"""Records as plots for a paper: each as png to look at and as pdf, in vectors, to print."""

from pathlib import Path

from bench.record import Record
from reports.figures.accuracy import accuracy_chart
from reports.figures.convergence import convergence_chart, training_chart
from reports.figures.costs import costs_chart, footprint_chart
from reports.figures.curves import sweep_chart
from reports.figures.differences import difference_chart
from reports.figures.growth import growth_chart
from reports.figures.over_time import over_time_charts
from reports.figures.queue import queue_chart
from reports.figures.sequences import sequences_chart

CHARTS = (
    accuracy_chart,
    difference_chart,
    sequences_chart,
    over_time_charts,
    sweep_chart,
    costs_chart,
    footprint_chart,
    queue_chart,
    growth_chart,
    convergence_chart,
    training_chart,
)


def write_figures(records: list[Record], folder: Path) -> list[Path]:
    """Every plot that these records hold enough for; returns the paths of the files."""
    return [path for chart in CHARTS for path in chart(records, folder)]
