"""What each key of a configuration may be: its type and range.

Defaults stand beside them or, without one here, in bench/configs/, with what each key means. Those of recipes and
schedules are in bench/plan/recipe.py and bench/losses/, those of `ablation.prompts` in bench/plan/cells.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from bench.plan.cells import Questions
from bench.plan.recipe import Schedule, Settings, recipe_keys
from bench.system.choices import Range, Setting, choice, group, number, paths, settings_of

STAGES = ("stage0", "stage1")  # of training, before the last
SEEDS = Range(least=0, below=2**32)
LARGEST = 2**14  # px of a side, objects, frames: beyond is a slip
MANY = 1024  # processes, threads, seeds
MOST_PROPOSED = 16  # objects of a clip


@dataclass
class Stage:
    """How the schedules of an earlier stage differ from those of the last."""

    teacher: dict[str, Any] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)


@dataclass
class Scale:
    """How big: the same code at other widths, resolutions and numbers of steps."""

    name: str = "laptop"
    options: dict[str, dict[str, Any]] = field(default_factory=dict)  # constructor options by method
    teacher_method: str = "stcn"
    teacher_options: dict[str, Any] = field(default_factory=dict)  # over those of `options`
    teacher: Schedule = field(default_factory=Schedule)
    student: Schedule = field(default_factory=Schedule)
    stage0: Stage = field(default_factory=Stage)
    stage1: Stage = field(default_factory=Stage)


@dataclass(kw_only=True)
class Data:
    """A node `dataset`; a layout of a user's own may have more keys."""

    name: str
    kind: str
    root: str | None
    davis_root: str | None
    youtube_root: str | None
    davis_copies: int = number(least=1, most=MANY)
    year: int = number(least=2016)
    split: str
    resolution: str | None
    all_frames: bool
    seed: int = number(least=SEEDS.least, below=SEEDS.below)  # of generated data
    sequences: int = number(least=1, most=MANY)
    hold_out: float = number(least=0, below=1)
    judged: float = number(least=0, below=1)
    unseen: float = number(least=0, below=1)
    synthesis: dict[str, Any]


@dataclass(kw_only=True)
class Part(Data):
    """One of the data sets that are mixed, drawn as often as its share of the sum of all says."""

    root: str | list[str] | None = paths()  # type: ignore[assignment]
    share: float | None = number(above=0)  # null: it is left out


@dataclass(kw_only=True)
class Learnt(Data):
    """A node `training` or `stage0`: several folders of one layout are one set of data."""

    root: str | list[str] | None = paths()  # type: ignore[assignment]
    parts: dict[str, Part]  # of training=mix


@dataclass(kw_only=True)
class Teacher:
    method: str | None
    options: dict[str, Any]
    weights: str | None
    seed: Literal["own"] | int = number(least=SEEDS.least, below=SEEDS.below)
    recipe: Settings


@dataclass(kw_only=True)
class ImageNet:
    resnet18: str | None
    resnet50: str | None
    mobilenet_v2: str | None


@dataclass(kw_only=True)
class Policy:
    """Words of bench.score.folder."""

    void: str | None
    extra: str | None
    missing: str | None
    objects: str | None
    decay: str | None


@dataclass(kw_only=True)
class SoupNode:
    """A node of `ablation.soups`."""

    pick: str
    of: list[str]
    trajectory: bool


@dataclass(kw_only=True)
class Ablation:
    name: str
    title: str
    baselines: list[str] | None
    costs: list[str] | None
    seeds: int | list[int] = number(least=1, most=MANY, each=SEEDS)
    cells: dict[str, dict[str, Any] | None] | None
    sweep: dict[str, Any] | list[dict[str, Any]] | None
    soups: dict[str, dict[str, Any]] | None
    references: dict[str, str] | None
    growth: bool
    held_out: bool
    prompts: Questions


@dataclass(kw_only=True)
class Slurm:
    """The keys of launcher=slurm; bench/configs/launcher/slurm.yaml says what each means.

    In less time than the least a job would be told to make room before it has started.
    """

    name: str = "slurm"
    partition: str | None = None
    account: str | None = None
    hours: float = number(4.0, least=0.1, most=8760)
    cpus: int = number(1, least=1, most=MANY)
    gpus: int = number(0, least=0, most=MANY)
    memory_gb: float | None = number(None, least=0.1)
    at_once: int = number(16, least=1)
    retries: int = number(3, least=0, most=MANY)
    sbatch: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Common:
    """Of all jobs: bench/configs/config.yaml."""

    job: str
    dataset: Data = group("give a data set, dataset=<name>, and dataset.<key>=...")
    training: Learnt = group("give a data set, training=<name>, and training.<key>=...")
    stage0: Learnt = group("give a data set, stage0=<name>, and stage0.<key>=...")
    stage1: Learnt = group("give a data set, stage1=<name>, and stage1.<key>=...")
    recipe: Settings = group("give a recipe, recipe=<name>, and recipe.<key>=...")
    stage_recipe: Settings = group("give a recipe, stage_recipe=<name>, and stage_recipe.<key>=...")
    launcher: Slurm = group("give launcher=local or launcher=slurm, and launcher.<key>=...")
    scale: Scale = group("give a scale, scale=<name>, and scale.<key>=...")
    ablation: Ablation = group("give an ablation, ablation=<name>, and ablation.<key>=...")
    method: str
    options: dict[str, Any]
    inference: dict[str, Any]
    weights: str | None
    role: str = choice("student", "teacher")
    seeds: int | list[int] | None = number(least=1, most=MANY, each=SEEDS)
    teacher: Teacher = group("give teacher.<key>=...")
    imagenet: ImageNet = group("give imagenet.<backbone>=/path/to/weights")
    features: str = choice("given", "random")
    measure: bool
    device: str
    pictures: str | list[str]
    picture_frames: bool
    fingerprint: str = choice("content", "names")
    processes: Literal["auto"] | int = number(least=1, most=MANY)
    ranks: Literal["auto"] | int = number(least=1, most=MANY)
    runs: str | None
    output: str | None
    tracking_uri: str | None
    predictions: str | None
    protocol: str
    policy: Policy = group("give policy.<key>=...")
    check: str | None
    methods: str | list[str] | None  # of job=compare and job=measure alone


@dataclass(kw_only=True)
class Compare(Common):
    reference: str | None


@dataclass(kw_only=True)
class Shape:
    """What an exported file is made for: the size of its frames and how many objects it follows."""

    height: int = number(480, least=1, most=LARGEST)
    width: int = number(864, least=1, most=LARGEST)
    objects: int = number(1, least=1, most=LARGEST)


@dataclass(kw_only=True)
class Export(Common):
    format: str
    export: Shape = group("its settings are export.<key>=...")


@dataclass(kw_only=True)
class Measured:
    """The keys `measure.*` of job=measure; bench/configs/job/measure.yaml says what each means."""

    protocols: list[str]
    height: int = number(least=1, most=LARGEST)
    width: int = number(least=1, most=LARGEST)
    objects: int = number(least=1, most=LARGEST)
    aot_objects: int = number(least=1, most=LARGEST)
    memory_frames: int | None = number(least=1, most=LARGEST)
    frames: int | None = number(least=2, most=LARGEST)  # the first is the annotated one
    max_seconds: float = number(least=0)
    lengths: list[int] = number(least=1, most=LARGEST)
    object_counts: list[int] = number(least=1, most=LARGEST)
    precision: str
    channels_last: bool
    compile: bool
    cuda_graphs: bool
    threads: int | None = number(least=1, most=MANY)


@dataclass(frozen=True, kw_only=True)
class PhoneSettings:
    """Which phone, reached how: the keys `phone.<name>` of job=measure and job=phone.doctor.

    None for `serial`: the only phone there is; for `adb`: the one that is installed.
    """

    serial: str | None = None  # or host:port
    adb: str | None = None
    runtime: str = "executorch"  # or litert
    benchmark_model: str | None = None  # litert's program on the phone
    folder: str = "/data/local/tmp/vos-bench"  # of the phone, for everything that is copied to it


@dataclass(frozen=True, kw_only=True)
class PhoneTimes(PhoneSettings):
    """How often and how long job=measure times on a phone; bench/configs/job/measure.yaml says what each means."""

    threads: list[int] = number([1, 4], least=1, most=MANY, fewest=1)
    repeats: int = number(3, least=1)
    warmups: int = number(10, least=0)
    runs: int = number(50, least=1)
    seconds: float = number(5.0, least=0)
    max_seconds: float = number(120.0, least=0)
    limit_c: float = 35.0
    wait_s: float = number(600.0, least=0)
    sustained: float | None = number(None, above=0)


@dataclass(kw_only=True)
class Measure(Common):
    method: str | None  # type: ignore[assignment]
    target: str
    measure: Measured = group(  # type: ignore[assignment]
        "job=measure always measures; its settings are measure.<key>=..."
    )
    phone: PhoneTimes = group("its settings are phone.<key>=...")


@dataclass(kw_only=True)
class Doctor(Common):
    phone: PhoneSettings = group("its settings are phone.<key>=...")


@dataclass(kw_only=True)
class SearchSettings:
    """The keys of `search`; bench/configs/job/search.yaml says what each means."""

    name: str = ""
    title: str = ""
    space: dict[str, Any] = field(default_factory=dict)
    objectives: list[str] = field(default_factory=lambda: ["jf"])
    trials: int = number(20, least=1)
    sampler: str = "tpe"
    population: int = number(10, least=2)
    pruner: str | None = None
    reports: int = number(4, least=0)
    seed: int = number(0, least=SEEDS.least, below=SEEDS.below)
    storage: str | None = None
    heartbeat: int = number(10, least=1)


@dataclass(kw_only=True)
class Search(Common):
    search: SearchSettings = group("give a search, search=<name>, and search.<key>=...")
    workers: int = number(least=1, most=MANY)


@dataclass(kw_only=True)
class Segment(Common):
    video: str | None
    mask: str | None
    start: int = number(least=0)
    size: int | None = number(least=32)  # px of the longer side
    fps: float | None = number(least=1, most=1000)
    gif: bool


@dataclass(kw_only=True)
class PseudoLabel(Common):
    """bench/configs/job/pseudo_label.yaml says what each means."""

    videos: str | None
    masks: str | None
    paste: str | list[str] | None = paths()
    proposals: str | None
    objects: int = number(least=1, most=MOST_PROPOSED)
    agreement: float = number(least=0, below=1)
    shortest: int = number(least=2, most=LARGEST)
    seed: int = number(least=SEEDS.least, below=SEEDS.below)


@dataclass(kw_only=True)
class Ui(Common):
    host: str
    port: int = number(least=1, below=2**16)


JOBS: dict[str, type[Common]] = {
    "compare": Compare,
    "export": Export,
    "measure": Measure,
    "phone.doctor": Doctor,
    "pseudo_label": PseudoLabel,
    "search": Search,
    "segment": Segment,
    "ui": Ui,
}


def settings(job: str) -> dict[str, Setting]:
    """{dotted key: what it may be} of the configuration of a job."""
    kinds: tuple[Any, Any] = JOBS.get(job, Common), recipe_keys()
    return _settings(*kinds)


@cache
def _settings(job: Any, recipe: Any) -> dict[str, Setting]:
    found = dict(settings_of(job))
    for place in ("recipe", "teacher.recipe", "stage_recipe"):
        found |= settings_of(recipe, place)
    for stage in STAGES:  # what differs there from the schedules of the scale
        found |= settings_of(Schedule, f"scale.{stage}.teacher") | settings_of(Schedule, f"scale.{stage}.student")
    return found


def missing(config: Mapping[str, Any], job: str) -> list[str]:
    """Keys of a configuration, {dotted key: value}, that are not there and that its job relies on."""
    nodes = [f"{node}.{key}" for node in ("dataset", "training", *STAGES) for key in ("name", "kind")]
    known = [key for key in settings(job) if key.rpartition(".")[0] in ("", "teacher", "policy")]
    return [key for key in [*known, *nodes] if key not in config and key != "methods"]
