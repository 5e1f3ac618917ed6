"""The page and the csv of what was measured on this machine."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from reports.measure import explanations
from reports.measure.cells import cell, table
from reports.notes import BUSY_NOTE
from reports.table import markdown_list
from reports.texts import marked, shortened

COUNTERS = {"torch": "gmacs", "fvcore": "gmacs_fvcore", "thop": "gmacs_thop"}  # and their totals' names
MAIN = {
    "Method": "method", "Params (M)": "params_m", "Trainable (M)": "trainable_m", "GMACs (torch)": "gmacs_torch",
    "GMACs (fvcore)": "gmacs_fvcore", "GMACs (thop)": "gmacs_thop", "core (ms)": "core_ms_median",
    "frame (ms)": "frame_ms_median", "stcn (FPS)": "stcn_fps", "aot (FPS)": "aot_fps", "video (FPS)": "video_fps",
    "Peak memory (MB)": "memory_mb_peak",
}  # fmt: skip
LATENCY = {
    "first (ms)": "ms_first", "median": "ms_median", "p90": "ms_p90", "p99": "ms_p99", "IQR": "ms_iqr",
    "FPS": "fps", "frames": "frames", "objects": "objects", "memory frames": "memory_frames",
}  # fmt: skip
NARROW = ("Method", "Params (M)", "GMACs (torch)", "core (ms)", "frame (ms)", "Peak memory (MB)")  # of these
COMPARED = {
    "core_ms_median": "core's time", "frame_ms_median": "frame's time", "gmacs_torch": "the multiply-adds",
    "params_m": "the parameters",
}  # fmt: skip
MOST = 8  # operators that a list names
STUDENTS = "mobilevos"  # their names begin so


def row(name: str, found: dict, stages: list[str]) -> dict[str, Any]:
    """The raw numbers of one method, flat; None: not measured. Units stand in the names."""
    counted, cost, protocols, load = (
        found.get(key) or {} for key in ("parameters", "complexity", "protocols", "load")
    )
    numbers = {"method": name, "status": found["status"]}
    for column, key in (("params_m", "total"), ("trainable_m", "trainable"), ("buffers_m", "buffers")):
        numbers[column] = counted[key] / 1e6 if counted else None
    numbers |= {f"gmacs_{counter}": cost.get(total) for counter, total in COUNTERS.items()}
    numbers |= {f"{stage}_ms": (found.get("stage_ms") or {}).get(stage) for stage in stages}
    for protocol in explanations.PROTOCOLS_EXPLAINED:
        timing = protocols.get(protocol) or {}
        numbers |= {f"{protocol}_{key}": timing.get(key) for key in LATENCY.values() if key != "memory_frames"}
    return numbers | {
        "memory_mb_peak": found.get("memory_mb_peak"),
        "frame_joules": (protocols.get("frame") or {}).get("joules_per_frame"),
        "precision": found.get("precision"),
        "other_cores": load.get("other_cores"),
        "busy": ", ".join(found.get("busy") or []),
        "warnings": "; ".join(found.get("warnings") or []),
    }


def lines(content: dict) -> list[dict[str, Any]]:
    """Of measure.csv: one for each method, with the settings and the device in every one."""
    shared = {
        key: " ".join(map(str, value)) if isinstance(value, list) else value
        for key, value in [*content["settings"].items(), ("device", content["device"])]
    }
    rows = [row(name, found, content["stages"]) for name, found in content["methods"].items()]
    # the precision as it was, not as it was wished for
    return [{**numbers, **shared, "precision": numbers["precision"]} for numbers in rows]


def page(content: dict) -> str:
    """measure.md: the table of all methods, what must be known to read it, and the details."""
    found, stages = content["methods"], content["stages"]
    sections = {
        "# Speed, size and operations": [*table(_main(found)), "", *markdown_list(notes(content))],
        "## Latency": table(_latency(found)),
        "## Latency of the stages (ms, each apart)": table(_stage_times(found, stages)),
        "## Multiply-adds of the stages (GMACs)": table(_stages(found, stages)),
        "## Multiply-adds of a frame (GMACs, torch) by objects and memory frames": table(_grid(found)),
        "## What the counters do and do not see": [
            *(f"- {text}" for text in explanations.COUNTERS_EXPLAINED),
            *_operators(found),
        ],
        "## Parameters by module": _modules(found),
    }
    return "\n".join(line for title, lines in sections.items() if lines for line in (title, "", *lines, ""))


def notes(content: dict) -> list[str]:
    """What must be known to read the table."""
    settings, found = content["settings"], content["methods"]
    size = f"{settings['height']}x{settings['width']}"
    precision = ", ".join(dict.fromkeys(f["precision"] for f in found.values() if f.get("precision")))
    explained = explanations.PROTOCOLS_EXPLAINED.items()
    extras = [key for key in ("channels_last", "compile", "cuda_graphs") if settings.get(key)]
    lines = [
        f"Frames of {size}, {_objects(settings['objects'])} ({_objects(settings['aot_objects'])} in aot); "
        f"{content['device']}, {', '.join([precision or 'unknown precision', *extras])}; batch 1; random weights"
        f"{', options ' + str(content['options']) if content['options'] else ''}.",
        *(f"{name}: {text}." for name, text in explained if name in settings["protocols"]),
        explanations.VIDEOS.format(frames=content["frames"]),
        explanations.MEMORY,
        *([BUSY_NOTE] if any(one.get("busy") for one in found.values()) else []),
        *ratios(found),
        *([explanations.PUBLISHED] if any(name.startswith(STUDENTS) for name in found) else []),
        *([explanations.PUBLISHED_SAM] if any("sam" in name for name in found) else []),
    ]
    for name, one in found.items():
        lines += [f"{name}: {one['status']}."] if one["status"] != "ok" else []
        lines += [f"Warning, {name}: {text}." for text in one.get("warnings") or []]
    return lines


def ratios(found: dict) -> list[str]:
    """How many times STCN's cost the students' are, measured here; nothing without both."""
    rows = {name: row(name, one, []) for name, one in found.items()}
    theirs, sentences = rows.get("stcn", {}), []
    for name in [name for name in rows if theirs and name.startswith(STUDENTS)]:
        times = [(theirs[key], rows[name][key], what) for key, what in COMPARED.items()]
        parts = [f"{their / our:.1f} times {what}" for their, our, what in times if their and our]
        sentences += [f"Measured here, STCN takes {', '.join(parts)} of {name}."] if parts else []
    return sentences


def _main(found: dict) -> list[dict[str, Any]]:
    rows = [row(name, one, []) for name, one in found.items()]
    powered = any(numbers["frame_joules"] is not None for numbers in rows)
    columns = MAIN | ({"frame (J)": "frame_joules"} if powered else {})
    return [
        {
            column: _marked(numbers[key], key.partition("_")[0], found[str(numbers["method"])])
            for column, key in columns.items()
        }
        for numbers in rows
    ]


def compact(content: dict) -> pd.DataFrame:
    """The columns of the table that fit a terminal; a method that failed says so."""
    rows = [
        {name: cell(one[name]) for name in NARROW} | {"Method": f"{one['Method']}{_failure(content, one)}"}
        for one in _main(content["methods"])
    ]
    return pd.DataFrame(rows)


def _failure(content: dict, row: dict[str, Any]) -> str:
    status = content["methods"][row["Method"]]["status"]
    return "" if status == "ok" else f": {shortened(status)}"


def _marked(value: Any, part: str, found: dict) -> Any:
    """With the mark of what was timed while others were at work."""
    return marked(cell(value), True) if part in found.get("busy", ()) else value


def _latency(found: dict) -> list[dict[str, Any]]:
    return [
        {
            "Method": name,
            "Protocol": protocol,
            **{column: timing[key] for column, key in LATENCY.items()},
            "median": _marked(timing["ms_median"], protocol, one),
        }
        for name, one in found.items()
        for protocol, timing in (one.get("protocols") or {}).items()
        if timing
    ]


def _stage_times(found: dict, stages: list[str]) -> list[dict[str, Any]]:
    return [
        {"Method": name, **{stage: _marked(one["stage_ms"].get(stage), "stages", one) for stage in stages}}
        for name, one in found.items()
        if one.get("stage_ms")
    ]


def _stages(found: dict, stages: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "Method": name,
            "Counter": counter,
            **{stage: cost["counters"][counter].get(stage) for stage in stages},
            "writes a frame": cost["writes_per_frame"],
            "frame": cost[total],
        }
        for name, one in found.items()
        if (cost := one.get("complexity"))
        for counter, total in COUNTERS.items()
    ]


def _grid(found: dict) -> list[dict[str, Any]]:
    cells = {
        (name, cell["objects"], cell["memory_frames"]): cell["gmacs"]
        for name, one in found.items()
        for cell in one.get("frame_gmacs") or []
    }
    memory = sorted({frames for _, _, frames in cells})
    return [
        {"Method": name, "Objects": n, **{f"{m} in memory": cells.get((name, n, m)) for m in memory}}
        for name, n in dict.fromkeys((name, objects) for name, objects, _ in cells)
    ]


def _operators(found: dict) -> list[str]:
    lines = []
    for name, seen in [(name, one["operators"]) for name, one in found.items() if one.get("operators")]:
        unseen = [
            f"{op} ({calls}x, {cell(size / 1e6)} M elements)" for op, (calls, size) in seen["torch_unseen"].items()
        ]
        others = [f"{op} {gmacs:.2f}" for op, gmacs in seen["fvcore_counted"].items() if gmacs >= 0.005]
        lines += [
            f"- {name}, a frame that is read and written. torch counts 0 for: {_listed(unseen)}. fvcore counts "
            f"(GMACs): {', '.join(others) or 'nothing above 0.005'}; and 0 for: "
            f"{_listed(f'{op} ({calls}x)' for op, calls in seen['fvcore_unseen'].items())}. thop has no rule for "
            f"modules: {_listed(seen['thop_unseen'])}."
        ]
    return lines


def _modules(found: dict) -> list[str]:
    return [
        f"- {name}: "
        + ", ".join(f"{module} {count:,}" for module, count in one["parameters"]["modules"].items())
        + f"; buffers (not counted) {one['parameters']['buffers']:,}"
        for name, one in found.items()
        if one.get("parameters")
    ]


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = [f"{len(names) - MOST} more"] if len(names) > MOST else []
    return ", ".join([*names[:MOST], *more]) or "none"


def _objects(count: int) -> str:
    return f"{count} object{'s' if count > 1 else ''}"
