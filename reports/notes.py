"""What stands below a table so that nobody misreads it. Plain sentences, for Markdown and LaTeX alike."""

from bench.record import Record
from reports.comparison import EFFECT, Comparison
from reports.published import CERTAINTY, DAVIS, published_about, published_columns
from reports.rows import SEEN, distinct, group_rows, succeeded

SCORES = "J is the region similarity (intersection over union) and F the boundary accuracy, in percent."
DAVIS_SCORES = (
    "J&F is the mean of the two. Both are averaged over frames (without the first and the last), then over all "
    "objects, as DAVIS does."
)
SPREAD = "± is the sample standard deviation over the seeds."
PAIRED = (
    "Δ J&F is the difference to the row marked reference, paired by sequence and seed and averaged over "
    "objects, with a 95 % bootstrap interval over sequences and seeds (too narrow when seeds are few); noise = the "
    "interval contains 0."
)
COUNTERS = "GMACs are 10^9 multiply-accumulates per frame; the three counters include different operations."
MEMORY = "Peak memory counts the tensors alive at the worst moment of a frame; an MB is 2^20 bytes."
PUBLISHED = (
    "Published figures are not measured here: they are joined by the method's name and are of the full-size "
    "network, trained by its authors without BL30K and run on DAVIS at 480p."
)
PUBLISHED_ROWS = (
    "Rows that an ablation of a paper has show its figures in place of the method's, and none where it gives "
    "none: "
)


def notes(records: list[Record], compared: dict[str, Comparison]) -> list[str]:
    """The sentences that belong below the table of these records, whose rows were compared so."""
    done = succeeded(records) or records
    sets = dict.fromkeys(record.dataset for record in done)
    lines = [_data([record for record in done if record.dataset == name]) for name in sets]
    lines += [_training(done), _scores(done)]
    if any(len(succeeded(cells)) > 1 for cells in group_rows(records).values()):
        lines.append(SPREAD)
    trained = {name for name, cells in group_rows(records).items() if any(cell.train_steps for cell in cells)}
    lines += [*_comparisons(compared, trained), *_sizes(done), *_published(records)]
    lines += [
        f"{name}, seed {cell.seed}: {cell.status.rstrip('.')}."
        for name, cells in group_rows(records).items()
        for cell in cells
        if cell.status != "ok"
    ]
    return [line for line in lines if line]


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


def _scores(records: list[Record]) -> str:
    """YouTube-VOS, known by its scores of seen and unseen classes, averages otherwise than DAVIS."""
    seen = [r for r in records if any(getattr(r, field) is not None for field in SEEN)]
    names = distinct(seen, "dataset")
    scores = [SCORES]
    if not names or any(record.dataset not in names.split(", ") for record in records):
        scores.append(DAVIS_SCORES)
    if names:
        scores.append(
            f"On {names} J&F is G: the mean of J and F over the classes that YouTube-VOS trains on (seen) and "
            f"over those that it does not (unseen)."
        )
    return " ".join(scores)


def _sizes(records: list[Record]) -> list[str]:
    """Keep apart the network that was trained and the published one, whose cost is given."""
    full = [
        r
        for r in records
        if r.params_m_full or r.gmacs_full or r.latency_ms_median_full or r.memory_mb_peak_full
    ]
    if not full:
        return []
    device, scale = distinct(full, "device") or "an unknown device", distinct(records, "scale")
    own = list(dict.fromkeys(r.label for r in full if r.method.partition(":")[0].endswith(".py")))
    return [
        f"Full size = the published network at 480x864 with one object; measured on {device}.",
        f"{', '.join(own)}: full size is the method as it was built; torch's counter sees what torch computes."
        if own
        else "",
        f"Latency and MACs of the full-size network, accuracy and FPS of the trained {scale} network: "
        f"one network does not reach both.",
        COUNTERS,
        MEMORY if any(r.memory_mb_peak_full for r in full) else "",
    ]


def _comparisons(compared: dict[str, Comparison], trained: set[str]) -> list[str]:
    """How rows were compared, and how many seeds would tell smaller differences from noise."""
    if not compared:
        return []
    single = [
        name
        for name, found in compared.items()
        if found.difference.seeds == 1 and trained & {name, found.reference}
    ]
    lines = [PAIRED]
    if single:
        lines.append(
            f"Compared on one seed: {', '.join(single)}. The interval leaves out the noise of training; "
            f"seeds=3 includes it."
        )
    for reference in dict.fromkeys(found.reference for found in compared.values()):
        needed = {
            name: found.seeds_needed
            for name, found in compared.items()
            if found.reference == reference and found.seeds_needed
        }
        if needed:
            worst = max(needed, key=needed.__getitem__)
            lines.append(
                f"About {needed[worst]} seeds would show a difference of {EFFECT} J&F between {worst} and "
                f"{reference}{', the noisiest pair' if len(needed) > 1 else ''} (power 0.8, paired t test "
                f"at 5 %, on these sequences)."
            )
    return lines


def _published(records: list[Record]) -> list[str]:
    pairs = list(dict.fromkeys((record.method, record.label) for record in records))
    columns = published_columns(pairs)
    marks = {mark for name in columns if "certainty" in name for mark in columns[name]}
    if columns.filter(like="published_jf_other").notna().to_numpy().any():
        marks.add("I")
    legend = "; ".join(f"[{mark}] = {meaning}" for mark, meaning in CERTAINTY.items() if mark in marks)
    return [f"{PUBLISHED} {legend}." if legend else "", *_published_rows(pairs)]


def _published_rows(pairs: list[tuple[str, str]]) -> list[str]:
    """Which rows the columns have by their label, from where, and what to beware of when comparing these."""
    rows = published_about(pairs)
    rows = rows[(rows["label"] != "") & rows["dataset"].isin(DAVIS.values())]
    if rows.empty:
        return []
    labels = rows.groupby("source", sort=False)["label"].unique()
    named = "; ".join(f"{', '.join(found)} ({source})" for source, found in labels.items())
    caveats = rows[rows["caveat"] != ""].drop_duplicates(["source", "caveat"])
    return [f"{PUBLISHED_ROWS}{named}.", *("About " + caveats["source"] + ": " + caveats["caveat"] + ".")]
