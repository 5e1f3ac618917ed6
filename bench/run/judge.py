"""Judging one cell with the weights that it has by now: evaluation, costs, and the record of both."""

import json
import traceback
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import fmean, median

from omegaconf import DictConfig, OmegaConf

import methods
from bench.measure.full_size import full_size
from bench.measure.parameters import method_parameters
from bench.plan.cells import Cell, name_for_files
from bench.record import Record, to_record
from bench.run.networks import build, describe, training_curve
from bench.run.sampling_picture import sampling_picture
from bench.score.accuracy import summarize
from bench.score.cell_pictures import choose_sequences, draw_cell
from bench.score.classes import seen_unseen
from bench.score.evaluate import Evaluation, evaluate
from bench.score.fields import score_fields
from bench.score.held_out import held_out_score
from bench.score.pictures import is_picture
from bench.system.environment import describe_environment, pick_device
from bench.system.errors import USER_ERRORS, ConfigError
from bench.system.files import drop_unfinished, read_json, write_json, write_text
from bench.system.locks import alone
from bench.tasks.prompts.judge import judge_answers
from datasets.opening import export_submission
from datasets.sequence import VideoSet
from datasets.static import StillImage
from methods import outside
from methods.errors import MethodError
from methods.interface import Method


@dataclass(frozen=True)
class Setup:
    """Where cells are judged, and with what settings.

    facts: the fields of a record that say on what it was made (bench.system.environment.describe_environment).
    """

    config: DictConfig
    runs: Path
    device: str
    facts: dict[str, str]


def here(config: DictConfig, runs: Path) -> Setup:
    """This process, on the device that the configuration wants. Raises ConfigError when it is not there."""
    device = pick_device(config.device)
    return Setup(config, runs, device, describe_environment(device))


def cell_folder(cell: Cell, runs: Path) -> Path:
    """Where a cell keeps its masks, scores and record."""
    name = name_for_files(cell.network.method)
    return runs / "cells" / f"{name}-{cell.dataset['name']}-s{cell.seed}-{cell.key}"


def judge(cell: Cell, setup: Setup, judged: VideoSet | list[StillImage]) -> Record:
    """The cell's record. That of an evaluation is kept in the cell's folder: nothing is evaluated twice.

    judged: what `open_judged` gives for the cell's dataset.
    Why an evaluation fails is the record's status; a mistake of the user's (USER_ERRORS) is raised, unless it is
    one in code of his own.
    """
    if cell.cost_only:
        return replace(blank(cell, setup), **_costs(cell, setup))
    try:
        with alone(cell_folder(cell, setup.runs) / "lock", f"judging {cell.label} seed {cell.seed}"):
            record = stored(cell, setup.runs) or _evaluated(cell, setup, judged)
            drawn = {} if cell.prompted else _pictures(cell, setup, judged)
            record = replace(record, **drawn, **_costs(cell, setup))
            record = _with_held_out(record, cell, setup)
            store(cell, record, setup.runs)
            return record
    except Exception as error:  # out of memory, say: the others may go on
        return blank(cell, setup, status=f"failed: {_reason(error, cell, setup.runs)}")


def _reason(error: Exception, cell: Cell, runs: Path) -> str:
    """Why a cell failed, in a line. Of the suite's methods only RuntimeError and MemoryError may fail a cell.

    Others' code may raise anything but what is about data and disks; the traceback goes to the cell's folder.
    """
    method = cell.network.method
    if not methods.entry(method).others:
        if not isinstance(error, RuntimeError | MemoryError):
            raise error
        traceback.print_exc()
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    if isinstance(error, USER_ERRORS) and not isinstance(error, ConfigError | MethodError):
        raise error
    text = "".join(traceback.format_exception(error))
    write_text(cell_folder(cell, runs) / "traceback.txt", text)
    return str(error) if isinstance(error, ConfigError) else outside.describe_failure(error, method)


def failed(cell: Cell, setup: Setup, failures: dict[str, str]) -> Record | None:
    """The record of a cell one of whose trainings has failed ({key of a training: why}); None for others."""
    reasons = [failures[training.key] for training in cell.network.trainings if training.key in failures]
    return blank(cell, setup, status=f"failed: {reasons[0]}") if reasons else None


def stored(cell: Cell, runs: Path) -> Record | None:
    """The record that the cell's folder keeps; None unless it and the files that it names are whole.

    One of an older version, which lacks a field, is not: what it lacks has to be evaluated.
    """
    folder = cell_folder(cell, runs)
    values = read_json(folder / "record.json", dict) or {}
    if not {field.name for field in fields(Record)} <= values.keys():
        return None
    record = to_record(values)
    whole = read_json(folder / "scores.json", dict) is not None
    whole &= not record.curve or read_json(folder / "curve.json", list) is not None
    picture = record.sampling_picture
    whole &= not picture or is_picture(folder / Path(picture).name)
    told = {"label": cell.label, "varied": json.dumps(cell.varied), "reference": cell.reference}
    return replace(record, **told) if whole else None


def store(cell: Cell, record: Record, runs: Path) -> None:
    write_json(cell_folder(cell, runs) / "record.json", asdict(record))


def blank(cell: Cell, setup: Setup, status: str = "ok") -> Record:
    """A record without results."""
    return Record(
        label=cell.label,
        method=outside.short_name(cell.network.method),
        recipe=cell.recipe_name,
        dataset=cell.dataset["name"],
        seed=cell.seed,
        status=status,
        scale=setup.config.scale.name if cell.network.trainings else "",
        options=json.dumps(cell.network.options, sort_keys=True),
        varied=json.dumps(cell.varied),
        reference=cell.reference,
        config_hash=cell.key,
        **setup.facts,
    )


def _evaluated(cell: Cell, setup: Setup, judged: VideoSet | list[StillImage]) -> Record:
    runs, device = setup.runs, setup.device
    folder = cell_folder(cell, runs)
    drop_unfinished(folder)
    method = build(cell.network, runs, device)
    params = method_parameters(method)
    record = replace(
        blank(cell, setup),
        **describe(cell.network, runs),
        **(_on_prompts if cell.prompted else _on_videos)(cell, method, setup, judged),
        params_m=None if params is None else params / 1e6,
        sampling_picture=sampling_picture(cell.network, folder, runs, device),
    )
    if record.jf_mean is None and not cell.prompted:
        export_submission(cell.dataset, folder / "masks", folder / "submission.zip")
    if curve := training_curve(cell.network, runs):
        write_json(folder / "curve.json", curve)
        record = replace(record, curve=str(folder / "curve.json"))
    return record


def _pictures(cell: Cell, setup: Setup, videos: VideoSet) -> dict[str, str]:
    """The record's fields of what may be drawn later than a cell was judged, and of the scores to draw."""
    folder, config = cell_folder(cell, setup.runs), setup.config
    chosen = choose_sequences(videos, config.pictures)
    strip, drawn = draw_cell(videos, chosen, folder, config.picture_frames)
    return {
        "overlay": strip,
        "pictures": json.dumps(drawn),
        "frame_scores": str(folder / "scores"),
    }


def _on_videos(cell: Cell, method: Method, setup: Setup, videos: VideoSet) -> dict:
    """The record's fields of a method that follows objects through the videos."""
    folder = cell_folder(cell, setup.runs)
    result = evaluate(method, videos, folder, setup.device, f"{cell.label} seed {cell.seed}")
    return {
        **_scores(result, videos, folder),
        "sequences": len(videos),
        "objects": sum(len(s.object_ids) for s in result.scores),
        "frames": sum(len(sequence) - 1 for sequence in videos.sequences),
        "resolution": result.resolution,
        "fps": 1000 / fmean(result.step_ms) if result.step_ms else None,
        "latency_ms_median": median(result.step_ms) if result.step_ms else None,
    }


def _with_held_out(record: Record, cell: Cell, setup: Setup) -> Record:
    """The record with the score on held-out training data, where the ablation shows by what its rows are chosen.

    All rows see the same clips, whatever their own are made like.
    """
    training = cell.network.training
    if not setup.config.ablation.get("held_out") or training is None or record.jf_held_out is not None:
        return record
    synthesis = OmegaConf.to_container(setup.config.training.get("synthesis") or OmegaConf.create({}))
    data = {**training.data, "synthesis": synthesis} if "synthesis" in training.data else training.data
    method = build(cell.network, setup.runs, setup.device)
    score = held_out_score(method, replace(training, data=data), setup.device)
    return replace(record, jf_held_out=100 * score)


def _on_prompts(cell: Cell, method: Method, setup: Setup, images: list[StillImage]) -> dict:
    """The record's fields of a network that answers prompts on the images, as its teacher does or not."""
    training = cell.network.training
    taught = training.teacher if training is not None else None
    teacher = build(taught, setup.runs, setup.device) if taught else None
    folder, label = cell_folder(cell, setup.runs), f"{cell.label} seed {cell.seed}"
    prompts = cell.dataset["prompts"]
    answers = judge_answers(method, teacher, images, prompts, folder, setup.device, label)
    return {**answers, "overlay": str(folder / "overlay.png")}


def _scores(result: Evaluation, videos: VideoSet, folder: Path) -> dict:
    """The record's fields of accuracy, in percent."""
    scores = summarize(result.scores).as_dict()  # empty for a test set, whose masks are not public
    classes = seen_unseen(result.scores, videos)
    write_json(folder / "scores.json", {**scores, **classes})
    return score_fields(result.scores, {**scores, **classes})


def _costs(cell: Cell, setup: Setup) -> dict:
    """The record's fields of the full-size network; none when they are not wanted."""
    if not setup.config.measure:
        return {}
    growth = bool(setup.config.ablation.get("growth"))
    return full_size(cell.network, setup.runs, setup.device, growth, cell.prompted)
