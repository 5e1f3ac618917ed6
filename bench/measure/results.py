"""What the two targets of job=measure write and say alike."""

import json
import warnings
from pathlib import Path
from typing import Any

from bench.plan.cells import content_hash
from bench.record import Record, to_jsonl
from bench.system.files import write_json, write_text


def write_results(content: dict, records: list[Record], out: Path) -> None:
    """measure.json and records.jsonl, of which reports makes all else."""
    write_json(out / "measure.json", content)
    write_text(out / "records.jsonl", to_jsonl(records))


def record_of(name: str, content: dict, label: str = "", device: str = "", **measured: Any) -> Record:
    """The record of a method in `content`; label and device: where they are not its name and the content's."""
    settings, options = content["settings"], content["options"]
    return Record(
        label=label or name,
        method=name,
        recipe="none",
        dataset="none",
        seed=0,
        status=content["methods"][name]["status"],
        objects=settings["objects"],
        resolution=f"{settings['height']}x{settings['width']}",
        options=json.dumps(options),
        device=device or content["device"],
        git_commit=content["git_commit"],
        config_hash=content_hash([name, options, settings]),
        **measured,
    )


def warn_of(found: dict[str, dict]) -> None:
    """Warn of what failed and of what makes times unreliable, by method."""
    for name, one in found.items():
        for text in ([one["status"]] if one["status"] != "ok" else []) + one["warnings"]:
            warnings.warn(f"{name}: {text}", stacklevel=1)
