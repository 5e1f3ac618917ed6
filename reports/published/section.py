"""What is published about measured rows, as a section of Markdown below their table."""

from collections.abc import Sequence

import pandas as pd

from reports.markdown import markdown_table
from reports.published import CERTAINTY, published_about, two_readings
from reports.texts import MISSING


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
