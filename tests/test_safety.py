"""Files from elsewhere run no code: checkpoints, archives, configurations. Read in our sources, and tried."""

import ast
import os
import platform
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.__main__ import main
from methods.checkpoint import read_file
from methods.errors import MethodError

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    path for package in ("bench", "datasets", "methods", "reports") for path in (ROOT / package).rglob("*.py")
]
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "hydra.utils.instantiate", "hydra.utils.call", "hydra.utils.get_class",
    "hydra.utils.get_method", "instantiate", "pandas.read_pickle", "pd.read_pickle", "torch.hub.load",
    "dist.broadcast_object_list", "dist.all_gather_object", "dist.gather_object", "dist.scatter_object_list",
}  # fmt: skip
# Who says what is imported by a name that is no literal: a checked choice, a registry.
IMPORTS_BY_NAME = {
    "bench/__main__.py", "bench/losses/__init__.py", "bench/score/metrics/__init__.py", "datasets/layouts.py",
    "methods/__init__.py", "reports/figures/__init__.py",
}  # fmt: skip


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """File, dotted name of what is called, and the call, throughout the suite."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield str(path.relative_to(ROOT)), ast.unparse(node.func), node


def keyword(call: ast.Call, name: str):
    """The literal value of a keyword; None where there is none."""
    found = [word.value for word in call.keywords if word.arg == name]
    return found[0].value if found and isinstance(found[0], ast.Constant) else None


def test_there_is_something_to_read():
    names = {name for _, name, _ in calls()}
    assert {"torch.load", "yaml.safe_load", "import_module", "subprocess.run", "wheel.extractall"} <= names


def test_no_module_that_runs_what_it_reads_is_imported():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            unsafe = {name.partition(".")[0] for name in names} & UNSAFE_MODULES
            assert not unsafe, f"{path}: {unsafe}"


def test_nothing_that_is_read_is_called():
    for path, name, call in calls():
        assert name not in UNSAFE_CALLS, f"{path}: {name}"
        assert keyword(call, "shell") is not True, f"{path}: {name} of a shell"
        if name.endswith("import_module") and not isinstance(call.args[0], ast.Constant):
            assert path in IMPORTS_BY_NAME, f"{path}: a module of any name is imported"


def test_arrays_and_checkpoints_are_read_as_data():
    for path, name, call in calls():
        if name == "torch.load":
            assert keyword(call, "weights_only") is True, path
        if name in ("np.load", "numpy.load"):
            assert not keyword(call, "allow_pickle"), path


def test_archives_cannot_write_beside_their_folder():
    """zipfile drops what leads out of the folder; tarfile and shutil do so with filter="data"."""
    for path, name, call in calls():
        if name.endswith((".extract", ".extractall", "unpack_archive")):
            other = {"tarfile", "unpack_archive"} & set(re.findall(r"\w+", (ROOT / path).read_text()))
            assert not other or keyword(call, "filter") == "data", path


class Malice:
    """Leaves a file behind where a pickle of it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize(
    "wrap", [lambda m: m, lambda m: {"state_dict": {"a": m}}, lambda m: {"meta": m, "model": {}}]
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_runs_no_code(tiny_davis, tmp_path, capsys, wrap, zipped):
    trace, path = tmp_path / "trace", tmp_path / "evil.pth"
    torch.save(wrap(Malice(trace)), path, _use_new_zipfile_serialization=zipped)
    arguments = [
        "job=evaluate",
        "method=stcn",
        f"weights={path}",
        "dataset=davis2017",
        f"dataset.root={tiny_davis}",
    ]
    assert main([*arguments, f"runs={tmp_path}/runs", f"output={tmp_path}/out", "device=cpu", "measure=false"]) == 2
    assert f"error: cannot read the checkpoint {path}" in capsys.readouterr().err
    assert not trace.exists()
    torch.load(path, weights_only=False)  # what loads it as torch once did is caught
    assert trace.exists()


def test_an_archive_that_leads_out_of_its_folder_writes_nothing_there(tmp_path, monkeypatch):
    from bench.phone import bundle

    outside = tmp_path / "outside"

    def download(command: list[str], **_) -> subprocess.CompletedProcess:
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1], "executorch-1.whl"), "w") as wheel:
            wheel.writestr("executorch/include/../../../../outside", "evil")
            wheel.writestr("executorch/include/a.h", "good")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", download)
    (tmp_path / "a/b").mkdir(parents=True)
    other = next(machine for machine in bundle.MACHINES.values() if machine.name != platform.machine())
    found = bundle._executorch(other, "1.0", tmp_path / "a/b")
    assert (found / "include/a.h").read_text() == "good"
    assert not outside.exists()


def test_a_checkpoint_is_not_unpacked(tmp_path):
    path = tmp_path / "in/evil.pth"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../outside", "evil")
    with pytest.raises(MethodError, match="cannot read the checkpoint"):
        read_file(path)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "text", ["method: !!python/object/apply:os.system ['touch {}']", "!!python/object/apply:os.system ['touch {}']"]
)
def test_a_file_of_overrides_runs_no_code(tmp_path, capsys, text):
    trace = tmp_path / "trace"
    (tmp_path / "evil.yaml").write_text(text.format(trace))
    assert main([f"overrides={tmp_path}/evil.yaml", "--config"]) == 2
    assert "cannot be read: could not determine a constructor" in capsys.readouterr().err
    assert not trace.exists()


@pytest.mark.parametrize("key", ["options", "dataset", "recipe.representation", "scale", "job"])
def test_a_target_in_the_configuration_is_not_called(tiny_davis, tmp_path, key):
    trace = tmp_path / "trace"
    arguments = ["job=evaluate", "method=copy_first_mask", "dataset=davis2017", f"dataset.root={tiny_davis}"]
    arguments += [f"runs={tmp_path}/runs", f"output={tmp_path}/out", "device=cpu", "measure=false"]
    main([*arguments, f"++{key}._target_=os.system", f"++{key}._args_=['touch {trace}']"])
    assert not trace.exists()


@pytest.mark.parametrize("job", ["os", "..os", "__main__", "search.study"])
def test_a_job_is_one_of_those_that_there_are(job, capsys):
    assert main([f"job={job}"]) == 2
    assert f"unknown job '{job}'" in capsys.readouterr().err
