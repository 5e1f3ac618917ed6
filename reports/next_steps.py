"""What to try after a run: three commands that follow from what was run."""

from pathlib import Path
from typing import Any

import yaml

from bench.record import Record
from reports.rows import succeeded

Steps = list[tuple[str, str]]  # commands, each with what it is for
START = "./run_all.sh"
REPORT = (f"{START} job=report", "all results so far beside the papers' figures, on one page")
STUDY = (f"{START} ablation=omega", "contrast or distillation: a study of the MobileVOS paper")
DEFAULT = (START, "what students gain from a teacher, in minutes")
REAL = "dataset=davis2016 dataset.root=/path/to/DAVIS"


def read_settings(folder: Path) -> dict[str, Any]:
    """The configuration of the run that wrote the folder; {} where it left none."""
    path = folder / "config.yaml"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, yaml.YAMLError):
        found = {}
    return found if isinstance(found, dict) else {}


def next_steps(records: list[Record], settings: dict[str, Any], folder: Path) -> Steps:
    """By the job; the first are of what is missing, if anything is."""
    job = settings.get("job") or ("measure" if (folder / "measure.json").is_file() else "")
    steps = STEPS.get(job, _of_an_ablation)(records, settings, folder)
    unfinished = any(record.status.startswith(("interrupted", "not run")) for record in records)
    again: Steps = [("the same command again", "goes on where this one stopped")]
    return [*(again if unfinished else []), *steps, REPORT, STUDY, DEFAULT][:3]


def _of_an_ablation(records: list[Record], settings: dict[str, Any], folder: Path) -> Steps:
    name = (settings.get("ablation") or {}).get("name") or "distillation"
    steps = [STUDY] if name == "distillation" else []
    if any(record.miou is not None or record.miou_truth is not None for record in records):
        return [(f"{START} ablation={name} scale=gpu", "the same with networks of full size"), REPORT, DEFAULT]
    if _generated(settings):
        steps.append((f"{START} ablation={name} {REAL}", "the same students on real video"))
    return [*steps, *_segment(records)] if steps else _segment(records)


def _of_an_evaluation(records: list[Record], settings: dict[str, Any], folder: Path) -> Steps:
    found = [(str(r.method), r.weights) for r in records]
    name, weights = found[0] if found else ("mobilevos_r18", "")
    entry = f"{name}@{_near(weights)}" if weights else name
    beside = f"{START} job=compare methods=[{entry},copy_first_mask]{_data(settings)}"
    cost = (f"{START} job=measure method={name}", "its parameters, multiply-adds, latency and memory")
    return [*_segment(records), (beside, "beside a baseline, with the interval of the difference"), cost]


def _of_a_score(records: list[Record], settings: dict[str, Any], folder: Path) -> Steps:
    masks = f"masks:{_near(str(settings.get('predictions') or '/path/to/masks'))}"
    beside = f"{START} job=compare methods=[{masks},copy_first_mask]{_data(settings)}"
    return [(beside, "beside a baseline, with the interval of the difference"), REPORT, DEFAULT]


def _of_costs(records: list[Record], settings: dict[str, Any], folder: Path) -> Steps:
    names = [record.method for record in succeeded(records)]
    name = next((each for each in names if each.startswith("mobilevos")), "mobilevos_mnv2_no_aspp")
    phone = (f"{START} job=measure target=phone method={name}", "on a phone attached by adb")
    return [phone, (f"{START} job=export format=onnx method={name}", "a file for another runtime"), DEFAULT]


def _of_a_search(records: list[Record], settings: dict[str, Any], folder: Path) -> Steps:
    best = f"{START} overrides={_near(str(folder.absolute() / 'best.yaml'))}"
    name = (settings.get("search") or {}).get("name") or "mobilevos"
    more = f"{START} job=search search={name} search.trials=100"
    return [(best, "trains and evaluates the best of them"), (more, "goes on with this study"), REPORT]


STEPS = {"evaluate": _of_an_evaluation, "score": _of_a_score, "measure": _of_costs, "search": _of_a_search}


def _segment(records: list[Record]) -> Steps:
    """A video of one's own by the best network that was trained or given."""
    able = [r for r in succeeded(records) if r.weights and r.jf_mean is not None and ":" not in r.method]
    if not able:
        return []
    best = max(able, key=lambda record: record.jf_mean or 0.0)
    command = f"{START} job=segment video=/path/clip.mp4 mask=/path/first.png"
    return [(f"{command} method={best.method} weights={_near(best.weights)}", "a video of your own")]


def _generated(settings: dict[str, Any]) -> bool:
    return (settings.get("dataset") or {}).get("kind", "embedded") == "embedded"


def _data(settings: dict[str, Any]) -> str:
    """The keys that name the data of the run."""
    data = settings.get("dataset") or {}
    root = data.get("root")
    return (
        f" dataset={data.get('name')} dataset.root={_near(str(root))}" if root and not _generated(settings) else ""
    )


def _near(path: str) -> str:
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path
