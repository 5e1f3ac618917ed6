"""The one result format: a flat record per cell, units in the names. `reports` reads nothing else."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

# RGB, told apart by colour-blind readers and in grey: what is wrong in the pictures that `pictures` names
ERROR_COLOURS = {
    "missed": (86, 180, 233),
    "false positive": (213, 94, 0),
    "another object": (240, 228, 66),
    "true boundary": (255, 255, 255),
}


@dataclass(frozen=True)
class Record:
    """What one cell (method, recipe, dataset, seed) reached, and on what.

    Scores are percent, as papers print them; J and F follow the DAVIS protocol. Fields that end in `_full`
    are of the full-size network at 480x864 with one object, whatever the size of the one that was trained.
    None means: not measured.
    """

    label: str  # the row of the table
    method: str
    recipe: str
    dataset: str
    seed: int
    status: str = "ok"  # or why the cell failed
    jf_mean: float | None = None
    j_mean: float | None = None
    j_recall: float | None = None
    j_decay: float | None = None
    f_mean: float | None = None
    f_recall: float | None = None
    f_decay: float | None = None
    j_seen: float | None = None  # YouTube-VOS: classes that training data holds, and classes it does not;
    f_seen: float | None = None  # there jf_mean is G, the mean of the four
    j_unseen: float | None = None
    f_unseen: float | None = None
    jf_held_out: float | None = (
        None  # J&F on clips of the held-out part of its training data; `ablation.held_out`
    )
    metrics: str = ""
    miou: float | None = None  # of prompted masks with the teacher's, for one point; ablation=decoupled alone
    miou_boxes: float | None = None  # for a box
    miou_truth: float | None = None  # for one point, with the labels
    miou_distances: str = (
        ""  # {distance of a background point in pixels of 1024: mIoU with the teacher's} as JSON
    )
    embedding_mse: float | None = None  # between the image embeddings of the network and the teacher
    sequences: int = 0  # or images,
    objects: int = 0  # with prompts
    frames: int = 0
    resolution: str = ""  # height x width of the evaluated frames, "mixed" when they differ
    scale: str = ""
    options: str = ""  # constructor options that differ from the defaults, as JSON
    varied: str = ""  # what sets this row of the ablation apart: {config key: value} as JSON
    reference: str = ""  # label of the row that this one is compared with; empty: the first trained one
    soup: str = ""  # how many of which networks its weights average
    initialisation: str = ""  # of the backbones
    train_steps: int = 0
    train_batch: int = 0
    train_seconds: float | None = None  # of its own work; what it shares with others (teacher, data) excluded
    train_clips: str = ""  # what it was trained on
    params_m: float | None = None  # of the network that was evaluated
    fps: float | None = None  # of the evaluation: 1 / mean time of a step, decoding and scoring excluded
    latency_ms_median: float | None = None  # of the same steps, at `resolution`
    params_m_full: float | None = None
    gmacs_full: float | None = None  # torch's counter
    gmacs_fvcore_full: float | None = None
    gmacs_thop_full: float | None = None
    latency_ms_median_full: float | None = None
    memory_mb_peak_full: float | None = None  # tensors alive at the worst moment of a frame, in 2^20 bytes
    stage_ms_full: str = ""  # {stage: milliseconds} as JSON; of networks that answer prompts
    growth_full: str = ""  # {"video_frames": [...], "latency_ms": [...], "memory_mb_peak": [...]} as JSON
    device: str = ""
    precision: str = "fp32"
    versions: str = ""
    git_commit: str = ""
    config_hash: str = ""
    weights: str = ""  # file the network came from
    overlay: str = ""  # picture of its masks
    pictures: str = ""  # {sequence: folder of its frames, errors in ERROR_COLOURS} as JSON
    frame_scores: str = (
        ""  # folder of <sequence>.json: {"j": [...], "f": [...]}, a row a judged frame, in [0, 1]
    )
    sampling_picture: str = ""  # which pixels its representation loss compares
    curve: str = ""  # file of its training curve: [{"step": 0, "lr": 0.1, <loss>: 0.7, "total": 0.7}, ...]
    mlflow_run_id: str = ""  # "unsent-..." until MLflow has taken the run
    per_sequence: str = ""  # {sequence: J&F in percent} as JSON; {image: mIoU} where prompts are judged
    objects_per_sequence: str = ""  # {sequence: judged objects} as JSON: what a sequence weighs in the mean


def to_jsonl(records: list[Record]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(asdict(record)) + "\n" for record in records)


def read_records(path: Path) -> list[Record]:
    """Read a file of `to_jsonl` lines; unknown fields (of a newer version) are ignored."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [to_record(json.loads(line)) for line in lines if line]


def to_record(values: dict) -> Record:
    """The record of these fields, without unknown ones; TypeError when one that it needs is missing."""
    known = {field.name for field in fields(Record)}
    return Record(**{name: value for name, value in values.items() if name in known})
