"""Running a grid of cells: train once, evaluate, record; what is finished is never done again."""

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, median

from omegaconf import DictConfig, OmegaConf

import methods
from bench.cells import Cell, name_for_files
from bench.data import open_evaluation
from bench.environment import describe_environment, pick_device
from bench.errors import ConfigError
from bench.evaluate import Evaluation, evaluate
from bench.files import read_json, write_json, write_text
from bench.measure.accuracy import summarize
from bench.measure.classes import seen_unseen
from bench.measure.fields import score_fields
from bench.measure.full_size import full_size
from bench.measure.parameters import method_parameters
from bench.networks import build, describe, progress, train_all, training_curve
from bench.record import Record, to_jsonl
from bench.sampling_picture import sampling_picture
from bench.tracking import Tracker
from datasets.errors import DataError
from datasets.sequence import VideoSet
from datasets.youtube_vos import export_submission
from methods import outside

NOT_RUN = "not run: an earlier cell is still at work"


@dataclass(frozen=True)
class Grid:
    """What all cells of an invocation share."""

    config: DictConfig
    runs: Path
    out: Path
    device: str
    facts: dict[str, str]  # bench.environment.describe_environment
    videos: VideoSet
    tracker: Tracker


def run_grid(cells: list[Cell], config: DictConfig, title: str, runs: Path, out: Path) -> list[Record]:
    """Finish every cell; `out/records.jsonl` is rewritten after each, so that a kill loses at most one.

    Training starts with the first cell that needs it: baselines before it have by then read all of the data,
    so that damaged files are told before hours are spent. A cell whose training or evaluation fails is
    recorded as failed and stops nothing; when the user stops the run, unfinished cells are recorded so.
    """
    device = pick_device(config.device)
    facts = describe_environment(device)
    write_text(out / "title.txt", title + "\n")
    write_text(out / "config.yaml", OmegaConf.to_yaml(config))
    with Tracker(config.tracking_uri, runs, out.name).invocation(title, config, facts) as tracker:
        grid = Grid(config, runs, out, device, facts, open_evaluation(cells[0].dataset), tracker)
        records = [_blank(cell, grid, status=NOT_RUN) for cell in cells]
        failures = None
        with _told_when_stopped(cells, records, grid):
            for number, cell in enumerate(cells):
                if cell.network.trainings and failures is None:
                    wanted = [training for c in cells for training in c.network.trainings]
                    failures = train_all(wanted, runs, device, config.processes)
                records[number] = _finish(cell, grid, failures or {})
                write_text(out / "records.jsonl", to_jsonl(records))
        tracker.log_table(records)
    return records


def _finish(cell: Cell, grid: Grid, failures: dict[str, str]) -> Record:
    """The cell's record, with its MLflow run."""
    reasons = [failures[training.key] for training in cell.network.trainings if training.key in failures]
    if reasons:
        record = _blank(cell, grid, status=f"failed: {reasons[0]}")
    elif cell.cost_only:
        record = replace(_blank(cell, grid), **_costs(cell, grid))
    else:
        try:
            return _evaluated(cell, grid)
        except DataError:
            raise
        except Exception as error:  # out of memory, say: the others may go on
            record = _blank(cell, grid, status=f"failed: {_reason(error, cell, grid)}")
    return replace(record, mlflow_run_id=grid.tracker.log_bare(record))


def _evaluated(cell: Cell, grid: Grid) -> Record:
    """The cell's record: from its folder when an earlier run has finished it, otherwise from work done now."""
    runs, device = grid.runs, grid.device
    name = name_for_files(cell.network.method)
    folder = runs / "cells" / f"{name}-{cell.dataset['name']}-s{cell.seed}-{cell.key}"
    stored = read_json(folder / "record.json")
    if stored is not None:
        varied = json.dumps(cell.varied)
        told = {"label": cell.label, "varied": varied, "reference": cell.reference}
        return replace(Record(**stored), **told, **_costs(cell, grid))
    method = build(cell.network, runs, device)
    result = evaluate(method, grid.videos, folder, device, f"{cell.label} seed {cell.seed}")
    params = method_parameters(method)
    record = replace(
        _blank(cell, grid),
        **describe(cell.network, runs),
        **_scores(result, grid.videos, folder),
        sequences=len(grid.videos),
        objects=sum(len(s.object_ids) for s in result.scores),
        frames=sum(len(sequence) - 1 for sequence in grid.videos.sequences),
        resolution=result.resolution,
        fps=1000 / fmean(result.step_ms) if result.step_ms else None,
        latency_ms_median=median(result.step_ms) if result.step_ms else None,
        params_m=None if params is None else params / 1e6,
        overlay=str(folder / "overlay.png"),
        sampling_picture=sampling_picture(cell.network, folder, runs, device),
    )
    if cell.dataset["kind"] == "youtube_vos" and record.jf_mean is None:
        path = folder / "submission.zip"
        export_submission(Path(cell.dataset["root"]), folder / "masks", path, cell.dataset["split"])
        print(f"for the evaluation server: {path}")
    if curve := training_curve(cell.network, runs):
        write_json(folder / "curve.json", curve)
        record = replace(record, curve=str(folder / "curve.json"))
    record = replace(record, **_costs(cell, grid))
    record = replace(record, mlflow_run_id=grid.tracker.log_cell(cell, record, folder))
    write_json(folder / "record.json", asdict(record))
    return record


def _scores(result: Evaluation, videos: VideoSet, folder: Path) -> dict:
    """The record's fields of accuracy, in percent."""
    scores = summarize(result.scores).as_dict()  # empty for a test set, whose masks are not public
    classes = seen_unseen(result.scores, videos)
    write_json(folder / "scores.json", {**scores, **classes})
    return score_fields(result.scores, {**scores, **classes})


def _blank(cell: Cell, grid: Grid, status: str = "ok") -> Record:
    return Record(
        label=cell.label,
        method=outside.short_name(cell.network.method),
        recipe=cell.recipe_name,
        dataset=cell.dataset["name"],
        seed=cell.seed,
        status=status,
        scale=grid.config.scale.name if cell.network.trainings else "",
        options=json.dumps(cell.network.options, sort_keys=True),
        varied=json.dumps(cell.varied),
        reference=cell.reference,
        config_hash=cell.key,
        **grid.facts,
    )


def _costs(cell: Cell, grid: Grid) -> dict:
    """The record's fields of the full-size network; none when they are not wanted."""
    if not grid.config.measure:
        return {}
    growth = bool(grid.config.ablation.get("growth"))
    return full_size(cell.network, grid.runs, grid.device, growth)


def _reason(error: Exception, cell: Cell, grid: Grid) -> str:
    """Why a cell failed, in a line. Of the suite's methods only RuntimeError and MemoryError may fail a cell.

    Others' code may raise anything, whose traceback goes to a file of the folder of results.
    """
    method = cell.network.method
    if not methods.family(method):
        path = grid.out / f"{name_for_files(method)}.traceback.txt"
        write_text(path, "".join(traceback.format_exception(error)))
        return str(error) if isinstance(error, ConfigError) else outside.describe_failure(error, method)
    if not isinstance(error, RuntimeError | MemoryError):
        raise error
    traceback.print_exc()
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


@contextmanager
def _told_when_stopped(cells: list[Cell], records: list[Record], grid: Grid) -> Iterator[None]:
    """Write the records of a run that is stopped by the user, with how far the unfinished cells came."""
    try:
        yield
    except KeyboardInterrupt:
        for number, cell in enumerate(cells):
            if records[number].status == NOT_RUN:
                status = f"interrupted: {progress(cell.network, grid.runs)}"
                records[number] = replace(records[number], status=status)
        write_text(grid.out / "records.jsonl", to_jsonl(records))
        print(f"\nunfinished cells are marked in {grid.out}", file=sys.stderr)
        raise
