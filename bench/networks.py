"""Networks with their weights: trained when they are not yet there, then loaded for use."""

import warnings
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

import methods
from bench.data import open_training
from bench.plan import Network, Training, groups
from bench.train.group import train_group
from bench.train.learner import Learner, check_schedule
from methods.backbones.imagenet import initialize_backbones
from methods.checkpoint import load_weights, read_file


def trained_folder(training: Training, runs: Path) -> Path:
    """Where a training keeps its checkpoints: `runs/trained/<method>-<recipe>-s<seed>-<key>`."""
    return runs / "trained" / f"{training.method}-{training.recipe.name}-s{training.seed}-{training.key}"


def weights_file(network: Network, runs: Path) -> Path | None:
    """The checkpoint a network is loaded from; None for methods without weights."""
    if network.training is not None:
        return trained_folder(network.training, runs) / "weights.pt"
    return Path(network.weights) if network.weights else None


def build(network: Network, runs: Path, device: str):
    """The method, with weights, on the device, ready for inference. Raises MethodError for wrong weights."""
    path = weights_file(network, runs)
    options = network.options
    if path is not None:
        options = {**checkpoint_options(path), **options}
    method = methods.create(network.method, **options)
    if path is not None:
        load_weights(method, path)
        method.to(device).eval()
    return method


def checkpoint_options(path: Path) -> dict:
    """Constructor options that a checkpoint of this suite was trained with; {} for other checkpoints."""
    content = read_file(path)
    meta = content.get("meta") if isinstance(content, dict) else None
    return dict(meta["options"]) if isinstance(meta, dict) and "options" in meta else {}


def train_all(trainings: list[Training], runs: Path, device: str) -> dict[str, str]:
    """Train what has no weights yet, teachers first, groups side by side; returns {key: why it failed}.

    Cells of one group share the stream of clips and the teacher's answers.
    """
    failures: dict[str, str] = {}
    teachers = {
        t.teacher.training.key: t.teacher.training for t in trainings if t.teacher and t.teacher.training
    }
    if teachers:
        failures |= train_all(list(teachers.values()), runs, device)
    pending = []
    for training in trainings:
        if training.teacher and training.teacher.training and training.teacher.training.key in failures:
            failures[training.key] = "its teacher failed"
        elif not (trained_folder(training, runs) / "weights.pt").exists():
            pending.append(training)
    for group in groups(pending):
        failures |= _train_group(group, runs, device)
    return failures


def _train_group(trainings: list[Training], runs: Path, device: str) -> dict[str, str]:
    first = trainings[0]
    check_schedule(first.schedule)
    clips = open_training(first.data, first.schedule, first.seed)
    taught = next((training.teacher for training in trainings if training.teacher), None)
    teacher = build(taught, runs, device) if taught else None
    if teacher is not None:
        teacher = teacher.to(memory_format=torch.channels_last).requires_grad_(False)
    learners = {training.key: _learner(training, runs, device) for training in trainings}
    train_group(list(learners.values()), clips, first.schedule, first.seed, teacher, device)
    return {key: learner.failure for key, learner in learners.items() if learner.failure}


def _learner(training: Training, runs: Path, device: str) -> Learner:
    """A fresh student; the seed alone decides its random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        method = methods.create(training.method, **training.options).to(device)
    initialisation = _initialize(method, training)
    meta = {
        "method": training.method,
        "options": training.options,
        "seed": training.seed,
        "data": training.data["name"],
        "initialisation": initialisation,
        "imagenet": training.imagenet,
    }
    frozen = bool(initialisation) and all(v != "random" for v in initialisation.values())
    folder = trained_folder(training, runs)
    name = f"{training.method} seed {training.seed}"
    return Learner(name, method, training.recipe, training.schedule, folder, meta, freeze_norm=frozen)


def _initialize(method: nn.Module, training: Training) -> dict[str, str]:
    """ImageNet weights where given; full-width networks without any get one warning."""
    report = initialize_backbones(method, training.imagenet)
    full_width = training.options.get("width", 1.0) == 1.0
    silent = [name for name, how in report.items() if how == "random" and not training.imagenet.get(name)]
    if full_width and silent:
        keys = ", ".join(f"imagenet.{name}=/path/to/weights.pth" for name in silent)
        warnings.warn(f"{training.method} starts from random weights; set {keys}", stacklevel=2)
    return report


def describe(network: Network, runs: Path) -> dict:
    """What a record says of how a network came to its weights."""
    path = weights_file(network, runs)
    if path is None:
        return {}
    facts: dict = {"weights": str(path)}
    if network.training is not None:
        meta = read_file(path)["meta"]
        kinds = [f"{name} {how}" for name, how in meta["initialisation"].items()]
        training = asdict(network.training.schedule)
        facts |= {
            "initialisation": ", ".join(kinds),
            "train_steps": training["steps"],
            "train_clips": network.training.data["name"],
        }
    else:
        facts["initialisation"] = f"checkpoint {path.name}"
    return facts
