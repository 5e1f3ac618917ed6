"""Every command of the README and the docs runs, on a tiny scale and tiny data."""

import json
import re
import shlex
import shutil
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import methods
from bench.__main__ import main
from bench.record import read_records
from bench.run import grid
from bench.score import held_out
from datasets.embedded import EmbeddedSpec, store
from datasets.images import read_frame, read_mask
from datasets.video import write_video
from reports import figures
from reports.__main__ import main as report
from reports.figures import style

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TINY = [
    f"scale.{role}.{key}={value}"
    for role in ("teacher", "student")
    for key, value in {"steps": 1, "batch": 1, "crop": 32, "length": 4, "workers": 0}.items()
]
DRAWN: set[str] = set()  # ablations and jobs whose figures have been drawn: once each
TINY_STAGES = [  # these have steps of their own, and ImageNet's weights fit full-size networks alone
    "scale.stage0.teacher.steps=1", "scale.stage0.student.steps=1", "teacher.options.width=0.125",
    "options.width=0.25",
]  # fmt: skip


def commands() -> list[str]:
    """`./run_all.sh ...` lines of all code blocks, continued lines joined, comments cut."""
    found = []
    for page in PAGES:
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
            if language:
                continue
            for line in block.replace("\\\n", " ").splitlines():
                # test_export.py, test_report.py and test_report_job.py run the jobs that leave no records
                if line.startswith("./run_all.sh") and not re.search(r"job=(export|report|ui)\b", line):
                    found.append(" ".join(shlex.split(line, comments=True)))
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """What a command has trained, those after it find."""
    return tmp_path_factory.mktemp("docs") / "runs"


@pytest.fixture
def tiny(monkeypatch) -> None:
    """The embedded set and what is held out are tiny; nothing is recorded."""
    spec = EmbeddedSpec(train_sequences=2, train_frames=4, val_sequences=2, val_frames=4, height=48, width=64)
    monkeypatch.setattr(store, "EmbeddedSpec", lambda **_: spec)
    for name, value in {"SCORED_CLIPS": 2, "SCORED_FRAMES": 4}.items():
        monkeypatch.setattr(held_out, name, value)
    monkeypatch.delitem(style.FORMATS, "pdf")  # tests of figures write it, and those of tracking record
    monkeypatch.setattr(grid, "_tracked", lambda *_: nullcontext(grid.Untracked()))


@pytest.fixture(scope="module")
def places(tiny_davis, tmp_path_factory) -> dict[str, str]:
    """What stands for the placeholder paths of the documentation."""
    tmp_path = tmp_path_factory.mktemp("places")
    (tmp_path / "best.yaml").write_text("recipe.representation.omega: 0.5\n")
    davis = shutil.copytree(tiny_davis, tmp_path / "DAVIS")
    shutil.copytree(davis / "ImageSets/2017", davis / "ImageSets/2016")
    stills = tmp_path / "stills"
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(tiny_davis / kind / "480p/train-000", stills / kind / "set")
    youtube = write_youtube(tiny_davis, tmp_path / "YouTube-VOS")
    encoder = methods.create("mobilevos_mnv2").query_encoder.state_dict()
    torch.save(encoder, tmp_path / "mobilenet_v2.pth")
    stcn = methods.create("stcn", width=0.125).state_dict()
    torch.save({"state_dict": stcn, "meta": {"options": {"width": 0.125}}}, tmp_path / "stcn.pth")
    student = methods.create("mobilevos_r18", width=0.125).state_dict()
    torch.save({"state_dict": student, "meta": {"options": {"width": 0.125}}}, tmp_path / "weights.pt")
    if find_spec("av"):
        frames = sorted((davis / "JPEGImages/480p/val-000").iterdir())
        write_video(tmp_path / "clip.mp4", map(read_frame, frames), 12)
    return {
        "/path/to/DAVIS": str(davis),
        "/path/to/YouTube-VOS": str(youtube),
        "/path/to/best.yaml": str(tmp_path / "best.yaml"),
        "/path/to/more/stills": str(stills),
        "/path/to/clips": str(davis / "JPEGImages/480p"),
        "/path/to/labelled": str(davis),
        "/path/to/masks": str(davis / "Annotations/480p"),
        "/path/to/stills": str(stills),
        "docs/examples": str(ROOT / "docs/examples"),
        "/path/clip.mp4": str(tmp_path / "clip.mp4"),
        "/path/first.png": str(davis / "Annotations/480p/val-000/00000.png"),
        "/path/frames": str(davis / "JPEGImages/480p/val-000"),
        "/path/weights.pt": str(tmp_path / "weights.pt"),
        "/path/stcn.pth": str(tmp_path / "stcn.pth"),
        "/path/mobilenet_v2.pth": str(tmp_path / "mobilenet_v2.pth"),
    }


def write_youtube(davis: Path, root: Path) -> Path:
    """Three videos, each of a class of its own, in YouTube-VOS's layout; `valid` hides all but the first masks."""
    for split in ("train", "valid"):
        videos = {}
        for category in ("cat", "dog", "owl"):
            for kind in ("JPEGImages", "Annotations"):
                shutil.copytree(davis / kind / "480p/train-000", root / split / kind / category)
            masks = sorted((root / split / "Annotations" / category).iterdir())
            for mask in masks[1:] if split == "valid" else []:
                mask.unlink()
            frames = {"category": category, "frames": [mask.stem for mask in masks]}
            ids = set(read_mask(masks[0]).ravel().tolist()) - {0}
            videos[category] = {"objects": {str(i): frames for i in ids}}
        (root / split / "meta.json").write_text(json.dumps({"videos": videos}))
    return root


def test_the_documentation_has_commands():
    assert "./run_all.sh" in commands()
    assert any("scale=gpu" in command for command in commands())


@pytest.mark.parametrize("command", commands())
def test_a_documented_command_runs(command, places, tiny, runs, tmp_path, capsys, monkeypatch):
    for placeholder, path in places.items():
        command = command.replace(placeholder, path)
    arguments = [a for a in shlex.split(command)[1:] if not a.startswith("imagenet.resnet")]
    if "job=segment" in arguments:
        pytest.importorskip("av")
        assert main([*arguments, f"output={tmp_path}/out", "device=cpu"]) == 0, capsys.readouterr().err
        assert (tmp_path / "out/overlay.mp4").is_file()
        return
    if "job=check" in arguments:  # a line for each promise, and no records
        assert main([*arguments, f"output={tmp_path}/out", "device=cpu"]) == 0
        return
    if "job=pseudo_label" in arguments:
        assert main([*arguments, f"runs={runs}", f"output={tmp_path}/out", "device=cpu"]) == 0
        assert json.loads((tmp_path / "out/summary.json").read_text())["frames"]
        return
    if "--help" in arguments or "--config" in arguments:
        assert main(arguments) == 0
        return
    extra = [f"runs={runs}", f"output={tmp_path}/out", "measure=false", "device=cpu", "processes=1", *TINY]
    extra += TINY_STAGES if {"scale=paper", "scale=cpu"} & {*arguments} else []
    search = "job=search" in arguments
    if search:
        pytest.importorskip("optuna")
        extra += ["search.trials=2", "search.reports=0"]
    if "job=evaluate" not in arguments and not any(a.startswith("seeds=") for a in arguments):
        extra.append("seeds=1")
    assert main([*arguments, *extra]) == 0, capsys.readouterr().err
    assert read_records(tmp_path / "out/records.jsonl")
    kind = next((a for a in arguments if a.startswith(("ablation=", "job="))), "")
    if kind in DRAWN:
        monkeypatch.setattr(figures, "write_figures", lambda *_: [])
    DRAWN.add(kind)
    assert report([str(tmp_path / "out")]) == 0
    assert ("| Trial |" if search else "| Method |") in (tmp_path / "out/table.md").read_text()


def test_every_command_in_the_text_is_understood():
    """`./run_all.sh ...` within sentences and tables, and in blocks that are not run: known keys and choices."""
    from bench.plan.compose import load_config

    found = set()
    for page in PAGES:
        text = page.read_text()
        found |= set(re.findall(r"`\./run_all\.sh([^`]*)`", text))
        for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            found |= set(re.findall(r"^\./run_all\.sh(.*)", block.replace("\\\n", " "), re.MULTILINE))
    commands = [command for command in found if not re.search(r"\.\.\.|<|--", command)]
    assert len(commands) > 10
    for command in commands:
        load_config(shlex.split(command, comments=True))


def test_the_example_ablation_of_the_docs_composes(tmp_path, monkeypatch):
    """The yaml in docs/ablations.md is a valid ablation of at most 15 lines."""
    from bench.plan import compose
    from bench.plan.ablation import Data, plan_ablation

    text = re.search(r"```yaml\n(.*?)```", (ROOT / "docs/ablations.md").read_text(), re.DOTALL).group(1)
    assert len(text.splitlines()) <= 15
    config = compose.load_config([])
    config.ablation = {**compose.OmegaConf.create(text), "name": "epsilon"}
    data = {"name": "x", "kind": "embedded", "fingerprint": "x"}
    labels = [cell.label for cell in plan_ablation(config, Data(data, data))]
    assert labels == ["copy_first_mask", "mobilevos_r18 (teacher)"] + [
        name for name in ("epsilon=0", "epsilon=1", "epsilon=2", "no Dice") for _ in range(3)
    ]


def test_the_python_example_of_the_readme_runs():
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).group(1)
    frame, mask = torch.rand(3, 32, 48), torch.zeros(32, 48, dtype=torch.long)
    mask[8:20, 8:20] = 5
    names = {"frame": frame, "next_frame": frame, "mask": mask}
    exec(code, names)
    assert names["probabilities"].shape == (2, 32, 48)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
