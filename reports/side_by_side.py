"""Published figures with what this suite measured beside them: how the papers' tables are made."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bench.record import Record
from reports.published import CERTAINTY
from reports.published.words import NAMES
from reports.results import COSTS, Result
from reports.rows import aggregate, distinct
from reports.table import Table
from reports.texts import MISSING, number, spread

NOT_MEASURED = "not measured"
SETS = {  # in the order of their columns
    "davis2016-val": ("DAVIS 2016", "D16"),
    "davis2017-val": ("DAVIS 2017", "D17"),
    "davis2017-test-dev": ("DAVIS 2017 test-dev", "D17 test-dev"),
    "youtube-vos-2018-val": ("YouTube-VOS 2018", "YT18"),
    "youtube-vos-2019-val": ("YouTube-VOS 2019", "YT19"),
}
# A measured set is the published one when it has all of its sequences. Those of YouTube-VOS have no public masks.
SEQUENCES = {("davis2016", "20"): "davis2016-val", ("davis2017", "30"): "davis2017-val"}
SCORES = ["jf_mean", "j_mean", "f_mean"]
G = "J&F is G"
YOUTUBE = f"On YouTube-VOS, {G}, the mean of J (Js, Ju) and F (Fs, Fu) over seen and unseen classes."
NO_MASKS = "The masks of YouTube-VOS's validation sets are not public: job=evaluate writes a submission."
GIVEN = "given weights"  # instead of the scale: a checkpoint that was not trained here


@dataclass(frozen=True)
class Row:
    """A method in one variant: what is published (rows of `load_published`) and what was measured."""

    method: str
    variant: str
    published: pd.DataFrame
    scores: pd.DataFrame  # rows of `measured_scores`
    cost: Record | None  # of job=measure


def paper_table(
    title: str,
    published: pd.DataFrame,
    results: Sequence[Result] | None,
    remarks: Sequence[str] = (),
    also: Sequence[str] = (),
) -> Table:
    """A row per method and variant, a column per set: published and, unless `results` is None, measured.

    published: rows of `load_published`. One with a label is measured by the cells of that label, one marked
    `main` by those labelled as the method; methods in `also` have a row even when nothing main is published. What
    is not measured says so, and a set that was measured alone has a column of its own. The csv holds a line per
    figure.
    """
    rows = _rows(published, results or (), also)
    scores = pd.concat([row.scores for row in rows])
    notes = [_notes(row.published) for row in rows]
    numbered = list(dict.fromkeys(note for found in notes for note in found))
    sources = [dict.fromkeys(row.published["source"] + " [" + row.published["certainty"] + "]") for row in rows]
    columns = {
        "Method": [NAMES.get(row.method, row.method) for row in rows],
        "Variant": [row.variant or MISSING for row in rows],
        **_scores(rows),
        **_costs(rows),
        "Source": ["; ".join(found) or MISSING for found in sources],
        "Notes": [", ".join(str(numbered.index(note) + 1) for note in found) for found in notes],
    }
    empty = [name for name in ("Variant", "Notes") if set(columns[name]) <= {MISSING, ""}]
    hidden = [name for name in columns if results is None and name.endswith(", measured")]
    sentences = [published_marks(published)]
    if published["dataset"].str.startswith("youtube").any():
        sentences += [YOUTUBE, *([NO_MASKS] if results is not None else [])]
    sentences += [*(_measurements(rows, scores) if results is not None else []), *remarks]
    sentences += [f"({place}) {note}." for place, note in enumerate(numbered, 1)]
    unused = published.columns[published.isin([""]).all() | published.isna().all()]
    parts = [published.drop(columns=unused).assign(kind="published"), scores.assign(kind="measured")]
    numbers = pd.concat([part for part in parts if len(part)])
    numbers.insert(0, "kind", numbers.pop("kind"))
    return Table(title, pd.DataFrame(columns).drop(columns=[*empty, *hidden]), sentences, numbers)


def measured_scores(results: Sequence[Result]) -> pd.DataFrame:
    """The rows of all scored cells, as `aggregate` gives them, with the `set` that they were evaluated on."""
    frames = [  # by result and dataset: of several datasets, labels would name theirs
        aggregate([record for record in result.records if record.dataset == name])
        for result in results
        if result.job != COSTS
        for name in dict.fromkeys(record.dataset for record in result.records)
    ]
    columns = ["label", "method", "dataset", "sequences", "scale", "n", "device", *SCORES, "jf_mean_std"]
    found = pd.concat([pd.DataFrame(columns=columns, dtype=object), *frames])[columns]
    found = found[found["jf_mean"].notna()].drop_duplicates()
    pairs = zip(found["dataset"], found["sequences"], strict=True)
    return found.assign(set=[SEQUENCES.get(pair, f"{pair[0]} ({pair[1]} sequences)") for pair in pairs])


def _rows(published: pd.DataFrame, results: Sequence[Result], also: Sequence[str]) -> list[Row]:
    """In the order of `published`; figures that several sources give for one thing are on rows of their own."""
    scores = measured_scores(results)
    records = [record for result in results if result.job == COSTS for record in result.records]
    costs = {record.method: record for record in records if record.params_m_full}  # the newest ones
    place = published.groupby(["method", "label", "variant", "dataset"]).cumcount()
    groups = dict(list(published.groupby(["method", "label", "variant", place], sort=False)))
    main = set(published["method"][published["main"] == "yes"])
    groups |= {(name, "", "", -1): published.iloc[:0] for name in also if name not in main}
    rows = []
    for (method, label, variant, place), cells in groups.items():
        ours = label or (method if place < 0 or "yes" in set(cells["main"]) else None)
        own = scores[(scores["method"] == method) & (scores["label"] == ours)]
        rows.append(Row(method, variant, cells, own, None if label else costs.get(method)))
    return rows


def _scores(rows: list[Row]) -> dict[str, list[str]]:
    """Columns of J&F, of the published sets first."""
    known = {name for row in rows for name in row.published["dataset"]}
    others = dict.fromkeys(name for row in rows for name in row.scores["set"] if name not in known)
    figures = [str(x) for row in rows for x in (*row.published[SCORES].stack(), 0.0)]
    decimals = max(len(x.partition(".")[2]) for x in figures)
    columns = {}
    for name in [*(name for name in SETS if name in known), *others]:
        heading = f"J&F (J/F) {SETS[name][0] if name in SETS else name}"
        if name in known:
            columns[f"{heading}, published"] = [_published(row.published, name, decimals) for row in rows]
        columns[f"{heading}, measured"] = [_measured(row.scores, name) for row in rows]
    return columns


def _published(cells: pd.DataFrame, name: str, decimals: int) -> str:
    """ "72.75 (69.90/75.60)"; "80.2 or 83.7 (—/87.1)" where the source can be read in two ways."""
    found = cells[cells["dataset"] == name]
    if found.empty:
        return MISSING
    cell = found.iloc[0]
    readings = [number(x, decimals) for x in (cell["jf_mean"], cell["jf_mean_other"]) if not math.isnan(x)]
    parts = [number(x, decimals) for x in (cell["j_mean"], cell["f_mean"])]
    return " or ".join(readings) + (f" ({'/'.join(parts)})" if set(parts) != {MISSING} else "")


def _measured(cells: pd.DataFrame, name: str) -> str:
    """ "46.1 ± 1.0 (45.2/47.0), laptop"; several where several networks were evaluated."""
    texts = [
        f"{spread(c.jf_mean, c.jf_mean_std)} ({c.j_mean:.1f}/{c.f_mean:.1f}), {c.scale or GIVEN}"
        for c in cells[cells["set"] == name].itertuples()
    ]
    return "; ".join(texts) or NOT_MEASURED


def _costs(rows: list[Row]) -> dict[str, list[str]]:
    """Columns of parameters and speed, where any are published."""
    columns = {}
    if any(row.published["params_m"].notna().any() for row in rows):
        found = [row.published["params_m"].dropna().map(str) for row in rows]
        columns["Params (M), published"] = [next(iter(values), MISSING) for values in found]
        columns["Params (M), measured"] = [_cost(row.cost, "params_m_full") for row in rows]
    if any(row.published["fps"].notna().any() for row in rows):
        columns["Speed (FPS), published"] = [_speeds(row.published) for row in rows]
        devices = [filter(None, dict.fromkeys(row.published["fps_device"])) for row in rows]
        columns["Device"] = [", ".join(found) or MISSING for found in devices]
        columns["Speed (FPS), measured"] = [_cost(row.cost, "fps") for row in rows]
    return columns


def _speeds(cells: pd.DataFrame) -> str:
    """ "26.9 (D16), 20.2 (D17)" """
    known = cells[cells["fps"].notna()]
    pairs = zip(known["fps"], known["dataset"], strict=True)
    return ", ".join(f"{fps} ({SETS[name][1]})" if name in SETS else f"{fps}" for fps, name in pairs) or MISSING


def _cost(record: Record | None, field: str) -> str:
    value = getattr(record, field, None)
    return NOT_MEASURED if value is None else number(value)


def _notes(cells: pd.DataFrame) -> list[str]:
    """What the notes say, each once; one that is about some of several sets names them."""
    about: dict[str, list[str]] = {}
    for cell in cells.itertuples():
        for note in cell.note.split("; "):
            if note and not note.startswith(G):
                about.setdefault(note, []).append(SETS[cell.dataset][1] if cell.dataset in SETS else "")
    notes = [n if len(sets) == len(cells) else f"{', '.join(sets)}: {n}" for n, sets in about.items()]
    return notes + [caveat for caveat in dict.fromkeys(cells["caveat"]) if caveat]


def published_marks(published: pd.DataFrame) -> str:
    """What the marks of these published rows mean."""
    marks = "; ".join(f"[{mark}] = {CERTAINTY[mark]}" for mark in dict.fromkeys(published["certainty"]))
    return f"Published figures are not measured here. {marks}."


def _measurements(rows: list[Row], scores: pd.DataFrame) -> list[str]:
    """How what is measured came about."""
    lines = ["No score of this table has been measured yet."]
    if len(scores):
        seeds, devices = (", ".join(dict.fromkeys(scores[name].map(str))) for name in ("n", "device"))
        lines = [
            f"Measured scores are means over {seeds} seeds (± their sample standard deviation), on {devices}; "
            f"behind them stands the scale, or that the weights were given."
        ]
    if "laptop" in set(scores["scale"]):
        lines.append("At scale laptop, networks are narrow and train for minutes: compare rows, not papers.")
    if devices := distinct([row.cost for row in rows if row.cost], "device"):
        lines.append(
            f"Measured parameters and speeds are those of job=measure: full-size networks at 480x864 with one "
            f"object, protocol frame, on {devices}."
        )
    return lines
