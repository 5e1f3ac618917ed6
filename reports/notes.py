"""What stands below a table so that nobody misreads it. Plain sentences, for Markdown and LaTeX alike."""

from bench.record import Record
from reports.rows import distinct, group_rows, succeeded
from reports.statistics import paired_difference

SCORES = (
    "J is the region similarity (intersection over union) and F the boundary accuracy, in percent; J&F is "
    "the mean of the two. Both are averaged over frames (without the first and the last), then over all "
    "objects, as DAVIS does."
)
SPREAD = "± is the sample standard deviation over the seeds."
PAIRED = (
    "Differences are paired by sequence and seed and averaged over sequences, with a 95 % bootstrap interval "
    "over both (too narrow when seeds are few); within noise = the interval contains 0."
)
COUNTERS = "GMACs are 10^9 multiply-accumulates per frame; the three counters include different operations."


def notes(records: list[Record]) -> list[str]:
    """The sentences that belong below the table of these records."""
    done = succeeded(records) or records
    sets = dict.fromkeys(record.dataset for record in done)
    lines = [_data([record for record in done if record.dataset == name]) for name in sets]
    lines += [_training(done), SCORES]
    if any(len(succeeded(cells)) > 1 for cells in group_rows(records).values()):
        lines.append(SPREAD)
    lines += _sizes(done)
    lines += [
        f"Failed: {name}, seed {cell.seed}: {cell.status.rstrip('.')}."
        for name, cells in group_rows(records).items()
        for cell in cells
        if cell.status != "ok"
    ]
    return [line for line in [*lines, *_differences(records)] if line]


def _data(records: list[Record]) -> str:
    resolution, device, scale = (
        distinct(records, field) or "unknown" for field in ("resolution", "device", "scale")
    )
    return (
        f"Measured on {records[0].dataset}: {distinct(records, 'sequences') or 0} sequences, "
        f"{distinct(records, 'objects') or 0} objects, resolution {resolution} (height x width); "
        f"device: {device}, {distinct(records, 'precision')}; scale: {scale}."
    )


def _training(records: list[Record]) -> str:
    trained = [record for record in records if record.train_steps]
    if not trained:
        return ""
    clips = distinct(trained, "train_clips")
    return (
        f"Training (our settings, not the papers'): {distinct(trained, 'train_steps')} steps"
        f"{f' on {clips}' if clips else ''}."
    )


def _sizes(records: list[Record]) -> list[str]:
    """Keep apart the network that was trained and the published one, whose cost is given."""
    full = [r for r in records if r.params_m_full or r.gmacs_full or r.latency_ms_median_full]
    if not full:
        return []
    device, scale = distinct(full, "device") or "an unknown device", distinct(records, "scale")
    return [
        f"Full size = the published network at 480x864 with one object; measured on {device}.",
        f"Latency and MACs of the full-size network, accuracy and FPS of the trained {scale} network: "
        f"one network does not reach both.",
        COUNTERS,
    ]


def _differences(records: list[Record]) -> list[str]:
    """Each trained row against the first trained one with the same dataset and seeds."""
    trained = {n: cells for n, cells in group_rows(records).items() if any(c.train_steps for c in cells)}
    families: dict[tuple, list[str]] = {}
    for name, cells in trained.items():
        families.setdefault((cells[0].dataset, *sorted({cell.seed for cell in cells})), []).append(name)
    lines = [
        _difference(name, trained[name], first, trained[first])
        for first, *others in families.values()
        for name in others
    ]
    lines = [line for line in lines if line]
    return [PAIRED, *lines] if lines else []


def _difference(name: str, cells: list[Record], reference: str, reference_cells: list[Record]) -> str:
    try:
        found = paired_difference(cells, reference_cells)
    except ValueError:
        return ""  # one of the two failed, or has no per-sequence scores
    return (
        f"{name} against {reference}: {found.mean:+.1f} J&F [{found.low:+.1f}, {found.high:+.1f}], "
        f"{found.pairs} pairs ({found.pairs // found.seeds} sequences, {found.seeds} "
        f"{'seed: noise of training not included' if found.seeds == 1 else 'seeds'})"
        f"{', within noise' if found.within_noise else ''}."
    )
