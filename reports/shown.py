"""What a notebook's call shows: the same content as HTML for the page and as Markdown beside it."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

from reports.html import from_markdown, html_notes, html_picture, html_table
from reports.markdown import markdown_table
from reports.table import Table

PICTURES = "pictures"  # folder of a report


@dataclass(frozen=True)
class Shown:
    """Jupyter displays it by `_repr_mimebundle_`; `+` shows one thing after another."""

    html: str = ""
    markdown: str = ""

    def __add__(self, other: "Shown") -> "Shown":
        return Shown(self.html + other.html, self.markdown + other.markdown)

    def _repr_mimebundle_(self, **_) -> dict[str, str]:
        return {"text/html": self.html, "text/markdown": self.markdown}


def show_table(table: Table) -> Shown:
    html = f'<p class="title">{escape(table.title)}</p>\n'
    html += html_table(table.texts, table.better) + html_notes(table.sentences)
    lines = [f"**{table.title}**", "", *markdown_table(table.texts), ""]
    return Shown(html, "\n".join([*lines, *(f"- {sentence}" for sentence in table.sentences)]) + "\n\n")


def show_text(markdown: str) -> Shown:
    return Shown(from_markdown(markdown), markdown.rstrip("\n") + "\n\n")


def show_gap(markdown: str) -> Shown:
    """What is missing, and how to fill it."""
    return Shown(f'<div class="gap">{from_markdown(markdown)}</div>\n', f"> {markdown}\n\n")


def show_pictures(pictures: dict[Path, str]) -> Shown:
    """{file: caption}; the files lie in the folder PICTURES of the report."""
    if not pictures:
        return Shown()
    html = "".join(html_picture(path, caption) for path, caption in pictures.items())
    lines = [f"![{caption}]({PICTURES}/{path.name})\n" for path, caption in pictures.items()]
    return Shown(f'<div class="pictures">\n{html}</div>\n', "\n".join(lines) + "\n")
