"""An exported file answers as the method does, frame after frame, and says what it is."""

import hashlib
import json
import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import methods
from bench.__main__ import main
from bench.export import formats
from bench.export.formats import FORMATS
from bench.export.steps import static_steps
from bench.export.verify import verify

PAGE = Path(__file__).resolve().parents[3] / "docs/export.md"
STUDENTS = [name for name in methods.available() if name.startswith("mobilevos")]


def lively(name: str, **options):
    """A small network whose random weights make answers that depend on frames and memory.

    The batch normalisations of a student know the statistics of what they see; otherwise MobileNetV2's features
    vanish. DeAOT's matrices and kernels are as wide as it takes.
    """
    torch.manual_seed(0)
    method = methods.create(name, width=0.25, **options)
    if "deaot" in name:
        for weight in (w for w in method.parameters() if w.ndim > 1):
            nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        method.decoder.conv_out.weight.data *= 4
        return method
    method.train()
    for module in method.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        method.roll_out(torch.rand(1, 3, 3, 64, 96), torch.rand(1, 1, 64, 96), torch.ones(1, 1).bool())
    return method.eval()


def video(height: int, width: int, frames: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames of noise and a mask of the objects 1 and 2."""
    mask = torch.zeros(height, width, dtype=torch.int64)
    mask[4:20, 4:20], mask[-20:, -30:] = 1, 2
    return torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(3)), mask


def difference(method, programs: dict, frames: torch.Tensor, mask: torch.Tensor) -> float:
    """The largest difference between method and programs that remember every frame, as an application runs them."""
    method.start(frames[0], mask)
    memory, largest = [x.contiguous() for x in programs["start"](frames[0], mask)], 0.0
    long_term = memory if hasattr(method, "LSTT") else []
    for frame in frames[1:]:
        answer, *memory = programs["step"](frame, *long_term, *memory)
        largest = max(largest, float((answer - method.step(frame)).abs().max()))
    return largest


def skip_without_libraries(name: str) -> None:
    absent = [module for module in FORMATS[name].modules if find_spec(module) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed: pip install -e '.[{FORMATS[name].extra}]'")


def documented() -> list[str]:
    """The commands of the page, continued lines joined."""
    block = re.search(r"```\n(.*?)```", PAGE.read_text(), re.DOTALL).group(1)
    return block.replace("\\\n", " ").strip().splitlines()


@pytest.fixture
def export(tmp_path):
    """Export a method by the command line, with weights from a checkpoint; returns (exit code, folder)."""

    def run(name: str, method, *arguments: str) -> tuple[int, Path]:
        weights, out = tmp_path / "weights.pt", tmp_path / "out"
        torch.save({"state_dict": method.state_dict(), "meta": {"options": {"width": 0.25}}}, weights)
        given = [f"method={name}", f"weights={weights}", f"output={out}", f"runs={tmp_path}/runs", *arguments]
        return main(["job=export", *given]), out

    return run


@pytest.mark.parametrize(
    ("write_rule", "every", "queue_length"),
    [
        ("first+last", 5, 1),
        ("first+last", 5, 2),
        ("first+last", 5, 3),
        ("first+every", 2, 2),
        ("first+every", 2, 3),
        ("last", 5, 1),
        ("last", 5, 3),
    ],
)
def test_static_steps_equal_the_method_on_any_memory_and_size(write_rule, every, queue_length):
    method = lively("mobilevos_r18", write_rule=write_rule, memory_every=every, queue_length=queue_length)
    frames, mask = video(50, 75, frames=8)
    steps = static_steps(method, 50, 75, objects=2)
    method.start(frames[0], mask)
    memory = steps.start(frames[0], mask)
    for index, frame in enumerate(frames[1:], 1):
        if steps.memory_every and index % steps.memory_every == 0:
            answer, *memory = steps.step(frame, *memory)
        else:
            answer = steps.segment(frame, *memory)
        torch.testing.assert_close(answer, method.step(frame), atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", [{}, {"attention": "deformable"}, {"long_term_gap": 9999}])
def test_static_steps_equal_deaot_on_any_size(options):
    name = "deaot_l" if "long_term_gap" in options else "deaot_t"
    method, (frames, mask) = lively(name, **options), video(50, 75)
    steps = static_steps(method, 50, 75, objects=2)
    assert difference(method, {"start": steps.start, "step": steps.step}, frames, mask) < 1e-5
    assert verify(steps, steps.programs(), {"start": steps.start, "step": steps.step}).sees_memory


@pytest.mark.parametrize("name", [*STUDENTS, "deaot_t"])
def test_a_torchscript_file_answers_as_the_method(name, export):
    method = lively(name)
    code, out = export(name, method, "export.height=96", "export.width=160", "export.objects=2")
    assert code == 0
    network = torch.jit.load(out / f"{name}.pt")
    frames, mask = video(96, 160)
    programs = {"start": network.start, "step": network.step}
    assert difference(method, programs, frames, mask) < 1e-4


def test_the_manifest_describes_the_file(export):
    code, out = export(
        "mobilevos_r18", lively("mobilevos_r18"), "export.height=64", "export.width=90", "export.objects=2"
    )
    assert code == 0
    manifest = json.loads((out / "manifest.json").read_text())
    content = (out / "mobilevos_r18.pt").read_bytes()
    assert manifest["files"] == {
        "mobilevos_r18.pt": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    }
    assert [program["name"] for program in manifest["programs"]] == ["start", "step"]
    step = manifest["programs"][1]
    assert [x["name"] for x in step["inputs"]] == ["frame", "key", "value"]
    assert step["inputs"][0] == {"name": "frame", "dtype": "float32", "shape": [3, 64, 90]}
    assert step["outputs"][0] == {"name": "probabilities", "dtype": "float32", "shape": [3, 64, 90]}
    # two frames of 64 x 96 (padded) at stride 16
    assert [x["shape"][2] for x in step["inputs"][1:]] == [2 * 4 * 6] * 2
    found = manifest["verification"]
    assert found["passed"] and found["max_abs_error"] < 1e-4 < found["memory_effect"]
    assert manifest["weights"]["sha256"] and manifest["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize("name", ["onnx", pytest.param("executorch", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("network", "options"), [("mobilevos_mnv2", {}), ("deaot_t", {}), ("deaot_t", {"attention": "deformable"})]
)
def test_another_runtime_answers_as_the_method(network, options, name, tmp_path):
    skip_without_libraries(name)
    method = lively(network, **options)
    steps = static_steps(method, 64, 90, objects=2)
    programs = steps.programs()
    files = FORMATS[name].write(steps, programs, tmp_path / "network")
    run = FORMATS[name].load(programs, files)
    assert difference(method, run, *video(64, 90)) < 1e-4
    assert verify(steps, programs, run).sees_memory


@pytest.mark.parametrize("name", ["mobilevos_r18", "mobilevos_mnv2", "deaot_t"])
def test_the_check_sees_a_file_that_forgets(name):
    steps = static_steps(lively(name), 64, 96, objects=1)

    def forgetful(frame, *memory):
        return steps.step(frame, *memory)[0], *memory[-len(steps.changed) :]

    run = {"start": steps.start, "step": forgetful}
    assert not verify(steps, steps.programs(), run).passed
    assert verify(steps, steps.programs(), {**run, "step": steps.step}).passed


class Undecided:
    """A method that cannot tell, then sees what it remembers: the label that it gave, or 1 of the first mask.

    As a file (`sway` below 0) it gives the other label.
    """

    started = memory = changed = ("label",)
    memory_every, remembers_labels, size = 1, True, (2, 3)

    def __init__(self, sway: float) -> None:
        self.method, self.sway = self, sway

    def start(self, frame, mask):
        self.memories = (torch.ones(1),)
        return self.memories

    def begun(self, given):
        return given

    def step(self, frame, *memory):
        """As a method without memories, as a file with them."""
        (label,) = memory or self.memories
        sure = {0: 0.1, 1: 0.5 + self.sway, 2: 0.9}[int(label)]
        answer = torch.tensor([1 - sure, sure]).view(2, 1, 1).expand(2, *self.size)
        after = torch.full((1,), 2.0 if sure > 0.5 else 0.0)
        if memory:
            return answer, after
        self.memories = (after,)
        return answer


@pytest.mark.parametrize(("sway", "ties", "passed"), [(1e-6, 0, True), (-1e-6, 6, True), (-1e-2, 6, False)])
def test_a_tie_that_is_decided_otherwise_is_counted_and_not_followed(sway, ties, passed):
    """After the tie one sees 0.9, the other 0.1: only the tie itself is compared."""
    right, file = Undecided(1e-6), Undecided(sway)
    programs = [SimpleNamespace(inputs={"mask": torch.ones(2, 3)})]
    found = verify(right, programs, {"start": file.start, "step": file.step})
    assert (found.ties, found.passed) == (ties, passed)
    assert found.max_abs_error == pytest.approx(abs(sway - 1e-6), abs=1e-7)


def test_a_wrong_file_fails_the_job(export, monkeypatch, capsys):
    def load(programs, files):
        run = formats.load_torchscript(programs, files)
        return {**run, "step": lambda *x: (run["step"](*x)[0] + 0.01, *x[1:])}

    monkeypatch.setitem(FORMATS, "torchscript", formats.Format(formats.write_torchscript, load))
    code, out = export("mobilevos_r18", lively("mobilevos_r18"), "export.height=32", "export.width=48")
    assert code == 1
    assert "do not use them" in capsys.readouterr().err
    assert json.loads((out / "manifest.json").read_text())["verification"]["passed"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["method=stcn", "options.width=0.125"], "STCN cannot be exported: its memory is unbounded"),
        (["method=deaot_l", "options.width=0.25"], "DeAOT cannot be exported: its memory is unbounded"),
        (["method=deaot_t", "options.width=0.25", "export.objects=11"], "one group of up to 10"),
        (["method=copy_first_mask"], "no network with a memory"),
        (["options.queue_length=null", "options.width=0.25"], "options.queue_length=2"),
        (["format=onxx"], "unknown format 'onxx'; known: torchscript, onnx, executorch"),
        (["export.objects=0", "options.width=0.25"], "export.objects=0: give a whole number of at least 1"),
        (["weights=/nowhere.pt"], "checkpoint not found: /nowhere.pt"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(arguments, message, tmp_path, capsys):
    assert main(["job=export", f"output={tmp_path}/out", f"runs={tmp_path}", *arguments]) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("error: ") and message in line and "\n" not in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "extra"), [("onnx", "export"), ("executorch", "phone")])
def test_a_missing_library_is_named_with_the_extra_that_installs_it(name, extra, monkeypatch, capsys):
    monkeypatch.setattr(formats, "find_spec", lambda module: None)
    assert main(["job=export", f"format={name}"]) == 2
    assert re.search(rf"{FORMATS[name].modules[0]}.*pip install -e '\.\[{extra}\]'", capsys.readouterr().err)


@pytest.mark.parametrize("command", documented())
def test_a_documented_command_runs(command, export):
    arguments = [a for a in shlex.split(command)[1:] if not a.startswith("weights=")]
    given = dict(a.split("=", 1) for a in arguments)
    skip_without_libraries(given.get("format", "torchscript"))
    code, out = export("mobilevos_r18", lively("mobilevos_r18"), *arguments, "export.height=32", "export.width=48")
    assert code == 0 and (out / "manifest.json").exists()


@pytest.mark.parametrize(("example", "name"), [(0, "mobilevos_r18"), (1, "deaot_t")])
def test_an_example_of_the_docs_runs(example, name, export, monkeypatch, tmp_path):
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[example]
    folder = tmp_path / f"reports/out/export-{name}-torchscript"
    shape = ["export.height=64", "export.width=96", "export.objects=2", f"output={folder}"]
    assert export(name, lively(name), *shape)[0] == 0
    monkeypatch.chdir(tmp_path)
    frames, mask = video(64, 96)
    names = {"torch": torch, "frames": frames, "mask": mask}
    exec(code, names)
    assert names["ids"].shape == (64, 96)
