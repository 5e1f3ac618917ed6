"""Networks with their weights: trained or mixed when they are not yet there, then loaded for use."""

import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

import methods
from bench.plan.cells import Network, Training, content_hash, groups, trained_folder, weights_file
from bench.plan.data import open_training
from bench.run.pool import Failures, run_jobs
from bench.system.files import drop_unfinished
from bench.system.locks import alone
from bench.system.workers import count_processes
from bench.tasks.prompts.learner import PromptLearner
from bench.tasks.prompts.train import IMAGES, held_out_exam, open_stream, with_embeddings
from bench.train.answers import map_number
from bench.train.group import CLIPS, OnStep, train_group
from bench.train.learner import Learner, check_schedule
from bench.train.ranks import ranks_here
from bench.train.soups import make_soup
from methods.backbones.imagenet import initialize_backbones
from methods.borrowed import rest_of, take_over
from methods.checkpoint import load_weights, read_file
from methods.errors import MethodError


def build(network: Network, runs: Path, device: str):
    """The method, with weights, on the device, ready for inference. Raises MethodError for wrong weights."""
    options = network.built_with
    path = None if network.folder else weights_file(network, runs)
    if path is not None:
        if network.soup is not None and _to_be_made(path):
            with alone(path.with_suffix(".lock"), f"making the soup {path.stem}"):
                if not _is_whole(path):
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
    elsewhere: Callable[[list[list[Training]]], Failures] | None = None,
) -> Failures:
    """Train what has no weights yet, after what it needs; returns {key: why it failed}.

    Trainings of one group share the stream of clips and the teacher's answers; groups (mostly: seeds) run in
    up to `processes` processes side by side. `on_step` (see `train_group`) watches these trainings, not those
    that they need, and wants `processes=1`. `elsewhere` trains the groups, in place of this machine. Several
    ranks train all networks together, one group after the other; the first one says which.
    """
    failures: dict[str, str] = {}
    ranks = ranks_here()
    for training in trainings:
        check_schedule(training.schedule, ranks.size)
    _check_maps(trainings)
    needed = {needed.key: needed for training in trainings for needed in training.needs}
    if needed:
        failures |= train_all(list(needed.values()), runs, device, processes, elsewhere=elsewhere)
    pending = []
    for training in trainings:
        reasons = [failures[needed.key] for needed in training.needs if needed.key in failures]
        if reasons:
            failures[training.key] = f"its teacher or an earlier stage failed: {reasons[0]}"
        elif ranks.from_first(partial(_to_be_made, trained_folder(training, runs) / "weights.pt")):
            pending.append(training)
    jobs = groups(pending)
    if elsewhere is not None:
        found = elsewhere(jobs)
    elif ranks.size > 1:  # what fails on one of them cannot be tried again
        found = {key: why for job in jobs for key, why in train_job(job, runs, device, on_step).items()}
    else:
        processes = count_processes(processes, device)
        if len(jobs) < processes:  # cores would idle, and without a teacher to share there is little to lose
            parts = [[job] if any(t.teacher for t in job) else [[t] for t in job] for job in jobs]
            jobs = [job for part in parts for job in part]
        found = run_jobs(train_job, jobs, (runs, device, on_step), processes)
    undone = {training.key for training in pending if not _done(training, runs)}
    return failures | {key: why for key, why in found.items() if key in undone}


def train_job(
    trainings: list[Training], runs: Path, device: str, on_step: OnStep | None = None
) -> dict[str, str]:
    """Train those of one group that have no weights yet, side by side; returns {key: why it failed}.

    What another process is training is waited for.
    """
    with ExitStack() as locks:
        keys = ranks_here().from_first(lambda: _taken(trainings, runs, locks))
        undone = [training for training in trainings if training.key in keys]
        return _train(undone, runs, device, on_step) if undone else {}


def _taken(trainings: list[Training], runs: Path, locks: ExitStack) -> list[str]:
    """The keys of those that have no weights, even when their locks are held."""
    pending = {
        trained_folder(training, runs): training for training in trainings if not _done(training, runs)
    }
    for folder in sorted(pending):  # in one order, so that no two wait for each other
        locks.enter_context(alone(folder / "lock", f"training {folder.name}"))
        drop_unfinished(folder)
    return [training.key for training in pending.values() if not _done(training, runs)]


def _train(trainings: list[Training], runs: Path, device: str, on_step: OnStep | None) -> dict[str, str]:
    ranks, first = ranks_here(), trainings[0]
    taught = next((training.teacher for training in trainings if training.teacher), None)
    teacher = build(taught, runs, device) if taught else None
    if teacher is not None:
        teacher = teacher.to(memory_format=torch.channels_last).requires_grad_(False)
    learners = {training.key: _learner(training, runs, device, teacher) for training in trainings}
    bunch = list(learners.values())
    if methods.entry(first.method).learns == "images":
        networks = [learner.method for learner in bunch] + ([] if teacher is None else [teacher])
        stream, lessons = open_stream(trainings, networks), IMAGES
        exam = held_out_exam(first, stream.side, teacher, device) if ranks.leads else None
        for learner in bunch:
            learner.exam = exam
        if teacher is not None:
            teacher = with_embeddings(teacher, taught, first, stream, runs, device)
    else:
        stream, lessons = open_training(first.data, first.schedule, first.seed), CLIPS
    train_group(bunch, stream, first.schedule, first.seed, teacher, device, on_step, lessons)
    return {key: learner.failure for key, learner in learners.items() if learner.failure}


def _check_maps(trainings: list[Training]) -> None:
    """Raise ConfigError, before hours are spent, for attention maps that a student or its teacher lacks."""
    asked = {}  # a network of many trainings is built once
    for training in trainings:
        for wanted in training.recipe.teacher_maps:
            teacher = training.teacher
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
    return _is_whole(trained_folder(training, runs) / "weights.pt")


def _is_whole(path: Path) -> bool:
    try:
        read_file(path)
    except MethodError:
        return False
    return True


def _to_be_made(path: Path) -> bool:
    """Whether a checkpoint of the suite's own is not there, or damaged, which is told."""
    missing = not _is_whole(path)
    if missing and path.exists():
        print(f"warning: {path} is damaged: it is made again", file=sys.stderr)
    return missing


def _saved_step(path: Path) -> int:
    try:
        return read_file(path)["step"]
    except MethodError:  # absent or damaged
        return 0


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
        if training.recipe.rest != "own":
            take_over(method, teacher)
        if training.recipe.rest == "frozen":
            for part in rest_of(method).values():
                part.requires_grad_(False)
        frozen = bool(initialisation) and all(how != "random" for how in initialisation.values())
        schedule = training.schedule
        if schedule.backbone_lr == 0 and set(initialisation.values()) == {"random"}:
            # there are no features yet that are worth leaving as they are
            schedule = replace(schedule, backbone_lr=1.0)
        kind = PromptLearner if methods.entry(training.method).learns == "images" else Learner
        return kind(name, method, training.recipe, schedule, folder, meta, frozen, teacher, ranks_here())


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
        "train_batch": stages[-1].schedule.batch,
        "train_seconds": meta.get("seconds"),
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
        step = max(_saved_step(folder / name) for name in ("last.pt", "previous.pt"))
        return f"trained for {step} of {training.schedule.steps} steps"
    return "not evaluated yet"
