"""What is done: trainings, the networks they give and the cells that evaluate them, each with its content hash."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import methods
from bench.plan.recipe import Recipe, Schedule, differences
from bench.system.choices import number
from bench.system.files import sha256
from methods import outside
from methods.errors import check_is_file

# Raise the first when a change of the code or of a default changes what a training reaches: it is then redone, and
# all that is evaluated of it. Raise the second when what is evaluated changes: finished trainings then stay.
TRAINING_VERSION = 4
EVALUATION_VERSION = 3
# Names of the metrics beside J and F; `bench.score.metrics` enters them.
EXTRA_METRICS: list[str] = []
SPAN = 1024  # side of the published network's input, in whose pixels distances are given


@dataclass(frozen=True)
class Training:
    """A network to train: everything that changes its weights, and nothing else."""

    method: str
    options: dict[str, Any]  # without those that matter at inference alone
    recipe: Recipe
    schedule: Schedule
    data: dict[str, Any]
    seed: int
    imagenet: dict[str, str | None] = field(default_factory=dict)
    teacher: "Network | None" = None
    start: "Training | None" = None  # the stage before, whose weights it starts from

    @property
    def key(self) -> str:
        return content_hash(
            {
                "version": TRAINING_VERSION,
                "method": identity(self.method),
                "options": self.options,
                "recipe": {**differences(self.recipe), "name": ""},
                # workers change only the speed, and a limit nothing
                "schedule": {**differences(self.schedule), "workers": 0, "embeddings_gb": 0},
                "data": placeless(self.data),
                "seed": self.seed,
                "imagenet": {k: file_hash(v) for k, v in self.imagenet.items() if v},
                "teacher": self.teacher.key if self.teacher else None,
                "start": self.start.key if self.start else None,
            }
        )

    @property
    def task(self) -> str:
        """Name of what it learns (bench.tasks.TASKS)."""
        return task_of_method(self.method)

    @property
    def stream(self) -> str:
        """Trainings of one stream see the same batches."""
        return content_hash([placeless(self.data), {**asdict(self.schedule), "lr": 0}, self.seed])

    @property
    def needs(self) -> list["Training"]:
        """What must be trained before it."""
        taught = self.teacher.trainings if self.teacher else []
        return taught + ([self.start] if self.start else [])

    @property
    def all_needs(self) -> list["Training"]:
        """These, with what they need themselves."""
        return [each for needed in self.needs for each in (*needed.all_needs, needed)]


@dataclass(frozen=True)
class Soup:
    """An average of the weights of networks that start alike (Wortsman et al., Model soups, ICML 2022).

    pick: `uniform` takes all, `greedy` those that raise J&F on held-out training data.
    trajectory: of the snapshots along each member's training instead of its last weights.
    options: the constructor's, with which it is evaluated and so is chosen; None: those of its members.
    """

    members: tuple[Training, ...]
    pick: str = "uniform"
    trajectory: bool = False
    options: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        return content_hash([self.pick, self.trajectory, self.options, [member.key for member in self.members]])


@dataclass(frozen=True)
class Network:
    """A method with weights: from a file, a training or a soup of some, or (copy_first_mask) with none."""

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    training: Training | None = None
    soup: Soup | None = None

    @property
    def key(self) -> str:
        source = self.training or self.soup
        if not source and self.weights and not self.folder:  # hashing a folder, or a pipe, would take for ever
            check_is_file(self.weights)
        content = source.key if source else file_hash(self.weights)
        return content_hash([identity(self.method), self.options, content])

    @property
    def folder(self) -> str | None:
        """Its weights, where they are a folder, which its constructor reads."""
        read = self.weights and methods.entry(self.method).others and Path(self.weights).is_dir()
        return self.weights if read else None

    @property
    def built_with(self) -> dict[str, Any]:
        """Its constructor's options."""
        return {"folder": self.folder, **self.options} if self.folder else self.options

    @property
    def trainings(self) -> list[Training]:
        """What must be trained for it."""
        if self.soup:
            return list(self.soup.members)
        return [self.training] if self.training else []


@dataclass
class Questions:
    """The keys `ablation.prompts.*`: so many images, evenly spread, and points on each, drawn by the seed.

    distances: of a background point from the foreground point, in pixels of an input of 1024.
    """

    images: int = number(50, least=1)
    points: int = number(4, least=1, most=1024)
    seed: int = number(0, least=0, below=2**32)
    distances: list[int] = number([], least=1, most=SPAN)


@dataclass(frozen=True)
class Cell:
    """One (method, recipe, dataset, seed): one record, one MLflow run.

    varied: the configuration keys that set its row of the table apart, with their values.
    reference: label of the row that its row is compared with; empty: the first trained one.
    ingredients: labels of the rows that a soup averages.
    """

    label: str
    network: Network
    dataset: dict[str, Any]
    seed: int
    varied: dict[str, Any] = field(default_factory=dict)
    reference: str = ""
    ingredients: tuple[str, ...] = ()

    @property
    def cost_only(self) -> bool:
        """A network without weights is there for what it costs, not for what it scores."""
        network = self.network
        return methods.entry(network.method).needs_weights and not (network.trainings or network.weights)

    @property
    def task(self) -> str:
        """Name of what it is evaluated by (bench.tasks.TASKS)."""
        return task_of(self.dataset)

    @property
    def recipe_name(self) -> str:
        return ", ".join(dict.fromkeys(t.recipe.name for t in self.network.trainings)) or "none"

    @property
    def key(self) -> str:
        """Content hash of what is evaluated on what, by which metrics."""
        metrics = [] if self.task == "prompts" or not EXTRA_METRICS else [sorted(EXTRA_METRICS)]
        return content_hash([EVALUATION_VERSION, self.network.key, placeless(self.dataset), *metrics])


def task_of(dataset: dict[str, Any]) -> str:
    """The task that a located dataset is for: that of the prompts where it comes with some."""
    return "prompts" if "prompts" in dataset else "videos"


def task_of_method(method: str) -> str:
    """The task that the suite trains a method for. Raises MethodError for an unknown name."""
    return "prompts" if methods.entry(method).learns == "images" else "videos"


def groups(trainings: list[Training]) -> list[list[Training]]:
    """Bundle trainings that can run side by side: on one stream of batches, with one teacher or none."""
    bundles: dict[tuple, dict[str, Training]] = {}
    # those with a teacher first, so that those without find a bundle to join
    for training in sorted(trainings, key=lambda t: t.teacher is None):
        teachers = [t for stream, t in bundles if stream == training.stream]
        teacher = training.teacher.key if training.teacher else (teachers or [None])[0]
        bundles.setdefault((training.stream, teacher), {})[training.key] = training
    return [list(bundle.values()) for bundle in bundles.values()]


def placeless(data: dict[str, Any]) -> dict[str, Any]:
    """A located dataset without the folders it lies in: where files are changes nothing, what they are does."""
    kept = {key: value for key, value in data.items() if not key.endswith("root")}
    if "parts" in kept:
        kept["parts"] = {name: placeless(part) for name, part in kept["parts"].items()}
    return kept


def identity(method: str) -> str | list[str]:
    """What a content hash holds of a method: its name, of a user's own the content of its files too."""
    return outside.identity(method) if outside.is_outside(method) else method


def name_for_files(method: str) -> str:
    """A method's name as part of the name of a file or folder."""
    return for_files(outside.short_name(method))


def for_files(name: str) -> str:
    """Any name as a part of that of a file or folder, of at most 100 bytes: what does not fit in becomes -."""
    return re.sub(r"[^\w.-]", "-", name).encode()[:100].decode(errors="ignore")


def trained_folder(training: Training, runs: Path) -> Path:
    """Where a training keeps its checkpoints: `runs/trained/<method>-<recipe>-s<seed>-<key>`."""
    name = name_for_files(training.method)
    return runs / "trained" / f"{name}-{for_files(training.recipe.name)}-s{training.seed}-{training.key}"


def weights_file(network: Network, runs: Path) -> Path | None:
    """The checkpoint a network is loaded from; None for methods without weights."""
    if network.training is not None:
        return trained_folder(network.training, runs) / "weights.pt"
    if network.soup is not None:
        return runs / "soups" / f"{name_for_files(network.method)}-{network.soup.pick}-{network.soup.key}.pt"
    return Path(network.weights) if network.weights else None


def content_hash(content: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of the content's canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(path: str | None) -> str | None:
    """Hash of the bytes of a weight file, or of a folder's files; None for no path, "missing" for nothing there."""
    if path is None:
        return None
    place = Path(path)
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.is_file())
        return content_hash({str(file.relative_to(place)): sha256(file) for file in files})
    return sha256(place)[:16] if place.is_file() else "missing"
