"""The page and the csv of what was timed on a phone."""

from typing import Any

import pandas as pd

from reports.measure.cells import cell, table
from reports.table import markdown_list
from reports.texts import shortened

UNTRIED = "Nobody has run this on a physical phone yet: check times against another tool before quoting them."
TIMES = {
    "executorch": "The median is over all runs",
    "litert": "LiteRT's benchmark_model tells no single runs: the median is that of the repeats' medians, p95 the "
    "largest of theirs",
}
OUTPUTS = {
    "executorch": "on the phone",
    "litert": "of LiteRT on this computer (on the phone its benchmark_model reads noise and keeps its outputs)",
}
COLUMNS = {
    "stage": "stage", "threads": "threads", "median (ms)": "ms_median", "p90": "ms_p90", "p95": "ms_p95",
    "min": "ms_min", "IQR": "ms_iqr", "medians of the repeats": "ms_medians", "runs": "runs",
    "memory (MB)": "peak_rss_mb", "largest difference": "max_abs", "relative": "relative",
}  # fmt: skip
JOINED = {"ms_medians": " ", "flags": "; ", "governors": " "}  # lists, in the csv


def page(content: dict) -> str:
    """measure.md."""
    settings, phone = content["settings"], content["phone"]
    scene = f"{settings['height']}x{settings['width']}, {settings['objects']} object(s)"
    lines = [
        "# Latency on a phone", "",
        f"{content['device']}, Android {phone['android_version']}, {phone['abi']}; {content['runtime']}; "
        f"{phone['libc']}; frames of {scene}; fp32, batch 1; {content['weights']}"
        f"{', options ' + str(content['options']) if content['options'] else ''}.", "",
    ]  # fmt: skip
    for name, found in content["methods"].items():
        lines += [f"## {name}", ""]
        for mode in dict.fromkeys(row["mode"] for row in found.get("rows", [])):
            rows = [
                row | {key: f"{row[key]:.1e}" for key in ("max_abs", "relative")}
                for row in [*found["frames"], *found["rows"]]
                if row["mode"] == mode
            ]
            shown = [{column: row.get(key) for column, key in COLUMNS.items()} for row in rows]
            lines += [f"{mode.capitalize()}:", "", *table(shown), ""]
        remarks = [f"{found['status']}."] if found["status"] != "ok" else []
        remarks = markdown_list([*remarks, *(f"Warning: {text}." for text in found["warnings"])])
        lines += [*remarks, ""] if remarks else []
    return "\n".join([*lines, "## How to read this", "", *markdown_list(_notes(content))]) + "\n"


def compact(content: dict) -> pd.DataFrame:
    """The whole frame of each method, which fits a terminal."""
    shown = {title: COLUMNS[title] for title in ("threads", "median (ms)", "p90", "memory (MB)")}
    rows = [
        {"method": name, "mode": row["mode"]} | {title: cell(row.get(key)) for title, key in shown.items()}
        for name, found in content["methods"].items()
        for row in found.get("frames", []) or [{"mode": shortened(found["status"])}]
    ]
    return pd.DataFrame(rows)


def lines(content: dict) -> list[dict[str, Any]]:
    """Of measure.csv: one for each row, frames first."""
    return [
        {"method": name, **row, **joined, "device": content["device"], "size": content["size"]}
        for name, found in content["methods"].items()
        for row in [*found.get("frames", []), *found.get("rows", [])]
        for joined in [{key: mark.join(map(str, row[key])) for key, mark in JOINED.items() if key in row}]
    ]


def _notes(content: dict) -> list[str]:
    phone = content["settings"]["phone"]
    rows = [row for found in content["methods"].values() for row in found.get("rows", [])]
    shares = {row["stage"]: row["per_frame"] for row in rows}
    governors = sorted({name for row in rows for name in row["governors"]})
    terms = [name if share == 1 else f"{share:g} x {name}" for name, share in shares.items()]
    sentences = [
        UNTRIED,
        *([f"frame = {' + '.join(terms)}; its p90 and p95 are the sums of theirs"] if terms else []),
        f"Burst: {phone['repeats']} repeats in fresh processes, each {phone['warmups']} warm-ups, then at least "
        f"{phone['runs']} runs and {phone['seconds']:g} s, at most {phone['max_seconds']:g} s. "
        f"{TIMES[phone['runtime']]}; setting a stage's inputs is not timed.",
        "Threads are held on the fastest cores. Clocks are as the phone sets them unless its governor is fixed: "
        "never compare rows of fixed and of free clocks.",
        f"Differences are those of the outputs {OUTPUTS[phone['runtime']]} to the method's own in PyTorch, the "
        "largest of all.",
        f"Governors: {', '.join(governors) or 'unknown'}.",
    ]
    if phone["sustained"]:
        sentences.append(
            f"Sustained: every stage for at least {phone['sustained']:g} s and {content['sustained_runs']} runs; "
            f"read its {'p95' if phone['runtime'] == 'litert' else 'p90'}."
        )
    return sentences
