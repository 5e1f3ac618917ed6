"""The folders and programs of the fake phone: an eight-core phone as it describes itself."""

import os
from collections.abc import Sequence
from pathlib import Path

PROPERTIES = {
    "ro.product.model": "SM-S901B",
    "ro.build.version.release": "14",
    "ro.product.cpu.abi": "x86_64",
    "sys.siop.level": "0",
}
CORES_KHZ = (1824000,) * 4 + (2515200,) * 3 + (2995200,)
NEXT = 'f={file}; head -n 1 "$f"; [ "$(wc -l < "$f")" -gt 1 ] && sed -i 1d "$f"'  # its last line stays


def environment(root: Path) -> dict[str, str]:
    """What commands see: the phone's own programs before this machine's."""
    return {"PATH": f"{root}/system/bin:{os.environ['PATH']}", "HOME": "/", "LC_ALL": "C"}


def build_sandbox(
    root: Path,
    *,
    refuses: str | None = None,
    free_mb: float = 20000,
    properties: dict[str, str] | None = None,
    celsius: Sequence[float] = (31.2,),  # of one reading after the other; the last one stays
    thermal: Sequence[int] = (0,),  # status, likewise
    level: int = 85,
    charging: bool = False,
    low_power: str = "0",
    cores_khz: Sequence[int] | None = CORES_KHZ,
    governor: str = "walt",
) -> None:
    """Make the sandbox. Facts that are None or empty are missing on this phone."""
    (root / "data/local/tmp").mkdir(parents=True)
    bin_folder, state = root / "system/bin", root / "state"
    bin_folder.mkdir(parents=True)
    state.mkdir()
    (state / "celsius").write_text("".join(f"{int(c * 10)}\n" for c in celsius))
    (state / "thermal").write_text("".join(f"{status}\n" for status in thermal))
    for name, value in {**PROPERTIES, **(properties or {})}.items():
        (state / name).write_text(f"{value}\n")
    for number, khz in enumerate(cores_khz or ()):
        folder = root / f"sys/devices/system/cpu/cpu{number}/cpufreq"
        folder.mkdir(parents=True)
        for file, text in {
            "cpuinfo_max_freq": khz, "scaling_max_freq": khz, "scaling_cur_freq": khz // 2,
            "scaling_governor": governor,
        }.items():  # fmt: skip
            (folder / file).write_text(f"{text}\n")

    battery = f"""
        echo "Current Battery Service state:"
        echo "  AC powered: false"
        echo "  USB powered: true"
        echo "  status: {2 if charging else 3}"
        echo "  level: {level}"
        echo "  scale: 100"
        echo "  temperature: $({NEXT.format(file=state / "celsius")})"
    """
    programs = {
        "getprop": f'cat "{state}/$1" 2> /dev/null || echo',
        "settings": f'[ "$*" = "get global low_power" ] && echo {low_power}',
        "dumpsys": f"""
            case "$1" in
            battery) {battery if celsius else "exit 1"} ;;
            thermalservice) echo "Thermal Status: $({NEXT.format(file=state / "thermal")})" ;;
            esac
        """,
        "df": f"""
            echo "Filesystem 1K-blocks Used Available Use% Mounted on"
            echo "/dev/block/dm-5 112000000 1 {int(free_mb * 1e6 / 1024)} 12% /data/user/0"
        """,
        "taskset": 'shift; exec "$@"',  # this machine has not those cores
        "logcat": "echo 'F DEBUG: signal 11 (SIGSEGV)'",
        "mkdir": 'exec /bin/mkdir "$@"',
    }
    if refuses:
        programs["mkdir"] = f"""
            for folder; do :; done
            [ -d "$folder" ] || {{ echo "mkdir: '$folder': {refuses}" >&2; exit 1; }}
        """
    for name, script in programs.items():
        file = bin_folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
