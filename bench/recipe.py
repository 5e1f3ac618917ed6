"""How a student is trained: the losses, their weights, the pixels they look at."""

from dataclasses import dataclass, field


@dataclass
class PolyCrossEntropy:
    """Poly-1 cross-entropy on the labels."""

    weight: float = 1.0
    epsilon: float = 1.0


@dataclass
class Dice:
    """Dice loss of every object; ours: with few steps, cross-entropy alone is slow to find small objects."""

    weight: float = 0.0


@dataclass
class Representation:
    """MobileVOS's representation loss; omega 1 is distillation alone, 0 contrastive learning alone."""

    weight: float = 0.0
    omega: float = 0.95
    normalizer: str = "n"


@dataclass
class Logits:
    """Distillation of the teacher's logits, on `all` pixels or near a `boundary` alone."""

    weight: float = 0.0
    temperature: float = 0.1
    pixels: str = "all"


@dataclass
class Sampling:
    """Pixels (at stride 4) that the representation loss compares."""

    pixels: str = "boundary"
    count: int = 256
    boundary_width: int = 1


@dataclass
class Recipe:
    """One way of training; see docs/ablations.md for where each value comes from."""

    name: str = "supervised"
    poly_ce: PolyCrossEntropy = field(default_factory=PolyCrossEntropy)
    dice: Dice = field(default_factory=Dice)
    representation: Representation = field(default_factory=Representation)
    logits: Logits = field(default_factory=Logits)
    sampling: Sampling = field(default_factory=Sampling)

    @property
    def needs_teacher(self) -> bool:
        return self.representation.weight > 0 or self.logits.weight > 0


@dataclass
class Schedule:
    """How long and on how much: the part of training that depends on the machine at hand.

    lr decays to 0 along a cosine after a linear warm-up over the first `warmup` share of the steps.
    ema: decay per step of the averaged weights that are evaluated; 0 evaluates the last weights.
    precision: "fp32", or "bf16" for autocast. workers: processes that load data (0: none).
    """

    steps: int = 1000
    batch: int = 8
    crop: int = 96
    length: int = 3
    max_objects: int = 2
    lr: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    clip_grad: float = 1.0
    ema: float = 0.0
    precision: str = "fp32"
    workers: int = 0
