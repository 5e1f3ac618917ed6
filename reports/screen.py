"""What a terminal shows when a run has ended: a table of at most 100 columns, what to open, what to try next."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.marks import BEST, ranks
from reports.texts import BUSY

WIDTH = 100
WORDY = re.compile("[a-z]{3}")  # cells of words stand at the left, and may take several lines
STYLES = {  # of cells, by what they say
    r"^\+.* significant": "green",
    r"^-.* significant": "red",
    r"^(failed|interrupted|not run)": "red",
    rf" {BUSY}$": "yellow",
    r"^(—|reference)$": "dim",
}


@dataclass(frozen=True)
class Screen:
    """title, the texts of a table by column, sentences below it; files and commands, each with what it is for."""

    title: str
    table: pd.DataFrame
    sentences: Sequence[str]
    files: Sequence[tuple[Path, str]]
    commands: Sequence[tuple[str, str]]

    def show(self) -> None:
        """Print it: coloured on a terminal where $NO_COLOR is not set, otherwise plain."""
        plain = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR"))
        console = Console(color_system=None if plain else "auto", highlight=False, emoji=False, markup=False)
        console.width = min(WIDTH, console.width) if sys.stdout.isatty() else WIDTH
        with console.capture() as drawn:  # rich would end the program where nobody reads
            self._draw(console)
        print("\n".join(line.rstrip() for line in drawn.get().splitlines()))

    def _draw(self, console: Console) -> None:
        console.print(Text(f"\n{_shown(self.title)}", "bold"))
        console.print(self._table())
        for sentence in self.sentences:
            console.print(Padding(Text(_shown(sentence), "dim"), (0, 1)))
        files = [(str(_near(path)), what) for path, what in self.files]
        for heading, lines in (("open", files), ("next", list(self.commands))):
            console.print(Text(f"\n{heading}" if lines else "", "bold"))
            short = [len(line) for line, what in lines if len(line) + len(what) + 6 <= console.width]
            for line, what in lines:  # a path and a command stay on one line, however long
                column = max(short) if len(line) in short and max(short) + len(what) + 6 <= console.width else 0
                gap = " " * (column - len(line) + 2) if column else "\n      "
                console.print(Text.assemble((f"  {_shown(line)}", "cyan"), (f"{gap}{what}", "dim")), soft_wrap=True)

    def _table(self) -> Table:
        drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="bold")
        for place, name in enumerate(self.table):
            wordy = place == 0 or any(WORDY.search(text.removesuffix(BUSY)) for text in self.table[name])
            drawn.add_column(
                _shown(str(name)), justify="left" if wordy else "right", overflow="fold", no_wrap=not wordy
            )
        marks = [ranks(self.table[name], {}) for name in self.table]
        for number, row in enumerate(self.table.itertuples(index=False)):
            best = [mark[number] == BEST for mark in marks]
            drawn.add_row(*map(_styled, map(str, row), best))
        return drawn


def _styled(text: str, best: bool) -> Text:
    style = next((style for pattern, style in STYLES.items() if re.search(pattern, text)), "bold" if best else "")
    return Text(_shown(text), style)


def _shown(text: str) -> str:
    """On one line, without what would steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _near(path: Path) -> Path:
    """As it is called from here."""
    path, here = path.absolute(), Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
