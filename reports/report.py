"""What the notebooks call: each call writes the files of a table or a picture and shows it.

report = open_report()
report.ablation("sampling")
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from PIL import Image

from bench.record import Record, read_records
from reports import papers
from reports.figures import captions, write_figures
from reports.html import PICTURES, Shown, show_gap, show_pictures, show_table, show_text
from reports.results import COSTS, RECORDS, Result, read_results
from reports.rows import distinct, succeeded
from reports.table import Table
from reports.tables import tabulate, tabulate_costs
from reports.texts import MISSING

FOLDER = "VOS_REPORT"  # environment variable: the folder that holds report.json
DEFAULT = Path(__file__).parent / "out" / "report"
TABLES = "tables"  # folder of a report
CONTENTS = [
    "Of each ablation, method, dataset and scale, the newest run that has ended.",
    "Commits end in + when files had been changed.",
]
NOTEBOOKS = Path(__file__).parent / "notebooks"
ENDINGS = (".png", ".svg")
LARGE = 300_000  # bytes: larger pictures are photographs
WIDEST = 1800  # pixels


class Report:
    """The results of a store, and the folder that their tables and pictures are written to."""

    def __init__(self, results: Sequence[Result], out: Path, store: str) -> None:
        self.results, self.out, self.store = results, out, store

    def mobilevos(self) -> Shown:
        return self._table("mobilevos", papers.mobilevos(self.results))

    def deaot_distilled(self, number: int) -> Shown:
        """Table 1, 2, 3 or 4."""
        return self._table(f"deaot_distilled_table{number}", papers.deaot_distilled(number, self.results))

    def mobile_sam(self, number: int) -> Shown:
        """Table 2, 4 or 7."""
        return self._table(f"mobile_sam_table{number}", papers.mobile_sam(number, self.results))

    def baselines(self) -> Shown:
        return self._table("baselines", papers.baselines())

    def own_methods(self) -> Shown:
        """The suite's methods with their published scores, and what was measured of them."""
        return self._table("own_methods", papers.own_methods(self.results))

    def ablation(self, name: str) -> Shown:
        """Every result of the ablation, or the command that gives one."""
        found = [result for result in self.results if result.ablation == name]
        if not found:
            return show_gap(f"Not in the store: `./run_all.sh ablation={name}` fills it.")
        return sum(map(self._result, found), Shown())

    def contents(self) -> Shown:
        """What the store holds."""
        if not self.results:
            return show_gap(
                f"The store ({self.store}) holds no result. `./run_all.sh` fills it in minutes; each chapter names "
                f"the command that it takes. Then `./run_all.sh job=report` again."
            )
        rows = [
            {
                "Result": result.name,
                "Title": result.title,
                "Cells": _cells(result.records),
                "Seeds": str(len({record.seed for record in result.records}) or MISSING),
                "Sequences": distinct(succeeded(result.records), "sequences") or MISSING,
                "Device": distinct(result.records, "device") or MISSING,
                "Commit": distinct(result.records, "git_commit") or MISSING,
            }
            for result in self.results
        ]
        texts = pd.DataFrame(rows)
        return self._table("contents", Table("What the store holds", texts, CONTENTS, texts))

    def costs(self) -> Shown:
        """Parameters, multiply-adds, latency and memory of methods, from job=measure."""
        found = [result for result in self.results if result.job == COSTS and result.records]
        if not found:
            return show_gap("Not in the store: `./run_all.sh job=measure` fills it.")
        return sum((self._shown(result, tabulate_costs(result.records, result.title)) for result in found), Shown())

    def others(self) -> Shown:
        """Results that have no chapter of their own: evaluations, searches, other ablations."""
        notebooks = [path.read_text(encoding="utf-8") for path in NOTEBOOKS.glob("*.py")]
        shown = {name for text in notebooks for name in re.findall(r'report\.ablation\("(\w+)"\)', text)}
        found = [r for r in self.results if r.ablation not in shown and r.job != COSTS]
        return sum(map(self._result, found), Shown()) if found else show_text("None.")

    def _result(self, result: Result) -> Shown:
        if result.records:
            about = f" ({result.dataset}, scale {result.scale}, {result.method})" if result.ablation else ""
            return self._shown(result, tabulate(result.records, f"{result.title}{about}"))
        text = result.folder / "table.md"
        if result.job == "search" and text.is_file():
            pictures = adopt_figures(result, self.out / PICTURES)
            return show_text(re.sub("(?m)^#", "###", text.read_text(encoding="utf-8"))) + show_pictures(pictures)
        return show_gap(f"{result.title} ({result.name}) has begun and not ended: give its command again.")

    def _shown(self, result: Result, table: Table) -> Shown:
        pictures = adopt_figures(result, self.out / PICTURES)
        return self._table(result.name, table) + show_pictures(pictures)

    def _table(self, name: str, table: Table) -> Shown:
        table.write(self.out / TABLES, name)
        return show_table(table)


def open_report(folder: Path | None = None) -> Report:
    """The report of a folder with a report.json (job=report): $VOS_REPORT, or the default one."""
    folder = Path(folder or os.environ.get(FOLDER) or DEFAULT)
    content = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return Report(read_results(content["store"]) if content["store"] else [], folder, content["shown"])


def _cells(records: list[Record]) -> str:
    if not records:
        return "not ended"
    failed = len(records) - len(succeeded(records))
    return f"{len(records)}" + (f", {failed} of them failed or missing" if failed else "")


def adopt_figures(result: Result, folder: Path) -> dict[Path, str]:
    """Put the result's figures into `folder`; returns {file: caption}.

    Its own folder may hold those of another command by now: they are taken if its records are the result's.
    """
    with tempfile.TemporaryDirectory() as drawn:
        if result.records and not _holds(result.folder, result):
            paths = write_figures(result.records, Path(drawn))
        else:
            paths = sorted(result.folder.iterdir()) if result.folder.is_dir() else []
        folder.mkdir(parents=True, exist_ok=True)
        found = captions([path for path in paths if path.suffix in ENDINGS])
        return {_copy(path, folder / f"{result.name}-{path.name}"): text for path, text in found.items()}


def _holds(folder: Path, result: Result) -> bool:
    try:
        return read_records(folder / RECORDS) == result.records
    except (OSError, ValueError, TypeError):
        return False


def _copy(path: Path, target: Path) -> Path:
    """Large ones become smaller: the page holds them all."""
    if path.suffix == ".svg" or path.stat().st_size <= LARGE:
        shutil.copyfile(path, target)
        return target
    target = target.with_suffix(".webp")
    with Image.open(path) as picture:
        smaller = picture.convert("RGB")
        smaller.thumbnail((WIDEST, picture.height), Image.Resampling.LANCZOS)
        smaller.save(target, quality=85)
    return target
