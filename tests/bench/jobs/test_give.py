"""job=give: the weights that come with the suite are made by one command, and a default run takes them."""

import pytest
import torch

from bench.__main__ import main
from bench.jobs import give
from bench.plan import given
from bench.record import read_records
from bench.system.files import read_json
from datasets.embedded import EmbeddedSpec, store
from methods.checkpoint import read_file

STEPS = [f"scale.{stage}student.{key}" for stage in ("", "stage0.") for key in ("steps=1", "batch=1", "crop=32")]


@pytest.fixture
def run(tmp_path, monkeypatch):
    spec = EmbeddedSpec(train_sequences=2, train_frames=8, val_sequences=1, val_frames=3, height=48, width=64)
    monkeypatch.setattr(store, "EmbeddedSpec", lambda **_: spec)
    for module in (given, give):
        monkeypatch.setattr(module, "FOLDER", tmp_path / "given")
    common = [f"runs={tmp_path}/runs", f"output={tmp_path}/out", "device=cpu", "processes=1", "measure=false"]
    return lambda *arguments: main([*arguments, *common])


def test_what_the_command_gives_a_default_run_takes(run, tmp_path):
    assert run("job=give", "ablation=given", "encoder_steps=1", *STEPS) == 0
    index = read_json(tmp_path / "given" / given.INDEX)
    assert set(index) == {"teacher.pt", "resnet18.pt", "mobilenet_v2.pt"}
    assert {"jf", "hours", "command", "sha256", "steps"} <= set(index["teacher.pt"])
    metas = [read_file(file)["meta"] for file in (tmp_path / "runs/trained").glob("*/weights.pt")]
    seconds = [meta["seconds"] for meta in metas if meta["options"]["width"] == 0.375]  # of both stages
    assert len(seconds) == 2
    assert index["teacher.pt"]["hours"] == pytest.approx(sum(seconds) / 3600)
    state = read_file(tmp_path / "given/teacher.pt")["state_dict"]
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float16}
    assert sum(file.stat().st_size for file in (tmp_path / "given").iterdir()) < 4 * 2**20

    assert run("seeds=1", "scale.student.steps=1", "scale.student.batch=1", "scale.student.crop=32") == 0
    rows = {record.label: record for record in read_records(tmp_path / "out/records.jsonl")}
    assert rows["mobilevos_r18 (teacher)"].weights == str(tmp_path / "given/teacher.pt")
    assert rows["mobilevos_r18 (teacher)"].jf_mean == pytest.approx(index["teacher.pt"]["jf"], abs=0.5)
    assert rows["distilled"].initialisation == "resnet18 given:resnet18.pt"
