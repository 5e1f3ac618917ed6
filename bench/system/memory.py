"""How much memory is left to this process."""

from pathlib import Path

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
# Of a control group (as of a container): its limit, what it uses, and what of that the system would give back.
FILES = {"": ("memory.max", "memory.current", "inactive_file"),
         "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")}  # fmt: skip


def free_memory(device: str) -> int | None:
    """Bytes that torch may still take on the device; None where the system does not tell.

    Of the CPU what Linux calls available, or less where a control group has a limit.
    """
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)[0]
    found = [_available(), *map(_left, _groups())]
    return min((each for each in found if each is not None), default=None)


def _available() -> int | None:
    lines = (PROC / "meminfo").read_text().splitlines() if (PROC / "meminfo").exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), None)


def _groups() -> list[tuple[Path, tuple[str, str, str]]]:
    """The folders of this process's control groups and of those above, with the names of their files."""
    file, found = PROC / "self/cgroup", []
    for line in file.read_text().splitlines() if file.exists() else []:
        _, controllers, path = line.split(":", 2)
        kind = "memory" if "memory" in controllers.split(",") else controllers
        if kind in FILES:
            below = Path(path.lstrip("/"))
            found += [(CGROUPS / kind / folder, FILES[kind]) for folder in (below, *below.parents)]
    return found


def _left(group: tuple[Path, tuple[str, str, str]]) -> int | None:
    folder, (limit, used, reclaimed) = group
    try:
        most, taken = (folder / limit).read_text().strip(), int((folder / used).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # of a container others may be hidden
        return None
    return int(most) - taken + int(stat.get(reclaimed, 0)) if most.isdigit() else None
