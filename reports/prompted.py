"""Networks that answer prompts (ablation=decoupled): what stands below their table."""

import json

import pandas as pd

from bench.record import Record
from reports.markdown import markdown_table
from reports.published import load_quantities
from reports.published.words import NAMES
from reports.rows import group_rows, succeeded
from reports.texts import MISSING

BY_DISTANCE = "miou_distances."  # begins the field of a published figure of Table 7
DISTANCES = "## Distance of a background point (pixels of an input of 1024)"


def prompted_sections(records: list[Record]) -> list[str]:
    """mIoU by distance, where it was measured, and what is published, as lines of Markdown."""
    distances = distance_table(records)
    lines = [] if distances.empty else ["", DISTANCES, "", *markdown_table(distances)]
    return [*lines, "", "## Published", "", "Not measured here.", "", *markdown_table(_published_table())]


def distance_table(records: list[Record]) -> pd.DataFrame:
    """mIoU with the teacher's masks by the distance of a background point, measured rows and published ones."""
    rows = []
    for name, cells in group_rows(records).items():
        means = miou_by_distance(cells)
        if means is not None:
            rows.append({"Method": name, **{f"{d}": f"{miou:.1f}" for d, miou in means.items()}})
    if not rows:
        return pd.DataFrame()
    for name, shown in published_distances().items():
        rows.append({"Method": f"{name} (published)", **{f"{d}": f"{miou:g}" for d, miou in shown.items()}})
    table = pd.DataFrame(rows).fillna(MISSING)
    return table[["Method", *sorted(table.columns.drop("Method"), key=int)]]


def miou_by_distance(cells: list[Record]) -> pd.Series | None:
    """mIoU (percent) with the teacher's masks by the distance of a background point, averaged over the cells."""
    found = [json.loads(cell.miou_distances) for cell in succeeded(cells) if cell.miou_distances]
    if not found:
        return None
    mean = pd.DataFrame(found).astype(float).mean().dropna()
    mean.index = mean.index.astype(int)
    return mean.sort_index()


def published_distances() -> dict[str, dict[int, float]]:
    """MobileSAM's Table 7 by method: mIoU (percent) by the distance of a background point."""
    cells = load_quantities()
    cells = cells[cells["field"].str.startswith(BY_DISTANCE)]
    distances, values = (
        cells["field"].str.removeprefix(BY_DISTANCE).astype(int),
        100 * cells["value"].astype(float),
    )
    groups = cells.groupby("method").groups
    return {NAMES[method]: dict(zip(distances[of], values[of], strict=True)) for method, of in groups.items()}


def _published_table() -> pd.DataFrame:
    """What does not stand beside the measured rows: how the networks were trained, and how fast they are."""
    cells = load_quantities()
    cells = cells[~cells["field"].str.startswith(BY_DISTANCE)]
    texts = cells.replace("", MISSING).rename(columns=str.capitalize).assign(Method=cells["method"].map(NAMES))
    return texts[["Method", "Variant", "Setting", "Quantity", "Value", "Source", "Note"]]
