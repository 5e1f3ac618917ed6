"""How a student is trained: the losses, their weights, the pixels they look at."""

from dataclasses import dataclass, field, is_dataclass, make_dataclass, replace
from functools import cache, reduce
from operator import or_
from typing import Any

from bench.losses.base import Loss, Reads, table
from bench.losses.pixels import Sampling
from bench.system.choices import choice, number


@dataclass
class Settings:
    """What a recipe says beside its losses; see docs/ablations.md for where each value comes from.

    labels: what the losses take for the truth after a clip's first mask: the data's own (`truth`), or what the
    `teacher` answers; then those of the data are never read.
    rest: what the parts that are no encoder start from: weights of their `own`, the `teacher`'s, or the teacher's,
    which stay as they are (`frozen`). finetune: share of the steps, the last, in which these parts alone learn,
    by `masks`, and the encoder stays (of images alone).
    """

    name: str = "supervised"
    labels: str = choice("truth", "teacher")
    rest: str = choice("own", "teacher", "frozen")
    finetune: float = number(0.0, least=0, below=1)
    sampling: Sampling = field(default_factory=Sampling)


@dataclass
class Recipe(Settings):
    """One way of training: settings, and the losses that count, by name. `Recipe.of` makes it.

    finetuning: the losses of the last steps, where `finetune` says that there are such.
    """

    losses: dict[str, Loss] = field(default_factory=dict)
    finetuning: dict[str, Loss] = field(default_factory=dict)

    @classmethod
    def of(cls, *given: Loss, **settings: Any) -> "Recipe":
        """A recipe of those of the losses that have weight."""
        recipe = cls(**settings, losses={loss.name: loss for loss in given if loss.weight > 0})
        if recipe.finetune > 0:
            tuning = (loss for loss in given if Reads.PROMPTED in loss.reads)
            recipe.finetuning = {loss.name: replace(loss, weight=loss.weight or 1.0) for loss in tuning}
        return recipe

    @property
    def reads(self) -> Reads:
        """All that its losses read."""
        return reduce(or_, (loss.reads for loss in self.losses.values()), Reads(0))

    @property
    def needs_teacher(self) -> bool:
        return bool(self.reads & Reads.TEACHER) or self.labels == "teacher" or self.rest != "own"

    @property
    def teacher_maps(self) -> list[int | None]:
        """Numbers, from 1, of the teacher's attention maps that its losses compare; None: the last."""
        return [getattr(x, "teacher_map", None) for x in self.losses.values() if Reads.MAPS in x.reads]


@cache
def _keys(losses: tuple[tuple[str, type[Loss]], ...]) -> type[Settings]:
    own = [(name, kind, field(default_factory=kind)) for name, kind in losses]
    return make_dataclass("RecipeKeys", own, bases=(Settings,), namespace={"__module__": __name__})


def recipe_keys() -> type[Settings]:
    """The keys of a recipe in a configuration: its settings, and those of every loss of the table by its name."""
    found = globals()["RecipeKeys"] = _keys(tuple(table().items()))  # where a pickled configuration looks for it
    return found


recipe_keys()


def differences(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass whose values are not the default ones, and those of the dataclasses in it."""

    def plainly(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plainly(inner) for key, inner in value.items()}
        return differences(value) if is_dataclass(value) else value

    found, default = vars(settings), type(settings)()
    return {name: plainly(value) for name, value in found.items() if value != getattr(default, name)}


@dataclass
class Schedule:
    """How long and on how much: the part of training that depends on the machine at hand.

    After a linear warm-up over the first `warmup` share of the steps, lr decays along a `cosine` or a `poly`
    (power 0.9, as AOT) to the share `lr_end` of itself, or drops to a tenth (`decay: step`) at the share
    `drop_at` of the steps. backbone_lr: what the encoder of frames learns with, as a share of lr; 0 leaves it
    as ImageNet made it; a network without any of ImageNet's weights learns with lr throughout.
    guided: in this first share of the steps a network remembers the labels that it learns from and not its own
    answers (AOT: 0.5; STCN: 0). snapshots: weights kept along the last half of the training, for soups.
    clip_grad: the largest norm of the gradient, which is scaled to that; null: as it is.
    ema: decay per step of the averaged weights that are evaluated; 0 evaluates the last weights.
    precision: "fp32", or "bf16" for autocast. workers: processes that load data (0: none).
    embeddings: the precision, fp32 or fp16, of a teacher's embeddings of images on disk. embeddings_gb: the most
    that these may take, in 1e9 bytes.
    """

    steps: int = number(1000, least=0, most=10**9)
    batch: int = number(8, least=1, most=2**16)
    crop: int = number(96, least=16, most=2**14)
    length: int = number(3, least=1, most=1024)
    max_objects: int = number(2, least=1, most=254)
    lr: float = number(1e-3, least=0)
    weight_decay: float = number(1e-4, least=0)
    warmup: float = number(0.05, least=0, most=1)
    decay: str = choice("cosine", "poly", "step")
    drop_at: float = number(0.83, least=0, most=1)
    lr_end: float = number(0.0, least=0, most=1)
    backbone_lr: float = number(1.0, least=0)
    clip_grad: float | None = number(1.0, above=0)
    ema: float = number(0.0, least=0, below=1)
    precision: str = choice("fp32", "bf16")
    workers: int = number(0, least=0, most=1024)
    snapshots: int = number(5, least=0, most=1024)
    guided: float = number(0.0, least=0, most=1)
    embeddings: str = choice("fp32", "fp16")
    embeddings_gb: float = number(10.0, least=0)
