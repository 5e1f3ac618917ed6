"""How a student is trained: the losses, their weights, the pixels they look at."""

from dataclasses import dataclass, field


@dataclass
class PolyCrossEntropy:
    """Poly-1 cross-entropy on the labels; epsilon 0 is plain cross-entropy.

    share: only this share of a clip's pixels, its hardest, counts (bootstrapping; STCN: 0.15). It falls from
    1 to that between the shares `start` and `end` of the schedule (STCN: steps 20K and 70K of 150K).
    """

    weight: float = 1.0
    epsilon: float = 1.0
    share: float = 1.0
    start: float = 0.13
    end: float = 0.47


@dataclass
class Dice:
    """Dice loss of every object; ours: with few steps, cross-entropy alone is slow to find small objects."""

    weight: float = 0.0


@dataclass
class Jaccard:
    """Soft Jaccard loss of every object, which AOT and DeAOT are trained with."""

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
class MutualInformation:
    """ITRD's mutual-information loss of the sampled pixels' features."""

    weight: float = 0.0


@dataclass
class Correlation:
    """ITRD's correlation loss of the sampled pixels' features, the student's through a linear layer."""

    weight: float = 0.0
    alpha: float = 1.01


@dataclass
class Hint:
    """FitNet's loss: the student's features, through a linear layer, become the teacher's."""

    weight: float = 0.0


@dataclass
class AttentionTransfer:
    """Attention transfer: the student's features are large where the teacher's are."""

    weight: float = 0.0


@dataclass
class Inter:
    """DIST's loss between classes: in every pixel the student's probabilities correlate with the teacher's."""

    weight: float = 0.0


@dataclass
class Intra:
    """DIST's loss within classes: every class's probabilities correlate over the pixels of a clip."""

    weight: float = 0.0


@dataclass
class Attention:
    """Distillation of long-term attention maps, the student's last from one of the teacher's, by `cka` or `kl`.

    teacher_map: which of the teacher's modules gives the map, counted from 1; null: the last.
    """

    weight: float = 0.0
    measure: str = "cka"
    teacher_map: int | None = None


@dataclass
class ProjectorEnsemble:
    """PEFD: the mean of several projections of the student's features points where the teacher's do."""

    weight: float = 0.0
    projectors: int = 3


@dataclass
class Decoupled:
    """MSE between what the student's encoder and the teacher's make of an image or frame (MobileSAM)."""

    weight: float = 0.0


@dataclass
class Masks:
    """SAM's loss of the masks that prompts ask for, focal and Dice 20 to 1, and of their predicted IoUs."""

    weight: float = 0.0
    predicted_iou: float = 1.0


@dataclass
class Sampling:
    """Pixels (at stride 4) that the losses on features compare: random, boundary, uncertainty or all."""

    pixels: str = "boundary"
    count: int = 256
    boundary_width: int = 1


@dataclass
class Recipe:
    """One way of training; see docs/ablations.md for where each value comes from.

    labels: what the losses take for the truth after a clip's first mask: the data's own (`truth`), or what the
    `teacher` answers; then those of the data are never read.
    rest: what the parts that are no encoder start from: weights of their `own`, the `teacher`'s, or the teacher's,
    which stay as they are (`frozen`). finetune: share of the steps, the last, in which these parts alone learn,
    by `masks`, and the encoder stays (of images alone).
    """

    name: str = "supervised"
    labels: str = "truth"
    rest: str = "own"
    finetune: float = 0.0
    poly_ce: PolyCrossEntropy = field(default_factory=PolyCrossEntropy)
    dice: Dice = field(default_factory=Dice)
    jaccard: Jaccard = field(default_factory=Jaccard)
    representation: Representation = field(default_factory=Representation)
    logits: Logits = field(default_factory=Logits)
    itrd_mutual_information: MutualInformation = field(default_factory=MutualInformation)
    itrd_correlation: Correlation = field(default_factory=Correlation)
    hint: Hint = field(default_factory=Hint)
    attention_transfer: AttentionTransfer = field(default_factory=AttentionTransfer)
    inter: Inter = field(default_factory=Inter)
    intra: Intra = field(default_factory=Intra)
    attention: Attention = field(default_factory=Attention)
    pefd: ProjectorEnsemble = field(default_factory=ProjectorEnsemble)
    decoupled: Decoupled = field(default_factory=Decoupled)
    masks: Masks = field(default_factory=Masks)
    sampling: Sampling = field(default_factory=Sampling)

    @property
    def losses(self) -> set[str]:
        """Names of the losses that count."""
        return {name for name, loss in vars(self).items() if getattr(loss, "weight", 0) > 0}

    @property
    def needs_teacher(self) -> bool:
        learns = bool(self.losses - {"poly_ce", "dice", "jaccard", "masks"})
        return learns or self.labels == "teacher" or self.rest != "own"

    @property
    def judges_answers(self) -> bool:
        """Whether a loss is on the logits, from which all of a network learns: others leave its classifier out."""
        return bool(self.losses & {"poly_ce", "dice", "jaccard", "logits", "inter", "intra"})

    @property
    def samples_pixels(self) -> bool:
        return bool(self.losses & {"representation", "itrd_mutual_information", "itrd_correlation"})


@dataclass
class Schedule:
    """How long and on how much: the part of training that depends on the machine at hand.

    After a linear warm-up over the first `warmup` share of the steps, lr decays along a `cosine` or a `poly`
    (power 0.9, as AOT) to the share `lr_end` of itself, or drops to a tenth (`decay: step`) at the share
    `drop_at` of the steps. backbone_lr: what the encoder of frames learns with, as a share of lr; 0 leaves it
    as ImageNet made it; a network without any of ImageNet's weights learns with lr throughout.
    guided: in this first share of the steps a network remembers the labels that it learns from and not its own
    answers (AOT: 0.5; STCN: 0). snapshots: weights kept along the last half of the training, for soups.
    ema: decay per step of the averaged weights that are evaluated; 0 evaluates the last weights.
    precision: "fp32", or "bf16" for autocast. workers: processes that load data (0: none).
    embeddings: the precision, fp32 or fp16, of a teacher's embeddings of images on disk. embeddings_gb: the most
    that these may take, in 1e9 bytes.
    """

    steps: int = 1000
    batch: int = 8
    crop: int = 96
    length: int = 3
    max_objects: int = 2
    lr: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    decay: str = "cosine"
    drop_at: float = 0.83
    lr_end: float = 0.0
    backbone_lr: float = 1.0
    clip_grad: float = 1.0
    ema: float = 0.0
    precision: str = "fp32"
    workers: int = 0
    snapshots: int = 5
    guided: float = 0.0
    embeddings: str = "fp32"
    embeddings_gb: float = 10.0
