"""Networks with their weights: trained or mixed when they are not yet there, then loaded for use."""

import warnings
from pathlib import Path

import torch
from torch import nn

import methods
from bench.cells import Network, Training, content_hash, groups, name_for_files
from bench.data import open_training
from bench.processes import run_jobs
from bench.soups import make_soup
from bench.train.answers import map_number
from bench.train.group import OnStep, train_group
from bench.train.learner import Learner, check_schedule
from bench.workers import count_processes
from methods.backbones.imagenet import initialize_backbones
from methods.checkpoint import load_weights, read_file


def trained_folder(training: Training, runs: Path) -> Path:
    """Where a training keeps its checkpoints: `runs/trained/<method>-<recipe>-s<seed>-<key>`."""
    name = name_for_files(training.method)
    return runs / "trained" / f"{name}-{training.recipe.name}-s{training.seed}-{training.key}"


def weights_file(network: Network, runs: Path) -> Path | None:
    """The checkpoint a network is loaded from; None for methods without weights."""
    if network.training is not None:
        return trained_folder(network.training, runs) / "weights.pt"
    if network.soup is not None:
        return runs / "soups" / f"{name_for_files(network.method)}-{network.soup.pick}-{network.soup.key}.pt"
    return Path(network.weights) if network.weights else None


def build(network: Network, runs: Path, device: str):
    """The method, with weights, on the device, ready for inference. Raises MethodError for wrong weights."""
    options = network.built_with
    path = None if network.folder else weights_file(network, runs)
    if path is not None:
        if network.soup is not None and not path.exists():
            folders = [trained_folder(member, runs) for member in network.soup.members]
            make_soup(network.soup, folders, path, device)
        options = {**checkpoint_options(path), **options}
    method = methods.create(network.method, **options)
    if path is not None:
        load_weights(method, path)
    return method.to(device).eval() if isinstance(method, nn.Module) else method


def checkpoint_options(path: Path) -> dict:
    """Constructor options that a checkpoint of this suite was trained with; {} for other checkpoints."""
    content = read_file(path)
    meta = content.get("meta") if isinstance(content, dict) else None
    return dict(meta["options"]) if isinstance(meta, dict) and "options" in meta else {}


def train_all(
    trainings: list[Training],
    runs: Path,
    device: str,
    processes: int | str = "auto",
    on_step: OnStep | None = None,
) -> dict[str, str]:
    """Train what has no weights yet, after what it needs; returns {key: why it failed}.

    Trainings of one group share the stream of clips and the teacher's answers; groups (mostly: seeds) run in
    up to `processes` processes side by side. `on_step` (see `train_group`) watches these trainings, not those
    that they need, and wants `processes=1`.
    """
    failures: dict[str, str] = {}
    for training in trainings:
        check_schedule(training.schedule)
    _check_maps(trainings)
    needed = {needed.key: needed for training in trainings for needed in training.needs}
    if needed:
        failures |= train_all(list(needed.values()), runs, device, processes)
    pending = []
    for training in trainings:
        reasons = [failures[needed.key] for needed in training.needs if needed.key in failures]
        if reasons:
            failures[training.key] = f"its teacher or an earlier stage failed: {reasons[0]}"
        elif not _done(training, runs):
            pending.append(training)
    jobs, processes = groups(pending), count_processes(processes, device)
    if len(jobs) < processes:  # cores would idle, and without a teacher to share there is little to lose
        jobs = [
            part for job in jobs for part in ([job] if any(t.teacher for t in job) else [[t] for t in job])
        ]
    found = run_jobs(train_job, jobs, (runs, device, on_step), processes)
    undone = {training.key for training in pending if not _done(training, runs)}
    return failures | {key: why for key, why in found.items() if key in undone}


def train_job(
    trainings: list[Training], runs: Path, device: str, on_step: OnStep | None = None
) -> dict[str, str]:
    """Train those of one group that have no weights yet, side by side; returns {key: why it failed}."""
    trainings = [training for training in trainings if not _done(training, runs)]
    if not trainings:
        return {}
    first = trainings[0]
    clips = open_training(first.data, first.schedule, first.seed)
    taught = next((training.teacher for training in trainings if training.teacher), None)
    teacher = build(taught, runs, device) if taught else None
    if teacher is not None:
        teacher = teacher.to(memory_format=torch.channels_last).requires_grad_(False)
    learners = {training.key: _learner(training, runs, device, teacher) for training in trainings}
    train_group(list(learners.values()), clips, first.schedule, first.seed, teacher, device, on_step)
    return {key: learner.failure for key, learner in learners.items() if learner.failure}


def _check_maps(trainings: list[Training]) -> None:
    """Raise ConfigError, before hours are spent, for attention maps that a student or its teacher lacks."""
    asked = {}  # a network of many trainings is built once
    for training in trainings:
        if "attention" in training.recipe.losses:
            teacher, wanted = training.teacher, training.recipe.attention.teacher_map
            for name, options, number in (
                (training.method, training.options, None),
                (teacher.method, teacher.options, wanted),
            ):
                asked.setdefault(content_hash([name, options]), (name, options, set()))[2].add(number)
    for name, options, numbers in asked.values():
        method = methods.create(name, **options)
        for number in numbers:
            map_number(method, number)


def _done(training: Training, runs: Path) -> bool:
    return (trained_folder(training, runs) / "weights.pt").exists()


def _learner(training: Training, runs: Path, device: str, teacher: nn.Module | None) -> Learner:
    """A fresh student, or one that goes on from the stage before; the seed alone decides random weights."""
    folder = trained_folder(training, runs)
    name = f"{training.method} seed {training.seed}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        method = methods.create(training.method, **training.options).to(device)
        if training.start is None:
            initialisation = _initialize(method, training)
        else:
            path = trained_folder(training.start, runs) / "weights.pt"
            load_weights(method, path)
            initialisation = read_file(path)["meta"]["initialisation"]
        meta = {
            "method": training.method,
            "options": training.options,
            "seed": training.seed,
            "data": training.data["name"],
            "initialisation": initialisation,
            "imagenet": training.imagenet,
        }
        frozen = bool(initialisation) and all(how != "random" for how in initialisation.values())
        return Learner(name, method, training.recipe, training.schedule, folder, meta, frozen, teacher)


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
    if not network.trainings:
        return facts | {"initialisation": f"checkpoint {path.name}"}
    meta = read_file(path)["meta"]
    stages, training = [], network.trainings[0]
    while training is not None:
        stages.insert(0, training)
        training = training.start
    return facts | {
        "initialisation": ", ".join(f"{name} {how}" for name, how in meta["initialisation"].items()),
        "train_steps": sum(stage.schedule.steps for stage in stages),
        "train_clips": ", then ".join(dict.fromkeys(stage.data["name"] for stage in stages)),
        "soup": meta.get("soup", ""),
    }


def training_curve(network: Network, runs: Path) -> list[dict[str, float]]:
    """Loss parts, learning rate and step along the last stage of its training; empty for other networks."""
    return read_file(weights_file(network, runs))["curve"] if network.training else []


def progress(network: Network, runs: Path) -> str:
    """How far the trainings of a network are, for people."""
    for training in network.trainings:
        folder = trained_folder(training, runs)
        if (folder / "weights.pt").exists():
            continue
        last = folder / "last.pt"
        step = read_file(last)["step"] if last.exists() else 0
        return f"trained for {step} of {training.schedule.steps} steps"
    return "not evaluated yet"
