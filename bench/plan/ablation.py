"""From a configuration to the cells of a grid."""

import warnings
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from omegaconf import DictConfig

import methods
from bench.losses.base import Reads, table
from bench.plan.cells import Cell, Network, Questions, Soup, Training, task_of, task_of_method
from bench.plan.compose import flat, plain, rows, to_dataclass, to_recipe, with_override
from bench.plan.data import shares_of, synthesis_of, with_shares
from bench.plan.given import GIVEN, given_features, given_teacher
from bench.plan.keys import STAGES, SoupNode
from bench.plan.recipe import Recipe, Schedule
from bench.system.choices import check, settings_of
from bench.system.errors import ConfigError
from bench.system.files import full_path
from datasets.layouts import parts_of
from datasets.opening import prints
from methods import outside

OWN = "own"  # teacher.seed: each seed of the students has a teacher of this seed
PICKS = ("uniform", "greedy")


@dataclass(frozen=True)
class Data:
    """Located data (bench.plan.data.locate) to learn from and to be evaluated on; `stages` precede `training`."""

    training: dict[str, Any]
    dataset: dict[str, Any]
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)


def plan_ablation(config: DictConfig, data: Data) -> list[Cell]:
    """The cells of `config.ablation`: baselines, then row by row and seed by seed, then soups of them."""
    ablation, seeds = config.ablation, ablation_seeds(config)
    if "prompts" in ablation:
        questions = asdict(to_dataclass(ablation.prompts, Questions))
        data = replace(data, dataset={**data.dataset, "prompts": questions})
    cells = []
    for name in ablation.get("baselines") or []:
        if name == "teacher":
            found = teachers(config, data, seeds)
            cells += [Cell(f"{one.method} (teacher)", one, data.dataset, seed) for seed, one in found.items()]
        else:
            cells.append(Cell(name, Network(name), data.dataset, 0))
    for name in (ablation.get("costs") or []) if config.measure else []:
        cells.append(Cell(f"{name} (cost only)", Network(name), data.dataset, 0))
    for label, overrides in rows(ablation).items():
        changed = config
        for key, value in overrides.items():
            changed = with_override(changed, key, value)
        methods.check_name(changed.method)
        own = _data_of_row(config, changed, data)
        if changed.role == "teacher":
            found = teachers(changed, own, seeds)
            cells += [Cell(label, one, data.dataset, seed, overrides) for seed, one in found.items()]
        else:
            found = student_networks(changed, own, seeds)
            cells += [Cell(label, one, data.dataset, seed, overrides) for seed, one in found.items()]
    trained = [cell for cell in cells if cell.varied]
    if ablation.get("held_out"):
        for training in filter(None, (cell.network.training for cell in trained)):
            check_held_out(f"ablation={ablation.name}", training)
    for label, node in (ablation.get("soups") or {}).items():
        wanted = tuple(node.get("of") or dict.fromkeys(cell.label for cell in trained))
        cells += [
            Cell(str(label), _soup(str(label), node, wanted, trained, s), data.dataset, s, ingredients=wanted)
            for s in seeds
        ]
    references = _references(ablation, dict.fromkeys(cell.label for cell in cells))
    return [replace(cell, reference=references.get(cell.label, "")) for cell in cells]


def _references(ablation: DictConfig, labels: Collection[str]) -> dict[str, str]:
    """{row: the row that it is compared with}, of those that name one. ConfigError for a name of no row."""
    found = plain(ablation).get("references") or {}
    for label in (*found, *found.values()):
        if label not in labels:
            raise ConfigError(f"ablation.references: no row '{label}'; rows: {', '.join(labels)}")
    return found


def _data_of_row(config: DictConfig, changed: DictConfig, data: Data) -> Data:
    """The data, with clips of static images made, and parts of a mixture drawn, as the row wants.

    Raises ConfigError for a row with other data.
    """
    shares = shares_of(config.training), shares_of(changed.training)
    for key in ("dataset", "training", *STAGES):
        before, now = plain(config[key]), plain(changed[key])
        if key == "training":
            made = before.pop("synthesis", {}), now.pop("synthesis", {})
            for part in (*before.get("parts", {}).values(), *now.get("parts", {}).values()):
                part.pop("share", None)
        if before != now:
            raise ConfigError(
                f"rows of an ablation share their data: {key} cannot differ, training.synthesis can, and the "
                f"shares of the parts of a mixture"
            )
    training = data.training
    if made[0] != made[1]:
        training = {**training, "synthesis": made[1]}
        synthesis_of(training, "training")
    if shares[0] != shares[1]:
        if absent := [name for name, share in shares[0].items() if share is None and shares[1][name] is not None]:
            raise ConfigError(
                f"training.parts.{absent[0]}: rows may leave parts out that the others have: give it a share"
            )
        training = with_shares(training, shares[1])
    return replace(data, training=training)


def plan_evaluation(config: DictConfig, data: Data) -> list[Cell]:
    """The one cell of job=evaluate: `config.method` with `config.weights`."""
    return [Cell(outside.label(config.method), given_network(config), data.dataset, 0)]


def given_network(config: DictConfig) -> Network:
    """`config.method` with `config.weights`, for jobs that train nothing; ConfigError where it is worth nothing."""
    name, weights = config.method, config.weights
    if methods.entry(name).needs_weights and not weights:
        raise ConfigError(
            f"job={config.job} with '{name}' needs weights=/path/to/checkpoint.pth "
            f"(method=copy_first_mask needs none)"
        )
    taken = methods.entry(name).needs_weights or outside.is_outside(name)
    return Network(name, plain(config.options), full_path(weights) if taken else None)


def teachers(config: DictConfig, data: Data, seeds: list[int]) -> dict[int, Network]:
    """The teacher of each seed, where `teacher.seed: own` has the suite train one each, or the one of all."""
    seeds = seeds if config.teacher.seed == OWN else [config.teacher.seed]
    first, *others = seeds
    network = teacher_network(config, data, first)
    if network.weights:  # a checkpoint is one, whoever learns from it
        return {0: network}
    return {first: network, **{seed: teacher_network(config, data, seed) for seed in others}}


def varied_losses(varied: dict[str, Any]) -> list[str]:
    """The losses whose settings or sampled pixels are among these of a row, {dotted key: value}."""
    keys = flat(varied)
    sampled = any(key.startswith("recipe.sampling.") for key in keys)
    return [
        name
        for name, kind in table().items()
        if any(key.startswith(f"recipe.{name}.") for key in keys) or (sampled and Reads.PIXELS in kind.reads)
    ]


def teacher_network(config: DictConfig, data: Data, seed: int) -> Network:
    """The teacher of a student's seed: a checkpoint, or a network that the suite trains on the labels alone.

    Where `teacher.weights: given`, that is the suite's own checkpoint of such a network, if there is one.
    """
    teacher, scale = config.teacher, config.scale
    method, options = teacher.method or scale.teacher_method, plain(teacher.options)
    if teacher.weights and teacher.weights != GIVEN:
        return Network(method, options, full_path(teacher.weights))
    if method == scale.teacher_method:
        options = {**plain(scale.teacher_options), **options}
    options = _with_scale(config, method, options)
    if teacher.weights and teacher.seed in (0, OWN) and (file := given_teacher(method, options, data.training)):
        return Network(method, options, file)
    if not scale.teacher.steps:
        raise ConfigError(
            f"scale={scale.name} trains no {method} to teach here: give teacher.weights=/path/to/{method}.pth"
        )
    recipe = _recipe(teacher.recipe)
    if recipe.needs_teacher:
        raise ConfigError(f"teacher.recipe={recipe.name} needs a teacher of its own: choose supervised, say")
    seed = seed if teacher.seed == OWN else teacher.seed
    return _trained(config, data, "teacher", Network(method, options), recipe, recipe, seed)


def student_networks(config: DictConfig, data: Data, seeds: list[int]) -> dict[int, Network]:
    """By seed, networks trained by `config.recipe`, taught by the teacher where the recipe needs one."""
    recipe, early = _recipe(config.recipe), _recipe(config.stage_recipe)
    taught = recipe.needs_teacher or (data.stages and early.needs_teacher)
    found = teachers(config, data, seeds) if taught else {}
    student = Network(config.method, _with_scale(config, config.method, plain(config.options)))

    def trained(seed: int) -> Network:
        teacher = found.get(seed) or next(iter(found.values()), None)  # or the one of all
        own = student
        if teacher and Reads.ENCODINGS in recipe.reads and task_of_method(student.method) == "videos":
            own = _borrower(student, teacher)
        network = _trained(config, data, "student", own, early, recipe, seed, teacher)
        return replace(network, options={**network.options, **plain(config.inference)})

    return {seed: trained(seed) for seed in seeds}


def ablation_seeds(config: DictConfig) -> list[int]:
    """`seeds=3` means 0, 1, 2; `seeds=[4, 7]` is taken as it is; none takes the ablation's."""
    seeds = config.seeds if config.seeds is not None else config.ablation.get("seeds", [])
    seeds = list(range(seeds) if isinstance(seeds, int) else seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds={config.seeds}: give at least one seed, and each once")
    return seeds


def _trained(
    config: DictConfig,
    data: Data,
    role: str,
    network: Network,
    early: Recipe,
    recipe: Recipe,
    seed: int,
    teacher: Network | None = None,
) -> Network:
    """The network trained in stages, the last one by `recipe` and those before by `early`."""
    method, options, entry = network.method, network.options, methods.entry(network.method)
    if not methods.is_trainable(method):
        fixed = outside.is_masks(method) or not (outside.is_outside(method) or entry.needs_weights)
        why = "has nothing to train" if fixed else "cannot be trained by the suite: it has no roll_out"
        raise ConfigError(f"'{method}' {why}; name a trainable method, or judge it as it is by job=evaluate")
    _check_task(config.ablation.name, task_of(data.dataset), method, recipe)
    imagenet = {name: full_path(path) for name, path in config.imagenet.items()}
    width = options.get("width", 1.0)
    if width != 1.0 and any(imagenet.values()):
        text = f"{method} of width {width} starts from random weights: ImageNet's fit width 1"
        warnings.warn(text, stacklevel=2)
        imagenet = {}
    elif config.features == GIVEN:
        imagenet |= given_features(entry.family, width, data.training)
    learnt, scale = {key: value for key, value in options.items() if key not in entry.inference}, config.scale
    stages = [(early, data.stages[name], scale[name][role]) for name in STAGES if name in data.stages]
    training: Training | None = None
    for followed, spec, changes in [*stages, (recipe, data.training, None)]:
        schedule = to_dataclass(scale[role], Schedule, changes)
        guide = teacher if followed.needs_teacher else None
        training = Training(method, learnt, followed, schedule, spec, seed, imagenet, guide, start=training)
    return replace(network, training=training)


def _check_task(ablation: str, task: str, method: str, recipe: Recipe) -> None:
    """Raise ConfigError for a method or a loss that cannot learn what an ablation for this task trains."""
    on_images = task == "prompts"
    offered, other = (Reads.ON_IMAGES, "clips") if on_images else (Reads.ON_CLIPS, "images and prompts")
    if task_of_method(method) != task:
        does = "; ablation=decoupled does, and job=evaluate evaluates it with weights=... on videos"
        raise ConfigError(
            f"'{method}' learns from {other}: ablation={ablation} cannot train it{'' if on_images else does}"
        )
    if foreign := sorted(name for name, loss in recipe.losses.items() if loss.reads not in offered):
        raise ConfigError(
            f"recipe '{recipe.name}' has a loss on {other}, {', '.join(foreign)}, "
            f"which ablation={ablation} cannot compute: choose another"
        )


def _with_scale(config: DictConfig, method: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a method at the chosen scale, but for those that are given."""
    return {**(plain(config.scale.options).get(method) or {}), **options}


def _borrower(student: Network, teacher: Network) -> Network:
    """The decoupled student of a space-time teacher: the teacher's method with the encoder of the student's."""
    own = {k: v for k, v in student.options.items() if k in methods.entry(teacher.method).memory}
    encoder = {"encoder": student.method, "encoder_width": student.options.get("width", 1.0)}
    return Network(teacher.method, {**teacher.options, **own, **encoder})


def _recipe(node: DictConfig) -> Recipe:
    """Raises ConfigError, before hours are spent, for what no training can follow."""
    recipe = to_recipe(node)
    if not recipe.losses:
        raise ConfigError(f"recipe '{recipe.name}' has no loss: give one a weight above 0")
    alone = [name for name, loss in recipe.losses.items() if Reads.ENCODINGS in loss.reads]
    others = sorted(name for name, loss in recipe.losses.items() if loss.reads not in Reads.ON_IMAGES)
    for name in alone:
        if recipe.rest != "frozen":
            raise ConfigError(f"recipe.{name} teaches the encoder alone: give recipe.rest=frozen too")
        if others:
            raise ConfigError(
                f"recipe.{name} goes with no other loss on clips: set the weight of {', '.join(others)} to 0"
            )
    return recipe


def _soup(label: str, node: DictConfig, wanted: tuple[str, ...], cells: list[Cell], seed: int) -> Network:
    """`node`: {pick: uniform or greedy, of: labels (none: all rows), trajectory: true or false}; wanted: labels.

    Raises ConfigError, before anything is trained, for what `make_soup` will lack.
    """
    place = f"ablation.soups.{label}"
    check(settings_of(SoupNode, place), {f"{place}.{key}": value for key, value in plain(node).items()})
    members = [cell.network for cell in cells if cell.label in wanted and cell.seed == seed]
    unknown = set(wanted) - {cell.label for cell in cells}
    pick = node.get("pick", "uniform")
    if unknown or not members:
        raise ConfigError(f"soup '{label}': no row '{', '.join(sorted(unknown))}' to make it of")
    if pick not in PICKS:
        raise ConfigError(f"soup '{label}': unknown pick '{pick}'; known: {', '.join(PICKS)}")
    first = members[0]
    if any((m.method, m.options) != (first.method, first.options) for m in members):
        raise ConfigError(f"soup '{label}': its rows are different networks, whose weights have no average")
    trainings = tuple(m.training for m in members if m.training)
    soup = Soup(trainings, pick, bool(node.get("trajectory", False)), first.options)
    if soup.trajectory and trainings[0].schedule.snapshots < 1:
        raise ConfigError(f"soup '{label}' along a trajectory needs snapshots: set scale.student.snapshots=5")
    if pick == "greedy":
        check_held_out(f"soup '{label}'", trainings[0])
    return Network(first.method, first.options, soup=soup)


def check_held_out(what: str, last: Training) -> None:
    """Raise ConfigError where no data is held out from a training and its earlier stages to pick `what` on."""
    shares = {one: part.get("hold_out") for part in parts_of(last.data) for one in prints(part)}
    chosen_on = {one: share for one, share in shares.items() if share != 0}
    if not chosen_on:
        raise ConfigError(f"{what} is picked on held-out training data: set training.hold_out=0.1")
    stage: Training | None = last
    while stage is not None:
        for part in parts_of(stage.data):
            held = next((chosen_on[one] for one in prints(part) & chosen_on.keys()), part.get("hold_out"))
            if part.get("hold_out") != held:
                seen, every = (
                    ("an earlier stage learnt", "stages") if stage is not last else ("a part learns", "parts")
                )
                raise ConfigError(f"{what} is picked on data that {seen} from: give all {every} hold_out={held}")
        stage = stage.start
