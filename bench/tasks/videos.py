"""Following objects through videos, from their masks in the first frame."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from bench.losses.base import Reads, Seen
from bench.measure.full_size import VIDEO
from bench.measure.room import check_room
from bench.measure.scene import Scene
from bench.plan.cells import Cell, Training
from bench.plan.data import open_training
from bench.plan.recipe import Schedule
from bench.score.accuracy import summarize
from bench.score.cell_pictures import choose_sequences, draw_cell
from bench.score.evaluate import evaluate
from bench.score.fields import score_fields, seen_unseen
from bench.system.files import write_json
from bench.tasks.task import Task
from bench.train.answers import Tensors, answer, batches
from bench.train.learner import DROPS, PIXELS, Learner, generator_at, weighted
from datasets.clips import ClipStream
from datasets.images import frame_size
from datasets.opening import export_submission, open_evaluation
from datasets.sequence import VideoSet
from methods.interface import Method
from methods.masks import normalize
from methods.space_time import Rollout


class Videos(Task):
    """Networks learn from clips and are evaluated by J&F."""

    def stream(self, trainings: list[Training], networks: list[nn.Module]) -> ClipStream:
        first = trainings[0]
        return open_training(first.data, first.schedule, first.seed)

    def batches(self, stream: ClipStream, schedule: Schedule, start: int, device: str) -> Iterator[Tensors]:
        return batches(stream, schedule, start, device)

    @torch.no_grad()
    def teach(self, teacher: nn.Module, batch: Tensors, learners: list[Learner], precision: str) -> Rollout:
        """The teacher's rollout over a batch, with the attention maps that the learners compare."""
        maps = set().union(*(x.teacher_maps for x in learners))
        with torch.autocast(batch["frames"].device.type, torch.bfloat16, enabled=precision == "bf16"):
            return answer(teacher, batch, maps)

    def losses(self, learner: Learner, batch: Tensors, answers: Any, seed: int) -> Tensors:
        seen = _imitated if Reads.ENCODINGS in learner.recipe.reads else _answered
        return weighted(learner.losses, seen(learner, batch, answers, seed), learner.ranks)

    def open(self, dataset: dict[str, Any]) -> VideoSet:
        return open_evaluation(dataset)

    def check(self, data: VideoSet, config: DictConfig) -> None:
        choose_sequences(data, config.pictures)

    def evaluate(
        self, cell: Cell, method: Method, teacher: Callable, data: VideoSet, folder: Path, device: str
    ) -> dict[str, Any]:
        largest = max(data.sequences, key=lambda sequence: math.prod(frame_size(sequence.frames[0])))
        (height, width), objects = frame_size(largest.frames[0]), len(largest.object_ids)
        if 1 <= objects < width:
            scene = Scene(height, width, objects, device=device)
            check_room(method, scene, len(largest), "take smaller ones (to {edge} px), or more memory", MemoryError)
        result = evaluate(method, data, folder, device, f"{cell.label} seed {cell.seed}")
        # empty for a test set, whose masks are not public
        scores = summarize(result.scores) | seen_unseen(result.scores, data)
        write_json(folder / "scores.json", scores)
        fields = score_fields(result.scores, scores)
        if fields.get("jf_mean") is None:
            export_submission(cell.dataset, folder / "masks", folder / "submission.zip")
        return {
            **fields,
            "sequences": len(data),
            "objects": sum(len(s.object_ids) for s in result.scores),
            "frames": sum(len(sequence) - 1 for sequence in data.sequences),
            "resolution": result.resolution,
            "fps": 1000 / fmean(result.step_ms) if result.step_ms else None,
            "latency_ms_median": median(result.step_ms) if result.step_ms else None,
        }

    def draw(self, data: VideoSet, folder: Path, config: DictConfig) -> dict[str, str]:
        chosen = choose_sequences(data, config.pictures)
        strip, drawn = draw_cell(data, chosen, folder, config.picture_frames)
        return {"overlay": strip, "pictures": json.dumps(drawn), "frame_scores": str(folder / "scores")}

    def megapixels(self, data: VideoSet) -> float:
        frames = sum(len(sequence) for sequence in data.sequences)
        return frames * math.prod(frame_size(data.sequences[0].frames[0])) / 1e6

    def costs(self, growth: bool) -> list[str]:
        return [*VIDEO, "growth_full"] if growth else VIDEO


def _answered(learner: Learner, batch: Tensors, answers: Any, seed: int) -> Seen:
    """What both say of the clips."""
    recipe, ranks, steps = learner.recipe, learner.ranks, learner.schedule.steps
    progress = learner.step / steps
    labels = batch["masks"] if recipe.labels == "truth" else answers.labels
    noise = generator_at(seed, learner.step, DROPS)
    noise.part, noise.parts = ranks.number, ranks.size
    guide = labels if progress < learner.schedule.guided else None
    with learner.autocast(batch["frames"]):
        rollout = answer(learner.method, batch, learner.maps, noise, guide)
    drawn = recipe.sampling, generator_at(seed, learner.step, PIXELS)
    return Seen(rollout, answers, labels[:, 1:], *drawn, learner.projectors, progress, ranks, steps=steps)


def _imitated(learner: Learner, batch: Tensors, answers: Rollout, _: int) -> Seen:
    """What both encoders make of the frames; the student's is all that learns."""
    frames = normalize(batch["frames"].flatten(0, 1))
    with learner.autocast(frames):
        return Seen(learner.method.encode_query(frames), answers.query)
