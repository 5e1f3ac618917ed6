"""The report's page in a real browser: it loads without an error, shows its tables and pictures, and sorts."""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from reports.html import Shown, page, show_gap, show_pictures, show_table, show_text
from reports.table import Table

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
LOOK = """<script>
addEventListener("load", () => {
  const images = [...document.images];
  const table = document.querySelectorAll("table")[1];
  table.tHead.rows[0].cells[1].click();
  const seen = {
    tables: document.querySelectorAll("table").length,
    images: images.map(image => [image.complete, image.naturalWidth]),
    links: [...document.querySelectorAll("nav a")].map(a => !!document.querySelector(a.getAttribute("href"))),
    wide: document.documentElement.scrollWidth > innerWidth,
    scrolls: [...document.querySelectorAll(".wide")].map(box => box.scrollWidth > box.clientWidth),
    grey: getComputedStyle(document.querySelector("td.published")).color,
    ink: getComputedStyle(document.body).color,
    sorted: [...table.tBodies[0].rows].map(row => row.cells[0].textContent),
  };
  const told = document.createElement("pre");
  told.id = "seen";
  told.textContent = JSON.stringify(seen);
  document.body.append(told);
});
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing = f"no browser: none of {', '.join(BROWSERS)} is installed"
        if os.environ.get("VOS_BENCH_NEEDS_BROWSER") == "1":
            pytest.fail(f"VOS_BENCH_NEEDS_BROWSER=1: {missing}")
        pytest.skip(missing)
    return found


def dump(browser: str, file: Path, profile: Path, width: int) -> tuple[str, list[str]]:
    """The document after its scripts have run, and what the console said."""
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={profile}", f"--window-size={width},900", "--enable-logging=stderr"]
    command += ["--virtual-time-budget=10000", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def body(folder: Path) -> str:
    """A chapter with one of everything that notebooks show."""
    texts = pd.DataFrame(
        {
            "Method": ["first", "second", "third", "fourth"],
            "J&F": ["9.0 ± 1.0", "31.5", "—", "120.0"],
            **{f"J&F of set {n}, published": ["80.0 (79.0/81.0)", "—", "85.5", "—"] for n in range(12)},
            "J&F, measured": ["not measured"] * 4,
        }
    )
    Image.new("RGB", (40, 20), "red").save(folder / "a.png")
    Image.new("RGB", (60, 20), "blue").save(folder / "b.webp")
    (folder / "c.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="30" height="30"/>')
    pictures = {folder / name: name for name in ("a.png", "b.webp", "c.svg")}
    shown = show_text("# Chapter\n\n## Section\n\n| a | b |\n| --- | --- |\n| `1` | 2 |\n")
    shown += show_table(Table("Title <with> &", texts, ["A note."], texts)) + show_pictures(pictures)
    return (shown + show_gap("Not in the store: `./run_all.sh` fills it.") + Shown()).html


@pytest.mark.parametrize("width", [1400, 500])
def test_the_page_works_in_a_browser(browser, tmp_path, width):
    file = tmp_path / "report.html"
    file.write_text(page("Report", body(tmp_path)).replace("</body>", f"{LOOK}</body>"))
    document, console = dump(browser, file, tmp_path / "profile", width)
    assert console == []
    seen = json.loads(unescape(re.search(r'<pre id="seen">(.*?)</pre>', document, re.DOTALL)[1]))
    assert seen["tables"] == 2
    assert seen["images"] == [[True, 40], [True, 60], [True, 30]]
    assert seen["links"] == [True, True]
    assert not seen["wide"] and seen["scrolls"] == [False, True], "a wide table scrolls, not the page"
    assert seen["grey"] != seen["ink"]
    assert seen["sorted"] == ["fourth", "second", "first", "third"], "by number, what there is not last"


def test_an_error_of_the_page_would_be_seen(browser, tmp_path):
    """That the console is empty above says something only if it is not empty here."""
    file = tmp_path / "report.html"
    file.write_text(page("Report", body(tmp_path)).replace("</body>", "<script>nothing.here()</script></body>"))
    _, console = dump(browser, file, tmp_path / "profile", 1400)
    assert any("nothing is not defined" in line for line in console)


def test_the_picture_of_the_page_is_not_blank(browser, tmp_path):
    file, picture = tmp_path / "report.html", tmp_path / "page.png"
    file.write_text(page("Report", body(tmp_path)))
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={tmp_path}/profile", "--window-size=1400,900", f"--screenshot={picture}"]
    subprocess.run([*command, file.as_uri()], capture_output=True, timeout=120, check=True)
    colours = {colour for _, colour in Image.open(picture).convert("RGB").getcolors(10**7)}
    assert {(255, 0, 0), (0, 0, 255)} <= colours, "both pictures are on it"
