"""The command line: `python -m bench key=value ...`; `./run_all.sh` calls it and then `python -m reports`."""

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path

from omegaconf import OmegaConf

import methods
from bench.plan.compose import choices, load_config
from bench.plan.launcher import check_launcher
from bench.system.errors import READER_GONE, ConfigError, message_of, reader_gone, say, show_warning
from bench.system.files import room_in
from bench.system.stopping import EXIT_CODE, Stopped, listening
from bench.train.place import Place, find_place, launched
from methods.errors import MethodError

ROOT = Path(__file__).resolve().parents[1]
HELP = """\
usage: ./run_all.sh [key=value ...]

  ./run_all.sh                                     train, distil, evaluate, measure; print a table
  ./run_all.sh ablation=sampling                   another grid of cells
  ./run_all.sh ablation=sampling dataset=davis2016 dataset.root=/path/to/DAVIS
  ./run_all.sh job=evaluate method=stcn weights=/path/stcn.pth dataset=davis2017 dataset.root=/path/to/DAVIS
  ./run_all.sh job=check method=my_file.py:MyMethod          does a class of your own do what the suite needs?
  ./run_all.sh job=compare methods=[my_file.py:MyMethod,mobilevos_r18,stcn@/path/stcn.pth]    docs/own_method.md
  ./run_all.sh job=score predictions=/path/to/masks dataset=davis2017 dataset.root=/path/to/DAVIS
  ./run_all.sh ablation=sampling scale=gpu ranks=4   four GPUs for every network: docs/cluster.md
  ./run_all.sh job=segment video=clip.mp4 mask=first.png method=mobilevos_r18 weights=/path/weights.pt
  ./run_all.sh job=pseudo_label videos=/path/to/clips paste=/path/to/stills method=stcn weights=/path/stcn.pth
                                                   masks for videos that have none, to learn from: docs/data.md
  ./run_all.sh job=measure                         parameters, multiply-adds, latency and memory of all methods
  ./run_all.sh job=measure target=phone            latency on an Android phone attached by adb: docs/phone.md
  ./run_all.sh job=phone.doctor                    what is ready and what is missing for that
  ./run_all.sh job=export format=onnx method=mobilevos_r18 weights=/path/weights.pt
  ./run_all.sh job=search search=mobilevos         hyper-parameters, chosen on held-out training data
  ./run_all.sh ablation=sampling launcher=slurm    as jobs of a cluster: docs/cluster.md
  ./run_all.sh job=report                          tables of the papers, published beside measured: docs/reports.md
  ./run_all.sh job=ui                              MLflow's own pages of all runs

jobs:      {job}
ablations: {ablation}
methods:   {methods}
           my_file.py:MyMethod, masks:/path/to/folder; with the extra hf: {optional}
datasets:  {dataset}      (to be judged on: dataset=..., dataset.root=...)
training:  {training}      (to learn from: training=..., training.root=...)
           several at once: training=mix training.parts.<a name>=davis training.parts.<a name>.share=0.5 ...
recipes:   {recipe}
scales:    {scale}
searches:  {search}
launchers: {launcher}      (where cells are trained and evaluated: launcher.<...>)
stages:    stage0=static|bl30k|...  (learnt from before `training`; also stage1; the roots are stage0.root=...)

overrides=/path/file.yaml stands for the `key: value` lines of that file, such as the best.yaml of a search.
Other keys: method, methods, options.<name>, weights, seeds, teacher.weights, imagenet.<backbone>, measure, device,
pictures, processes, ranks, runs, output, tracking_uri, recipe.<...>, scale.<...>.
All, with their defaults: ./run_all.sh --config
A killed run goes on where it stopped when the same command is given again.
"""


def main(arguments: list[str]) -> int:
    quiet = (launched() or Place()).rank > 0  # the command line of the first one has the same mistake
    try:
        if text := _asked(arguments):
            print(text)
            return 0
        config = load_config(arguments)
        place = find_place(config)
        check_launcher(config)
        if place.rank > 0 and place.size == 1:  # launched beside one that needs no other
            return 0
        quiet = False
        warnings.showwarning = show_warning
        # torch and its company load only now: mistakes in the arguments have been answered before that
        together = import_module("bench.train.together") if place.size > 1 else None
        if together and not place.launcher:
            return together.launch(place.size, config.device, arguments)
        job = import_module(f"bench.jobs.{config.job}")
        runs = Path(config.runs or ROOT / "runs").expanduser().absolute()
        if runs.exists() and not runs.is_dir():
            raise ConfigError(f"runs={runs} is no folder: choose another")
        joined = together.joined(place, config.device) if together else nullcontext()
        with listening(), joined, room_in(runs), ends_itself():
            return job.run(config, runs)
    except KeyboardInterrupt as error:  # or a scheduler's SIGTERM
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return EXIT_CODE if isinstance(error, Stopped) else 130
    except Exception as error:
        return _told(error, quiet)


def _told(error: Exception, quiet: bool) -> int:
    """The exit code of an error, which is told; it is raised where it is a mistake of ours."""
    if isinstance(error, BrokenPipeError) and reader_gone():
        return READER_GONE
    if (message := message_of(error)) is None:
        raise error
    if not quiet:
        say(f"error: {message}")
    return 2


@contextmanager
def ends_itself() -> Iterator[None]:
    """A job's exit code is its own: a method that ends the program is an error."""
    try:
        yield
    except SystemExit as error:
        raise MethodError(message_of(error)) from None


def _asked(arguments: list[str]) -> str:
    """What --help or --config print; "" without these."""
    if {"-h", "--help"} & set(arguments):
        groups = ("job", "ablation", "dataset", "training", "recipe", "scale", "search", "launcher")
        names = {group: choices(group) for group in groups}
        names |= {"methods": methods.available(), "optional": methods.optional()}
        return HELP.format(**{key: ", ".join(found) for key, found in names.items()})
    if "--config" in arguments:
        return OmegaConf.to_yaml(load_config([a for a in arguments if a != "--config"]))
    return ""


def _whole(code: int) -> int:
    """The exit code once all that was printed has been read; quietly that of SIGPIPE where nobody reads."""
    try:
        print(end="", flush=True)
    except BrokenPipeError:
        code = READER_GONE
    if code == READER_GONE:  # what is left goes nowhere: Python would tell of it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in whose background this runs ignores it
    for stream in (sys.stdout, sys.stderr):  # a name that a terminal cannot show ends nothing
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_whole(main(sys.argv[1:])))
