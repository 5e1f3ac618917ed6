"""Networks that answer prompts (ablation=decoupled): what stands below their table."""

import json

import pandas as pd

from bench.record import Record
from reports.published import load_quantities
from reports.published.words import NAMES
from reports.rows import group_rows, succeeded
from reports.table import markdown_table
from reports.texts import MISSING

BY_DISTANCE = "miou_distances."  # begins the field of a published figure of Table 7
DISTANCES = "## Distance of a background point (pixels of an input of 1024)"


def prompted_sections(records: list[Record]) -> list[str]:
    """mIoU by distance, where it was measured, and what is published, as lines of Markdown."""
    distances, cells = distance_table(records), load_quantities()
    # What does not stand beside the measured rows: how the networks were trained, and how fast they are.
    cells = cells[~cells["field"].str.startswith(BY_DISTANCE)].replace("", MISSING)
    cells = cells.assign(method=cells["method"].map(NAMES)).rename(columns=str.capitalize)
    published = markdown_table(cells[["Method", "Variant", "Setting", "Quantity", "Value", "Source", "Note"]])
    lines = [] if distances.empty else ["", DISTANCES, "", *markdown_table(distances)]
    return [*lines, "", "## Published", "", "Not measured here.", "", *published]


def distance_table(records: list[Record]) -> pd.DataFrame:
    """mIoU with the teacher's masks by the distance of a background point, measured rows and published ones."""
    lines = {name: miou_by_distance(cells).map("{:.1f}".format) for name, cells in group_rows(records).items()}
    measured = {name: line for name, line in lines.items() if len(line)}
    if not measured:
        return pd.DataFrame()
    published = {f"{name} (published)": line.map("{:g}".format) for name, line in published_distances().items()}
    table = pd.DataFrame(measured | published).T.sort_index(axis=1).fillna(MISSING)
    return table.rename(columns=str).rename_axis("Method").reset_index()


def miou_by_distance(cells: list[Record]) -> pd.Series:
    """mIoU (percent) with the teacher's masks by the distance of a background point, averaged over the cells that
    succeeded; empty where none measured it."""
    found = [json.loads(cell.miou_distances) for cell in succeeded(cells) if cell.miou_distances]
    mean = pd.DataFrame(found, dtype=float).mean().dropna()
    return mean.set_axis(mean.index.astype(int)).sort_index()


def published_distances() -> dict[str, pd.Series]:
    """MobileSAM's Table 7 by method: mIoU (percent) by the distance of a background point."""
    cells = load_quantities()
    cells = cells[cells["field"].str.startswith(BY_DISTANCE)]
    distances = cells["field"].str.removeprefix(BY_DISTANCE).astype(int)
    values = (100 * cells["value"].astype(float)).set_axis(distances)
    return {NAMES[method]: line for method, line in values.groupby(cells["method"].to_numpy())}
