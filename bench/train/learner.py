"""One student in training: its network, optimiser, curve and checkpoints."""

import copy
import math
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import ConfigError
from bench.files import replace_atomically
from bench.recipe import Recipe, Schedule
from bench.train.objective import losses, make_projectors
from methods.checkpoint import read_file
from methods.errors import MethodError
from methods.space_time import Rollout

CURVE_POINTS = 200


class Diverged(RuntimeError):
    """The loss is no number any more: this cell has failed, the others go on."""


class Learner:
    """Trains `method` by `recipe`; the folder receives `last.pt` while it trains and `weights.pt` at the end."""

    def __init__(
        self,
        name: str,
        method: nn.Module,
        recipe: Recipe,
        schedule: Schedule,
        folder: Path,
        meta: dict,
        freeze_norm: bool = False,
        teacher_width: int | None = None,
    ) -> None:
        self.name, self.recipe, self.schedule, self.folder, self.meta = name, recipe, schedule, folder, meta
        self.method = method.to(memory_format=torch.channels_last)
        self.freeze_norm = freeze_norm
        self.average = copy.deepcopy(method) if schedule.ema else None
        self.projectors = make_projectors(recipe, method.embedding_channels, teacher_width)
        learnt = [*method.parameters(), *self.projectors.parameters()]
        self.optimizer = torch.optim.AdamW(
            learnt, schedule.lr, weight_decay=schedule.weight_decay, fused=True
        )
        self.step = 0
        self.curve: list[dict[str, float]] = []
        self.failure: str | None = None

    def learn(self, batch: dict[str, Tensor], teacher: Rollout | None, seed: int) -> float:
        """One optimisation step on a batch; returns the loss. Raises Diverged."""
        device = next(self.method.parameters()).device
        self._train_mode()
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.lr * lr_factor(self.step, self.schedule)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.schedule.precision == "bf16"):
            rollout = self.method.roll_out(batch["frames"], batch["first_masks"], batch["valid"])
        generator = torch.Generator().manual_seed((seed << 32) + self.step)
        progress = self.step / self.schedule.steps
        parts = losses(self.recipe, rollout, teacher, batch["masks"], generator, self.projectors, progress)
        self.optimizer.zero_grad(set_to_none=True)
        parts["total"].backward()
        norm = nn.utils.clip_grad_norm_(self.method.parameters(), self.schedule.clip_grad)
        total = float(parts["total"].detach())
        if not math.isfinite(total) or not math.isfinite(float(norm)):
            raise Diverged(f"loss {total}, gradient norm {float(norm)} at step {self.step}")
        self.optimizer.step()
        if self.average is not None:
            self._follow()
        if self.step % max(1, self.schedule.steps // CURVE_POINTS) == 0:
            values = {name: float(value.detach()) for name, value in parts.items()}
            self.curve.append({"step": self.step, "lr": self.optimizer.param_groups[0]["lr"], **values})
        self.step += 1
        if self.step in snapshot_steps(self.schedule):
            self._write_weights(self.folder / "snapshots" / f"{self.step:07d}.pt")
        return total

    def _train_mode(self) -> None:
        self.method.train()
        if self.freeze_norm:
            for part in self.method.backbones.values():
                for module in part.modules():
                    if isinstance(module, nn.BatchNorm2d):
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
        last = self.folder / "last.pt"
        state = {
            "step": self.step,
            "method": self.method.state_dict(),
            "projectors": self.projectors.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "curve": self.curve,
        }
        if last.exists():
            last.replace(self.folder / "previous.pt")
        replace_atomically(last, lambda path: torch.save(state, path))

    def resume(self) -> None:
        """Continue from `last.pt`, or from `previous.pt` when that is damaged, or from the start."""
        for name in ("last.pt", "previous.pt"):
            path = self.folder / name
            if not path.exists():
                continue
            try:
                state = read_file(path)
            except MethodError:
                continue
            self.method.load_state_dict(state["method"])
            self.projectors.load_state_dict(state["projectors"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.step, self.curve = state["step"], state["curve"]
            return

    def finish(self) -> None:
        """Write `weights.pt` (what is evaluated) and drop the resumable checkpoints."""
        self._write_weights(self.folder / "weights.pt")
        for name in ("last.pt", "previous.pt"):
            (self.folder / name).unlink(missing_ok=True)

    def _write_weights(self, path: Path) -> None:
        best = self.method if self.average is None else self.average
        content = {
            "state_dict": {k: v.cpu().contiguous() for k, v in best.state_dict().items()},
            "meta": {**self.meta, "recipe": asdict(self.recipe), "schedule": asdict(self.schedule)},
            "curve": self.curve,
        }
        replace_atomically(path, lambda temporary: torch.save(content, temporary))


def snapshot_steps(schedule: Schedule) -> list[int]:
    """Steps, evenly over the last half and up to the end, after which weights are kept for soups."""
    half = schedule.steps / 2
    return [round(half + half * (i + 1) / schedule.snapshots) for i in range(schedule.snapshots)]


def lr_factor(step: int, schedule: Schedule) -> float:
    """Linear warm-up, then a cosine to 0 or one drop to a tenth."""
    warmup = max(1, round(schedule.warmup * schedule.steps))
    if step < warmup:
        return (step + 1) / warmup
    if schedule.decay == "step":
        return 1.0 if step < schedule.drop_at * schedule.steps else 0.1
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, schedule.steps - warmup)))


def check_schedule(schedule: Schedule) -> None:
    """Raise ConfigError for values that cannot work, before hours are spent."""
    if schedule.crop % 16:
        raise ConfigError(f"crop={schedule.crop} must be a multiple of 16, the networks' stride")
    if schedule.precision not in ("fp32", "bf16"):
        raise ConfigError(f"unknown precision '{schedule.precision}'; known: fp32, bf16")
    if schedule.decay not in ("cosine", "step"):
        raise ConfigError(f"unknown decay '{schedule.decay}'; known: cosine, step")
    if min(schedule.steps, schedule.batch) < 1 or schedule.length < 2:
        raise ConfigError("steps and batch must be at least 1 and length (frames a clip) at least 2")
