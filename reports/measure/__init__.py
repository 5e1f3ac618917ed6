"""What job=measure wrote into measure.json, as a page to read (measure.md) and as raw numbers (measure.csv)."""

import json
from pathlib import Path

import pandas as pd

from reports.measure import desktop, phone
from reports.table import csv_text

PAGES = {"desktop": desktop, "phone": phone}  # by the target; each makes a page and the lines of the csv


def write_measured(folder: Path) -> Path:
    """Write both from FOLDER/measure.json; returns the page."""
    content = json.loads((folder / "measure.json").read_text(encoding="utf-8"))
    made_by = PAGES[content.get("target", "desktop")]
    page = folder / "measure.md"
    page.write_text(made_by.page(content), encoding="utf-8")
    numbers = pd.DataFrame(made_by.lines(content), dtype=object)
    (folder / "measure.csv").write_text(csv_text(numbers), encoding="utf-8")
    return page
