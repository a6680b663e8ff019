"""The exercises of a chapter: read from its notebook, and held to one pattern.   Every chapter with exercises

An exercise is a markdown cell tagged `exercise` (heading, task, hints), an answer cell with the solution between
`### BEGIN SOLUTION` and `### END SOLUTION`, and a cell that calls its self-check; an open question has a markdown
answer cell instead of the last two. All carry nbgrader's metadata: the student version is made from this one source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .student import CODE_STUB, SOLUTION, StudentError, clear

if TYPE_CHECKING:
    from .notebook_checks import Cell, StoredNotebook

LEAST = 3
PATTERN = "### Exercise N.M · Title · ●●○ difficulty · ●●○ importance · 10 min · 4 points"
_HEADING = re.compile(
    r"### Exercise (?P<number>\d+\.\d+) · (?P<title>[^·]+) · (?P<difficulty>●{1,3}○{0,2}) difficulty · "
    r"(?P<importance>●{1,3}○{0,2}) importance · (?P<minutes>\d+) min · (?P<points>\d+) points?"
    r"(?P<skip> · you may skip this)?"
)
_HINT = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
_SOLUTION = re.compile(r"[^\n]*BEGIN SOLUTION[^\n]*\n(.*?)[^\n]*END SOLUTION[^\n]*", re.DOTALL)
_HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", re.DOTALL)
_CALL = re.compile(r"^check\.(\w+)\((\w+)(, cases=\"hidden\")?\)$", re.MULTILINE)
_KEYS = {"grade", "grade_id", "locked", "schema_version", "solution", "task"}
_ROLES = {  # kind, grade, solution, locked → what the cell is
    ("markdown", False, False, True): "task",
    ("code", False, True, False): "answer",
    ("code", True, False, True): "check",
    ("markdown", True, True, False): "open answer",
}


@dataclass(frozen=True)
class Exercise:
    """One exercise of a chapter; `solution` is the source of its answer cell."""

    number: str
    title: str
    difficulty: int
    importance: int
    minutes: int
    points: int
    skippable: bool
    hints: tuple[str, ...]
    grade_ids: tuple[str, ...]
    checks: tuple[str, ...]
    solution: str
    cell: int


def exercises(notebook: StoredNotebook) -> list[Exercise]:
    """The exercises of a stored notebook, in order; what does not follow the pattern is left out (see `faults`)."""
    found = []
    for cells in _groups(notebook):
        heading = _heading(cells[0])
        if heading is None:
            continue
        roles = {_role(cell): cell for cell in reversed(cells)}
        solved = roles.get("answer") or roles.get("open answer")
        found.append(
            Exercise(
                number=heading["number"],
                title=heading["title"],
                difficulty=heading["difficulty"].count("●"),
                importance=heading["importance"].count("●"),
                minutes=int(heading["minutes"]),
                points=int(heading["points"]),
                skippable=bool(heading["skip"]),
                hints=tuple(summary.strip() for summary, _ in _HINT.findall(cells[0].source)),
                grade_ids=tuple(_grading(cell)["grade_id"] for cell in cells if "grade_id" in _grading(cell)),
                checks=tuple(dict.fromkeys(name for cell in cells for name, _, _ in _calls(cell))),
                solution=solved.source if solved else "",
                cell=cells[0].number,
            )
        )
    return found


def faults(notebook: StoredNotebook) -> Iterator[tuple[int, str]]:
    """What does not follow the pattern, with the number of the cell; a notebook without exercises has no fault."""
    groups = list(_groups(notebook))
    inside = {cell.number for cells in groups for cell in cells}
    ids: dict[str, int] = {}
    for cell in notebook.cells:
        grading = _grading(cell)
        if grading and cell.number not in inside:
            yield cell.number, "has nbgrader metadata, but belongs to no exercise: tag the cell of its task `exercise`"
        name = grading.get("grade_id")
        if name in ids:
            yield cell.number, f"has the grade_id {name!r} of cell {ids[name]}; each is used once"
        elif name is not None:
            ids[name] = cell.number
    if groups and len(groups) < LEAST:
        yield groups[-1][0].number, f"the chapter has {len(groups)} exercises; at least {LEAST}"
    numbers = [heading["number"] for cells in groups if (heading := _heading(cells[0]))]
    chapter = int(notebook.path.name[:2]) if notebook.is_chapter else None
    if chapter is not None and numbers != (right := [f"{chapter}.{k}" for k in range(1, len(numbers) + 1)]):
        yield groups[0][0].number, f"the exercises are numbered {', '.join(numbers)}, not {', '.join(right)}"
    for cells in groups:
        yield from _faults_of_task(cells)
        for cell in cells:
            yield from _faults_of_metadata(cell, _heading(cells[0]))
        yield from _faults_of_cells(cells)


def _groups(notebook: StoredNotebook) -> Iterator[list[Cell]]:
    """The cells of each exercise: from one tag `exercise` to the next, or to the next part of the chapter."""
    group: list[Cell] = []
    for cell in notebook.cells:
        starts = "exercise" in cell.tags
        if group and (starts or any(tag.startswith("part-") for tag in cell.tags)):
            yield group
            group = []
        if starts or group:
            group.append(cell)
    if group:
        yield group


def _heading(cell: Cell) -> dict[str, str] | None:
    found = _HEADING.fullmatch(cell.source.partition("\n")[0].strip())
    dots = found and all(len(found[part]) == 3 for part in ("difficulty", "importance"))
    return found.groupdict() if found and dots else None


def _grading(cell: Cell) -> dict[str, Any]:
    return cell.metadata.get("nbgrader") or {}


def _role(cell: Cell) -> str:
    grading = _grading(cell)
    return _ROLES.get((cell.kind, *(grading.get(key) for key in ("grade", "solution", "locked"))), "")  # type: ignore[arg-type]


def _calls(cell: Cell) -> list[tuple[str, str, str]]:
    return _CALL.findall(cell.source) if cell.kind == "code" and _grading(cell).get("grade") else []


def _faults_of_task(cells: list[Cell]) -> Iterator[tuple[int, str]]:
    cell = cells[0]
    heading = _heading(cell)
    if heading is None:
        yield cell.number, f"the first line is not of the form {PATTERN!r}, with ` · you may skip this` if one may"
    hints = _HINT.findall(cell.source)
    if not 2 <= len(hints) <= 3:
        yield cell.number, f"has {len(hints)} hints; give 2 or 3, each in <details><summary>Hint 1: …</summary>"
    for place, (summary, text) in enumerate(hints, 1):
        if not re.match(rf"Hint {place}: \S", summary.strip()) or not text.strip():
            yield cell.number, f"hint {place} needs a summary `Hint {place}: what it is about`, and a text"
    points = sum(_grading(c).get("points") or 0 for c in cells if _grading(c).get("grade"))
    if heading is not None and points != int(heading["points"]):
        yield cell.number, f"the heading says {heading['points']} points, the metadata of its cells {points}"


def _faults_of_metadata(cell: Cell, heading: dict[str, str] | None) -> Iterator[tuple[int, str]]:
    grading = _grading(cell)
    if not grading:
        if "exercise" in cell.tags:
            yield cell.number, "the cell of the task has no nbgrader metadata (read-only: solution and grade false)"
        return
    needed = _KEYS | ({"points"} if grading.get("grade") else set())
    if missing := sorted(needed - grading.keys()):
        yield cell.number, f"the nbgrader metadata lacks {', '.join(missing)}"
    elif grading["schema_version"] != 3 or grading["task"]:
        yield cell.number, "the nbgrader metadata must have schema_version 3, and task false"
    elif not _role(cell):
        yield (
            cell.number,
            f"grade, solution and locked fit no {cell.kind} cell of an exercise (a task, an answer, a check)",
        )
    start = f"ex-{heading['number'].replace('.', '-')}" if heading else "ex-"
    name = str(grading.get("grade_id", start))
    if name != start and not name.startswith(f"{start}-"):
        yield cell.number, f"the grade_id {name!r} must begin with {start!r}"


def _faults_of_cells(cells: list[Cell]) -> Iterator[tuple[int, str]]:
    roles = [_role(cell) for cell in cells]
    graded = [role for role in roles if role in ("answer", "check", "open answer")]
    if "open answer" not in graded and graded != ["answer", "check"]:
        found = ", ".join(graded) or "neither"
        yield cells[0].number, f"needs an answer cell and then a cell with its check, or an open answer; has {found}"
    for cell, role in zip(cells, roles, strict=True):
        if role in ("answer", "open answer"):
            if len(_SOLUTION.findall(cell.source)) != 1 or not _SOLUTION.findall(cell.source)[0].strip():
                yield cell.number, "needs one solution between ### BEGIN SOLUTION and ### END SOLUTION"
            elif role == "answer":
                try:
                    left = clear(cell.source, SOLUTION, CODE_STUB)
                except StudentError as error:
                    yield cell.number, str(error)
                else:
                    if not _compiles(left):
                        yield cell.number, "is no valid Python without its solution: keep the signature outside"
        if role == "check":
            yield from _faults_of_check(cell, _heading(cells[0]))


def _faults_of_check(cell: Cell, heading: dict[str, str] | None) -> Iterator[tuple[int, str]]:
    from . import check  # here: it imports torch

    hidden = "".join(_HIDDEN.findall(cell.source))
    shown = _HIDDEN.sub("", cell.source)
    if not [call for call in _CALL.findall(shown) if not call[2]]:
        yield cell.number, "calls no self-check: check.NAME(answer), alone on its line"
    if not [call for call in _CALL.findall(hidden) if call[2]]:
        yield cell.number, 'lacks ### BEGIN HIDDEN TESTS, check.NAME(answer, cases="hidden"), ### END HIDDEN TESTS'
    for name in dict.fromkeys(name for name, _, _ in _CALL.findall(cell.source)):
        known = check.all_checks().get(name)
        if known is None:
            yield cell.number, f"there is no check.{name}; the checks are in metalearn_lib/course/check"
        elif heading is not None and getattr(known, "exercise", "") != heading["number"]:
            yield cell.number, f"check.{name} belongs to exercise {known.exercise}, not {heading['number']}"  # type: ignore[attr-defined]
    if cell.tags & {"nbval-ignore-output", "nbval-skip"}:
        yield cell.number, "the line that a check prints is to be compared: remove the nbval tag"


def _compiles(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
