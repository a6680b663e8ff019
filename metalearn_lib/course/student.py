"""Student copies: a chapter without its solutions and hidden tests; and the solutions alone, to be looked up.

The chapter is the only source. Its cells carry nbgrader's metadata, and a copy made here has the same sources as one
made by `nbgrader generate_assignment`; but it needs no nbgrader, and takes milliseconds.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CODE_STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
TEXT_STUB = ("YOUR ANSWER HERE",)
SOLUTION, HIDDEN = "SOLUTION", "HIDDEN TESTS"
_GRADE_ID = re.compile(r"ex-(\d+)-(\d+)(?:-|$)")
_HEADING = re.compile(r"^#+ *Exercise +(\d+)\.(\d+) *(?:·|:|-)? *(.*)$", re.MULTILINE)

Cell = Mapping[str, Any]


class StudentError(ValueError):
    """A chapter's exercise cells are marked in a way from which no safe copy can be made."""


@dataclass
class Exercise:
    """An exercise of a chapter: `4.2`, what it is called, whether a check can be passed, its solution."""

    number: str
    title: str = ""
    checked: bool = False
    solution: str = ""


def student_copy(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook (as parsed JSON) without solutions and hidden tests.

    A solution between `### BEGIN SOLUTION` and `### END SOLUTION` becomes nbgrader's stub; the answer cell keeps
    what stands around it. Outputs of answers and checks are cleared, the others stay, so that the chapter can be
    read before it is run.

    Raises:
        StudentError: a mark without its partner or inside another, or outside a cell that may have it.
    """
    made = copy.deepcopy(dict(notebook))
    for number, cell in enumerate(made["cells"], 1):
        marks = nbgrader(cell)
        source = _text(cell)
        try:
            source = clear(source, HIDDEN, (), allowed=bool(marks.get("grade")))
            stub = CODE_STUB if cell["cell_type"] == "code" else TEXT_STUB
            cleared = clear(source, SOLUTION, stub, allowed=bool(marks.get("solution")))
        except StudentError as error:
            raise StudentError(f"cell {number}: {error}") from None
        if marks.get("solution") and cleared == source:
            cleared = "\n".join(stub)  # nothing is marked: all of it is the solution
        if cleared != _text(cell):
            cell["source"] = cleared.splitlines(keepends=True)
        if cell["cell_type"] == "code" and (marks.get("solution") or marks.get("grade")):
            cell["outputs"], cell["execution_count"] = [], None
    return made


def exercises(cells: Sequence[Cell]) -> list[Exercise]:
    """The exercises of a chapter's cells, in the order in which they stand there."""
    found: dict[str, Exercise] = {}
    for cell in cells:
        source, marks = _text(cell), nbgrader(cell)
        heading = _HEADING.search(source) if cell["cell_type"] == "markdown" else None
        named = _GRADE_ID.match(str(marks.get("grade_id", "")))
        if named is None and not (heading and "exercise" in cell["metadata"].get("tags", [])):
            continue
        chapter, index = (named or heading).groups()[:2]  # type: ignore[union-attr]
        exercise = found.setdefault(f"{int(chapter)}.{int(index)}", Exercise(f"{int(chapter)}.{int(index)}"))
        if heading:
            exercise.title = heading[3]
        if marks.get("solution"):
            exercise.solution = "\n\n".join(filter(None, [exercise.solution, _solution(cell, source)]))
        exercise.checked |= bool(marks.get("grade")) and cell["cell_type"] == "code"
    return list(found.values())


def solution(chapter: str, number: str | None = None) -> str:
    """The solution of exercise `4.2` (or `2`) of a chapter; without a number, the list of its exercises.

    Raises:
        UsageError: no such chapter or exercise, or the exercise has no solution; the message lists the known ones.
    """
    from .chapters import UsageError, find

    (picked,) = find([chapter])
    known = {exercise.number: exercise for exercise in exercises(picked.cells)}
    listed = "\n".join(f"{exercise.number}  {exercise.title}".rstrip() for exercise in known.values())
    if not known:
        raise UsageError(f"{picked.name} has no exercises with solutions; look at its part “exercises”")
    if number is None:
        example = f"metalearn solution {chapter} {next(iter(known))}"
        return f"The exercises of {picked.name}:\n{listed}\nShow a solution with: {example}"
    wanted = re.sub(r"[-_]", ".", number.strip())
    if "." not in wanted:
        wanted = f"{next(iter(known)).partition('.')[0]}.{wanted}"
    if wanted not in known:
        raise UsageError(f"{picked.name} has no exercise {number!r}; its exercises are\n{listed}")
    if not known[wanted].solution:
        raise UsageError(f"exercise {wanted} is an open one, without a stored solution")
    return f"Exercise {wanted} · {known[wanted].title}\n\n{known[wanted].solution}"


def nbgrader(cell: Cell) -> dict[str, Any]:
    """The cell's nbgrader metadata; empty where there are none."""
    marks = cell.get("metadata", {}).get("nbgrader", {})
    return marks if isinstance(marks, dict) else {}


def _text(cell: Cell) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def clear(source: str, what: str, stub: Sequence[str], *, allowed: bool = True) -> str:
    """The source with each region between BEGIN and END replaced by the stub, indented as the region is.

    Raises:
        StudentError: a mark without its partner or inside another, or a region where none is `allowed`.
    """
    kept: list[str] = []
    inside = cleared = False
    for line in source.split("\n"):
        if f"BEGIN {what}" in line:
            if inside:
                raise StudentError(f"BEGIN {what} stands inside another; close the first with END {what}")
            inside = cleared = True
            indent = line[: len(line) - len(line.lstrip())]
            kept.extend(indent + text for text in stub)
        elif f"END {what}" in line:
            if not inside:
                raise StudentError(f"END {what} without BEGIN {what} before it")
            inside = False
        elif not inside:
            kept.append(line)
    if inside:
        raise StudentError(f"BEGIN {what} without END {what} after it")
    if cleared and not allowed:
        kind = "a solution cell" if what == SOLUTION else "a check that is graded"
        raise StudentError(f"BEGIN {what} in a cell that nbgrader's metadata do not call {kind}; a copy would keep it")
    return "\n".join(kept)


def _solution(cell: Cell, source: str) -> str:
    """A code cell without its marks (the signature stays); of a text cell what stands between them."""
    lines = source.split("\n")
    starts = [index for index, line in enumerate(lines) if f"BEGIN {SOLUTION}" in line]
    if cell["cell_type"] == "markdown" and starts:
        ends = [index for index, line in enumerate(lines) if f"END {SOLUTION}" in line]
        lines = lines[starts[0] + 1 : ends[0] if ends else None]
    kept = [line for line in lines if f"BEGIN {SOLUTION}" not in line and f"END {SOLUTION}" not in line]
    return "\n".join(kept).strip()
