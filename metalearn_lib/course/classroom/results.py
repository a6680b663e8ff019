"""Where grades go: a table, a table for what a person grades, and a page of feedback for each student."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from metalearn_lib.course.running.chapters import UsageError
from metalearn_lib.files import write_text

from .course import Assignment
from .grade import Grade
from .release import Graded

_HAND = ("student", "part", "points", "of", "answer")
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


def write_results(assignment: Assignment, folder: Path, parts: Sequence[Graded], grades: Sequence[Grade]) -> Path:
    """Write grades/, by_hand/ and feedback/ of an assignment; the path of the table.

    Points that were entered in ``by_hand/ch04.csv`` before are counted, and kept.

    Raises:
        UsageError: that table cannot be read, or has points that are no number from 0 to what the part is worth.
    """
    path = folder / "by_hand" / f"{assignment.name}.csv"
    entered = _read_by_hand(path, parts)
    _enter(grades, entered)
    hand = [part for part in parts if part.by_hand]
    if hand:
        rows = [
            [
                _plain(one.student),
                part.grade_id,
                _given(entered.get((one.student, part.grade_id))),
                f"{part.points:g}",
                _plain(one.answers[part.grade_id]),
            ]
            for one in grades
            for part in hand
            if part.grade_id in one.answers
        ]
        write_text(_csv([list(_HAND), *rows]), path)
    for one in grades:
        page = folder / "feedback" / one.student / assignment.name / f"{assignment.notebook}.html"
        write_text(_feedback(assignment, parts, one), page)
    table = folder / "grades" / f"{assignment.name}.csv"
    write_text(_table(parts, grades), table)
    return table


def _enter(grades: Sequence[Grade], entered: dict[tuple[str, str], float]) -> None:
    for one in grades:
        for name in one.answers:
            one.points[name] = entered.get((one.student, name))


def _read_by_hand(path: Path, parts: Sequence[Graded]) -> dict[tuple[str, str], float]:
    if not path.exists():
        return {}
    most = {part.grade_id: part.points for part in parts if part.by_hand}
    found = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            text, part = (row.get("points") or "").strip(), row.get("part") or ""
            if not text:
                continue
            try:
                points = float(text.replace(",", "."))
            except ValueError:
                points = math.nan
            if part not in most or not 0 <= points <= most[part]:
                raise UsageError(f"{path}: {text!r} for {part} is not a number from 0 to {most.get(part, 0):g}")
            found[(row.get("student") or "").lstrip("'"), part] = points
    return found


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
        row = [
            _plain(one.student),
            f"{total:g}",
            f"{of:g}",
            f"{sum(waiting):g}",
            late,
            *cells,
            _plain("; ".join(notes)),
        ]
        rows.append(row)
    return _csv(rows)


def _given(points: float | None, otherwise: str = "") -> str:
    return otherwise if points is None else f"{points:g}"


def _plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _csv(rows: Sequence[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _feedback(assignment: Assignment, parts: Sequence[Graded], one: Grade) -> str:
    waiting = sum(part.points for part in parts if one.points[part.grade_id] is None)
    total = f"{sum(points or 0 for points in one.points.values()):g} of {sum(part.points for part in parts):g} points"
    total += f"; up to {waiting:g} more when a person has read your answers" if waiting else ""
    total += f"; {one.hours_late:.1f} hours late" if one.hours_late else ""
    rows = []
    for part in parts:
        points = one.points[part.grade_id]
        if points is None:
            said = "will be read by a person"
        elif part.by_hand and part.grade_id in one.answers:
            said = "read by a person"
        else:
            said = one.said.get(part.grade_id, "passed") if one.readable else "not graded"
        got = f"{_given(points, '–')} of {part.points:g}"
        rows.append(f"<tr><td>{escape(part.title.partition(' · ●')[0])}</td><td>{got}</td><td>{escape(said)}</td></tr>")
    notes = "".join(f"<li>{escape(note)}</li>" for note in one.notes)
    notes = f"<h2>Notes</h2><ul>{notes}</ul>" if notes else ""
    title = escape(f"{assignment.notebook}: {one.student}")
    return _PAGE.format(title=title, total=escape(total), rows="\n".join(rows), notes=notes)
