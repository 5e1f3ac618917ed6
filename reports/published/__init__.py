"""Figures that the papers and official repositories published, each with its source and certainty.

Columns: `method` (this suite's name where it has one), `label` (the measured row of an ablation that this is the
published one of; such rows are unique by method, label and dataset), `variant` (in the source's words), `main`
("yes" for the row that stands beside measured ones without a row of their own: trained by the authors with labels
and without BL30K; at most one per method and dataset),
`dataset`, `jf_mean`, `j_mean`, `f_mean` (percent, 480p frames; G for YouTube-VOS), `jf_mean_other` (another
reading of the same source, inferred; the note says why), `fps` on `fps_device`, `params_m` (millions),
`source`, `certainty` of the scores, `note`, `caveat` (what to know before comparing the row with its neighbours;
it stands below the measured table). Where the note says that the parameters were counted, they are ours.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reports.table import markdown_table
from reports.texts import MISSING

DAVIS = {"davis16": "davis2016-val", "davis17": "davis2017-val"}
TEXTS = ["method", "label", "variant", "main", "dataset", "fps_device", "source", "certainty", "note",
         "caveat"]  # fmt: skip
CERTAINTY = {
    "V": "read in the paper or the official code",
    "V2": "read in another text that reports it",
    "X": "computed by running the official code",
    "I": "inferred",
}


def load_published() -> pd.DataFrame:
    """All published rows, by file and then in its order; empty texts are "", missing numbers NaN."""
    files = sorted(Path(__file__).parent.glob("*.csv"))
    rows = pd.concat([pd.read_csv(file, float_precision="round_trip") for file in files], ignore_index=True)
    return rows.astype(dict.fromkeys(TEXTS, object)).fillna(dict.fromkeys(TEXTS, ""))


def load_quantities() -> pd.DataFrame:
    """Published figures that are no scores of videos: the tables of MobileSAM, by file and in its order.

    Columns: `table` (its number), `method`, `label` (the row of an ablation that measures it), `variant` and
    `setting` (in the source's words), `quantity`, `value` (as printed), `field` (of a record that measures it, in
    percent; after a dot, a key of its JSON), `source`, `certainty`, `note`. Empty texts are "".
    """
    return pd.read_csv(Path(__file__).parent / "mobile_sam" / "tables.csv", dtype=object).fillna("")


def published_about(pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """What is published about measured rows, given as (method, label), by method in the order given.

    The rows of a label on all its datasets, those of the method itself on DAVIS.
    """
    rows = load_published()
    methods = list(dict.fromkeys(method for method, _ in pairs))
    own = pd.MultiIndex.from_frame(rows[["method", "label"]]).isin(pairs)
    general = rows["method"].isin(methods) & (rows["label"] == "") & rows["dataset"].str.startswith("davis")
    return rows[own | general].sort_values("method", key=lambda column: column.map(methods.index), kind="stable")


def published_columns(pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """What is published on DAVIS, a row per (method, label) as given (one may recur, and may have nothing).

    A label with a published row of its own has no others: a set that the source leaves out is not filled with
    the method's, which was trained otherwise. Without one it is the method's main row.

    Columns: `published_jf_<set>` and `published_jf_other_<set>` (percent or NaN), `published_certainty_<set>`
    and `published_source_<set>` (text or "") for the sets davis16 and davis17.
    """
    rows = load_published()
    rows = rows[(rows["main"] == "yes") | (rows["label"] != "")].set_index(["method", "label"])
    keys = pd.MultiIndex.from_tuples([pair if pair in rows.index else (pair[0], "") for pair in pairs])
    fields = {"jf": "jf_mean", "jf_other": "jf_mean_other", "certainty": "certainty", "source": "source"}
    columns = {
        f"published_{name}_{short}": rows[rows["dataset"] == dataset][field].reindex(keys).to_list()
        for short, dataset in DAVIS.items()
        for name, field in fields.items()
    }
    texts = [name for name in columns if "certainty" in name or "source" in name]
    return pd.DataFrame(columns).fillna(dict.fromkeys(texts, ""))


def two_readings(value: float, other: float, certainty: str = "") -> str:
    """A published score as text, with its certainty where given: "90.6 [V2]", "80.2 [V2] or 83.7 [I]"."""
    readings = [(value, certainty), (other, certainty and "I")]
    shown = [f"{score} [{mark}]" if mark else f"{score}" for score, mark in readings if not math.isnan(score)]
    return " or ".join(shown) or MISSING


def published_section(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """All rows about (method, label) pairs, with what the columns beside the measured figures have no room for."""
    rows = published_about(pairs)
    if rows.empty:
        return []
    remarks = list(dict.fromkeys(note for note in rows["note"] if note))
    texts = rows.astype(object).where(rows.notna(), MISSING).astype(str)
    readings = zip(rows["jf_mean"], rows["jf_mean_other"], strict=True)
    columns = {
        "Method": rows["method"],
        "Variant": rows["variant"],
        "Dataset": rows["dataset"],
        "Resolution": rows["dataset"].map(lambda name: "480p" if name.startswith("davis") else MISSING),
        "J&F": [two_readings(*pair) for pair in readings],
        "J": texts["j_mean"],
        "F": texts["f_mean"],
        "Params (M)": texts["params_m"],
        "FPS (device)": (texts["fps"] + " (" + rows["fps_device"] + ")").where(rows["fps"].notna(), MISSING),
        "Source": rows["source"],
        "Certainty": rows["certainty"],
        "Note": [str(remarks.index(note) + 1) if note else "" for note in rows["note"]],
    }
    marks = "; ".join(f"{mark} = {CERTAINTY[mark]}" for mark in dict.fromkeys(rows["certainty"]))
    return [
        *("", "## Published", ""),
        "Not measured here: what papers, repositories and leaderboards report about full-size networks.",
        *("", *markdown_table(pd.DataFrame(columns)), ""),
        f"Certainty: {marks}.",
        *("", *(f"{number}. {note}" for number, note in enumerate(remarks, 1))),
    ]
