"""What job=measure wrote into measure.json, as a page to read (measure.md) and as raw numbers (measure.csv)."""

import json
from pathlib import Path

import pandas as pd

from reports.measure import desktop, phone
from reports.table import csv_text

PAGES = {"desktop": desktop, "phone": phone}  # by the target; each makes a page and the lines of the csv


def compact_measured(folder: Path) -> pd.DataFrame:
    """What fits a terminal of FOLDER/measure.json, as texts."""
    content = _read(folder)
    return PAGES[content.get("target", "desktop")].compact(content)


def write_measured(folder: Path) -> Path:
    """Write both from FOLDER/measure.json; returns the page."""
    content = _read(folder)
    made_by = PAGES[content.get("target", "desktop")]
    page = folder / "measure.md"
    page.write_text(made_by.page(content), encoding="utf-8")
    numbers = pd.DataFrame(made_by.lines(content), dtype=object)
    (folder / "measure.csv").write_text(csv_text(numbers), encoding="utf-8")
    return page


def _read(folder: Path) -> dict:
    return json.loads((folder / "measure.json").read_text(encoding="utf-8"))
