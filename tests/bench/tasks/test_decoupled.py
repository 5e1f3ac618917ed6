"""ablation=decoupled from the command line to its table: MobileSAM's ways of distilling SAM, evaluated by mIoU."""

import csv
import re
import shutil
from pathlib import Path

import pytest
import torch

from bench.__main__ import main
from bench.plan.ablation import Data, plan_ablation
from bench.plan.cells import Questions
from bench.plan.compose import load_config
from bench.record import Record, read_records
from bench.system.errors import ConfigError
from bench.tasks.prompts import task
from bench.train import learner
from bench.train.learner import Learner
from methods.checkpoint import read_file
from reports.__main__ import main as report

SMALL = {"image_size": 64, "width": 0.1, "depth": 0.1, "decoder_channels": 16}
SHORT = {"steps": 6, "batch": 2}
NAMES = ("sam_vit_b", "mobile_sam")
TINY = [
    "ablation=decoupled", "device=cpu", "processes=1", "measure=false",
    *(f"scale.options.{name}.{key}={value}" for name in NAMES for key, value in SMALL.items()),
    *(f"scale.{role}.{key}={value}" for role in ("teacher", "student") for key, value in SHORT.items()),
    "ablation.prompts.images=3", "ablation.prompts.distances=[100,300]",
]  # fmt: skip
WAYS = ["coupled", "semi-coupled", "decoupled", "decoupled, then finetuned"]
DATA = Data({"name": "x", "fingerprint": "a"}, {"name": "y", "fingerprint": "b"})


def arguments(data: Path, folder: Path) -> list[str]:
    davis = ["dataset=davis2017", f"dataset.root={data}", "training=davis", f"training.root={data}"]
    return [*TINY, *davis, f"runs={folder / 'runs'}", f"output={folder / 'out'}"]


def rows(folder: Path) -> dict[str, Record]:
    return {record.label: record for record in read_records(folder / "out/records.jsonl")}


def weights(record: Record) -> dict[str, torch.Tensor]:
    return read_file(Path(record.weights))["state_dict"]


def rest(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if not key.startswith("image_encoder.")}


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module", autouse=True)
def few_looks():
    """Held-out images are looked at twice along a training, not eight times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learner, "LOOKS", 2)
        patch.setattr(task, "HELD_OUT", Questions(images=2))
        yield


@pytest.fixture(scope="module")
def ran(tiny_davis, tmp_path_factory) -> Path:
    """A folder with the runs and the results of all rows."""
    folder = tmp_path_factory.mktemp("decoupled")
    assert main(arguments(tiny_davis, folder)) == 0
    return folder


def test_every_way_is_trained_and_judged_by_its_teachers_masks(ran):
    found = rows(ran)
    teacher = found.pop("sam_vit_b (teacher)")
    assert set(WAYS) < found.keys()
    assert teacher.status == "ok" and teacher.miou is None and teacher.miou_truth is not None
    for record in found.values():
        assert record.status == "ok"
        assert 0 <= record.miou <= 100 and 0 <= record.miou_truth <= 100
        assert record.embedding_mse > 0 and record.params_m > 0 and record.train_seconds > 0
        assert (record.frames, record.objects) == (3, 12)
        assert record.method == "mobile_sam" and record.config_hash and record.mlflow_run_id
        assert Path(record.overlay).is_file()


def test_the_decoder_is_the_teachers_bit_by_bit_unless_it_is_to_learn(ran):
    found = {label: rest(weights(record)) for label, record in rows(ran).items()}
    teacher = found["sam_vit_b (teacher)"]
    for label in ("semi-coupled", "decoupled", "decoupled, half the steps"):
        assert equal(found[label], teacher), label
    for label in ("coupled", "decoupled, then finetuned"):
        assert not equal(found[label], teacher), label


def test_students_share_the_batches_and_the_stored_embeddings(ran):
    assert len(list((ran / "runs/embeddings").iterdir())) == 1
    found = rows(ran)
    steps = {label: (found[label].train_batch, found[label].train_steps) for label in found}
    assert steps["decoupled"] == (2, 6)
    assert steps["decoupled, half the steps"] == (2, 3)
    assert steps["decoupled, half the steps and batch"] == (1, 3)


def test_the_curve_holds_what_held_out_images_say(ran):
    curve = read_file(Path(rows(ran)["decoupled"].weights))["curve"]
    looked = [point for point in curve if "held_out_miou" in point]
    assert looked[0]["step"] == 0 and looked[-1]["step"] == 6
    assert all({"held_out_miou", "held_out_mse"} <= point.keys() for point in looked)


def test_everything_is_taken_from_the_folder_the_second_time(ran, tiny_davis, monkeypatch):
    before = rows(ran)
    monkeypatch.setattr(Learner, "learn", lambda *_: pytest.fail("trained again"))
    assert main(arguments(tiny_davis, ran)) == 0
    assert rows(ran) == before


def test_table_and_figures_are_written_with_what_is_published(ran):
    assert report([str(ran / "out")]) == 0
    page = (ran / "out/table.md").read_text()
    line = re.search(r"^\| decoupled \|.*$", page, re.MULTILINE).group()
    assert f"| {rows(ran)['decoupled'].miou:.1f} |" in line and "75 / 74.47" in line
    assert "| MobileSAM (published) |" in page
    for name in ("learning.png", "distances.pdf", "convergence.png", "overlays.png", "table.tex"):
        assert (ran / "out" / name).stat().st_size > 0
    numbers = {line["label"]: line for line in csv.DictReader((ran / "out/table.csv").open())}
    assert float(numbers["decoupled"]["miou"]) == rows(ran)["decoupled"].miou


@pytest.mark.slow
def test_the_trained_student_is_a_method_for_videos(ran, tiny_davis, tmp_path):
    path = rows(ran)["decoupled"].weights
    videos = ["dataset=davis2017", f"dataset.root={tiny_davis}", f"runs={tmp_path}", f"output={tmp_path}/out"]
    assert (
        main(["job=evaluate", "method=mobile_sam", f"weights={path}", "measure=false", "device=cpu", *videos]) == 0
    )
    (record,) = read_records(tmp_path / "out/records.jsonl")
    assert record.jf_mean is not None and record.miou is None


@pytest.mark.slow
def test_photos_without_masks_and_a_given_teacher(ran, tiny_davis, tmp_path):
    photos = shutil.copytree(tiny_davis / "JPEGImages/480p", tmp_path / "photos")
    teacher = rows(ran)["sam_vit_b (teacher)"].weights
    found = [f"{key}=photos" for key in ("dataset", "training")] + [
        f"{key}.{name}" for key in ("dataset", "training") for name in (f"root={photos}", "hold_out=0.3")
    ]
    places = [f"runs={tmp_path}/runs", f"output={tmp_path}/out"]
    only = ["~ablation.cells", "+ablation.cells={decoupled: {}, semi-coupled: {recipe: {masks: {weight: 1}}}}"]
    assert main([*TINY, *only, *found, *places, f"teacher.weights={teacher}"]) == 0
    for label, record in rows(tmp_path).items():
        assert record.status == "ok" and record.miou_truth is None, label
    assert rows(tmp_path)["decoupled"].miou is not None


def complaint(capsys) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


def test_photos_cannot_train_a_teacher(tiny_davis, tmp_path, capsys):
    photos = [f"training.root={tiny_davis / 'JPEGImages'}", "training=photos"]
    assert main([*arguments(tiny_davis, tmp_path), *photos]) == 2
    assert "has no masks to train sam_vit_b on: give teacher.weights" in complaint(capsys)


@pytest.mark.slow
def test_embeddings_that_are_too_large_end_the_run_with_one_line(ran, tiny_davis, tmp_path, capsys):
    shutil.copytree(ran / "runs/trained", tmp_path / "runs/trained")
    for student in (tmp_path / "runs/trained").glob("mobile_sam*"):
        shutil.rmtree(student)
    assert main([*arguments(tiny_davis, tmp_path), "scale.student.embeddings_gb=1e-9"]) == 2
    assert "scale.student.embeddings_gb=1e-09 is the most that they may" in complaint(capsys)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["ablation=sampling", "method=mobile_sam"], "'mobile_sam' learns from images and prompts: .*job=evaluate"),
        (["ablation=decoupled", "method=mobilevos_r18"], "'mobilevos_r18' learns from clips: ablation=decoupled"),
        (["ablation=decoupled", "recipe=mobilevos"], "a loss on clips, dice, logits, poly_ce, representation"),
        (["recipe.masks.weight=1"], "a loss on images and prompts, masks"),
        (["ablation=decoupled", "recipe.rest=frosen"], "unknown recipe.rest 'frosen'; known: own, teacher, frozen"),
        (["ablation=decoupled", "recipe.rest=own"], "give recipe.rest=frozen too"),
        (["ablation=decoupled", "recipe.finetune=1"], "recipe.finetune=1.0: give a share"),
        (["ablation=decoupled", "scale=paper"], "give teacher.weights=/path/to/sam_vit_h.pth"),
        (["ablation=decoupled", "ablation.prompts.points=0"], "points=0: give a whole number of at least 1"),
        (["ablation=decoupled", "ablation.prompts.distances=[2000]"], "distances=.*at least 1 and at most 1024"),
        (["recipe.decoupled.weight=1", "recipe.rest=frozen"], "goes with no other loss on clips"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(overrides, message):
    with pytest.raises(ConfigError, match=message):
        plan_ablation(load_config(overrides), DATA)


def test_the_paper_s_settings():
    config = load_config(["ablation=decoupled", "scale=paper", "teacher.weights=/x/sam_vit_h.pth"])
    (training,) = [c.network.training for c in plan_ablation(config, DATA) if c.label == "decoupled"]
    assert (training.schedule.batch, training.schedule.steps) == (8, 100_000)
    assert (training.teacher.method, training.teacher.weights) == ("sam_vit_h", "/x/sam_vit_h.pth")
    assert set(training.recipe.losses) == {"decoupled"} and training.recipe.rest == "frozen"
    assert not training.options  # the published size


def test_settings_of_storing_change_no_key_but_the_precision_does():
    def key(*overrides):
        cells = plan_ablation(load_config(["ablation=decoupled", *overrides]), DATA)
        return next(cell.key for cell in cells if cell.label == "decoupled")

    assert key() == key("scale.student.embeddings_gb=1")
    assert key() != key("scale.student.embeddings=fp16")
    assert key() != key("ablation.prompts.seed=1")
