"""Runs on their way to MLflow, each in a file until MLflow has it: nothing is lost, and little is waited for."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread

from filelock import FileLock, Timeout
from tqdm import tqdm

from bench.system.databases import PATIENCE
from bench.system.files import read_json, write_json
from bench.tracking.mlflow_store import Run, Store, is_refused

UNSENT = "unsent-"  # with our id, what a run is called until MLflow has named it
SECONDS_BETWEEN_TRIES = 30
PATIENCE_WITH_A_DATABASE = 60  # seconds: its tables take some to make, on a busy machine


class Outbox:
    """Sends what lies in `runs/unsent/<store>`, in order, also what earlier processes left there.

    A thread sends; `put` waits for it only as long as MLflow is well. All processes of one folder take turns.
    quiet: somebody else tells the user what is not sent.
    """

    def __init__(self, store: Store, runs: Path, quiet: bool = False) -> None:
        self.store, self.folder = store, runs / "unsent" / store.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._patience = PATIENCE if store.is_server else PATIENCE_WITH_A_DATABASE
        self._names: dict[str, str] = {}  # MLflow's ids by ours
        self._quiet, self._told, self._well, self._closed = quiet, quiet, True, False
        self._refused: set[Path] = set()
        self._wake = Event()
        self._wake.set()
        Thread(target=self._work, daemon=True).start()

    def put(self, run: Run) -> str:
        """Keep the run and have it sent; returns its id in MLflow or, where that takes long, "unsent-<our id>"."""
        numbers = [int(path.name.partition("-")[0]) for path in self._unsent()]
        path = self.folder / f"{1 + max(numbers, default=0):08d}-{run.id}.json"
        write_json(path, asdict(run))
        self._wake.set()
        self._wait(lambda: path in self._refused or not path.exists())
        return self.name(UNSENT + run.id)

    def name(self, run: str) -> str:
        """MLflow's id of a run that `put` returned, once MLflow has it."""
        ours = run.removeprefix(UNSENT)
        if ours == run:
            return run
        if ours not in self._names:
            self._names |= self._sent()
        return self._names.get(ours, run)

    def close(self) -> None:
        """Try once more to send what is left, while it gets on; tells what has to wait for the next command."""
        self._well = True
        while self._well and (left := self._left()):
            self._wake.set()
            self._wait(lambda left=left: self._left() < left)
        self._closed = True
        self._wake.set()
        if (left := len(self._unsent())) and not self._quiet:
            runs = f"{left} run{'s' * (left > 1)}"
            print(f"{runs} for MLflow kept in {self.folder}: the next command sends them", file=sys.stderr)

    def _left(self) -> int:
        return sum(path not in self._refused for path in self._unsent())

    def _unsent(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.json"))

    def _wait(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + self._patience
        while self._well and not done():
            if time.monotonic() > until:
                self._well = False
                self._tell(f"no answer in {self._patience} s")
            time.sleep(0.02)

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait(SECONDS_BETWEEN_TRIES)
            self._wake.clear()
            try:
                with FileLock(self.folder / "lock").acquire(timeout=1):
                    self._send_all()
            except Timeout:
                self._wake.set()  # the one whose turn it is may be gone before it has seen all
            except OSError as error:  # a full disk, say
                self._fail(error)

    def _send_all(self) -> None:
        for path in self._unsent():
            if path in self._refused:
                continue
            try:
                run = Run(**(read_json(path, dict) or {}))
            except TypeError:
                self._refuse(path, f"{path.name} is damaged")
                continue
            try:
                sent = self.store.send(run, self._parent(run))
                with (self.folder / "sent.jsonl").open("a", encoding="utf-8") as file:
                    file.write(
                        "\n" + json.dumps([run.id, sent])
                    )  # a kill may have left half a line before it
                path.unlink()
                self._well = True
            except Exception as error:  # of MLflow, requests, SQLAlchemy, a driver: recording stops nothing
                if not is_refused(error):
                    self._fail(error)
                    return
                self._refuse(path, error)

    def _parent(self, run: Run) -> str | None:
        found = self.name(run.parent or "")
        return None if found.startswith(UNSENT) else found or None

    def _sent(self) -> dict[str, str]:
        """MLflow's ids by ours, of all that was ever sent from this folder."""
        path = self.folder / "sent.jsonl"
        names = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                ours, theirs = json.loads(line)
            except ValueError:  # no line, or half of one
                continue
            names[ours] = theirs
        return names

    def _fail(self, error: Exception) -> None:
        self._well = False
        self._tell(error)

    def _refuse(self, path: Path, reason: Exception | str) -> None:
        """Try this one again in the next process; those after it may get through."""
        self._refused.add(path)
        self._tell(reason)

    def _tell(self, reason: Exception | str) -> None:
        """Once: there is one warning, however many runs there are."""
        if self._told:
            return
        self._told = True
        text = (str(reason).strip().splitlines() or [type(reason).__name__])[0][:200]
        text = text.replace(self.store.uri, self.store.shown)
        tqdm.write(
            f"warning: MLflow at {self.store.shown} takes no runs ({text}); they are kept in {self.folder} and "
            f"sent when it does",
            file=sys.stderr,
        )
