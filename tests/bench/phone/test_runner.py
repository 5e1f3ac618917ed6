"""The C++ runner computes what eager computes, and counts and times its runs."""

import json
import subprocess

import numpy as np
import pytest
import torch
from native import own_abi

from bench.phone import bundle as bundles
from bench.phone.bundle import INSTALL, SOURCE, make_bundle
from bench.phone.executorch import MODEL, input_files
from bench.system.errors import ConfigError


@pytest.fixture
def run(bundle, cargo, tmp_path):
    """Run a stage; returns what the process told, with the folder of its files."""
    folder, steps = cargo.files[0].parent, {step.name: step for step in cargo.stages}

    def start(stage: str, *numbers: float, inputs: list[str] | None = None) -> subprocess.CompletedProcess:
        files = ",".join(str(folder / name) for name in inputs or input_files(steps[stage]))
        words = [str(folder / MODEL), stage, files, f"{tmp_path}/out.", f"{tmp_path}/times.bin", *numbers]
        command = [*bundle.command.split(), *map(str, words)]
        return subprocess.run(command, cwd=bundle.files[0].parent, capture_output=True, text=True, check=False)

    return start


@pytest.mark.parametrize("stage", ["look", "match"])
@pytest.mark.parametrize("threads", [1, 2])
def test_outputs_are_those_of_eager(run, cargo, tmp_path, stage, threads):
    done = run(stage, threads, 2, 5, 0, 60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["runs"], told["threads"]) == (5, threads)
    assert told["load_ms"] > 0
    assert 1000 < told["peak_rss_kb"] < 200_000
    times = np.fromfile(tmp_path / "times.bin", np.int64)
    assert len(times) == 5 and times.min() > 0 and times.max() < 60e9
    expected = cargo.answers[stage]
    assert told["outputs"] == len(expected)
    for number, tensor in enumerate(expected):
        found = torch.from_numpy(np.fromfile(tmp_path / f"out.{number}.bin", np.float32))
        torch.testing.assert_close(found.reshape(tensor.shape), tensor, atol=1e-6, rtol=1e-5)


def test_runs_go_on_until_there_are_enough_and_long_enough_but_not_beyond_the_limit(run, tmp_path):
    assert json.loads(run("match", 1, 0, 1, 0.2, 60).stdout)["runs"] > 10
    assert np.fromfile(tmp_path / "times.bin", np.int64).sum() < 1e9
    assert 1 <= json.loads(run("match", 1, 0, 10**9, 0, 0.2).stdout)["runs"] < 10**7
    assert json.loads(run("match", 1, 3, 10, 0, 0).stdout)["runs"] == 1


@pytest.mark.parametrize(
    ("stage", "inputs", "message"),
    [
        ("nothing", ["look.x.bin"], "et_runner: cannot load nothing of"),
        ("look", ["match.a.bin"], "et_runner: input 0 has the wrong size"),
        ("match", ["match.a.bin"], "et_runner: match takes 2 inputs"),
        ("look", ["absent.bin"], "et_runner: cannot read"),
    ],
)
def test_a_mistake_is_named(run, stage, inputs, message):
    done = run(stage, 1, 0, 1, 0, 60, inputs=inputs)
    assert done.returncode == 1
    assert message in done.stderr
    assert not done.stdout


def test_the_probe_tells_the_version(bundle):
    command = [*bundle.command.split(), "--version"]
    told = subprocess.run(command, cwd=bundle.files[0].parent, capture_output=True, text=True, check=True)
    assert told.stdout == f"et_runner, {bundle.answer}\n"


def test_a_bundle_is_built_once_and_again_for_another_source(bundle, tmp_path, monkeypatch):
    cache = bundle.files[0].parents[1]
    monkeypatch.setattr(bundles, "_build", lambda *_: pytest.fail("built again"))
    assert make_bundle(own_abi(), cache) == bundle
    changed = tmp_path / "other.cpp"
    changed.write_text(SOURCE.read_text() + "// changed\n")
    monkeypatch.setattr(bundles, "SOURCE", changed)
    with pytest.raises(pytest.fail.Exception, match="built again"):
        make_bundle(own_abi(), cache)


def test_what_is_missing_is_named_with_what_installs_it(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="the phone's ABI is 'armeabi-v7a'"):
        make_bundle("armeabi-v7a", tmp_path)
    monkeypatch.setattr(bundles, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as missing:
        make_bundle("arm64-v8a", tmp_path)
    assert str(missing.value) == f"target=phone needs executorch; install with {INSTALL}"
    monkeypatch.setattr(bundles, "find_spec", lambda name: True)
    monkeypatch.setattr(bundles, "version", lambda name: "1.5.1+cpu")
    monkeypatch.setattr(bundles.shutil, "which", lambda name: None)
    monkeypatch.setattr(bundles.platform, "machine", lambda: "x86_64")
    with pytest.raises(ConfigError, match=r"aarch64-linux-gnu-g\+\+; .* apt install g\+\+-aarch64-linux-gnu"):
        make_bundle("arm64-v8a", tmp_path)
    with pytest.raises(ConfigError, match=r"the compiler g\+\+; .* apt install g\+\+$"):
        make_bundle("x86_64", tmp_path)
