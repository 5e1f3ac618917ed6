"""`python -m reports FOLDER`: tables and figures of FOLDER/records.jsonl, written beside it.

FOLDER/title.txt, if there, gives the title (its first line). Beside FOLDER/measure.json (job=measure) the page and
the figure are those of what was measured, beside FOLDER/search.json (job=search) the table and the figures are
those of its trials. With FOLDER/report.json (job=report) the notebooks are run instead. Exit code 2 when there are
no records, 1 when a notebook fails.
"""

import argparse
import json
import os
import sys
from io import TextIOWrapper
from pathlib import Path

from bench.record import Record, read_records

READER_GONE = 128 + 13  # 141, as a shell tells of a process that ended by SIGPIPE


def main(arguments: list[str] | None = None) -> int:
    try:
        code = _main(arguments)
        print(end="", flush=True)
    except BrokenPipeError:  # nobody reads on, as after `| head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would tell of it at its end
        return READER_GONE
    except (OSError, MemoryError, RecursionError) as error:
        print(f"error: {error or type(error).__name__}", file=sys.stderr)
        return 2
    return code


def _main(arguments: list[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports", description="Tables and figures from records.")
    parser.add_argument("folder", type=Path, help="the folder that holds records.jsonl")
    folder = parser.parse_args(arguments).folder
    try:
        for path in filter(
            Path.is_file, (folder / name for name in ("report.json", "search.json", "measure.json"))
        ):
            _check(path)
        whole = (folder / "report.json").is_file()
        search = (folder / "search.json").is_file()  # whose first trial may not have ended yet
        records = [] if whole or search else _read(folder / "records.jsonl")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    # Not before: these load pandas and matplotlib, and an error should not wait for them.
    try:
        if whole:
            from reports.execute import write_report

            code = write_report(folder)
            print(folder / "report.html")
            return code
        from reports.folder import write_all

        screen = write_all(records, folder, _title(folder))
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is missing: pip install 'vos-bench[reports]'", file=sys.stderr)
        return 2
    screen.show()
    return 0


def _read(path: Path) -> list[Record]:
    if not path.is_file():
        raise ValueError(f"no records at {path}: give the folder that a job wrote its records.jsonl to")
    try:
        records = read_records(path)
    except (ValueError, TypeError) as error:  # no JSON, or not the fields of a record
        raise ValueError(f"cannot read {path}: {error}") from None
    if not records:
        raise ValueError(f"{path} is empty: run the job again, it keeps the cells that are done")
    return records


def _check(path: Path) -> None:
    """Raise ValueError for JSON that no job has written."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"cannot read {path}: it is not what a job writes there; run the job again")


def _title(folder: Path) -> str:
    path = folder / "title.txt"
    lines = path.read_text(encoding="utf-8").strip().splitlines() if path.is_file() else []
    return lines[0] if lines else folder.resolve().name


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # a name that a terminal cannot show ends nothing
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
