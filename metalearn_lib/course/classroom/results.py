"""Where grades go: a table, a table for what a person grades, and a page of feedback for each student."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from metalearn_lib.files import write_text

from .by_hand import ByHand, csv_text, key_of, plain
from .course import Assignment
from .grade import Grade, Tell
from .release import Graded

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em}}table{{border-collapse:collapse}}
td,th{{border-bottom:1px solid #999;padding:.3em .8em;text-align:left;vertical-align:top}}</style></head><body>
<h1>{title}</h1><p><strong>{total}</strong></p>
<table><tr><th>exercise</th><th>points</th><th>what to say about it</th></tr>
{rows}
</table>
{notes}
</body></html>
"""


def write_results(
    assignment: Assignment,
    folder: Path,
    parts: Sequence[Graded],
    grades: Sequence[Grade],
    *,
    tell: Tell = lambda text: None,
) -> Path:
    """Write grades/, by_hand/ and feedback/ of an assignment; the path of the table.

    Points and comments that a person entered in ``by_hand/ch04.csv`` are counted, shown, and kept.

    Raises:
        UsageError: that table cannot be read, or has points that are no number from 0 to what the part is worth.
    """  # fmt: skip
    table = ByHand(assignment.by_hand(folder))
    points, comments = table.entered(parts), table.comments()
    worth = {part.grade_id: part.points for part in parts}
    answers = {}
    for one in grades:
        for name, text in one.answers.items():
            key = key_of(one.student, name)
            answers[key] = (worth[name], text)
            one.points[name], one.said[name] = points.get(key), comments.get(key, "")
    if kept := table.not_counted(answers):
        tell(f"{table.path}: there is no such answer now, so these rows are kept, but not counted: {', '.join(kept)}")
    if old := table.update(answers):
        tell(f"{table.path}: there are new answers in it; as you left it, it is {old.name}")
    for one in grades:
        page = folder / "feedback" / one.student / assignment.name / f"{assignment.notebook}.html"
        write_text(_feedback(assignment, parts, one), page)
    path = folder / "grades" / f"{assignment.name}.csv"
    write_text(_table(parts, grades), path)
    return path


def _table(parts: Sequence[Graded], grades: Sequence[Grade]) -> str:
    head = ["student", "points", "of", "open by hand", "hours late", *(part.grade_id for part in parts), "notes"]
    rows = [head]
    for one in grades:
        waiting = [part.points for part in parts if one.points[part.grade_id] is None]
        late = "" if one.hours_late is None else f"{one.hours_late:.1f}"
        total = sum(points or 0 for points in one.points.values())
        of = sum(part.points for part in parts)
        cells = [_given(one.points[part.grade_id], "to be graded by hand") for part in parts]
        notes = one.notes if one.readable else ["NOT GRADED", *one.notes]
        row = [plain(one.student), f"{total:g}", f"{of:g}", f"{sum(waiting):g}", late, *cells, plain("; ".join(notes))]
        rows.append(row)
    return csv_text(rows)


def _given(points: float | None, otherwise: str = "") -> str:
    return otherwise if points is None else f"{points:g}"


def _feedback(assignment: Assignment, parts: Sequence[Graded], one: Grade) -> str:
    waiting = sum(part.points for part in parts if one.points[part.grade_id] is None)
    total = f"{sum(points or 0 for points in one.points.values()):g} of {sum(part.points for part in parts):g} points"
    total += f"; up to {waiting:g} more when a person has read your answers" if waiting else ""
    total += f"; {one.hours_late:.1f} hours late" if one.hours_late else ""
    rows = []
    for part in parts:
        points = one.points[part.grade_id]
        if part.grade_id in one.answers:
            said = one.said[part.grade_id] or ("will be read by a person" if points is None else "read by a person")
        else:
            said = one.said.get(part.grade_id, "passed") if one.readable else "not graded"
        got = f"{_given(points, '–')} of {part.points:g}"
        rows.append(f"<tr><td>{escape(part.title.partition(' · ●')[0])}</td><td>{got}</td><td>{escape(said)}</td></tr>")
    notes = "".join(f"<li>{escape(note)}</li>" for note in one.notes)
    notes = f"<h2>Notes</h2><ul>{notes}</ul>" if notes else ""
    title = escape(f"{assignment.notebook}: {one.student}")
    return _PAGE.format(title=title, total=escape(total), rows="\n".join(rows), notes=notes)
