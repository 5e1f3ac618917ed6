"""The house: data flows one way, and our `datasets` lives beside other packages."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {"datasets": set(), "methods": set(), "bench": {"datasets", "methods"}, "reports": {"bench"}}


# Of the packages of bench, each may import those above it in this list, and `record` and `system` are for all.
ORDER = [
    "record",
    "system",
    "losses",
    "plan",
    "score",
    "measure",
    "train",
    "tasks",
    "export",
    "tracking",
    "run",
    "phone",
    "search",
    "jobs",
    "__main__",
]


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_nothing_imports_upward(package):
    for path in (ROOT / package).rglob("*.py"):
        ours = {name for name in imports(path) if name.split(".")[0] in MAY_IMPORT}
        foreign = {name for name in ours if name.split(".")[0] != package}
        allowed = MAY_IMPORT[package]
        assert {name.split(".")[0] for name in foreign} <= allowed, f"{path.relative_to(ROOT)}: {foreign}"
        if package == "reports":
            assert foreign <= {"bench.record"}, f"{path.relative_to(ROOT)}: {foreign}"


def test_within_bench_nothing_imports_upward():
    for path in (ROOT / "bench").rglob("*.py"):
        place = path.relative_to(ROOT / "bench").with_suffix("").parts[0]
        if place in ("configs", "__init__"):
            continue
        found = {name.split(".")[1] for name in imports(path) if name.startswith("bench.")}
        above = {name for name in found if ORDER.index(name) > ORDER.index(place)}
        assert not above, f"{path.relative_to(ROOT)} imports {above}"


def test_no_module_of_bench_lies_loose():
    loose = {path.name for path in (ROOT / "bench").glob("*.py")}
    assert loose == {"__init__.py", "__main__.py", "record.py"}


def test_there_are_no_import_circles():
    modules = {}
    for package in MAY_IMPORT:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            modules[name] = imports(path)
    graph = {name: {i for i in found if i in modules and i != name} for name, found in modules.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("library", ["mlflow", "lightning", "lightning_fabric", "transformers"])
def test_libraries_that_know_the_other_datasets_import_beside_ours(library):
    """`datasets` is also the name of Hugging Face's package; libraries look for that one by name."""
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    code = f"import datasets.davis, {library}; assert datasets.__file__.startswith({str(ROOT)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("arguments", [["--help"], ["ablation=wrong"], ["scale.student.wrong=1"]])
def test_help_and_mistakes_are_answered_without_loading_the_heavy_libraries(arguments):
    code = (
        "import sys; from bench.__main__ import main; main(sys.argv[1:]); "
        "assert not {'torch', 'mlflow', 'pandas', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=ROOT)


def test_help_names_every_method_and_ablation(capsys):
    from bench.__main__ import main
    from bench.plan.compose import choices
    from methods import available

    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in [*available(), *choices("ablation"), *choices("job"), *choices("dataset")]:
        assert name in text
