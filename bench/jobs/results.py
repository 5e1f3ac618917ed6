"""Where a job leaves its tables. No torch: job=score starts quickly."""

import os
import sys
from pathlib import Path

from omegaconf import DictConfig

from bench.system.errors import ConfigError, say
from bench.system.files import write_text

OUT = Path(__file__).resolve().parents[2] / "reports" / "out"


def results_folder(config: DictConfig, name: str) -> Path:
    """The folder of a job's tables: `output`, or reports/out/<name>; ConfigError where none can be made."""
    out = Path(config.output or OUT / name).expanduser().absolute()
    place = next(folder for folder in (out, *out.parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise ConfigError(f"output={out}: {place} is no folder that can be written to; choose another")
    return out


def tell(out: Path) -> None:
    """Print the folder and, for run_all.sh, write it to the file that $BENCH_RESULT names."""
    say(f"results: {out}", sys.stdout)
    if os.environ.get("BENCH_RESULT"):
        write_text(Path(os.environ["BENCH_RESULT"]), str(out))
