"""From a configuration to the cells of a grid and to what must be trained for them, each with its content hash."""

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

import methods
from bench.compose import to_dataclass, with_override
from bench.errors import ConfigError
from bench.recipe import Recipe, Schedule

# Raise when a change of the code changes what a cell reaches: finished cells of older versions are then redone.
RESULTS_VERSION = 1


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

    @property
    def key(self) -> str:
        return content_hash(self._content())

    @property
    def stream(self) -> str:
        """Trainings of one stream see the same batches."""
        return content_hash([self.data["fingerprint"], {**asdict(self.schedule), "lr": 0}, self.seed])

    def _content(self) -> dict:
        return {
            "version": RESULTS_VERSION,
            "method": self.method,
            "options": self.options,
            "recipe": {**asdict(self.recipe), "name": ""},
            # workers change only the speed
            "schedule": {**asdict(self.schedule), "workers": 0},
            "data": self.data["fingerprint"],
            "seed": self.seed,
            "imagenet": {k: file_hash(v) for k, v in self.imagenet.items() if v},
            "teacher": self.teacher.key if self.teacher else None,
        }


@dataclass(frozen=True)
class Network:
    """A method with weights: from a file, from a training, or (copy_first_mask) with none."""

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    training: Training | None = None

    @property
    def key(self) -> str:
        source = self.training.key if self.training else file_hash(self.weights)
        return content_hash([self.method, self.options, source])


@dataclass(frozen=True)
class Cell:
    """One (method, recipe, dataset, seed): one record, one MLflow run."""

    label: str
    network: Network
    dataset: dict[str, Any]
    seed: int

    @property
    def cost_only(self) -> bool:
        """A network without weights is there for what it costs, not for what it scores."""
        return methods.is_trainable(self.network.method) and not (
            self.network.training or self.network.weights
        )

    @property
    def recipe_name(self) -> str:
        return self.network.training.recipe.name if self.network.training else "none"

    @property
    def key(self) -> str:
        """Content hash of what is evaluated on what; where the files lie changes nothing."""
        dataset = {name: value for name, value in self.dataset.items() if name != "root"}
        return content_hash([RESULTS_VERSION, self.network.key, dataset])


@dataclass(frozen=True)
class Data:
    """Located data (bench.data.locate) to learn from and to be judged on."""

    training: dict[str, Any]
    dataset: dict[str, Any]


def plan_ablation(config: DictConfig, data: Data) -> list[Cell]:
    """The cells of `config.ablation`, baselines first, then cell by cell, seed by seed."""
    seeds = ablation_seeds(config)
    cells = []
    for name in config.ablation.get("baselines", []):
        network = teacher_network(config, data) if name == "teacher" else Network(name)
        label = f"{network.method} (teacher)" if name == "teacher" else name
        cells.append(Cell(label, network, data.dataset, config.teacher.seed if name == "teacher" else 0))
    for name in config.ablation.get("costs", []) if config.measure else []:
        cells.append(Cell(f"{name} (cost only)", Network(name), data.dataset, 0))
    for label, overrides in config.ablation.cells.items():
        changed = config
        for key, value in overrides.items():
            changed = with_override(changed, key, value)
        methods.check_name(changed.method)
        cells += [
            Cell(str(label), student_network(changed, data, seed), data.dataset, seed) for seed in seeds
        ]
    return cells


def plan_evaluation(config: DictConfig, dataset: dict[str, Any]) -> list[Cell]:
    """The one cell of job=evaluate: `config.method` with `config.weights`."""
    trainable = methods.is_trainable(config.method)
    if trainable and not config.weights:
        raise ConfigError(f"job=evaluate of '{config.method}' needs weights=/path/to/checkpoint.pth")
    options = OmegaConf.to_container(config.options)
    network = Network(config.method, options, _file(config.weights) if trainable else None)
    return [Cell(config.method, network, dataset, 0)]


def teacher_network(config: DictConfig, data: Data) -> Network:
    """The teacher: a checkpoint, or a network that the suite trains on the labels alone."""
    teacher, scale = config.teacher, config.scale
    method = teacher.method or scale.teacher_method
    options = OmegaConf.to_container(teacher.options)
    if teacher.weights:
        return Network(method, options, _file(teacher.weights))
    if method == scale.teacher_method:
        options = {**OmegaConf.to_container(scale.teacher_options), **options}
    recipe = to_dataclass(teacher.recipe, Recipe)
    return _trained(config, data, method, options, recipe, scale.teacher, teacher.seed, None)


def student_network(config: DictConfig, data: Data, seed: int) -> Network:
    """A network trained by `config.recipe`, taught by the teacher where the recipe needs one."""
    recipe = to_dataclass(config.recipe, Recipe)
    teacher = teacher_network(config, data) if recipe.needs_teacher else None
    options = OmegaConf.to_container(config.options)
    return _trained(config, data, config.method, options, recipe, config.scale.student, seed, teacher)


def ablation_seeds(config: DictConfig) -> list[int]:
    """`seeds=3` means 0, 1, 2; `seeds=[4, 7]` is taken as it is; none takes the ablation's."""
    seeds = config.seeds if config.seeds is not None else config.ablation.seeds
    if isinstance(seeds, int):
        seeds = range(seeds)
    seeds = [int(seed) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds={config.seeds}: give at least one seed, and each once")
    return seeds


def _trained(
    config: DictConfig,
    data: Data,
    method: str,
    options: dict[str, Any],
    recipe: Recipe,
    schedule: DictConfig,
    seed: int,
    teacher: Network | None,
) -> Network:
    if not methods.is_trainable(method):
        raise ConfigError(f"'{method}' has nothing to train; name a trainable method")
    options = {**(OmegaConf.to_container(config.scale.options).get(method) or {}), **options}
    imagenet = {name: _file(path) for name, path in config.imagenet.items()}
    if options.get("width", 1.0) != 1.0 and any(imagenet.values()):
        text = f"{method} of width {options['width']} starts from random weights: ImageNet's fit width 1"
        warnings.warn(text, stacklevel=2)
        imagenet = {}
    learnt = {key: value for key, value in options.items() if key not in methods.INFERENCE_OPTIONS}
    training = Training(
        method,
        learnt,
        recipe,
        to_dataclass(schedule, Schedule),
        data.training,
        seed,
        imagenet,
        teacher,
    )
    return Network(method, options, training=training)


def groups(trainings: list[Training]) -> list[list[Training]]:
    """Bundle trainings that can run side by side: on one stream of batches, with one teacher or none."""
    bundles: dict[tuple, dict[str, Training]] = {}
    # those with a teacher first, so that those without find a bundle to join
    for training in sorted(trainings, key=lambda t: t.teacher is None):
        teachers = [t for stream, t in bundles if stream == training.stream]
        teacher = training.teacher.key if training.teacher else (teachers or [None])[0]
        bundles.setdefault((training.stream, teacher), {})[training.key] = training
    return [list(bundle.values()) for bundle in bundles.values()]


def content_hash(content: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of the content's canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(path: str | None) -> str | None:
    """Hash of a weight file's bytes; None for no path, "missing" for a path with no file."""
    if path is None:
        return None
    if not Path(path).is_file():
        return "missing"
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _file(path: str | None) -> str | None:
    return str(Path(path).expanduser().absolute()) if path else None
