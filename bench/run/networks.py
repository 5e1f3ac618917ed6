"""Networks with their weights: trained or mixed when they are not yet there, then loaded for use."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import methods
from bench.plan.cells import Network, Training, content_hash, groups, trained_folder, weights_file
from bench.run.efforts import training_effort
from bench.run.work import Failures, Item, work
from bench.system.errors import say
from bench.system.files import drop_unfinished
from bench.system.locks import alone
from bench.tasks import TASKS
from bench.train.answers import map_number
from bench.train.group import OnStep, train_group
from bench.train.learner import Learner, check_schedule
from bench.train.ranks import ranks_here
from bench.train.soups import make_soup
from methods.backbones.imagenet import initialize_backbones
from methods.borrowed import rest_of, take_over
from methods.checkpoint import load_weights, read_file
from methods.errors import MethodError

OURS = {"state_dict": dict, "meta": dict, "curve": list}  # what weights that the suite has trained hold


def build(network: Network, runs: Path, device: str):
    """The method, with weights, on the device, ready for inference. Raises MethodError for wrong weights."""
    options = network.built_with
    path = None if network.folder else weights_file(network, runs)
    if path is None:
        method: Any = methods.create(network.method, **options)
    else:
        if network.soup is not None and _to_be_made(path):
            with alone(path.with_suffix(".lock"), f"making the soup {path.stem}"):
                if not _is_whole(path):
                    folders = [trained_folder(member, runs) for member in network.soup.members]
                    make_soup(network.soup, folders, path, device)
        content = read_file(path)
        method = _made_as(path, content, network.method, options)
        load_weights(method, path, content)
    return method.to(device).eval() if isinstance(method, nn.Module) else method


def _made_as(path: Path, content: Any, name: str, options: dict) -> Any:
    """The method with the options that its checkpoint, of this content, was trained with, and those given."""
    trained_with = _trained_with(path, content)
    try:
        return methods.create(name, **{**trained_with, **options})
    except (TypeError, ValueError, RuntimeError) as error:
        if not trained_with:
            raise
        raise MethodError(f"{path} was trained with {trained_with}, options of no {name}: {error}") from None


def _trained_with(path: Path, content: Any) -> dict:
    """Constructor options that a checkpoint of this suite was trained with; {} for other checkpoints."""
    meta = content.get("meta") if isinstance(content, dict) else None
    options = meta.get("options", {}) if isinstance(meta, dict) else {}
    if not isinstance(options, dict) or not all(isinstance(key, str) for key in options):
        raise MethodError(f"{path}: its meta.options are no options of a method")
    return options


def train_all(trainings: list[Training], runs: Path, device: str, on_step: OnStep | None = None) -> Failures:
    """Train here what has no weights yet, after what it needs; returns {key: why it failed}.

    `on_step` (see `train_group`) watches these trainings, not those that they need. Of several ranks the first
    one says what is trained when, one group after the other.
    """
    ranks = ranks_here()
    if not ranks.leads:
        return follow(trainings, runs, device, on_step)
    failures: Failures = {}
    items = training_items(trainings, runs, device, failures, on_step=on_step)
    for _ in work(items, lambda _, found: failures.update(found)):
        pass
    return ranks.from_first(lambda: failures)


def follow(trainings: list[Training], runs: Path, device: str, on_step: OnStep | None = None) -> Failures:
    """Take part, in a rank after the first, in each training that the first one begins; its failures."""
    known = {each.key: each for training in trainings for each in (training, *training.all_needs)}
    found: Any
    while isinstance(found := ranks_here().from_first(list), list):
        train([known[key] for key in found], runs, device, {}, on_step)
    return found


def training_items(
    trainings: list[Training],
    runs: Path,
    device: str,
    failures: Mapping[str, str],
    processes: int = 1,
    on_step: OnStep | None = None,
) -> list[Item]:
    """What has no weights yet, after what it needs. Raises ConfigError for trainings that cannot work.

    Trainings of one group share the stream of batches and the teacher's answers. failures: of those that are done
    by then. processes: how many items are wanted at a time.
    """
    ranks = ranks_here()
    for training in trainings:
        check_schedule(training.schedule, ranks.size)
    _check_maps(trainings)
    needed = {needed.key: needed for training in trainings for needed in training.needs}
    items = training_items(list(needed.values()), runs, device, failures, processes) if needed else []
    wanted = [training for training in trainings if training.key not in needed]
    jobs = groups([each for each in wanted if _to_be_made(trained_folder(each, runs) / "weights.pt")])
    if len(jobs) < processes:  # cores would idle, and without a teacher to share there is little to lose
        jobs = [part for job in jobs for part in ([job] if any(t.teacher for t in job) else [[t] for t in job])]
    return items + [_item(job, runs, device, failures, on_step) for job in jobs]


def _item(
    group: list[Training], runs: Path, device: str, failures: Mapping[str, str], on_step: OnStep | None
) -> Item:
    def halves() -> list[Item]:
        parts = group[: len(group) // 2], group[len(group) // 2 :]
        return [_item(part, runs, device, failures, on_step) for part in parts] if len(group) > 1 else []

    folders = [trained_folder(training, runs) for training in group]
    return Item(
        tuple(training.key for training in group),
        partial(train, group, runs, device, failures, on_step),
        {folder / "lock": f"training {folder.name}" for folder in folders},
        ready=lambda: ended([needed for training in group for needed in training.needs], runs, failures),
        done=lambda: ended(group, runs, failures),
        halves=halves,
        may_fail=ranks_here().size == 1,  # what fails on one of several cannot be tried again
        efforts={training.key: training_effort(training) for training in group},
    )


def ended(trainings: list[Training], runs: Path, failures: Mapping[str, str]) -> bool:
    """Whether all have their weights or have failed."""
    return all(training.key in failures or _done(training, runs) for training in trainings)


def why_failed(training: Training, runs: Path, failures: Mapping[str, str]) -> str | None:
    """None for a training that has its weights in spite of what befell others of its group, or has not failed."""
    return failures[training.key] if training.key in failures and not _done(training, runs) else None


def train(
    group: list[Training], runs: Path, device: str, failures: Mapping[str, str], on_step: OnStep | None = None
) -> Failures:
    """Train those of one group that have no weights yet, side by side; returns {key: why it failed}.

    A rank after the first trains all: it is told of no others (`follow`).
    """
    ranks, found = ranks_here(), Failures()
    if ranks.leads:
        for training in group:
            reasons = [why for needed in training.needs if (why := why_failed(needed, runs, failures))]
            if reasons:
                found[training.key] = f"its teacher or an earlier stage failed: {reasons[0]}"
            drop_unfinished(trained_folder(training, runs))
        group = [training for training in group if training.key not in found and not _done(training, runs)]
        if not group:
            return found
        ranks.from_first(lambda: [training.key for training in group])
    first, task = group[0], TASKS[group[0].task]
    teacher: Any = None
    taught = next((training.teacher for training in group if training.teacher), None)
    if taught:
        teacher = build(taught, runs, device).to(memory_format=torch.channels_last).requires_grad_(False)
    learners = [_learner(training, runs, device, teacher) for training in group]
    networks = [learner.method for learner in learners] + ([] if teacher is None else [teacher])
    stream = task.stream(group, networks)
    look = task.look(first, stream, teacher, device) if ranks.leads else None
    if taught:
        teacher = task.prepare(teacher, taught, first, stream, runs, device)
    train_group(learners, stream, first.schedule, first.seed, teacher, device, on_step, look)
    ended = zip(group, learners, strict=True)
    return found | {training.key: learner.failure for training, learner in ended if learner.failure}


def _check_maps(trainings: list[Training]) -> None:
    """Raise ConfigError, before hours are spent, for attention maps that a student or its teacher lacks."""
    asked: dict[str, tuple[Any, set[int | None]]] = {}  # a network of many trainings is built once
    for training in trainings:
        for wanted in training.recipe.teacher_maps:
            users: list[tuple[Any, int | None]] = [(training, None), (training.teacher, wanted)]
            for network, number in users:
                key = content_hash([network.method, network.options])
                asked.setdefault(key, (network, set()))[1].add(number)
    for network, numbers in asked.values():
        method: Any = methods.create(network.method, **network.options)
        for number in numbers:
            map_number(method, number)


def _done(training: Training, runs: Path) -> bool:
    return _is_whole(trained_folder(training, runs) / "weights.pt")


def _is_whole(path: Path) -> bool:
    return path.exists() and _can_be_read(path, path.stat().st_mtime_ns, path.stat().st_size)


@lru_cache(maxsize=4096)
def _can_be_read(path: Path, *_: int) -> bool:
    """Asked again only of a file that has changed."""
    try:
        read_file(path, holding=OURS)
    except MethodError:
        return False
    return True


def _to_be_made(path: Path) -> bool:
    """Whether a checkpoint of the suite's own is not there, or damaged, which is told."""
    missing = not _is_whole(path)
    if missing and path.exists():
        say(f"warning: {path} is damaged: it is made again")
    return missing


def _saved_step(path: Path) -> int:
    try:
        return read_file(path, holding={"step": int})["step"]
    except MethodError:  # absent or damaged
        return 0


def _learner(training: Training, runs: Path, device: str, teacher: nn.Module | None) -> Learner:
    """A fresh student, or one that goes on from the stage before; the seed alone decides random weights."""
    folder = trained_folder(training, runs)
    name = f"{training.method} seed {training.seed}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        method: Any = methods.create(training.method, **training.options)
        method.to(device)
        if training.start is None:
            initialisation = _initialize(method, training)
        else:
            path = trained_folder(training.start, runs) / "weights.pt"
            content = read_file(path)
            load_weights(method, path, content)
            initialisation = content["meta"]["initialisation"]
        meta = {
            "method": training.method,
            "options": training.options,
            "seed": training.seed,
            "data": training.data["name"],
            "initialisation": initialisation,
            "imagenet": training.imagenet,
        }
        if training.recipe.rest != "own" and teacher is not None:
            take_over(method, teacher)
        if training.recipe.rest == "frozen":
            for part in rest_of(method).values():
                part.requires_grad_(False)
        frozen = bool(initialisation) and all(how != "random" for how in initialisation.values())
        schedule = training.schedule
        if schedule.backbone_lr == 0 and set(initialisation.values()) == {"random"}:
            # there are no features yet that are worth leaving as they are
            schedule = replace(schedule, backbone_lr=1.0)
        task = TASKS[training.task]
        return Learner(name, method, training.recipe, schedule, folder, meta, task, frozen, teacher, ranks_here())


def _initialize(method: nn.Module, training: Training) -> dict[str, str]:
    """ImageNet weights where given; full-width networks without any get one warning."""
    report = initialize_backbones(method, training.imagenet)
    silent = [name for name, how in report.items() if how == "random" and not training.imagenet.get(name)]
    if silent and training.options.get("width", 1.0) == 1.0:
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
    stages = [network.trainings[0]]
    while start := stages[0].start:
        stages.insert(0, start)
    before = [trained_folder(stage, runs) / "weights.pt" for stage in stages[:-1]]
    seconds = [meta.get("seconds"), *(read_file(file)["meta"].get("seconds") for file in before if file.is_file())]
    return facts | {
        "initialisation": ", ".join(f"{name} {how}" for name, how in meta["initialisation"].items()),
        "train_steps": sum(stage.schedule.steps for stage in stages),
        "train_batch": stages[-1].schedule.batch,
        "train_seconds": sum(filter(None, seconds)) or None,
        "train_clips": ", then ".join(dict.fromkeys(stage.data["name"] for stage in stages)),
        "teacher": next((stage.teacher.key for stage in stages[::-1] if stage.teacher), ""),
        "soup": meta.get("soup", ""),
    }


def progress(network: Network, runs: Path) -> str:
    """How far the trainings of a network are, for people."""
    for training in network.trainings:
        folder = trained_folder(training, runs)
        if (folder / "weights.pt").exists():
            continue
        step = max(_saved_step(folder / name) for name in ("last.pt", "previous.pt"))
        return f"trained for {step} of {training.schedule.steps} steps"
    return "not evaluated yet"
