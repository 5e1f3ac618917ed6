"""The one result format: a flat record per cell, units in the names. `reports` reads nothing else."""

import json
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

# RGB, told apart by colour-blind readers and in grey: what is wrong in the pictures that `pictures` names
ERROR_COLOURS = {
    "missed": (86, 180, 233),
    "false positive": (213, 94, 0),
    "another object": (240, 228, 66),
    "true boundary": (255, 255, 255),
}
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet's begin with
# What columns say of themselves below a table.
J_AND_F = "J is the region similarity (intersection over union) and F the boundary accuracy, in percent."
MIOU = (
    "mIoU, in percent: intersection over union of a network's mask with the teacher's for the same prompt (a "
    "point; the box around its object), averaged over the prompts to which the teacher answers with a mask; "
    "with labels: with the object under the point instead."
)
MINUTES = (
    "Training: minutes of the network's own steps, among the others of the grid; the teacher's embeddings, "
    "computed once for all, and the reading of images are not in them."
)
MEMORY = "Peak memory counts the tensors alive at the worst moment of a frame; an MB is 2^20 bytes."
COUNTERS = "GMACs are 10^9 multiply-accumulates per frame; the three counters include different operations."


@dataclass(frozen=True)
class Column:
    """How tables and figures show a field of a `Record`, or one of its `metrics`."""

    name: str
    title: str = ""  # empty: it stands in the csv alone
    group: str = "score"  # mean and deviation over the seeds; "cost", "training", "stages": median; "setting"
    digits: int | None = None  # behind the point; None: about three significant ones
    unit: str = ""
    better: str | None = None  # "higher" or "lower"; None: neither
    note: str = ""  # sentence below a table that shows it
    per: float = 1  # how much of the field one `unit` is
    measured: str = ""  # title where nothing was trained (job=measure)
    figure: str = ""  # in which J&F stands against it,
    axis: str = ""  # on an axis of this title

    def heading(self, title: str | None = None) -> str:
        """The title with the unit; percent, the unit of scores, is left out."""
        unit = "" if self.unit in ("", "%") else f" ({self.unit})"
        return (self.title if title is None else title) + unit


def column(default: Any, title: str = "", **shown: Any) -> Any:
    """A field of `Record` that is a `Column`."""
    return field(default=default, metadata={"title": title, **shown})


def _score(title: str = "", better: str = "higher", digits: int = 1, note: str = "") -> Any:
    return column(None, title, digits=digits, better=better, note=note)


def _cost(title: str, better: str = "lower", **shown: Any) -> Any:
    return column(None, title, group="cost", better=better, **shown)


def _setting(default: Any = "", title: str = "") -> Any:
    return column(default, title, group="setting")


@dataclass(frozen=True)
class Record:
    """What one cell (method, recipe, dataset, seed) reached, and on what.

    Scores are percent, as papers print them; J and F follow the DAVIS protocol. Fields that end in `_full`
    are of the full-size network at 480x864 with one object, whatever the size of the one that was trained.
    None means: not measured. Tables have their columns in the order of the fields, settings last.
    """

    label: str  # the row of the table
    method: str = _setting(MISSING)
    recipe: str = _setting(MISSING)
    dataset: str = _setting(MISSING)
    seed: int = field(default=cast(int, MISSING))
    status: str = "ok"  # or why the cell failed
    jf_mean: float | None = _score("J&F", note=J_AND_F)
    j_mean: float | None = _score("J")
    j_recall: float | None = _score()
    j_decay: float | None = _score(better="lower")
    f_mean: float | None = _score("F")
    f_recall: float | None = _score()
    f_decay: float | None = _score(better="lower")
    jf_held_out: float | None = _score("J&F held out")  # on clips held out of training; `ablation.held_out`
    j_seen: float | None = _score("J seen")  # YouTube-VOS: classes that training data holds, and classes it
    f_seen: float | None = _score("F seen")  # does not; there jf_mean is G, the mean of the four
    j_unseen: float | None = _score("J unseen")
    f_unseen: float | None = _score("F unseen")
    miou: float | None = _score("mIoU", note=MIOU)  # of ablation=decoupled alone, for one point
    miou_boxes: float | None = _score("mIoU, boxes")  # for a box
    miou_truth: float | None = _score("mIoU with labels")  # for one point, with the labels
    embedding_mse: float | None = _score("Embedding MSE", "lower", 3)  # with the teacher's embedding
    miou_distances: str = ""  # {pixels (of 1024) to a background point: mIoU with the teacher's} as JSON
    # {name: {"value": 61.2, "title": "...", "digits": 1, "unit": "%", "better": "higher", "note": "..."}} as JSON:
    # scores beyond these fields, each with its column
    metrics: str = ""
    sequences: int = 0  # or images,
    objects: int = 0  # with prompts
    frames: int = 0
    scale: str = _setting()
    resolution: str = _setting()  # height x width of the evaluated frames, "mixed" when they differ
    options: str = ""  # constructor options that differ from the defaults, as JSON
    varied: str = ""  # what sets this row of the ablation apart: {config key: value} as JSON
    varied_losses: str = ""  # names of the losses that this concerns, as JSON
    reference: str = ""  # label of the row that this one is compared with; empty: the first trained one
    soup: str = _setting("", "Weights averaged")  # how many of which networks
    ingredients: str = ""  # labels of the rows of this table that a soup averages, as JSON
    initialisation: str = _setting("", "Initialisation")  # of the backbones
    train_batch: int = column(0, "Batch", group="training", digits=0)
    train_steps: int = column(0, "Steps", group="training", digits=0)
    train_seconds: float | None = column(  # of all its stages, without teacher and data
        None, "Training", group="training", unit="min", per=60, digits=1, note=MINUTES
    )
    train_clips: str = ""  # what it was trained on
    network: str = ""  # its key, which stands in `teacher` of those that it taught
    teacher: str = ""  # key of the network that taught it
    loss_shares: str = (
        ""  # {loss: norm of its gradient / that of the losses on labels} as JSON, of a teacher's losses
    )
    params_m: float | None = _cost("Params trained", unit="M", measured="Params")
    params_m_full: float | None = _cost("Params full size", unit="M", figure="costs", axis="parameters")
    gmacs_full: float | None = _cost(
        "GMACs full size (torch)", measured="GMACs (torch)", note=COUNTERS, figure="costs", axis="GMACs"
    )
    gmacs_fvcore_full: float | None = _cost("GMACs full size (fvcore)", measured="GMACs (fvcore)", note=COUNTERS)
    gmacs_thop_full: float | None = _cost("GMACs full size (thop)", measured="GMACs (thop)", note=COUNTERS)
    latency_ms_median: float | None = _cost("", unit="ms", measured="Latency of a frame")  # at `resolution`
    latency_ms_median_full: float | None = _cost("Latency full size", unit="ms", figure="costs", axis="latency")
    memory_mb_peak_full: float | None = _cost(
        "Peak memory full size",
        unit="MB",
        measured="Peak memory",
        figure="footprint",
        axis="peak memory",
        note=MEMORY,
    )
    fps: float | None = _cost("FPS trained", "higher", measured="FPS")  # 1 / mean time of a step
    stage_ms_full: str = column("", "Encoder, decoder full size", group="stages", unit="ms")  # as JSON
    growth_full: str = ""  # {"video_frames": [...], "latency_ms": [...], "memory_mb_peak": [...]} as JSON
    device: str = _setting()
    precision: str = _setting("fp32")
    versions: str = ""
    git_commit: str = ""
    config_hash: str = ""
    fingerprint: str = ""  # what stands for the files of its data: "content" or, as sizes do not tell all, "names"
    weights: str = ""  # file the network came from
    overlay: str = ""  # picture of its masks
    pictures: str = ""  # {sequence: folder of its frames, errors in ERROR_COLOURS} as JSON
    busy: str = ""  # fields measured while others took more than a tenth of the cores, as JSON: upper bounds
    frame_scores: str = ""  # folder of <sequence>.json: {"j": [...], "f": [...]}, a row a frame, in [0, 1]
    sampling_picture: str = ""  # which pixels its representation loss compares, and how many of them
    sampling_shares: str = ""  # lie on a boundary, and are in a random sample too: {"boundary": 0.9, ...} as JSON
    curve: str = ""  # file of its training curve: [{"step": 0, "lr": 0.1, <loss>: 0.7, "total": 0.7}, ...]
    mlflow_run_id: str = ""  # empty until MLflow has taken the run
    per_sequence: str = ""  # {sequence: J&F in percent} as JSON; {image: mIoU} where prompts are evaluated
    objects_per_sequence: str = ""  # {sequence: evaluated objects} as JSON: what a sequence weighs in the mean


COLUMNS = tuple(Column(each.name, **each.metadata) for each in fields(Record) if each.metadata)


def columns(records: Iterable[Record]) -> list[Column]:
    """Those of the fields, then one for each metric that any of the records has."""
    found: dict[str, Column] = {}
    for record in records:
        for name, metric in json.loads(record.metrics or "{}").items():
            found.setdefault(name, Column(name, **_known(Column, metric)))
    return [*COLUMNS, *found.values()]


def value(record: Record, name: str) -> Any:
    """Of a field, or of a metric; None: not measured."""
    if hasattr(record, name):
        return getattr(record, name)
    return json.loads(record.metrics or "{}").get(name, {}).get("value")


def to_jsonl(records: list[Record]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(asdict(record)) + "\n" for record in records)


def as_cell(value: Any) -> Any:
    """As a csv file may hold it: a text that a spreadsheet would run as a formula begins with an apostrophe."""
    if not isinstance(value, str) or not value.startswith(FORMULAS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def read_records(path: Path) -> list[Record]:
    """Read a file of `to_jsonl` lines; unknown fields (of a newer version) are ignored."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [to_record(json.loads(line)) for line in lines if line]


def to_record(values: dict) -> Record:
    """The record of these fields, without unknown ones; TypeError when one that it needs is missing."""
    return Record(**_known(Record, values))


def _known(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    return {each.name: values[each.name] for each in fields(kind) if each.name in values}
