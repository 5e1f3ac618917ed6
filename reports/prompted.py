"""Records of networks that answer prompts (ablation=decoupled) as a table: mIoU with the teacher's masks."""

import json
from pathlib import Path
from statistics import median

import pandas as pd

from bench.record import Record
from reports.comparison import compare
from reports.markdown import markdown_table
from reports.published import load_quantities
from reports.published.words import NAMES
from reports.rows import distinct, group_rows, mean_and_deviation, succeeded, values
from reports.table import Table
from reports.texts import MISSING, difference, interval, shortened, spread, three_digits

MEASURES = {"mIoU": "miou", "mIoU, boxes": "miou_boxes", "mIoU with labels": "miou_truth"}
BY_DISTANCE = "miou_distances."  # begins the field of a published figure of Table 7


def is_prompted(records: list[Record]) -> bool:
    """Whether these records were judged by prompts."""
    return any(record.miou_truth is not None or record.miou is not None for record in records)


def write_prompted_tables(records: list[Record], folder: Path, title: str) -> list[Path]:
    """Write table.md, table.tex and table.csv into `folder` and return their paths."""
    paths = tabulate_prompted(records, title).write(folder)
    distances, published = distance_table(records), _published_table()
    lines = []
    if not distances.empty:
        lines += [
            "",
            "## Distance of a background point (pixels of an input of 1024)",
            "",
            *markdown_table(distances),
        ]
    lines += ["", "## Published", "", "Not measured here.", "", *markdown_table(published)]
    with paths[0].open("a", encoding="utf-8") as page:
        page.write("\n".join([*lines, ""]))
    return paths


def tabulate_prompted(records: list[Record], title: str) -> Table:
    """`prompted_table` with its notes, and the raw numbers."""
    return Table(title, prompted_table(records), _notes(records), _numbers(records))


def prompted_table(records: list[Record]) -> pd.DataFrame:
    """A row per label as text: mIoU in percent ("mean ± sample standard deviation" from two seeds on), its paired
    difference to the first trained row, what the training took, and what is published of the row."""
    compared, published = compare(records), load_quantities()
    published = published[published["field"] == "miou"]
    rows = []
    for name, cells in group_rows(records).items():
        done = succeeded(cells)
        row = {"Method": name}
        row |= {title: spread(*mean_and_deviation(values(done, field))) for title, field in MEASURES.items()}
        if not done:
            row["mIoU"] = shortened(cells[0].status)
        found = compared.get(name)
        row["Δ mIoU"] = row["95 % interval"] = MISSING
        if found is not None:
            row["Δ mIoU"] = difference(found.difference.mean, found.difference.within_noise)
            row["95 % interval"] = interval(found.difference.low, found.difference.high)
        row["Embedding MSE"] = _middle(done, "embedding_mse")
        row["Batch"] = distinct(done, "train_batch") or MISSING
        row["Steps"] = distinct(done, "train_steps") or MISSING
        seconds = values(done, "train_seconds")
        row["Training (min)"] = f"{median(seconds) / 60:.1f}" if seconds else MISSING
        row["Params trained (M)"] = _middle(done, "params_m")
        row["Params full size (M)"] = _middle(done, "params_m_full")
        row["GMACs full size (torch)"] = _middle(done, "gmacs_full")
        row["Encoder, decoder full size (ms)"] = _stage_times(done)
        own = published[published["label"] == cells[0].label]
        row["Published mIoU (full size)"] = " / ".join(f"{100 * float(x):g}" for x in own["value"]) or MISSING
        rows.append(row)
    table = pd.DataFrame(rows)
    references = {found.reference for found in compared.values()}
    table.loc[table["Method"].isin(references), "Δ mIoU"] = "reference"
    return table[[name for name in table if name == "mIoU" or (table[name] != MISSING).any()]]


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
    return {
        NAMES[method]: {
            int(field.removeprefix(BY_DISTANCE)): 100 * float(value)
            for field, value in zip(part["field"], part["value"], strict=True)
        }
        for method, part in cells.groupby("method")
    }


def _notes(records: list[Record]) -> list[str]:
    done = succeeded(records) or records
    trained = [record for record in done if record.train_steps]
    facts = {
        field: distinct(done, field) or "unknown" for field in ("resolution", "device", "scale", "dataset")
    }
    counts = {field: distinct(done, field) or 0 for field in ("frames", "objects")}
    return [
        f"Judged on {facts['dataset']}: {counts['frames']} images, {counts['objects']} points in their objects; "
        f"input {facts['resolution']}; device: {facts['device']}, {distinct(done, 'precision')}; "
        f"scale: {facts['scale']}.",
        "mIoU, in percent: intersection over union of a network's mask with the teacher's for the same prompt (a "
        "point; the box around its object), averaged over the prompts to which the teacher answers with a mask; "
        "with labels: with the object under the point instead.",
        "Δ mIoU is the difference to the row marked reference, paired by image and seed, with a 95 % bootstrap "
        "interval over images and seeds; noise = the interval contains 0.",
        f"Training (our settings, not the paper's) on {distinct(trained, 'train_clips') or 'nothing'}: minutes of "
        "the network's own steps, among the others of the grid; the teacher's embeddings, computed once for all, "
        "and the reading of images are not in them.",
        "Published figures are of the paper's networks at full size, with the masks of SAM's ViT-H as the truth.",
        *(
            f"{name}, seed {cell.seed}: {cell.status.rstrip('.')}."
            for name, cells in group_rows(records).items()
            for cell in cells
            if cell.status != "ok"
        ),
    ]


def _numbers(records: list[Record]) -> pd.DataFrame:
    """Raw numbers per label: means over the seeds, by the names of a record's fields."""
    fields = (*MEASURES.values(), "embedding_mse", "train_batch", "train_steps", "train_seconds", "params_m")
    rows = []
    for name, cells in group_rows(records).items():
        done = succeeded(cells)
        row = {"label": name, "method": cells[0].method, "dataset": cells[0].dataset, "n": len(done)}
        rows.append(row | {field: mean_and_deviation(values(done, field))[0] for field in fields})
    return pd.DataFrame(rows)


def _published_table() -> pd.DataFrame:
    """What does not stand beside the measured rows: how the networks were trained, and how fast they are."""
    cells = load_quantities()
    cells = cells[~cells["field"].str.startswith(BY_DISTANCE)]
    return pd.DataFrame(
        {
            "Method": cells["method"].map(NAMES),
            **{
                title: cells[title.lower()].map(lambda text: text or MISSING)
                for title in ("Variant", "Setting", "Quantity", "Value", "Source", "Note")
            },
        }
    )


def _stage_times(cells: list[Record]) -> str:
    found = [json.loads(cell.stage_ms_full) for cell in cells if cell.stage_ms_full]
    if not found:
        return MISSING
    return " + ".join(three_digits(median(each[stage] for each in found)) for stage in found[0])


def _middle(cells: list[Record], field: str) -> str:
    found = values(cells, field)
    return three_digits(median(found)) if found else MISSING
