"""The teacher and the features that come with the suite are taken where they fit, and nowhere else."""

import pytest

from bench.plan import given
from bench.plan.ablation import Data, plan_ablation
from bench.plan.cells import Cell
from bench.plan.compose import load_config
from bench.system.files import write_json

EMBEDDED = {"name": "embedded", "kind": "embedded", "fingerprint": "a"}
MADE = {
    "teacher.pt": {"method": "mobilevos_r18", "options": {"width": 0.375, "queue_length": None}},
    "resnet18.pt": {"backbone": "resnet18", "family": "space_time", "width": 0.25},
    "mobilenet_v2.pt": {"backbone": "mobilenet_v2", "family": "space_time", "width": 0.5},
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in MADE:
        (tmp_path / name).write_bytes(name.encode())
    write_json(tmp_path / given.INDEX, MADE)
    monkeypatch.setattr(given, "FOLDER", tmp_path)
    return tmp_path


def distilled(*overrides: str, kind: str = "embedded") -> Cell:
    data = Data({**EMBEDDED, "kind": kind}, EMBEDDED)
    cells = plan_ablation(load_config(["seeds=1", *overrides]), data)
    return next(cell for cell in cells if cell.label == "distilled")


def teacher_of(cell: Cell):
    training = cell.network.training
    assert training
    assert training.teacher
    return training.teacher


def test_the_laptop_s_teacher_comes_with_the_suite(folder):
    teacher = teacher_of(distilled())
    assert (teacher.method, teacher.weights, teacher.training) == (
        "mobilevos_r18",
        str(folder / "teacher.pt"),
        None,
    )


@pytest.mark.parametrize(
    "other",
    [
        "teacher.weights=null",
        "teacher.seed=1",
        "teacher.method=stcn",
        "teacher.options.width=0.5",
        "scale.teacher_options.queue_length=2",
    ],
)
def test_another_teacher_is_trained(other):
    teacher = teacher_of(distilled(other))
    assert teacher.weights is None
    assert teacher.training


def test_a_teacher_for_other_data_is_trained():
    assert teacher_of(distilled(kind="davis")).training


def test_students_start_from_features_of_their_width(folder):
    training = distilled().network.training
    assert training.imagenet["resnet18"] == str(folder / "resnet18.pt")


def test_a_network_of_another_family_takes_none_of_their_features():
    """DeAOT's MobileNetV2 has other layers than the students'."""
    training = distilled("family=deaot", "method=deaot_t", "options.width=0.5").network.training
    assert not any(training.imagenet.values())


@pytest.mark.parametrize("other", ["features=random", "options.width=0.75"])
def test_other_students_start_from_random_weights(other):
    assert not any(distilled(other).network.training.imagenet.values())


def test_given_features_are_part_of_what_a_training_is(folder):
    before = distilled().network.training.key
    (folder / "resnet18.pt").write_bytes(b"others")
    assert distilled().network.training.key != before
    assert distilled("features=random").network.training.key != before


def test_weights_of_imagenet_come_first(tmp_path):
    training = distilled("options.width=1", "imagenet.resnet18=/x.pth", "features=given").network.training
    assert training.imagenet["resnet18"] == "/x.pth"
