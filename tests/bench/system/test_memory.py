"""How much memory is left, as Linux and its control groups tell."""

from pathlib import Path

import pytest

from bench.system import memory


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Writes files as they lie below / of a machine."""
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")

    def write(**files: str) -> None:
        for name, text in files.items():
            path = Path(tmp_path, *name.split("__"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def test_it_is_what_linux_calls_available(machine):
    machine(proc__meminfo="MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    assert memory.free_memory("cpu") == 2 << 20


def test_a_container_may_have_less(machine, tmp_path):
    machine(proc__meminfo="MemAvailable: 9999 kB\n", proc__self__cgroup="0::/a/b\n")
    group = tmp_path / "cgroup/a"
    group.mkdir(parents=True)
    for name, text in {"max": "5000000", "current": "2000000", "stat": "anon 7\ninactive_file 500000\n"}.items():
        (group / f"memory.{name}").write_text(text)
    assert memory.free_memory("cpu") == 3_500_000
    (group / "memory.max").write_text("max\n")
    assert memory.free_memory("cpu") == 9999 << 10


def test_elsewhere_nobody_knows(machine):
    assert memory.free_memory("cpu") is None
