"""A worker of a search whose best is known and whose trials take milliseconds: `toy_search.py URL RUNS TRIALS`.

The fourth argument is what its third trial does: `hang` for ever, or `stop` as ^C does.
"""

import os
import sys
import time
from pathlib import Path

from bench.search import study as studies
from bench.search.options import Settings
from bench.search.study import open_study, work_on

BEST = {"x": 4, "y": "b"}
HANG = 600  # seconds


def toy(url: str, runs: Path, trials: int, does: str = "finish", sampler: str = "tpe") -> None:
    settings = Settings(name="toy", trials=trials, heartbeat=1, sampler=sampler)

    def objective(trial, chosen) -> float:
        x, y = trial.suggest_int("x", 0, 5), trial.suggest_categorical("y", ["a", "b"])
        chosen()
        trial.set_user_attr("worker", os.getpid())
        if does == "hang" and trial.number == 2:
            (runs / "hanging").touch()
            time.sleep(HANG)
        if does == "stop" and trial.number == 2:
            raise KeyboardInterrupt
        time.sleep(0.05)
        return (y == BEST["y"]) - (x - BEST["x"]) ** 2

    work_on(open_study("toy", url, settings, 1, runs), settings, runs, objective)


if __name__ == "__main__":
    studies.SILENCE = 2
    toy(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
