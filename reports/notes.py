"""What stands below a table so that nobody misreads it. Plain sentences, for Markdown and LaTeX alike."""

from collections.abc import Iterable

from bench.record import COLUMNS, Column, Record, columns
from reports.comparison import EFFECT, NO_VERDICT, Comparison, by_reference, compare_soups, remark
from reports.published import CERTAINTY, DAVIS, published_about, published_columns
from reports.rows import busy, distinct, group_rows, main_score, succeeded, values
from reports.shares import share_notes
from reports.texts import BUSY, difference, interval

DAVIS_SCORES = (
    "J&F is the mean of J and F. Both are averaged over frames (without the first and the last), then over all "
    "objects, as DAVIS does."
)
SEEN_SCORES = (
    "On {} J&F is G: the mean of J and F over the classes that YouTube-VOS trains on (seen) and over those that it "
    "does not (unseen)."
)
SPREAD = "± is the sample standard deviation over the seeds."
PAIRED = (
    "Δ {score} is the difference to the row marked reference, paired by {sequence} and seed and averaged over "
    "objects, with a two-way 95 % interval: {sequence}s and seeds are both a sample. n.s. = not significant at 5 % "
    "after Holm's correction over all rows that are compared on one dataset; the interval is not corrected."
)
BUSY_NOTE = f"{BUSY}: other processes took more than a tenth of the cores meanwhile; the time is an upper bound."
ONE_TEACHER = "One teacher taught all seeds: intervals and verdicts hold for students of this teacher."
PUBLISHED = (
    "Published figures are not measured here: they are joined by the method's name and are of the full-size "
    "network, trained by its authors without BL30K and run on DAVIS at 480p."
)
PROMPTED = "Published figures are of the paper's networks at full size, with the masks of SAM's ViT-H as the truth."
PUBLISHED_ROWS = (
    "Rows that an ablation of a paper has show its figures in place of the method's, and none where it gives none: "
)


def notes(records: list[Record], compared: dict[str, Comparison]) -> list[str]:
    """The sentences that belong below the table of these records, whose rows were compared so."""
    done, main, shown = succeeded(records) or records, main_score(records), columns(records)
    prompted, rows = main.name == "miou", group_rows(records)
    sets = dict.fromkeys(record.dataset for record in done)
    lines = [_data([record for record in done if record.dataset == name], prompted) for name in sets]
    if taught := [record for record in done if record.train_steps]:
        clips = distinct(taught, "train_clips")
        steps = f"{distinct(taught, 'train_steps')} steps{f' on {clips}' if clips else ''}"
        lines.append(f"Training (our settings, not the papers'): {steps}.")
    lines += column_notes(done, (column for column in shown if column.group == "score"))
    lines += [] if prompted else [_scores(done)]
    if any(len(succeeded(cells)) > 1 for cells in rows.values()):
        lines.append(SPREAD)
    lines += _comparisons(compared, main)
    lines += _soups(rows, compare_soups(records))
    if len({cell.teacher for cell in taught if cell.teacher}) == 1 < len({cell.seed for cell in taught}):
        lines.append(ONE_TEACHER)
    lines += share_notes(records)
    lines += [] if prompted else _sizes(done)
    costs = [column for column in shown if column.group == "cost" or (prompted and column.group == "training")]
    lines += column_notes(done, costs)
    lines += [BUSY_NOTE] if busy(records) else []
    lines += [PROMPTED] if prompted else _published(records)
    lines += [
        f"{name}, seed {cell.seed}: {cell.status.rstrip('.')}."
        for name, cells in rows.items()
        for cell in cells
        if cell.status != "ok"
    ]
    return [line for line in lines if line]


def column_notes(records: list[Record], shown: Iterable[Column]) -> list[str]:
    """What the columns say of themselves, of which any record holds something."""
    return list(dict.fromkeys(c.note for c in shown if c.note and values(records, c.name)))


def _data(records: list[Record], prompted: bool) -> str:
    told = {field: distinct(records, field) or "unknown" for field in ("resolution", "device", "scale")}
    counts = {field: distinct(records, field) or 0 for field in ("sequences", "frames", "objects")}
    words = "{frames} images, {objects} points in their" if prompted else "{sequences} sequences, {objects}"
    return (
        f"Measured on {records[0].dataset}: {words.format(**counts)} objects, resolution {told['resolution']} "
        f"(height x width); device: {told['device']}, {distinct(records, 'precision')}; scale: {told['scale']}."
    )


def _scores(records: list[Record]) -> str:
    """YouTube-VOS, known by its scores of seen and unseen classes, averages otherwise than DAVIS."""
    seen = [record for record in records if record.j_seen is not None or record.j_unseen is not None]
    names = distinct(seen, "dataset")
    every = names and all(record.dataset in names.split(", ") for record in records)
    sentences = {DAVIS_SCORES: not every, SEEN_SCORES.format(names): names}
    return " ".join(sentence for sentence, holds in sentences.items() if holds)


def _sizes(records: list[Record]) -> list[str]:
    """Keep apart the network that was trained and the published one, whose cost is given."""
    costs = [column.name for column in COLUMNS if column.group == "cost" and column.name.endswith("_full")]
    full = [record for record in records if any(getattr(record, name) for name in costs)]
    if not full:
        return []
    device, scale = distinct(full, "device") or "an unknown device", distinct(records, "scale")
    own = ", ".join(dict.fromkeys(r.label for r in full if r.method.partition(":")[0].endswith(".py")))
    return [
        f"Full size = the published network at 480x864 with one object; measured on {device}.",
        own and f"{own}: full size is the method as it was built; torch's counter sees what torch computes.",
        f"Latency and MACs of the full-size network, accuracy and FPS of the trained {scale} network: "
        f"one network does not reach both.",
    ]


def _comparisons(compared: dict[str, Comparison], main: Column) -> list[str]:
    """How rows were compared, which without a verdict, and how many seeds would show smaller differences."""
    if not compared:
        return []
    sequence = "image" if main.name == "miou" else "sequence"
    lines = [PAIRED.format(score=main.title, sequence=sequence)]
    groups = by_reference(compared)
    if len(groups) > 1:
        listed = (f"{reference} of {', '.join(names)}" for reference, names in groups.items())
        lines.append(f"References: {'; '.join(listed)}.")
    for verdict in dict.fromkeys(row.verdict for row in compared.values() if NO_VERDICT in row.verdict):
        names = [name for name, row in compared.items() if row.verdict == verdict]
        advice = "" if "sequence" in verdict else ": seeds=3"
        lines.append(f"{verdict.capitalize()} ({', '.join(names)}). It takes three{advice}.")
    fixed = [name for name, row in compared.items() if row.difference.seeds == 1 and NO_VERDICT not in row.verdict]
    if fixed:
        lines.append(
            f"Nothing was trained on either side: the interval is over {sequence}s alone ({', '.join(fixed)})."
        )
    for reference, of in groups.items():
        rows = {name: compared[name] for name in of if compared[name].seeds_needed}
        if rows:
            most = max(rows.values(), key=lambda row: row.seeds_needed or 0)
            names = [name for name, row in rows.items() if row.seeds_needed == most.seeds_needed]
            lines.append(
                f"It might take {most.seeds_text} seeds to show a difference of {EFFECT} {main.title} between "
                f"{reference} and {', '.join(names)} (power 0.8, paired t test at 5 %, these {sequence}s, upper "
                f"80 % bound of the spread over seeds)."
            )
    return lines


def _soups(rows: dict[str, list[Record]], compared: dict[str, Comparison]) -> list[str]:
    """What each soup took with each seed, and what it gains over the best row that it is made of."""
    lines = []
    for name, found in compared.items():
        taken: dict[str, list[str]] = {}
        for cell in succeeded(rows[name]):
            taken.setdefault(cell.soup, []).append(str(cell.seed))
        told = "; ".join(f"{soup} with seed {', '.join(seeds)}" for soup, seeds in taken.items())
        gain = found.difference
        lines.append(
            f"{name} ({told}) minus {found.reference}, the best in this table of the rows that it is made of: "
            f"{difference(gain.mean, remark(found.verdict))}, two-way interval "
            f"{interval(gain.two_way_low, gain.two_way_high)} (Holm's correction over the soups)."
        )
    return lines


def _published(records: list[Record]) -> list[str]:
    pairs = list(dict.fromkeys((record.method, record.label) for record in records))
    columns = published_columns(pairs)
    marks = {mark for name in columns if "certainty" in name for mark in columns[name]}
    if columns.filter(like="published_jf_other").notna().to_numpy().any():
        marks.add("I")
    legend = "; ".join(f"[{mark}] = {meaning}" for mark, meaning in CERTAINTY.items() if mark in marks)
    lines = [f"{PUBLISHED} {legend}."] if legend else []
    # Which rows the columns have by their label, from where, and what to beware of when comparing these.
    rows = published_about(pairs)
    rows = rows[(rows["label"] != "") & rows["dataset"].isin(DAVIS.values())]
    if len(rows):
        labels = rows.groupby("source", sort=False)["label"].unique()
        named = "; ".join(f"{', '.join(found)} ({source})" for source, found in labels.items())
        caveats = rows[rows["caveat"] != ""].drop_duplicates(["source", "caveat"])
        lines += [f"{PUBLISHED_ROWS}{named}.", *("About " + caveats["source"] + ": " + caveats["caveat"] + ".")]
    return lines
