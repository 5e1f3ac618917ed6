"""What distillation gains, against how much better the teacher is than the student taught by labels alone."""

from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.record import Record
from reports.comparison import SIGNIFICANT, TEACHER, Comparison, compare
from reports.figures import figure
from reports.figures.style import FAINT, explain, marks, panels, wrapped
from reports.rows import group_rows, succeeded, values


@figure("capacity", "Gain of distillation against the gap between the teacher and the student without one")
def capacity_chart(records: list[Record], _: Path) -> Figure | None:
    """A marker a student, a colour a teacher; both axes in J&F. Students are told apart by their references.

    Drawn of compared rows (`compare`) whose reference has no teacher and whose own is a row, too. None where these
    are not of at least two teachers or two students.
    """
    rows = group_rows(records)
    points: dict[str, tuple[str, str, float, Comparison]] = {}
    scored = {(r.dataset, r.network): r for r in succeeded(records) if r.network and r.jf_mean is not None}
    labels = {key: record.label.removesuffix(TEACHER).strip() for key, record in scored.items()}
    for name, found in compare(records).items():
        own, reference = succeeded(rows[name]), succeeded(rows[found.reference])
        taught = [(cell.dataset, cell.teacher) for cell in own]
        if any(cell.teacher for cell in reference) or not all(key in scored for key in taught):
            continue
        gap = fmean(scored[key].jf_mean or 0.0 for key in taught) - fmean(values(reference, "jf_mean"))
        points[name] = (found.reference, labels[taught[0]], gap, found)
    students = list(dict.fromkeys(student for student, *_ in points.values()))
    teachers = list(dict.fromkeys(teacher for _, teacher, *_ in points.values()))
    if len(students) * len(teachers) < 2:
        return None
    colours = {teacher: colour for teacher, (colour, _) in zip(teachers, marks(len(teachers)), strict=True)}
    shapes = {student: marker for student, (_, marker) in zip(students, marks(len(students)), strict=True)}
    drawn, (axis,) = panels(1, 7.2, 4.4)
    axis.axhline(0, color="black", linewidth=1)
    for student, teacher, gap, found in points.values():
        gain, colour = found.difference, colours[teacher]
        if not gain.lacking:  # the interval of two seeds would be all that is seen
            axis.plot([gap, gap], [gain.two_way_low, gain.two_way_high], color=colour, linewidth=1.5)
        face = colour if found.verdict == SIGNIFICANT else "white"
        axis.plot(gap, gain.mean, shapes[student], color=colour, markerfacecolor=face, markersize=8)
    ends = axis.get_xlim()
    axis.plot(ends, ends, "--", color=FAINT, linewidth=1, zorder=1, scalex=False, scaley=False)
    axis.set_xlabel("gap: J&F of the teacher \N{MINUS SIGN} J&F of the student without it")
    axis.set_ylabel("gain: J&F of the student with the teacher\n\N{MINUS SIGN} J&F without it")
    explain(axis, "bars: two-way 95 % intervals; hollow: n.s. or no verdict; dashed: as good as the teacher")
    signs = [Line2D([], [], color="black", linestyle="", marker=shapes[x], label=wrapped(x)) for x in students]
    signs += [Line2D([], [], color=colours[x], linewidth=4, label=wrapped(f"by {x}")) for x in teachers]
    axis.legend(handles=signs, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return drawn
