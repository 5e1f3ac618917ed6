"""job=score: evaluate a folder of masks that any tool wrote."""

import json
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from bench.jobs.results import results_folder, tell
from bench.plan.cells import EXTRA_METRICS, content_hash, placeless
from bench.plan.data import locate
from bench.plan.fingerprint import fingerprint
from bench.record import Record, to_jsonl
from bench.score.accuracy import FIGURES, SequenceScores, summarize
from bench.score.fields import score_fields, seen_unseen
from bench.score.folder import PROTOCOLS, Protocol, Scored, choose_protocol, find_tasks, score_all
from bench.score.official import agrees, compare, load_official, official_scores
from bench.system.databases import without_passwords
from bench.system.environment import git_commit, versions
from bench.system.errors import ConfigError, say
from bench.system.files import csv_text, write_json, write_text
from bench.system.workers import count_processes
from datasets.layouts import layout_of
from datasets.opening import open_evaluation
from datasets.sequence import VideoSet

CHECKS = (None, "official")
OURS, OFFICIAL = (asdict(choose_protocol(name, {})) for name in PROTOCOLS)


def run(config: DictConfig, runs: Path) -> int:
    """Write scores.json, scores.csv and records.jsonl; 1 when the official tool, asked for, does not agree."""
    if not config.predictions:
        raise ConfigError("job=score needs predictions=/path/to/masks, a folder of <sequence>/<frame>.png")
    folder = Path(config.predictions).expanduser().absolute()
    if not folder.is_dir():
        raise ConfigError(f"predictions: no folder {folder}")
    policy: Any = OmegaConf.to_container(config.policy)
    protocol = choose_protocol(config.protocol, policy)
    processes = count_processes(config.processes, "cpu")
    if config.check not in CHECKS:
        raise ConfigError(f"check={config.check}: choose official, or leave it out")
    if config.check:
        load_official()
    dataset = locate(config, "dataset", runs)
    if config.protocol == "official" and not layout_of(dataset["kind"]).official_tool:
        raise ConfigError(
            f"protocol=official is that of DAVIS's tool, which cannot evaluate {dataset['name']}: leave it out"
        )
    out = results_folder(config, f"score-{dataset['name']}")
    videos = open_evaluation(dataset)
    tasks = find_tasks(videos, folder, protocol)
    if without := len(videos) - len(tasks):
        say(f"warning: {without} sequences have no truth and are left out")
    scored = score_all(tasks, protocol, processes, folder.name)
    _warn(scored, protocol)

    scores = [one.scores for one in scored]
    summary = summarize(scores)
    content = {**summary, **seen_unseen(scores, videos), "protocol": asdict(protocol)}
    key = [fingerprint(folder, runs, config.fingerprint), placeless(dataset), asdict(protocol), *EXTRA_METRICS]
    record = replace(
        _record(folder, dataset, protocol, scored, content),
        config_hash=content_hash(key),
        fingerprint=config.fingerprint,
    )
    write_text(out / "title.txt", _title(folder, dataset, config))
    write_text(out / "config.yaml", OmegaConf.to_yaml(without_passwords(config)))
    write_text(out / "scores.csv", _csv(scores, videos))
    write_text(out / "records.jsonl", to_jsonl([record]))
    write_json(out / "scores.json", _finite(content))
    print(_line(record))
    code = 0
    if config.check:
        content["check"] = compare(summary["per_object"], official_scores(tasks, protocol))
        write_json(out / "scores.json", _finite(content))
        code = _report_check(content["check"], protocol)
    tell(out)
    return code


def _warn(scored: list[Scored], protocol: Protocol) -> None:
    extra = [found for one in scored for found in one.extra]
    if extra:
        file, object_id = extra[0]
        say(
            f"warning: ids that are not judged count as background: {len(extra)} mask(s) hold some, the first is "
            f"id {object_id} in {file}; policy.extra=error stops at it"
        )
    long = [one.scores.name for one in scored if len(one.scores.j) > 255]
    if long and protocol.decay == "8bit":
        say(
            f"warning: the decay of {long[0]} is that of wrong frames or of none, as the official tool counts in "
            f"8 bits; policy.decay=exact is right"
        )


def _record(
    folder: Path, dataset: dict[str, Any], protocol: Protocol, scored: list[Scored], content: dict[str, Any]
) -> Record:
    scores = [one.scores for one in scored]
    sizes = {one.size for one in scored}
    return Record(
        label=folder.name,
        method="predictions",
        recipe="none",
        dataset=dataset["name"],
        seed=0,
        **score_fields(scores, content),
        sequences=len(scores),
        objects=sum(len(one.per_object()) for one in scores),
        frames=sum(len(one.j) for one in scores),
        resolution="x".join(map(str, sizes.pop())) if len(sizes) == 1 else "mixed",
        varied=json.dumps({f"policy.{key}": v for key, v in asdict(protocol).items() if v != OURS[key]}),
        precision="unknown",
        versions=versions(),
        git_commit=git_commit(),
        weights=str(folder),
    )


def _title(folder: Path, dataset: dict[str, Any], config: DictConfig) -> str:
    chosen = {"protocol": config.protocol if config.protocol != "ours" else None}
    chosen |= {f"policy.{key}": value for key, value in config.policy.items()}
    shown = ", ".join(f"{key}={value}" for key, value in chosen.items() if value)
    return f"{folder.name} on {dataset['name']}{f' ({shown})' if shown else ''}\n"


def _csv(scores: list[SequenceScores], videos: VideoSet) -> str:
    """A row per object: its sequence, id, class if known, number of evaluated frames, and its figures."""
    classes = {sequence.name: sequence.categories for sequence in videos.sequences}
    names = (*FIGURES, *EXTRA_METRICS)
    rows: list[list[Any]] = [["sequence", "object", "class", "frames", *names]]
    for one in scores:
        frames = dict(zip(one.object_ids, (~np.isnan(one.j)).sum(axis=0).tolist(), strict=True))
        for object_id, values in one.per_object().items():
            figures = [values[name] if math.isfinite(values[name]) else "" for name in names]
            rows.append([one.name, object_id, classes[one.name].get(object_id, ""), frames[object_id], *figures])
    return csv_text(rows)


def _report_check(found: dict, protocol: Protocol) -> int:
    say(
        f"official: largest difference {found['largest_difference']:.2g} ({found['where']}) over "
        f"{found['objects']} objects",
        sys.stdout,
    )
    for who in ("ours", "official"):
        if others := found[f"only_{who}"]:
            say(f"official: judged by {who} alone: {', '.join(others)}", sys.stdout)
    if agrees(found) or asdict(protocol) != OFFICIAL:
        return 0
    say("error: davis2017-evaluation does not agree; see above")
    return 1


def _finite(content: Any) -> Any:
    """JSON knows no NaN and no infinity: null."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _line(record: Record) -> str:
    figures = {"J&F": record.jf_mean, "J": record.j_mean, "F": record.f_mean}
    shown = "  ".join(f"{name} {value:.2f}" for name, value in figures.items())
    return f"{shown}  ({record.sequences} sequences, {record.objects} objects, {record.frames} frames)"
