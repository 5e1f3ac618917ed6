"""What a notebook's call shows, as HTML and as Markdown, and the one page that holds everything itself."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import chain, count
from pathlib import Path

import pandas as pd

from reports.marks import WORDS, is_published, ranks
from reports.side_by_side import NOT_MEASURED
from reports.table import Table, markdown_list, markdown_table
from reports.texts import MISSING, plain_markdown

PICTURES = "pictures"  # folder of a report
TEMPLATE = Path(__file__).parent / "page.html"
KINDS = {".png": "image/png", ".webp": "image/webp", ".svg": "image/svg+xml"}
HEADING = re.compile(r"<h([23])>(.*?)</h\1>", re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """What a notebook's call shows, as HTML for the page and as Markdown for the file beside it.

    Jupyter displays it by `_repr_mimebundle_`; `+` shows one thing after another.
    """

    html: str = ""
    markdown: str = ""

    def __add__(self, other: "Shown") -> "Shown":
        return Shown(self.html + other.html, self.markdown + other.markdown)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html, "text/markdown": self.markdown}


def show_table(table: Table) -> Shown:
    """Its sentences are folded away on the page: there are up to fifty."""
    notes = "".join(f"<li>{escape(sentence)}</li>\n" for sentence in table.sentences)
    html = f'<p class="title">{escape(table.title)}</p>\n{html_table(table.texts, table.better)}'
    if notes:
        html += f'<details class="notes"><summary>Notes</summary><ul>\n{notes}</ul></details>\n'
    lines = [f"**{plain_markdown(table.title)}**", "", *markdown_table(table.texts), ""]
    return Shown(html, "\n".join([*lines, *markdown_list(table.sentences)]) + "\n\n")


def show_text(markdown: str) -> Shown:
    return Shown(from_markdown(markdown), markdown.rstrip("\n") + "\n\n")


def show_gap(markdown: str) -> Shown:
    """What is missing, and how to fill it."""
    return Shown(f'<div class="gap">{from_markdown(markdown)}</div>\n', f"> {markdown}\n\n")


def show_pictures(pictures: dict[Path, str]) -> Shown:
    """{file: caption}; the files lie in the folder PICTURES of the report, and the page holds them itself."""
    shown = Shown()
    for path, caption in pictures.items():
        source = f"data:{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
        text = escape(caption)
        html = f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>\n'
        shown += Shown(html, f"![{plain_markdown(caption)}]({PICTURES}/{path.name})\n\n")
    return Shown(f'<div class="pictures">\n{shown.html}</div>\n', shown.markdown) if pictures else shown


def html_table(texts: pd.DataFrame, better: Mapping[str, str | None]) -> str:
    """Sortable; published figures in grey, the best of a column (as of `ranks`) in bold, the second underlined."""
    head, columns = "", []
    for name, column in texts.items():
        kind = ("text" if name in WORDS else "number") + (" published" if is_published(str(name)) else "")
        head += f'<th class="{kind}">{escape(str(name))}</th>'
        marked = zip(column.map(str), ranks(column, better), strict=True)
        columns.append([_cell(text, kind, rank) for text, rank in marked])
    rows = "".join(f"<tr>{''.join(cells)}</tr>\n" for cells in zip(*columns, strict=True))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n'


def from_markdown(text: str) -> str:
    """Markdown with tables as HTML; headings one level lower, as the page has its own title."""
    import mistune  # comes with nbconvert

    class Lower(mistune.HTMLRenderer):
        def heading(self, text: str, level: int, **_) -> str:
            return f"<h{level + 1}>{text}</h{level + 1}>\n"

        def table(self, text: str) -> str:
            return f'<div class="wide"><table>{text}</table></div>\n'

    return str(mistune.create_markdown(renderer=Lower(), plugins=["table"])(text))


def page(title: str, body: str) -> str:
    """The whole page: the body with an address for each heading, and a table of contents of these."""
    contents: list[str] = []
    taken: list[str] = []

    def address(found: re.Match) -> str:
        level, text = found.groups()
        plain = re.sub(r"<[^>]*>", "", text)
        stem = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "part"
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        taken.append(name := next(name for name in names if name not in taken))
        contents.append(f'<li class="level{level}"><a href="#{name}">{plain}</a></li>')
        return f'<h{level} id="{name}">{text}</h{level}>'

    body = HEADING.sub(address, body)
    parts = {"TITLE": escape(title), "CONTENTS": "\n".join(contents), "BODY": body}
    text = TEMPLATE.read_text(encoding="utf-8")
    return re.sub("@(TITLE|CONTENTS|BODY)@", lambda found: parts[found[1]], text)


def _cell(text: str, kind: str, mark: str) -> str:
    missing = "missing" if text in (NOT_MEASURED, MISSING, "") else ""
    return f'<td class="{" ".join(filter(None, [kind, mark, missing]))}">{escape(text)}</td>'
