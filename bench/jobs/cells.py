"""What jobs that run a grid of cells share."""

import os
import sys
from pathlib import Path

from omegaconf import DictConfig

from bench.cells import Cell
from bench.files import write_text
from bench.grid import run_grid

OUT = Path(__file__).resolve().parents[2] / "reports" / "out"


def results_folder(config: DictConfig, name: str) -> Path:
    """The folder of a job's tables: `output`, or reports/out/<name>."""
    return Path(config.output or OUT / name).expanduser().absolute()


def tell(out: Path) -> None:
    """Print the folder and, for run_all.sh, write it to the file that $BENCH_RESULT names."""
    print(f"results: {out}")
    if os.environ.get("BENCH_RESULT"):
        write_text(Path(os.environ["BENCH_RESULT"]), str(out))


def run_cells(cells: list[Cell], config: DictConfig, name: str, title: str, runs: Path) -> int:
    """Run the grid into its folder; the exit code is 1 when no cell succeeded."""
    out = results_folder(config, name)
    try:
        records = run_grid(cells, config, title, runs, out)
    except KeyboardInterrupt:
        tell(out)
        raise
    tell(out)
    failed = [record for record in records if record.status != "ok"]
    for record in failed:
        print(f"warning: {record.label} seed {record.seed} {record.status}", file=sys.stderr)
    return 1 if len(failed) == len(records) else 0
