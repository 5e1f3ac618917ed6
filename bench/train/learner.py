"""One student in training: its network, optimiser, curve and checkpoints."""

import copy
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.losses.base import Reads, Seen
from bench.plan.recipe import Recipe, Schedule
from bench.system.errors import ConfigError
from bench.system.files import write_checkpoint
from bench.train.answers import answer, map_number
from bench.train.norms import share_statistics
from bench.train.objective import make_projectors, weighted
from bench.train.ranks import ALONE, Ranks
from methods.borrowed import rest_of
from methods.checkpoint import read_file
from methods.errors import MethodError
from methods.masks import normalize
from methods.noise import PartGenerator
from methods.space_time import Rollout

CURVE_POINTS = 200
PIXELS, DROPS = 0, 1  # what noise is drawn for


class Diverged(RuntimeError):
    """The loss is no number any more: this cell has failed, the others go on."""


class Learner:
    """Trains `method` by `recipe`; the folder receives `last.pt` while it trains and `weights.pt` at the end.

    Of several ranks each has a learner with the same weights at every step; the first one's writes the files.
    """

    def __init__(
        self,
        name: str,
        method: nn.Module,
        recipe: Recipe,
        schedule: Schedule,
        folder: Path,
        meta: dict,
        freeze_norm: bool = False,
        teacher: nn.Module | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.name, self.recipe, self.schedule, self.folder, self.meta = name, recipe, schedule, folder, meta
        self.ranks = ranks
        self.method = share_statistics(method, ranks).to(memory_format=torch.channels_last)
        self.freeze_norm = freeze_norm
        if schedule.backbone_lr == 0:  # which saves its backward pass
            for part in frame_encoder(method):
                part.requires_grad_(False)
        self.average = copy.deepcopy(method) if schedule.ema else None
        width = teacher.embedding_channels if teacher is not None else None
        self.projectors = make_projectors(recipe.losses, method.embedding_channels, width)
        # numbers of the attention maps to compare
        self.teacher_maps = {map_number(teacher, wanted) for wanted in recipe.teacher_maps}
        self.maps = [map_number(method, None)] if self.teacher_maps else []
        self.optimizer = torch.optim.AdamW(
            parameter_groups(method, self.projectors, schedule),
            weight_decay=schedule.weight_decay,
            fused=True,
        )
        self.step, self.seconds = 0, 0.0  # that this learner's own work took
        self.curve: list[dict[str, float]] = []
        self.failure: str | None = None

    def learn(self, batch: dict[str, Tensor], teacher: Rollout | None, seed: int) -> float:
        """One optimisation step on a batch; returns the loss. Raises Diverged."""
        began = time.perf_counter()
        self._train_mode()
        lr = self.schedule.lr * lr_factor(self.step, self.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["share"]
        parts = self._spread_losses(batch, teacher, seed)
        self.optimizer.zero_grad(set_to_none=True)
        parts["total"].backward()
        norm = nn.utils.clip_grad_norm_(self.method.parameters(), self.schedule.clip_grad)
        total = self.ranks.mean(parts["total"])
        if not math.isfinite(total) or not math.isfinite(float(norm)):
            raise Diverged(f"loss {total}, gradient norm {float(norm)} at step {self.step}")
        self.optimizer.step()
        if self.average is not None:
            self._follow()
        if self.step % max(1, self.schedule.steps // CURVE_POINTS) == 0:
            values = {name: self.ranks.mean(value) for name, value in parts.items()}
            self.curve.append({"step": self.step, "lr": lr, **values})
        self.step += 1
        self.seconds += time.perf_counter() - began
        if self.ranks.leads and self.step in snapshot_steps(self.schedule):
            self._write_weights(self.folder / "snapshots" / f"{self.step:07d}.pt")
        return total

    @cached_property
    def _spread_losses(self) -> Callable[..., dict[str, Tensor]]:
        """`_losses`, made when the first step is: the weights are those of the checkpoint then, on the device."""
        parts = [self.method, self.projectors]
        return self.ranks.spread(self._losses, parts, partly=Reads.ANSWERS not in self.recipe.reads)

    def _losses(self, batch: dict[str, Tensor], teacher: Rollout | None, seed: int) -> dict[str, Tensor]:
        """The losses of the recipe and their weighted `total`."""
        seen = (self._imitated if Reads.ENCODINGS in self.recipe.reads else self._answered)(
            batch, teacher, seed
        )
        return weighted(self.recipe.losses, seen, self.ranks)

    def _answered(self, batch: dict[str, Tensor], teacher: Rollout | None, seed: int) -> Seen:
        """What both say of the clips."""
        progress = self.step / self.schedule.steps
        labels = batch["masks"] if self.recipe.labels == "truth" else teacher.labels
        noise = generator_at(seed, self.step, DROPS)
        noise.part, noise.parts = self.ranks.number, self.ranks.size
        device = batch["frames"].device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.schedule.precision == "bf16"):
            guide = labels if progress < self.schedule.guided else None
            rollout = answer(self.method, batch, self.maps, noise, guide)
        return Seen(
            rollout,
            teacher,
            labels[:, 1:],
            self.recipe.sampling,
            generator_at(seed, self.step, PIXELS),
            self.projectors,
            progress,
            rows=self.ranks.rows,
            before=self.ranks.before,
        )

    def _imitated(self, batch: dict[str, Tensor], teacher: Rollout, _: int) -> Seen:
        """What both encoders make of the frames; the student's is all that learns."""
        frames = normalize(batch["frames"].flatten(0, 1))
        with torch.autocast(frames.device.type, torch.bfloat16, enabled=self.schedule.precision == "bf16"):
            return Seen(self.method.encode_query(frames), teacher.query)

    @property
    def weights(self) -> dict[str, Tensor]:
        """What is evaluated: the current weights, or their average where the schedule wants one."""
        return (self.method if self.average is None else self.average).state_dict()

    def _train_mode(self) -> None:
        self.method.train()
        if self.recipe.rest == "frozen":
            for part in rest_of(self.method).values():
                part.eval()  # or normalisation would follow the batches
        if self.freeze_norm:
            for part in self.method.backbones.values():
                for module in part.modules():
                    if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
                        module.eval()

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the averaged weights towards the current ones; early on faster, so that the start is forgotten."""
        decay = min(self.schedule.ema, (1 + self.step) / (10 + self.step))
        current = self.method.state_dict()
        for key, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[key], 1 - decay)
            else:
                value.copy_(current[key])

    def save(self) -> None:
        """Write `last.pt`, keeping the one before as `previous.pt` in case the disk damages it."""
        if not self.ranks.leads:
            return
        last = self.folder / "last.pt"
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "method": self.method.state_dict(),
            "projectors": self.projectors.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "curve": self.curve,
        }
        if last.exists():
            last.replace(self.folder / "previous.pt")
        write_checkpoint(last, state)

    def resume(self) -> None:
        """Continue from `last.pt`, or from `previous.pt` when that is damaged, or from the start."""
        # Read once: over a network's file system another machine may still see the checkpoint before.
        state = self.ranks.from_first(self._checkpoint)
        if state is None:
            return
        self.method.load_state_dict(state["method"])
        self.projectors.load_state_dict(state["projectors"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.step, self.seconds, self.curve = state["step"], state.get("seconds", 0.0), state["curve"]

    def _checkpoint(self) -> dict | None:
        for name in ("last.pt", "previous.pt"):
            path = self.folder / name
            if not path.exists():
                continue
            try:
                return read_file(path)
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
        content = {
            "state_dict": {k: v.cpu().contiguous() for k, v in self.weights.items()},
            "meta": {
                **self.meta,
                "recipe": asdict(self.recipe),
                "schedule": asdict(self.schedule),
                "seconds": self.seconds,
            },
            "curve": self.curve,
        }
        write_checkpoint(path, content)


def generator_at(seed: int, step: int, purpose: int) -> PartGenerator:
    """The same noise for every student and wherever training resumes; a stream of its own for each purpose."""
    return PartGenerator().manual_seed((seed << 32) + step + (purpose << 62))


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


def frame_encoder(method: nn.Module) -> list[nn.Module]:
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
