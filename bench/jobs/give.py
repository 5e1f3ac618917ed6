"""job=give ablation=given: train the weights that come with the suite, and put them into methods/given."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

import methods
from bench.jobs import ablate
from bench.jobs.results import results_folder
from bench.plan.given import FOLDER, INDEX
from bench.record import Record, read_records
from bench.system.errors import ConfigError
from bench.system.files import sha256, write_checkpoint, write_json
from methods.checkpoint import read_file

TEACHER = "teacher"  # the row whose whole network is given; of the others it is the encoder of frames
COMMAND = "./run_all.sh job=give ablation=given"


def run(config: DictConfig, runs: Path) -> int:
    if code := ablate.run(config, runs):
        return code
    records = read_records(results_folder(config, config.ablation.name) / "records.jsonl")
    rows = [record for record in records if record.train_steps]
    if failed := [record for record in rows if record.status != "ok"]:
        raise ConfigError(f"{failed[0].label} {failed[0].status}: run the same command again")
    write_json(FOLDER / INDEX, {f"{row.label}.pt": give(row, FOLDER / f"{row.label}.pt") for row in rows})
    print(*sorted(FOLDER.iterdir()), sep="\n")
    return 0


def give(row: Record, file: Path) -> dict[str, Any]:
    """Write a row's network, or its encoder of frames, in half precision; returns what to tell of it."""
    content = read_file(Path(row.weights))
    meta, state = content["meta"], content["state_dict"]
    if row.label == TEACHER:
        what = {"method": meta["method"], "options": meta["options"]}
    else:
        prefix = "query_encoder."
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        family = methods.entry(meta["method"]).family  # DeAOT's MobileNetV2 has other layers
        what = {"backbone": row.label, "family": family, "width": meta["options"]["width"]}
    halves = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    write_checkpoint(file, {"state_dict": halves, "meta": {**what, "source": "given"}})
    learnt = {"data": row.train_clips, "steps": row.train_steps, "hours": (row.train_seconds or 0) / 3600}
    return {**what, **learnt, "jf": row.jf_mean, "command": COMMAND, "sha256": sha256(file)}
