"""Soups of trained networks, chosen on held-out training data."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

import methods
from bench.plan.cells import Soup
from bench.plan.data import open_training
from bench.score.held_out import held_out_score
from bench.system.errors import ConfigError
from bench.system.files import write_checkpoint
from bench.system.progress import track
from bench.train.answers import batches
from methods.checkpoint import read_file
from methods.soups import State, average, greedy

NORM_BATCHES = 50


def make_soup(soup: Soup, folders: list[Path], path: Path, device: str) -> None:
    """Write the soup of the networks trained in `folders` (one a member) to `path`, as a checkpoint.

    An average's batch-norm statistics are none of its own: they are estimated anew on training clips, except
    those that all networks share (frozen in training, or of a single network), which stay.
    """
    files = [folder / "weights.pt" for folder in folders]
    if soup.trajectory:
        files = [file for folder in folders for file in sorted((folder / "snapshots").glob("[0-9]*.pt"))]
    if not files:
        raise ConfigError("a soup along a trajectory needs snapshots: set scale.student.snapshots to 1 or more")
    contents = [read_file(file) for file in files]
    states = [content["state_dict"] for content in contents]
    norms = _own_statistics(states)
    with track("mix", f"a {soup.pick} soup of {len(states)}", unit="soups") as bar:

        def score(state: State) -> float:
            bar.update()
            return held_out_score(_settled(state, norms, soup, device), soup.members[0], device)

        everyone = list(range(len(states)))
        mixed, members = greedy(states, score) if soup.pick == "greedy" else (average(states), everyone)
        settled = _settled(mixed, norms, soup, device).state_dict()
    kind = "snapshots" if soup.trajectory else "networks"
    meta = {**contents[0]["meta"], "soup": f"{soup.pick}: {len(members)} of {len(states)} {kind}"}
    state = {k: v.cpu().contiguous() for k, v in settled.items()}
    write_checkpoint(path, {"state_dict": state, "meta": meta, "curve": []})


def _own_statistics(states: list[State]) -> set[str]:
    """Names of the batch norms whose statistics differ from network to network."""
    ending, first = ".running_mean", states[0]
    means = [key for key in first if key.endswith(ending)]
    differ = [key for key in means if not all(torch.equal(state[key], first[key]) for state in states)]
    return {key.removesuffix(ending) for key in differ}


def _settled(state: State, names: set[str], soup: Soup, device: str) -> nn.Module:
    """The network with these weights; the statistics of the named norms are those of the first training clips."""
    training = soup.members[0]
    options = training.options if soup.options is None else soup.options
    method: Any = methods.create(training.method, **options)
    method.load_state_dict(state)
    method.to(device)
    norms = [module for name, module in method.named_modules() if name in names]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    if norms:
        stream = open_training(training.data, training.schedule, training.seed)
        with torch.inference_mode():
            for _, batch in zip(range(NORM_BATCHES), batches(stream, training.schedule, 0, device), strict=False):
                method.roll_out(batch["frames"], batch["first_masks"], batch["valid"])
    return method.eval()
