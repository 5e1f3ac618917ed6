"""Runs the notebooks of reports/notebooks, one kernel after another, and writes what they show."""

import os
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

from reports.html import from_markdown, page
from reports.report import FOLDER, NOTEBOOKS

FIRST = "overview"
SECONDS = 600  # that a cell may take
TITLE = "Video object segmentation: published and measured"


def write_report(folder: Path, notebooks: Path = NOTEBOOKS) -> int:
    """Execute every notebook and write FOLDER/report.html and FOLDER/<notebook>.md.

    Returns 1 when a notebook stopped with an error, which is told with its cell; the others run all the same.
    """
    paths = sorted(notebooks.glob("*.py"), key=lambda path: (path.stem != FIRST, path.stem))
    body, failed = [], False
    for number, path in enumerate(paths, 1):
        print(f"notebook {number} of {len(paths)}: {path.stem}", file=sys.stderr, flush=True)
        notebook, error = _execute(path, folder)
        shown = list(_shown(notebook))
        if error:
            failed = True
            print(f"error: notebook {path.stem} stopped {error}", file=sys.stderr)
            text = f"This notebook stopped {error}"
            shown.append((f'<pre class="error">{escape(text)}</pre>\n', f"```\n{text}\n```\n"))
        body += [html for html, _ in shown]
        text = "\n".join(markdown.strip() + "\n" for _, markdown in shown)
        (folder / f"{path.stem}.md").write_text(text, encoding="utf-8")
    (folder / "report.html").write_text(page(TITLE, "".join(body)), encoding="utf-8")
    return int(failed)


def _execute(path: Path, folder: Path):
    """The executed notebook, and how it failed: "" when it did not. Its kernel has ended by then."""
    import jupytext
    from nbclient import NotebookClient  # comes with nbconvert
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from traitlets.config import Config

    notebook = jupytext.read(path)
    # Not by TCP, whose ports other users of the machine can reach.
    private = Config({"KernelManager": {"transport": "ipc"}})
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", config=private)
    with tempfile.TemporaryDirectory() as own:
        # A user's IPython folder may hold start-up files: with these the same store would give other reports. And
        # the kernel's launcher drops the first place of the import path when it is the working directory.
        places = filter(None, [own, str(NOTEBOOKS.parents[1]), os.environ.get("PYTHONPATH")])
        changed = {FOLDER: str(folder), "IPYTHONDIR": own, "PYTHONPATH": os.pathsep.join(places)}
        try:
            client.execute(env=os.environ | changed)
        except CellExecutionError as error:
            stopped = [c for c in notebook.cells if any(o.output_type == "error" for o in c.get("outputs", ()))]
            return notebook, f"with {error.ename}: {error.evalue}\nin this cell:\n\n{stopped[0].source}"
        except (CellTimeoutError, DeadKernelError) as error:
            return notebook, f"with {type(error).__name__}: {error}"
    return notebook, ""


def _shown(notebook) -> Iterator[tuple[str, str]]:
    """HTML and Markdown of each piece of prose and each output; code stays in the notebook."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield from_markdown(cell.source), cell.source
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and output.name == "stdout":
                yield f"<pre>{escape(output.text)}</pre>\n", f"```\n{output.text}\n```"
            elif "data" in output:
                plain = output.data.get("text/plain", "")
                html = output.data.get("text/html", f"<pre>{escape(plain)}</pre>\n")
                yield html, output.data.get("text/markdown", f"```\n{plain}\n```")
