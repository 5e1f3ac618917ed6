"""The command line: `python -m bench key=value ...`; `./run_all.sh` calls it and then `python -m reports`."""

import os
import sys
import warnings
from pathlib import Path

import methods
from bench.compose import STAGES, choices, load_config
from bench.errors import USER_ERRORS, show_warning
from bench.files import write_text

ROOT = Path(__file__).resolve().parents[1]
HELP = """\
usage: ./run_all.sh [key=value ...]

  ./run_all.sh                                     train, distil, evaluate, measure; print the table
  ./run_all.sh ablation=sampling                   another grid of cells
  ./run_all.sh ablation=sampling dataset=davis2016 dataset.root=/path/to/DAVIS
  ./run_all.sh job=evaluate method=stcn weights=/path/stcn.pth dataset=davis2017 dataset.root=/path/to/DAVIS

jobs:      {job}
ablations: {ablation}
methods:   {methods}
datasets:  {dataset}      (to be judged on: dataset=..., dataset.root=...)
training:  {training}      (to learn from: training=..., training.root=...)
recipes:   {recipe}
scales:    {scale}
stages:    stage0=static|bl30k|...  (learnt from before `training`; also stage1; the roots are stage0.root=...)

Other keys: method, options.<name>, weights, seeds, teacher.weights, imagenet.<backbone>, measure, device,
processes, runs, output, tracking_uri, recipe.<...>, scale.<...>. All with their defaults: ./run_all.sh --config
A killed run goes on where it stopped when the same command is given again.
"""


def main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(_help())
        return 0
    show = "--config" in arguments
    try:
        config = load_config([a for a in arguments if a != "--config"])
        if show:
            from omegaconf import OmegaConf

            print(OmegaConf.to_yaml(config))
            return 0
        return _run(config)
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130


def _run(config) -> int:
    """Do the job; its folder is printed and, for run_all.sh, written to the file $BENCH_RESULT names."""
    warnings.showwarning = show_warning
    # torch and its company load only now: mistakes in the arguments have been answered before that
    from bench.data import check_apart, locate
    from bench.grid import run_grid
    from bench.plan import Data, plan_ablation, plan_evaluation

    runs = Path(config.runs or ROOT / "runs").expanduser().absolute()
    if config.job == "ablate":
        stages = {name: locate(config[name], name, runs) for name in STAGES if config[name].kind != "none"}
        training, dataset = locate(config.training, "training", runs), locate(config.dataset, "dataset", runs)
        check_apart(dataset, [training, *stages.values()])
        cells = plan_ablation(config, Data(training, dataset, stages))
        name, title = config.ablation.name, config.ablation.title
    else:
        dataset = locate(config.dataset, "dataset", runs)
        cells = plan_evaluation(config, dataset)
        name, title = f"evaluate-{config.method}-{dataset['name']}", f"{config.method} on {dataset['name']}"
    out = Path(config.output or ROOT / "reports" / "out" / name).expanduser().absolute()
    try:
        records = run_grid(cells, config, title, runs, out)
    except KeyboardInterrupt:
        _tell(out)
        raise
    _tell(out)
    failed = [r for r in records if r.status != "ok"]
    for record in failed:
        print(f"warning: {record.label} seed {record.seed} {record.status}", file=sys.stderr)
    return 1 if len(failed) == len(records) else 0


def _tell(out: Path) -> None:
    print(f"results: {out}")
    if os.environ.get("BENCH_RESULT"):
        write_text(Path(os.environ["BENCH_RESULT"]), str(out))


def _help() -> str:
    names = {group: choices(group) for group in ("job", "ablation", "dataset", "training", "recipe", "scale")}
    return HELP.format(methods=", ".join(methods.available()), **{k: ", ".join(v) for k, v in names.items()})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
