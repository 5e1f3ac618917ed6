"""Runs are sent to MLflow at once or, where it does not take them, by the next command: nothing is lost."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from bench.system.databases import PATIENCE, hide
from bench.system.errors import say
from bench.system.files import read_json, room_in, set_aside, write_json, write_text
from bench.system.shapes import fits
from bench.tracking.store import Run, Store

REFUSED = (400, 404, 409, 413)


class Sender:
    """Sends runs to a store; after one that fails it keeps all in a file below `runs/unrecorded`, until `retry`.

    Metrics of a training at work need none of this: MLflow's own asynchronous logging can send them, as
    the cell's run has the whole curve in the end. quiet: somebody else tells the user what is not sent.
    """

    def __init__(self, store: Store, runs: Path, quiet: bool = False) -> None:
        self.store, self.kept = store, runs / "unrecorded" / f"{store.name}.jsonl"
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        self.sent: dict[str, str] = {}  # MLflow's ids by ours
        self._lock = FileLock(f"{self.kept}.lock")
        self._well, self._quiet, self._told = True, quiet, quiet

    def send(self, run: Run) -> str:
        """MLflow's id of the run; empty where MLflow has yet to take it."""
        if self._well and self._deliver(run):
            return self.sent[run.id]
        with room_in(self.kept.parent), self._lock, self.kept.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(asdict(run)))  # a kill may have left half a line before it
        return ""

    def retry(self) -> None:
        """Send what this process and earlier ones had to keep, in order, until that fails."""
        with self._lock:
            lines = self._kept_lines()
            runs = [run for run in lines if run is not None]
            if len(runs) < len(lines):  # the whole file stays, beside a new one
                set_aside(self.kept)
                self._keep(runs)
            self._well = True
            left = [run for run in runs if not (self._well and self._deliver(run))]
            if len(left) < len(runs):
                self._keep(left)

    def _keep(self, runs: list[Run]) -> None:
        write_text(self.kept, "\n".join(json.dumps(asdict(run)) for run in runs))

    def tell_kept(self) -> None:
        """Tell what has to wait for the next command."""
        count = len({run.id for run in self._unsent()})
        if count and not self._quiet:
            runs = f"{count} run{'s' * (count > 1)}"
            print(f"{runs} for MLflow kept in {self.kept}: the next command sends them", file=sys.stderr)

    def _unsent(self) -> list[Run]:
        return [run for run in self._kept_lines() if run is not None]

    def _kept_lines(self) -> list[Run | None]:
        """What each line holds; None: no run."""
        text = self.kept.read_text("utf-8", "replace") if self.kept.exists() else ""
        return [_run(line) for line in text.split("\n") if line]

    def _deliver(self, run: Run) -> bool:
        """Whether MLflow has the run now: sent, or by another process before."""
        try:
            self.sent[run.id] = self._send_cell(run) if run.cell else self.store.send(run)
        except Timeout:  # somebody else is at this cell
            return False
        except Exception as error:  # of MLflow, requests, SQLAlchemy, a driver, a disk: recording stops nothing
            from mlflow.exceptions import MlflowException

            # Where MLflow refused this one run, others may still get through.
            self._well = isinstance(error, MlflowException) and error.get_http_status_code() in REFUSED
            self._tell(error)
            return False
        return True

    def _send_cell(self, run: Run) -> str:
        """Of an evaluated cell there is one run for ever, whoever evaluates or records it."""
        path = Path(run.cell) / "record.json"
        with FileLock(path.with_name("lock")).acquire(timeout=PATIENCE):
            record = read_json(path, dict) or {}
            known = record.get("mlflow_run_id") or self.store.send(run)
            if record and record.get("mlflow_run_id") != known:
                write_json(path, record | {"mlflow_run_id": known})
        return known

    def _tell(self, reason: BaseException) -> None:
        """Once: there is one warning, however many runs there are."""
        if self._told:
            return
        self._told = True
        while reason.__cause__ is not None:  # MLflow's own words are about the rows that it could not write
            reason = reason.__cause__
        text = hide((str(reason).strip().splitlines() or [type(reason).__name__])[0], self.store.uri)[:200]
        say(
            f"warning: MLflow at {self.store.shown} takes no runs ({text}); they are kept in {self.kept} and "
            f"sent when it does"
        )


def _run(line: str) -> Run | None:
    try:
        values = json.loads(line)
        return Run(**values) if fits(values, Run) else None
    except (TypeError, ValueError, RecursionError):  # half a line, say, or another version's
        return None
