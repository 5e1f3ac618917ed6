"""One student in training: its network, optimiser, curve and checkpoints."""

import copy
import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import InitVar, asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.losses.base import Loss, Reads, Seen
from bench.plan.recipe import Recipe, Schedule
from bench.system.errors import ConfigError
from bench.system.files import write_checkpoint
from bench.train.answers import Tensors, map_number
from bench.train.ranks import ALONE, Ranks, share_statistics
from bench.train.shares import gradient_shares, is_measured
from methods.borrowed import rest_of
from methods.checkpoint import read_file
from methods.errors import MethodError
from methods.noise import PartGenerator

CURVE_POINTS = 200
LOOKS = 8  # at what is held out, along a training
PIXELS, DROPS = 0, 1  # what noise is drawn for
Look = Callable[[Any], dict[str, float]]  # what is asked of a network along its training


class Diverged(RuntimeError):
    """The loss is no number any more: this cell has failed, the others go on."""


class Teaching(ABC):
    """What training asks of a task."""

    def batches(self, stream, schedule: Schedule, start: int, device: str) -> Iterator[Tensors]:
        """Batches of a stream from step `start` on, on the device."""
        for batch in stream.loader(start, schedule.workers):
            yield {name: value.to(device, non_blocking=True) for name, value in batch.items()}

    @abstractmethod
    def teach(self, teacher: Any, batch: Tensors, learners: "list[Learner]", precision: str) -> Any:
        """What the teacher says of a batch, once for all learners: `losses` takes it."""

    @abstractmethod
    def losses(self, learner: "Learner", batch: Tensors, answers: Any, seed: int) -> Tensors:
        """The losses of the learner's recipe, each a scalar, and their weighted `total`."""


@dataclass(eq=False, repr=False)
class Learner:
    """Trains `method` for `task` by `recipe`; its folder gets `last.pt` while it does, `weights.pt` at the end.

    method, teacher: modules with what training asks of them (roll_out, embedding_channels, backbones). Of several
    ranks each has a learner with the same weights at every step; the first one's writes the files.
    """

    name: str
    method: Any
    recipe: Recipe
    schedule: Schedule
    folder: Path
    meta: dict[str, Any]
    task: Teaching
    freeze_norm: bool = False
    teacher: InitVar[Any] = None
    ranks: Ranks = ALONE

    def __post_init__(self, teacher: Any) -> None:
        self._learning: list[bool] = []  # which parameters do, since the losses were spread
        self.method = method = share_statistics(self.method.to(memory_format=torch.channels_last), self.ranks)
        recipe, schedule = self.recipe, self.schedule
        if schedule.backbone_lr == 0:  # which saves its backward pass
            for part in frame_encoder(method):
                part.requires_grad_(False)
        self.average = copy.deepcopy(method) if schedule.ema else None
        width = teacher.embedding_channels if teacher is not None else 0  # then no loss needs it
        self.projectors = make_projectors(recipe.losses, method.embedding_channels, width)
        # numbers of the attention maps to compare
        self.teacher_maps = {map_number(teacher, wanted) for wanted in recipe.teacher_maps}
        self.maps = [map_number(method, None)] if self.teacher_maps else []
        groups = parameter_groups(method, self.projectors, schedule)
        self.optimizer = torch.optim.AdamW(groups, weight_decay=schedule.weight_decay, fused=True)
        self.step, self.seconds = 0, 0.0  # that this learner's own work took
        self.curve: list[dict[str, float]] = []
        self.failure: str | None = None

    def learn(self, batch: Tensors, teacher: Any, seed: int) -> float:
        """One optimisation step on a batch; returns the loss. Raises Diverged."""
        began = time.perf_counter()
        self._train_mode()
        lr = self.schedule.lr * lr_factor(self.step, self.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["share"]
        learning = [p.requires_grad for p in self.method.parameters()]
        if learning != self._learning:  # in the first step, as the weights are those of the checkpoint then
            modules, partly = [self.method, self.projectors], Reads.ANSWERS not in self.recipe.reads
            self._losses = self.ranks.spread(partial(self.task.losses, self), modules, partly)
            self._learning = learning
        parts = self._losses(batch, teacher, seed)
        shares: Tensors = {}
        if is_measured(self.step, self.schedule.steps):
            shares = gradient_shares(self.losses, parts, self.method.parameters(), self.ranks)
        self.optimizer.zero_grad(set_to_none=True)
        parts["total"].backward()
        norm = nn.utils.clip_grad_norm_(self.method.parameters(), self.schedule.clip_grad or math.inf)
        total = self.ranks.mean(parts["total"])
        if not math.isfinite(total) or not math.isfinite(float(norm)):
            raise Diverged(f"loss {total}, gradient norm {float(norm)} at step {self.step}")
        self.optimizer.step()
        if self.average is not None:
            self._follow(self.average)
        if shares or self.step % max(1, self.schedule.steps // CURVE_POINTS) == 0:
            values = {name: self.ranks.mean(value) for name, value in (parts | shares).items()}
            self.curve.append({"step": self.step, "lr": lr, **values})
        self.step += 1
        self.seconds += time.perf_counter() - began
        if self.ranks.leads and self.step in snapshot_steps(self.schedule):
            self._write_weights(self.folder / "snapshots" / f"{self.step:07d}.pt")
        return total

    def autocast(self, like: Tensor) -> torch.autocast:
        """The precision that the schedule wants, on the device of a tensor."""
        return torch.autocast(like.device.type, torch.bfloat16, enabled=self.schedule.precision == "bf16")

    @property
    def finetunes(self) -> bool:
        """Whether the encoder is done, and the parts that are no encoder learn."""
        share = self.recipe.finetune
        return share > 0 and self.step >= math.ceil((1 - share) * self.schedule.steps)

    @property
    def losses(self) -> dict[str, Loss]:
        """Those that count at this step."""
        return self.recipe.finetuning if self.finetunes else self.recipe.losses

    def look(self, ask: Look) -> None:
        """Before the first step, after the last one and evenly between, the curve gets what `ask` finds."""
        if self.step in {round(self.schedule.steps * i / LOOKS) for i in range(LOOKS + 1)}:
            self.curve.append({"step": self.step, **ask(self.evaluated.eval())})

    @property
    def evaluated(self) -> nn.Module:
        """The network with its current weights, or with their average where the schedule wants one."""
        return self.method if self.average is None else self.average

    def _train_mode(self) -> None:
        self.method.train()
        if self.recipe.rest == "frozen":
            for part in rest_of(self.method).values():
                part.eval()  # or normalisation would follow the batches
        if self.finetunes:
            for part in self.method.children():
                part.requires_grad_(True)
            for part in frame_encoder(self.method):
                part.requires_grad_(False).eval()  # as above
        if self.freeze_norm:
            for module in (module for part in self.method.backbones.values() for module in part.modules()):
                if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
                    module.eval()

    @torch.no_grad()
    def _follow(self, average: nn.Module) -> None:
        """Move the averaged weights towards the current ones; early on faster, so that the start is forgotten."""
        decay = min(self.schedule.ema, (1 + self.step) / (10 + self.step))
        current = self.method.state_dict()
        for key, value in average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[key], 1 - decay)
            else:
                value.copy_(current[key])

    def save(self) -> None:
        """Write `last.pt`, keeping the one before as `previous.pt` in case the disk damages it."""
        if not self.ranks.leads:
            return
        last = self.folder / "last.pt"
        states = {name: part.state_dict() for name, part in self._parts.items()}
        if last.exists():
            last.replace(self.folder / "previous.pt")
        write_checkpoint(last, {"step": self.step, "seconds": self.seconds, "curve": self.curve, **states})

    @property
    def _parts(self) -> dict[str, Any]:
        """What a checkpoint holds the state of."""
        parts = {"method": self.method, "projectors": self.projectors, "optimizer": self.optimizer}
        return parts if self.average is None else {**parts, "average": self.average}

    def resume(self) -> None:
        """Continue from `last.pt`, or from `previous.pt` when that is damaged, or from the start."""
        # Read once: over a network's file system another machine may still see the checkpoint before.
        state = self.ranks.from_first(self._checkpoint)
        if state is None:
            return
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.step, self.seconds, self.curve = state["step"], state.get("seconds", 0.0), state["curve"]

    def _checkpoint(self) -> dict | None:
        for path in filter(Path.exists, (self.folder / "last.pt", self.folder / "previous.pt")):
            try:
                return read_file(path, holding={"step": int, "curve": list} | dict.fromkeys(self._parts, dict))
            except MethodError as error:
                print(f"warning: {error}; going on from an earlier checkpoint", file=sys.stderr)
                path.unlink()  # or the next one to be saved would make it the spare one
        return None

    def finish(self) -> None:
        """Write `weights.pt` (what is evaluated) and drop the resumable checkpoints."""
        if not self.ranks.leads:
            return
        self._write_weights(self.folder / "weights.pt")
        for name in ("last.pt", "previous.pt"):
            (self.folder / name).unlink(missing_ok=True)

    def _write_weights(self, path: Path) -> None:
        weights = {k: v.cpu().contiguous() for k, v in self.evaluated.state_dict().items()}
        made = {"recipe": asdict(self.recipe), "schedule": asdict(self.schedule), "seconds": self.seconds}
        write_checkpoint(path, {"state_dict": weights, "meta": {**self.meta, **made}, "curve": self.curve})


def weighted(losses: dict[str, Loss], seen: Seen, ranks: Ranks = ALONE) -> Tensors:
    """All parts of the losses, each a scalar; `total` is their weighted sum.

    ranks: with several, the clips are a part of a batch, and the mean of each loss over the ranks is that of the
    batch.
    """
    found = {}
    parts = [part for loss in losses.values() for part in loss.parts]
    for part in parts:
        total, count = part.sums(seen)
        # what is a mean over objects, say, is weighed by how many of the batch's are here
        found[part.name] = ranks.share(count) * (total / torch.as_tensor(count).clamp(min=1))
    return {**found, "total": torch.as_tensor(sum(part.weight * found[part.name] for part in parts))}


def make_projectors(losses: dict[str, Loss], student_width: int, teacher_width: int) -> nn.ModuleDict:
    """From the student's features to the teacher's, of the losses that have one."""
    made = {name: loss.projector(student_width, teacher_width) for name, loss in losses.items()}
    return nn.ModuleDict({name: projector for name, projector in made.items() if projector is not None})


def generator_at(seed: int, step: int, purpose: int) -> PartGenerator:
    """The same noise for every student and wherever training resumes; a stream of its own for each purpose."""
    generator = PartGenerator()
    generator.manual_seed((seed << 32) + step + (purpose << 62))
    return generator


def snapshot_steps(schedule: Schedule) -> list[int]:
    """Steps, evenly over the last half and up to the end, after which weights are kept for soups."""
    half = schedule.steps / 2
    return [round(half + half * (i + 1) / schedule.snapshots) for i in range(schedule.snapshots)]


def parameter_groups(method: nn.Module, projectors: nn.Module, schedule: Schedule) -> list[dict]:
    """What the optimiser learns; "share" of the schedule's lr is what a group learns with."""
    if schedule.backbone_lr == 1:
        return [{"params": [*method.parameters(), *projectors.parameters()], "lr": schedule.lr, "share": 1.0}]
    encoder = {id(p): p for part in frame_encoder(method) for p in part.parameters()}
    rest = [p for p in (*method.parameters(), *projectors.parameters()) if id(p) not in encoder]
    shares = ((rest, 1.0), (list(encoder.values()), schedule.backbone_lr))
    return [{"params": found, "lr": schedule.lr * share, "share": share} for found, share in shares if share]


def frame_encoder(method: Any) -> list[nn.Module]:
    """What makes features of frames: a part of its own, or all backbones of a method that does not name one."""
    name = getattr(method, "encoder_name", None)
    return [getattr(method, name)] if name else list(method.backbones.values())


def lr_factor(step: int, schedule: Schedule) -> float:
    """Linear warm-up, then a cosine or a polynomial to `lr_end`, or one drop to a tenth."""
    warmup = max(1, round(schedule.warmup * schedule.steps))
    if step < warmup:
        return (step + 1) / warmup
    if schedule.decay == "step":
        return 1.0 if step < schedule.drop_at * schedule.steps else 0.1
    left = 1 - (step - warmup) / max(1, schedule.steps - warmup)
    shape = left**0.9 if schedule.decay == "poly" else 0.5 * (1 - math.cos(math.pi * left))
    return schedule.lr_end + (1 - schedule.lr_end) * shape


def check_schedule(schedule: Schedule, ranks: int = 1) -> None:
    """Raise ConfigError for values that cannot work, before hours are spent."""
    if schedule.crop % 16:
        raise ConfigError(f"crop={schedule.crop} must be a multiple of 16, the networks' stride")
    if min(schedule.steps, schedule.batch) < 1 or schedule.length < 2:
        raise ConfigError("steps and batch must be at least 1 and length (frames a clip) at least 2")
    if schedule.batch % ranks:
        raise ConfigError(
            f"batch={schedule.batch} (of scale.teacher or scale.student) cannot be shared evenly by {ranks} ranks: "
            f"give a multiple of {ranks}, or another number of ranks"
        )
