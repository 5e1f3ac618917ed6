"""What a table says of what its rows vary: how much of the gradient each loss makes, which pixels it compares."""

import json
from statistics import fmean

from bench.record import Record
from reports.rows import group_rows, succeeded

SHARES = (
    "Norm of each weighted loss's gradient over the student's parameters, relative to that of the losses on labels "
    "alone (median along the training, mean over the seeds):"
)
PIXELS = "Of the sampled pixels, percent on a boundary and percent that a random sample holds as well:"
LITTLE = 0.05  # of the gradient of the losses on labels: a comparison of what makes less compares next to nothing


def shares_of_rows(records: list[Record]) -> dict[str, dict[str, float]]:
    """{row: {loss: its share of the gradient}}, means over the seeds, of rows that a teacher has a part in."""
    rows = {name: _means(cells) for name, cells in group_rows(records).items()}
    return {name: shares for name, shares in rows.items() if shares}


def share_notes(records: list[Record]) -> list[str]:
    """How much each loss of each row weighs, which rows vary what weighs little, and where sampled pixels lie."""
    groups, rows = group_rows(records), shares_of_rows(records)
    texts = {name: ", ".join(f"{loss} {x:.2f}" for loss, x in shares.items()) for name, shares in rows.items()}
    lines = [f"{SHARES} {'; '.join(f'{name}: {text}' for name, text in texts.items())}."] if texts else []
    for name, shares in rows.items():
        little = [
            loss for loss in json.loads(groups[name][0].varied_losses or "[]") if shares.get(loss, 1) < LITTLE
        ]
        lines += [f"{name}: {loss}, which it varies, hardly acts ({shares[loss]:.1%})." for loss in little]
    sampled = {name: json.loads(found) for name, cells in groups.items() if (found := cells[0].sampling_shares)}
    shown = [f"{name} {100 * x['boundary']:.0f} and {100 * x['random']:.0f}" for name, x in sampled.items()]
    if len(set(shown)) > 1:
        lines.append(f"{PIXELS} {'; '.join(shown)}.")
    return lines


def _means(cells: list[Record]) -> dict[str, float]:
    found = [json.loads(cell.loss_shares) for cell in succeeded(cells) if cell.loss_shares]
    return {loss: fmean(shares[loss] for shares in found if loss in shares) for loss in (found[0] if found else ())}
