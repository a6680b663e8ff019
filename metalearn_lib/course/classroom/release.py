"""What a chapter has for a class: the cells that earn points, and whether it can be handed out at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from metalearn_lib.course.running.chapters import UsageError

from ..exercises.cells import GRADE_ID, grading, is_answer
from ..exercises.copies import StudentError, student_copy

Cell = dict[str, Any]
_TITLE = re.compile(r"^#+\s*Exercise\s+(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Graded:
    """One cell that earns points: a check, or an answer in words that a person reads."""

    index: int
    grade_id: str
    points: float
    by_hand: bool
    title: str


def graded(cells: Sequence[Cell]) -> list[Graded]:
    """The cells of a chapter that earn points, in order, each with the title of its exercise."""
    found, title = [], ""
    for index, cell in enumerate(cells):
        if cell["cell_type"] == "markdown" and (heading := _TITLE.search(cell["source"])):
            title = heading[1].strip()
        about = grading(cell)
        if about.get("grade"):
            name = str(about["grade_id"])
            found.append(Graded(index, name, float(about["points"]), is_answer(cell), title or name))
    return found


def check_source(name: str, cells: Sequence[Cell]) -> None:
    """Refuse a chapter that cannot be handed out.

    Raises:
        UsageError: no exercises, a cell without or with another's ``grade_id``, points that are no number, a marker
            without its partner, or a solution or hidden test in a cell that is not marked as one.
    """
    if not any(grading(cell).get("grade") for cell in cells):
        raise UsageError(f"chapter {name} has no graded exercises in this edition; leave it out")
    seen: set[str] = set()
    for number, cell in enumerate(cells, 1):
        for problem in _problems(cell, seen):
            raise UsageError(f"chapter {name}, cell {number}: {problem}")


def _problems(cell: Cell, seen: set[str]) -> Iterator[str]:
    about = grading(cell)
    if about:
        grade_id = about.get("grade_id")
        if not isinstance(grade_id, str) or not GRADE_ID.fullmatch(grade_id):
            yield f"the grade_id is {grade_id!r}; write it with letters, digits, - and _"
        elif grade_id in seen:
            yield f"the grade_id {grade_id!r} is used twice; each cell needs its own"
        else:
            seen.add(grade_id)
        points = about.get("points")
        if about.get("grade") and (not isinstance(points, (int, float)) or points <= 0):
            yield f"points are {points!r}; a graded cell needs a number above 0"
    try:
        stub_of(cell)
    except StudentError as error:
        yield str(error).removeprefix("cell 1: ")


def stub_of(cell: Cell) -> str:
    """What the learner finds in this cell."""
    (stub,) = student_copy({"cells": [cell]})["cells"]
    return "".join(stub["source"])
