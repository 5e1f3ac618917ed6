"""What job=measure wrote down, as a page to read (Markdown) and as raw numbers (csv)."""

import csv
import io
from collections.abc import Iterable

from bench.measure.explanations import (
    COUNTERS_EXPLAINED,
    MEMORY,
    PROTOCOLS_EXPLAINED,
    PUBLISHED,
    PUBLISHED_SAM,
    VIDEOS,
)
from methods.steps import STEPS, WRITE

MISSING = "—"
COUNTERS = ("torch", "fvcore", "thop")
MOST = 8  # operators that a list names
STUDENTS = "mobilevos"  # their names begin so
SPREAD = ("ms_first", "ms_median", "ms_p90", "ms_p99", "ms_iqr")


def row(name: str, found: dict) -> dict:
    """The raw numbers of one method, flat; None: not measured. Units stand in the names."""
    counted, cost = found.get("parameters") or {}, found.get("complexity") or {}
    numbers = {
        "method": name,
        "status": found["status"],
        "params_m": _millions(counted.get("total")),
        "trainable_m": _millions(counted.get("trainable")),
        "buffers_m": _millions(counted.get("buffers")),
        "gmacs_torch": cost.get("gmacs"),
        "gmacs_fvcore": cost.get("gmacs_fvcore"),
        "gmacs_thop": cost.get("gmacs_thop"),
    }
    numbers |= {f"{step}_ms": (found.get("stage_ms") or {}).get(step) for step in STEPS}
    for protocol in PROTOCOLS_EXPLAINED:
        timing = (found.get("protocols") or {}).get(protocol) or {}
        numbers |= {f"{protocol}_{key}": timing.get(key) for key in (*SPREAD, "fps", "frames", "objects")}
    load = found.get("load") or {}
    return numbers | {
        "memory_mb_peak": found.get("memory_mb_peak"),
        "frame_joules": ((found.get("protocols") or {}).get("frame") or {}).get("joules_per_frame"),
        "precision": found.get("precision"),
        "other_cores": load.get("other_cores"),
        "warnings": "; ".join(found.get("warnings") or []),
    }


def csv_text(content: dict) -> str:
    """measure.csv: a line for each method, with the settings and the device in every one."""
    shared = {key: _flat(value) for key, value in content["settings"].items()} | {"device": content["device"]}
    lines = [
        {**numbers, **shared, "precision": numbers["precision"]}  # as it was, not as it was wished for
        for numbers in (row(name, found) for name, found in content["methods"].items())
    ]
    text = io.StringIO()
    if lines:
        writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return text.getvalue()


def page(content: dict) -> str:
    """measure.md: the table of all methods, what must be known to read it, and the details."""
    found = content["methods"]
    sections = [
        ["# Speed, size and operations", "", *_table(*_main(found))],
        ["", *(f"- {sentence}" for sentence in notes(content))],
        ["", "## Latency", "", *_table(*_latency(found))],
        ["", "## Latency of the stages (ms, each apart)", "", *_table(*_step_times(found))],
        ["", "## Multiply-adds of the stages (GMACs)", "", *_table(*_steps(found))],
        [
            "",
            "## Multiply-adds of a frame (GMACs, torch) by objects and memory frames",
            "",
            *_table(*_grid(found)),
        ],
        ["", "## What the counters do and do not see", "", *(f"- {text}" for text in COUNTERS_EXPLAINED), ""],
        _operators(found),
        ["", "## Parameters by module", "", *_modules(found)],
    ]
    return "\n".join(line for section in sections for line in section) + "\n"


def notes(content: dict) -> list[str]:
    """What must be known to read the table."""
    settings, found = content["settings"], content["methods"]
    size = f"{settings['height']}x{settings['width']}"
    precision = ", ".join(dict.fromkeys(f["precision"] for f in found.values() if f.get("precision")))
    extras = [key for key in ("channels_last", "compile", "cuda_graphs") if settings.get(key)]
    lines = [
        f"Frames of {size}, {_objects(settings['objects'])} ({_objects(settings['aot_objects'])} in aot); "
        f"{content['device']}, {', '.join([precision or 'unknown precision', *extras])}; batch 1; random weights"
        f"{', options ' + str(content['options']) if content['options'] else ''}.",
        *(f"{name}: {text}." for name, text in PROTOCOLS_EXPLAINED.items() if name in settings["protocols"]),
        VIDEOS.format(frames=content["frames"]),
        MEMORY,
        *ratios(found),
        *([PUBLISHED] if any(name.startswith(STUDENTS) for name in found) else []),
        *([PUBLISHED_SAM] if any("sam" in name for name in found) else []),
    ]
    for name, one in found.items():
        lines += [f"{name}: {one['status']}."] if one["status"] != "ok" else []
        lines += [f"Warning, {name}: {text}." for text in one.get("warnings") or []]
    return lines


def ratios(found: dict) -> list[str]:
    """How many times STCN's cost the students' are, measured here; nothing without both."""
    stcn, sentences = found.get("stcn"), []
    if stcn is None:
        return []
    theirs = row("stcn", stcn)
    for name, one in found.items():
        if not name.startswith(STUDENTS):
            continue
        ours = row(name, one)
        parts = [
            f"{theirs[key] / ours[key]:.1f} times {what}"
            for key, what in (
                ("core_ms_median", "core's time"),
                ("frame_ms_median", "frame's time"),
                ("gmacs_torch", "the multiply-adds"),
                ("params_m", "the parameters"),
            )
            if theirs[key] and ours[key]
        ]
        if parts:
            sentences.append(f"Measured here, STCN takes {', '.join(parts)} of {name}.")
    return sentences


def _main(found: dict) -> tuple[list[str], list[list[str]]]:
    columns = {
        "Params (M)": "params_m",
        "Trainable (M)": "trainable_m",
        "GMACs (torch)": "gmacs_torch",
        "GMACs (fvcore)": "gmacs_fvcore",
        "GMACs (thop)": "gmacs_thop",
        "core (ms)": "core_ms_median",
        "frame (ms)": "frame_ms_median",
        "stcn (FPS)": "stcn_fps",
        "aot (FPS)": "aot_fps",
        "video (FPS)": "video_fps",
        "Peak memory (MB)": "memory_mb_peak",
    }
    if any(row(name, one)["frame_joules"] is not None for name, one in found.items()):
        columns["frame (J)"] = "frame_joules"
    lines = []
    for name, one in found.items():
        numbers = row(name, one)
        lines.append([name, *(_digits(numbers[key]) for key in columns.values())])
    return ["Method", *columns], lines


def _latency(found: dict) -> tuple[list[str], list[list[str]]]:
    head = [
        "Method",
        "Protocol",
        "first (ms)",
        "median",
        "p90",
        "p99",
        "IQR",
        "FPS",
        "frames",
        "objects",
        "memory frames",
    ]
    lines = [
        [
            name,
            protocol,
            *(_digits(timing[key]) for key in (*SPREAD, "fps", "frames", "objects", "memory_frames")),
        ]
        for name, one in found.items()
        for protocol, timing in (one.get("protocols") or {}).items()
        if timing
    ]
    return head, lines


def _step_times(found: dict) -> tuple[list[str], list[list[str]]]:
    lines = [
        [name, *(_digits(one["stage_ms"].get(stage)) for stage in STEPS)]
        for name, one in found.items()
        if one.get("stage_ms")
    ]
    return ["Method", *STEPS], lines


def _steps(found: dict) -> tuple[list[str], list[list[str]]]:
    lines = []
    for name, one in found.items():
        cost = one.get("complexity")
        for counter in COUNTERS if cost else ():
            steps = cost["counters"][counter]
            total = sum(steps.values()) - (1 - cost["writes_per_frame"]) * steps.get(WRITE, 0)
            lines.append(
                [
                    name,
                    counter,
                    *(_digits(steps.get(s)) for s in STEPS),
                    _digits(cost["writes_per_frame"]),
                    _digits(total),
                ]
            )
    return ["Method", "Counter", *STEPS, "writes a frame", "frame"], lines


def _grid(found: dict) -> tuple[list[str], list[list[str]]]:
    cells = {
        (name, cell["objects"], cell["memory_frames"]): cell["gmacs"]
        for name, one in found.items()
        for cell in one.get("frame_gmacs") or []
    }
    memory = sorted({frames for _, _, frames in cells})
    rows = dict.fromkeys((name, objects) for name, objects, _ in cells)
    lines = [
        [name, str(n), *(_digits(cells.get((name, n, frames))) for frames in memory)] for name, n in rows
    ]
    return ["Method", "Objects", *(f"{frames} in memory" for frames in memory)], lines


def _operators(found: dict) -> list[str]:
    lines = []
    for name, one in found.items():
        seen = one.get("operators")
        if not seen:
            continue
        unseen = [
            f"{op} ({calls}x, {_digits(size / 1e6)} M elements)"
            for op, (calls, size) in seen["torch_unseen"].items()
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


def _table(head: list[str], lines: list[list[str]]) -> list[str]:
    texts = {"Method", "Protocol", "Counter"}
    rules = ["---" if column in texts else "---:" for column in head]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rules, *lines)]


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = [f"{len(names) - MOST} more"] if len(names) > MOST else []
    return ", ".join([*names[:MOST], *more]) or "none"


def _objects(count: int) -> str:
    return f"{count} object{'s' if count > 1 else ''}"


def _millions(count: int | None) -> float | None:
    return None if count is None else count / 1e6


def _flat(value):
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _digits(value: float | None) -> str:
    """About three significant digits, without an exponent."""
    if value is None:
        return MISSING
    if isinstance(value, int) or value == 0:
        return str(int(value))
    places = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{places}f}"
