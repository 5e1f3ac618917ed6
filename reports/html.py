"""Tables, notes and pictures as HTML, and the one page that holds everything itself."""

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import pandas as pd

from reports.marks import WORDS, is_published, ranks
from reports.side_by_side import NOT_MEASURED
from reports.texts import MISSING

TEMPLATE = Path(__file__).parent / "page.html"
KINDS = {".png": "image/png", ".webp": "image/webp", ".svg": "image/svg+xml"}
HEADING = re.compile(r"<h([23])>(.*?)</h\1>", re.DOTALL)


def html_table(texts: pd.DataFrame, better: Mapping[str, str | None]) -> str:
    """Sortable; published figures in grey, the best of a column (as of `ranks`) in bold, the second underlined."""
    columns = [_classes(str(column)) for column in texts]
    marks = [ranks(texts[column], better) for column in texts]
    head = "".join(f'<th class="{kind}">{escape(str(c))}</th>' for c, kind in zip(texts, columns, strict=True))
    body = []
    for row, found in zip(texts.to_numpy().tolist(), zip(*marks, strict=True), strict=True):
        cells = zip(row, columns, found, strict=True)
        body.append("".join(_cell(str(text), kind, mark) for text, kind, mark in cells))
    rows = "".join(f"<tr>{cells}</tr>\n" for cells in body)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n'


def html_notes(sentences: Sequence[str]) -> str:
    """Folded away: a table has up to fifty."""
    items = "".join(f"<li>{escape(sentence)}</li>\n" for sentence in sentences)
    return f'<details class="notes"><summary>Notes</summary><ul>\n{items}</ul></details>\n' if items else ""


def html_picture(path: Path, caption: str) -> str:
    """The picture itself, not its address."""
    data = base64.b64encode(path.read_bytes()).decode()
    source = f"data:{KINDS[path.suffix]};base64,{data}"
    text = escape(caption)
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>\n'


def from_markdown(text: str) -> str:
    """Markdown with tables as HTML; headings one level lower, as the page has its own title."""
    import mistune  # comes with nbconvert

    class Lower(mistune.HTMLRenderer):
        def heading(self, text: str, level: int, **_) -> str:
            return f"<h{level + 1}>{text}</h{level + 1}>\n"

        def table(self, text: str) -> str:
            return f'<div class="wide"><table>{text}</table></div>\n'

    return mistune.create_markdown(renderer=Lower(), plugins=["table"])(text)


def page(title: str, body: str) -> str:
    """The whole page: the body with an address for each heading, and a table of contents of these."""
    contents, taken = [], set()

    def address(found: re.Match) -> str:
        level, text = found.groups()
        plain = re.sub(r"<[^>]*>", "", text)
        name = stem = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "part"
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        contents.append(f'<li class="level{level}"><a href="#{name}">{plain}</a></li>')
        return f'<h{level} id="{name}">{text}</h{level}>'

    body = HEADING.sub(address, body)
    parts = {"TITLE": escape(title), "CONTENTS": "\n".join(contents), "BODY": body}
    text = TEMPLATE.read_text(encoding="utf-8")
    return re.sub("@(TITLE|CONTENTS|BODY)@", lambda found: parts[found[1]], text)


def _classes(column: str) -> str:
    side = "text" if column in WORDS else "number"
    return f"{side} published" if is_published(column) else side


def _cell(text: str, kind: str, mark: str) -> str:
    missing = "missing" if text in (NOT_MEASURED, MISSING, "") else ""
    return f'<td class="{" ".join(filter(None, [kind, mark, missing]))}">{escape(text)}</td>'
