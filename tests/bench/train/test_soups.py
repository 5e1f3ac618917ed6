"""Soups: one network of the members' shape and cost, evaluated on held-out clips, with statistics of its own."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import methods
from bench.losses.cross_entropy import PolyCrossEntropy
from bench.measure.complexity import complexity, parameters
from bench.measure.scene import Scene
from bench.plan.cells import Soup, Training
from bench.plan.data import open_training
from bench.plan.recipe import Recipe, Schedule
from bench.score import held_out
from bench.score.accuracy import score_frames, summarize
from bench.score.held_out import held_out_score
from bench.train import soups
from bench.train.answers import batches
from bench.train.soups import make_soup
from datasets.embedded import EmbeddedSpec, ensure_embedded
from datasets.sequence import Sequence
from methods.checkpoint import load_weights, read_state
from methods.soups import average

SCHEDULE = Schedule(steps=3, batch=2, crop=32)
OPTIONS = {"width": 0.25}
NAMES = ["uniform soup of the rows", "greedy soup of the rows",
         "uniform soup along one training", "greedy soup along one training"]  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(soups, "NORM_BATCHES", 2)
    for name, value in {"SCORED_CLIPS": 3, "SCORED_FRAMES": 5}.items():
        monkeypatch.setattr(held_out, name, value)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict:
    """Ten videos to learn from, some of them held out."""
    spec = EmbeddedSpec(train_sequences=10, train_frames=5, val_sequences=1, val_frames=3, height=48, width=64)
    root = ensure_embedded(tmp_path_factory.mktemp("ten"), spec, workers=1)
    return {"name": "embedded", "kind": "embedded", "root": str(root), "hold_out": 0.3}


def training(data: dict, seed: int = 0) -> Training:
    return Training("mobilevos_r18", OPTIONS, Recipe.of(PolyCrossEntropy()), SCHEDULE, data, seed)


def network(seed: int) -> nn.Module:
    """Random weights and statistics."""
    torch.manual_seed(seed)
    method = methods.create("mobilevos_r18", **OPTIONS)
    for module in method.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return method


def write(folder: Path, method: nn.Module, name: str = "weights.pt") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": method.state_dict(), "meta": {"options": OPTIONS}}, folder / name)
    return folder


@pytest.fixture
def names_read(monkeypatch) -> set[str]:
    """Sequences of which a frame has been read."""
    names, honest = set(), Sequence.frame
    monkeypatch.setattr(Sequence, "frame", lambda self, index: names.add(self.name) or honest(self, index))
    return names


def test_soups_are_scored_on_videos_that_no_training_reads(data, names_read):
    stream = open_training(data, Schedule(steps=30, batch=2, crop=32), seed=0)
    for number in range(len(stream)):
        stream[number]
    learnt = names_read.copy()
    names_read.clear()
    held_out_score(network(0), training(data), "cpu")
    assert names_read
    assert not names_read & learnt
    held_out = open_training(data, SCHEDULE, seed=0, held_out=True).source.videos
    assert names_read <= {video.name for video in held_out}
    assert len(held_out) + len(learnt) == 10


def test_the_score_is_j_and_f_of_the_held_out_clips(data):
    """Of a method whose masks are known: the first one, for ever."""
    clips = open_training(data, SCHEDULE, seed=0, held_out=True, length=5).source
    scores = []
    for number in range(3):
        _, masks = clips.clip(number, max_skip=1)
        frames = [(t, masks[0], masks[t]) for t in range(4)]  # all but the last
        scores.append(score_frames(str(number), frames, sorted({*masks[0].flat} - {0})))
    found = held_out_score(methods.create("copy_first_mask"), training(data), "cpu")
    assert found == summarize(scores)["jf_mean"]
    assert 0 < found < 1


def test_batch_norms_get_the_statistics_of_a_pass_over_the_training_clips(data, tmp_path):
    folders = [write(tmp_path / str(seed), network(seed)) for seed in range(2)]
    soup = Soup((training(data, 0), training(data, 1)))
    make_soup(soup, folders, tmp_path / "soup.pt", "cpu")
    mixed = read_state(tmp_path / "soup.pt")
    mean = average([read_state(folder / "weights.pt") for folder in folders])
    expected = brute_force_statistics(mean, soup)
    statistics = [key for key in mean if "running" in key]
    assert statistics
    for key, value in mixed.items():
        if key in statistics:
            torch.testing.assert_close(value, expected[key], atol=1e-4, rtol=1e-3, msg=lambda m, k=key: k + m)
            assert not torch.allclose(value, mean[key], rtol=0.01)
        elif not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(value, mean[key], atol=0, rtol=0)


def brute_force_statistics(state: dict, soup: Soup) -> dict[str, torch.Tensor]:
    """Mean and unbiased variance of what each norm is shown, by hooks, averaged over all calls."""
    method = methods.create("mobilevos_r18", **OPTIONS)
    method.load_state_dict(state)
    method.train()
    shown: dict[str, list[torch.Tensor]] = {}

    def watch(name: str):
        def hook(_, inputs):
            channels = inputs[0].detach().double().movedim(1, 0).flatten(1)
            shown.setdefault(f"{name}.running_mean", []).append(channels.mean(1))
            shown.setdefault(f"{name}.running_var", []).append(channels.var(1))

        return hook

    for name, module in method.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(watch(name))
    member = soup.members[0]
    stream = batches(open_training(member.data, member.schedule, member.seed), member.schedule, 0, "cpu")
    for _, batch in zip(range(soups.NORM_BATCHES), stream, strict=False):
        method.roll_out(batch["frames"], batch["first_masks"], batch["valid"])
    return {key: torch.stack(values).mean(0).float() for key, values in shown.items()}


def test_statistics_that_were_frozen_in_training_stay(data, tmp_path):
    """All members have those of ImageNet, with which they went on learning; here in one of two encoders."""
    members = [network(seed) for seed in range(2)]
    frozen = {k: v for k, v in members[0].state_dict().items() if "query_encoder" in k and ".running" in k}
    members[1].load_state_dict(frozen, strict=False)
    folders = [write(tmp_path / str(number), member) for number, member in enumerate(members)]
    make_soup(Soup((training(data, 0), training(data, 1))), folders, tmp_path / "soup.pt", "cpu")
    mixed = read_state(tmp_path / "soup.pt")
    assert frozen
    for key, value in frozen.items():
        torch.testing.assert_close(mixed[key], value, atol=0, rtol=0)
    others = [key for key in mixed if ".running" in key and key not in frozen]
    assert others
    assert not any(torch.allclose(mixed[key], members[0].state_dict()[key]) for key in others)


def test_a_soup_along_a_training_takes_its_finished_snapshots(data, tmp_path):
    """A kill may leave half a file, whose name begins with a dot."""
    for seed in range(2):
        write(tmp_path / "snapshots", network(seed), f"000000{seed}.pt")
    (tmp_path / "snapshots" / ".0000002.77.tmp.pt").write_bytes(b"half a file")
    soup = Soup((training(data),), pick="uniform", trajectory=True)
    make_soup(soup, [tmp_path], tmp_path / "soup.pt", "cpu")
    assert torch.load(tmp_path / "soup.pt")["meta"]["soup"] == "uniform: 2 of 2 snapshots"


def test_a_greedy_soup_of_one_is_that_one(data, tmp_path):
    folder = write(tmp_path / "one", network(0))
    make_soup(Soup((training(data),), pick="greedy"), [folder], tmp_path / "soup.pt", "cpu")
    mixed = read_state(tmp_path / "soup.pt")
    for key, value in network(0).state_dict().items():
        torch.testing.assert_close(mixed[key], value, atol=0, rtol=0)


def test_soups_of_an_ablation_cost_what_a_member_costs(tiny_run, tiny_davis):
    """From the command line: four soups beside their two rows, all of one architecture."""
    few = ["omega=[0.95,1]", "scale.student.snapshots=2", "seeds=[0]", "scale.stage0.student.steps=2"]
    stage = ["stage0=davis", f"stage0.root={tiny_davis}"]
    assert tiny_run("ablation=soup", *stage, *few) == 0
    records = {record.label: record for record in tiny_run.records}
    assert {record.status for record in records.values()} == {"ok"}
    member = records["omega=0.95"]
    assert [name for name in records if "soup" in name] == NAMES
    assert [json.loads(records[name].ingredients) for name in NAMES] == [
        *[["omega=0.95", "omega=1"]] * 2, *[["omega=0.95"]] * 2
    ]  # fmt: skip
    assert [records[name].soup.partition(" of ")[2] for name in NAMES] == [
        *["2 networks"] * 2, *["2 snapshots"] * 2
    ]  # fmt: skip
    options = json.loads(member.options) or OPTIONS
    own = read_state(member.weights)
    cost = costs(member.weights, options)
    for name in NAMES:
        record = records[name]
        mixed = read_state(record.weights)
        assert {k: (v.shape, v.dtype) for k, v in mixed.items()} == {k: (v.shape, v.dtype) for k, v in own.items()}
        assert costs(record.weights, options) == cost
        assert record.params_m == member.params_m
        assert 0 <= record.jf_mean <= 100
        assert record.train_steps == member.train_steps == 5


def costs(weights: str, options: dict) -> tuple[int, float]:
    """Parameters and GMACs a frame."""
    method = methods.create("mobilevos_r18", **options)
    load_weights(method, weights)
    return parameters(method), complexity(method, Scene(height=64, width=96)).gmacs
