"""The command line: `python -m bench key=value ...`; `./run_all.sh` calls it and then `python -m reports`."""

import sys
import warnings
from importlib import import_module
from pathlib import Path

import methods
from bench.compose import choices, load_config
from bench.errors import USER_ERRORS, show_warning

ROOT = Path(__file__).resolve().parents[1]
HELP = """\
usage: ./run_all.sh [key=value ...]

  ./run_all.sh                                     train, distil, evaluate, measure; print the table
  ./run_all.sh ablation=sampling                   another grid of cells
  ./run_all.sh ablation=sampling dataset=davis2016 dataset.root=/path/to/DAVIS
  ./run_all.sh job=evaluate method=stcn weights=/path/stcn.pth dataset=davis2017 dataset.root=/path/to/DAVIS
  ./run_all.sh job=check method=my_file.py:MyMethod          does a class of your own do what the suite needs?
  ./run_all.sh job=compare methods=[my_file.py:MyMethod,mobilevos_r18,stcn@/path/stcn.pth]    docs/own_method.md
  ./run_all.sh job=score predictions=/path/to/masks dataset=davis2017 dataset.root=/path/to/DAVIS
  ./run_all.sh job=measure                         parameters, multiply-adds, latency and memory of all methods
  ./run_all.sh job=measure target=phone            latency on an Android phone attached by adb: docs/phone.md
  ./run_all.sh job=phone.doctor                    what is ready and what is missing for that
  ./run_all.sh job=export format=onnx method=mobilevos_r18 weights=/path/weights.pt
  ./run_all.sh job=search search=mobilevos         hyper-parameters, chosen on held-out training data

jobs:      {job}
ablations: {ablation}
methods:   {methods}
           my_file.py:MyMethod, masks:/path/to/folder; with the extra hf: {optional}
datasets:  {dataset}      (to be judged on: dataset=..., dataset.root=...)
training:  {training}      (to learn from: training=..., training.root=...)
recipes:   {recipe}
scales:    {scale}
searches:  {search}
stages:    stage0=static|bl30k|...  (learnt from before `training`; also stage1; the roots are stage0.root=...)

overrides=/path/file.yaml stands for the `key: value` lines of that file, such as the best.yaml of a search.
Other keys: method, methods, options.<name>, weights, seeds, teacher.weights, imagenet.<backbone>, measure, device,
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
    warnings.showwarning = show_warning
    # torch and its company load only now: mistakes in the arguments have been answered before that
    job = import_module(f"bench.jobs.{config.job}")
    return job.run(config, Path(config.runs or ROOT / "runs").expanduser().absolute())


def _help() -> str:
    groups = ("job", "ablation", "dataset", "training", "recipe", "scale", "search")
    names = {group: choices(group) for group in groups}
    named = {"methods": ", ".join(methods.available()), "optional": ", ".join(methods.optional())}
    return HELP.format(**named, **{k: ", ".join(v) for k, v in names.items()})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
