"""The pattern that every exercise of a chapter follows, and what departs from it.   Every chapter with exercises

An exercise is a markdown cell tagged `exercise` (heading, task, hints), an answer cell with the solution between
`### BEGIN SOLUTION` and `### END SOLUTION`, and a cell that calls its self-check; an open question has a markdown
answer cell instead of the last two. All carry nbgrader's metadata: the student version is made from this one source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from metalearn_lib.course.exercises.cells import (
    GRADE_ID,
    HIDDEN,
    SOLUTION,
    Cell,
    StudentError,
    calls,
    grading,
    groups,
    heading,
    hints,
    regions,
    replace_regions,
    role,
    source,
)  # fmt: skip
from metalearn_lib.course.exercises.copies import CODE_STUB, clear

LEAST = 3
PATTERN = "### Exercise N.M · Title · ●●○ difficulty · ●●○ importance · 10 min · 4 points"
_KEYS = {"grade", "grade_id", "locked", "schema_version", "solution", "task"}

Fault = tuple[Cell, str]


def faults(cells: Sequence[Cell], *, chapter: int | None = None) -> Iterator[tuple[int, str]]:
    """What does not follow the pattern, with the number of the cell; a notebook without exercises has no fault.

    `chapter` is the number that the exercises must carry; None: any.
    """
    numbers = {id(cell): number for number, cell in enumerate(cells, 1)}
    for cell, message in _faults(cells, numbers, chapter):
        yield numbers[id(cell)], message


def _faults(cells: Sequence[Cell], places: dict[int, int], chapter: int | None) -> Iterator[Fault]:
    found = list(groups(cells))
    inside = {id(cell) for group in found for cell in group}
    ids: dict[str, int] = {}
    for cell in cells:
        marks = grading(cell)
        if marks and id(cell) not in inside:
            yield cell, "has nbgrader metadata, but belongs to no exercise: tag the cell of its task `exercise`"
        name = marks.get("grade_id")
        if name in ids:
            yield cell, f"has the grade_id {name!r} of cell {ids[name]}; each is used once"
        elif name is not None:
            ids[name] = places[id(cell)]
    if found and len(found) < LEAST:
        yield found[-1][0], f"the chapter has {len(found)} exercises; at least {LEAST}"
    numbers = [about["number"] for group in found if (about := heading(group[0]))]
    if chapter is not None and numbers != (right := [f"{chapter}.{k}" for k in range(1, len(numbers) + 1)]):
        yield found[0][0], f"the exercises are numbered {', '.join(numbers)}, not {', '.join(right)}"
    for group in found:
        yield from _faults_of_task(group)
        for cell in group:
            yield from _faults_of_metadata(cell, heading(group[0]))
        yield from _faults_of_cells(group)


def _faults_of_task(group: list[Cell]) -> Iterator[Fault]:
    task, about, given = group[0], heading(group[0]), hints(group[0])
    if about is None:
        yield task, f"the first line is not of the form {PATTERN!r}, with ` · you may skip this` if one may"
    if not 2 <= len(given) <= 3:
        yield task, f"has {len(given)} hints; give 2 or 3, each in <details><summary>Hint 1: …</summary>"
    for place, (summary, text) in enumerate(given, 1):
        if not re.match(rf"Hint {place}: \S", summary.strip()) or not text.strip():
            yield task, f"hint {place} needs a summary `Hint {place}: what it is about`, and a text"
    points = sum(grading(cell).get("points") or 0 for cell in group if grading(cell).get("grade"))
    if about is not None and points != int(about["points"]):
        yield task, f"the heading says {about['points']} points, the metadata of its cells {points}"


def _faults_of_metadata(cell: Cell, about: dict[str, str] | None) -> Iterator[Fault]:
    marks = grading(cell)
    if not marks:
        if "exercise" in cell["metadata"].get("tags", []):
            yield cell, "the cell of the task has no nbgrader metadata (read-only: solution and grade false)"
        return
    needed = _KEYS | ({"points"} if marks.get("grade") else set())
    if missing := sorted(needed - marks.keys()):
        yield cell, f"the nbgrader metadata lacks {', '.join(missing)}"
    elif marks["schema_version"] != 3 or marks["task"]:
        yield cell, "the nbgrader metadata must have schema_version 3, and task false"
    elif not role(cell):
        kind = cell["cell_type"]
        yield cell, f"grade, solution and locked fit no {kind} cell of an exercise (a task, an answer, a check)"
    start = f"ex-{about['number'].replace('.', '-')}" if about else "ex-"
    name = str(marks.get("grade_id", start))
    if name != start and not name.startswith(f"{start}-"):
        yield cell, f"the grade_id {name!r} must begin with {start!r}"
    elif not GRADE_ID.fullmatch(name):
        yield cell, f"the grade_id {name!r} may hold letters, digits, - and _ only"


def _faults_of_cells(group: list[Cell]) -> Iterator[Fault]:
    graded = [role(cell) for cell in group if role(cell) in ("answer", "check", "open answer")]
    if "open answer" not in graded and graded != ["answer", "check"]:
        found = ", ".join(graded) or "neither"
        yield group[0], f"needs an answer cell and then a cell with its check, or an open answer; has {found}"
    for cell in group:
        if role(cell) in ("answer", "open answer"):
            yield from _faults_of_answer(cell)
        if role(cell) == "check":
            yield from _faults_of_check(cell, heading(group[0]))


def _faults_of_answer(cell: Cell) -> Iterator[Fault]:
    try:
        solutions = regions(source(cell), SOLUTION)
    except StudentError as error:
        yield cell, f"{error}; it needs one solution"
        return
    if len(solutions) != 1 or not solutions[0].text.strip():
        yield cell, "needs one solution between ### BEGIN SOLUTION and ### END SOLUTION"
    elif role(cell) == "answer" and not _compiles(clear(source(cell), SOLUTION, CODE_STUB)):
        yield cell, "is no valid Python without its solution: keep the signature outside"


def _faults_of_check(cell: Cell, about: dict[str, str] | None) -> Iterator[Fault]:
    from metalearn_lib.course.exercises import checks as check  # here: it imports torch

    try:
        hidden = "\n".join(region.text for region in regions(source(cell), HIDDEN))
        shown = replace_regions(source(cell), HIDDEN, lambda region: None)
    except StudentError as error:
        yield cell, f"{error}; it lacks ### BEGIN HIDDEN TESTS or its end"
        return
    if not [call for call in calls(shown) if not call[2]]:
        yield cell, "calls no self-check: check.NAME(answer), alone on its line"
    if not [call for call in calls(hidden) if call[2]]:
        yield cell, 'lacks ### BEGIN HIDDEN TESTS, check.NAME(answer, cases="hidden"), ### END HIDDEN TESTS'
    for name in dict.fromkeys(name for name, _, _ in calls(cell)):
        known = check.all_checks().get(name)
        if known is None:
            yield cell, f"there is no check.{name}; the checks are in metalearn_lib/course/exercises/checks"
        elif about is not None and known.exercise != about["number"]:
            yield cell, f"check.{name} belongs to exercise {known.exercise}, not {about['number']}"
    if set(cell["metadata"].get("tags", [])) & {"nbval-ignore-output", "nbval-skip"}:
        yield cell, "the line that a check prints is to be compared: remove the nbval tag"


def _compiles(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
