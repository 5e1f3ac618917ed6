"""What a table says of what its rows vary: how much of the gradient each loss makes, and which pixels it compares."""

import json
from statistics import fmean
from typing import Any

from bench.losses import table
from bench.losses.base import Reads
from bench.record import Record
from reports.rows import group_rows, succeeded

SHARES = (
    "Norm of each weighted loss's gradient over the student's parameters, relative to that of the losses on labels "
    "alone (median along the training, mean over the seeds):"
)
PIXELS = "Of the sampled pixels, percent on a boundary and percent that a random sample holds as well:"
LITTLE = 0.05  # of the gradient of the losses on labels: a comparison of what makes less compares next to nothing


def shares_of(cells: list[Record]) -> dict[str, float]:
    """{loss: its share of the gradient} of a row's cells, the mean over the seeds; {} where none is recorded."""
    found = [json.loads(cell.loss_shares) for cell in succeeded(cells) if cell.loss_shares]
    return {loss: fmean(shares[loss] for shares in found if loss in shares) for loss in (found[0] if found else ())}


def share_notes(records: list[Record]) -> list[str]:
    """How much each loss of each row weighs, which rows vary what weighs little, and where sampled pixels lie."""
    groups = group_rows(records)
    rows = {name: shares for name, cells in groups.items() if len(shares := shares_of(cells)) > 1}
    shown = [
        f"{name}: {', '.join(f'{loss} {x:.2f}' for loss, x in shares.items())}" for name, shares in rows.items()
    ]
    lines = [f"{SHARES} {'; '.join(shown)}."] if shown else []
    for name, shares in rows.items():
        little = [loss for loss in varied_losses(groups[name][0]) if shares.get(loss, 1) < LITTLE]
        lines += [
            f"{name}: what it varies hardly acts ({loss}: {shares[loss]:.1%} of that gradient)." for loss in little
        ]
    sampled = {name: json.loads(found) for name, cells in groups.items() if (found := cells[0].sampling_shares)}
    shown = [f"{name} {100 * x['boundary']:.0f} and {100 * x['random']:.0f}" for name, x in sampled.items()]
    if len(set(shown)) > 1:
        lines.append(f"{PIXELS} {'; '.join(shown)}.")
    return lines


def varied_losses(record: Record) -> list[str]:
    """The losses whose settings, or whose sampled pixels, set a row of an ablation apart."""
    keys = _dotted(json.loads(record.varied or "{}"))
    found = [name for name in table() if any(key.startswith(f"recipe.{name}.") for key in keys)]
    if any(key.startswith("recipe.sampling.") for key in keys):
        found += [name for name, loss in table().items() if Reads.PIXELS in loss.reads and name not in found]
    return found


def _dotted(node: dict[str, Any], prefix: str = "") -> list[str]:
    inner = [
        _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
        for key, value in node.items()
    ]
    return [key for keys in inner for key in keys]
