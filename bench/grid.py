"""Running a grid of cells: train once, evaluate, record; what is finished is never done again."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean, median

from omegaconf import DictConfig, OmegaConf
from torch import nn

from bench.data import open_evaluation
from bench.environment import describe_environment, pick_device
from bench.evaluate import evaluate
from bench.files import read_json, write_json, write_text
from bench.measure.accuracy import summarize
from bench.measure.complexity import parameters
from bench.measure.full_size import full_size
from bench.networks import build, describe, train_all
from bench.plan import Cell
from bench.record import Record, to_jsonl
from bench.tracking import Tracker
from datasets.sequence import VideoSet


def run_grid(cells: list[Cell], config: DictConfig, title: str, runs: Path, out: Path) -> list[Record]:
    """Finish every cell; `out/records.jsonl` is rewritten after each, so that a kill loses at most one.

    Training starts with the first cell that needs it: baselines before it have by then read all of the data,
    so that damaged files are told before hours are spent. A cell whose training fails (its loss is no number
    any more) is recorded as failed and stops nothing.
    """
    device = pick_device(config.device)
    videos = open_evaluation(cells[0].dataset)
    write_text(out / "title.txt", title + "\n")
    write_text(out / "config.yaml", OmegaConf.to_yaml(config))
    facts = describe_environment(device)
    records: list[Record] = []
    with Tracker(config.tracking_uri, runs, out.name).invocation(title, config, facts) as tracker:
        failures = None
        for cell in cells:
            training = cell.network.training
            if training and failures is None:
                failures = train_all([c.network.training for c in cells if c.network.training], runs, device)
            if training and training.key in failures:
                record = _blank(cell, config, facts, status=f"failed: {failures[training.key]}")
                record = replace(record, mlflow_run_id=tracker.log_bare(record))
            elif cell.cost_only:
                record = replace(_blank(cell, config, facts), initialisation="")
                record = replace(record, **full_size(cell.network, runs, device))
                record = replace(record, mlflow_run_id=tracker.log_bare(record))
            else:
                record = _finish(cell, videos, config, runs, device, facts, tracker)
            records.append(record)
            write_text(out / "records.jsonl", to_jsonl(records))
        tracker.log_table(records)
    return records


def _finish(
    cell: Cell,
    videos: VideoSet,
    config: DictConfig,
    runs: Path,
    device: str,
    facts: dict,
    tracker: Tracker,
) -> Record:
    """The cell's record: from its folder when an earlier run has finished it, otherwise from work done now."""
    folder = runs / "cells" / f"{cell.network.method}-{cell.dataset['name']}-s{cell.seed}-{cell.key}"
    stored = read_json(folder / "record.json")
    if stored is not None:
        record = replace(Record(**stored), label=cell.label)
        late = config.measure and record.params_m_full is None  # an earlier run with measure=false
        return replace(record, **full_size(cell.network, runs, device)) if late else record
    method = build(cell.network, runs, device)
    result = evaluate(method, videos, folder, device, f"{cell.label} seed {cell.seed}")
    scores = summarize(result.scores).as_dict()
    write_json(folder / "scores.json", scores)
    means = {key: 100 * value for key, value in scores.items() if isinstance(value, float)}
    record = replace(
        _blank(cell, config, facts),
        **means,
        **describe(cell.network, runs),
        sequences=len(videos),
        objects=sum(len(s.object_ids) for s in result.scores),
        frames=len(result.step_ms),
        resolution=result.resolution,
        fps=1000 / fmean(result.step_ms),
        latency_ms_median=median(result.step_ms),
        params_m=parameters(method) / 1e6 if isinstance(method, nn.Module) else 0.0,
        overlay=str(folder / "overlay.png"),
        per_sequence=json.dumps({s.name: 50 * float(s.j.mean() + s.f.mean()) for s in result.scores}),
    )
    if config.measure:
        record = replace(record, **full_size(cell.network, runs, device))
    record = replace(record, mlflow_run_id=tracker.log_cell(cell, record, folder))
    write_json(folder / "record.json", asdict(record))
    return record


def _blank(cell: Cell, config: DictConfig, facts: dict, status: str = "ok") -> Record:
    return Record(
        label=cell.label,
        method=cell.network.method,
        recipe=cell.recipe_name,
        dataset=cell.dataset["name"],
        seed=cell.seed,
        status=status,
        scale=config.scale.name if cell.network.training else "",
        options=json.dumps(cell.network.options, sort_keys=True),
        config_hash=cell.key,
        **facts,
    )
