"""What is handed out of a chapter: the cells that earn points, and the versions without answers."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from metalearn_lib.course.running.chapters import UsageError

from ..exercises.cells import GRADE_ID, grading, is_answer, is_check, is_locked
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


def released(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook as students get it: no answers, no hidden tests, no outputs, locked and with nbgrader's checksums.

    ``notebook`` is the stored JSON with joined sources; it is not changed. The result is what
    ``nbgrader generate_assignment`` makes of the same file.
    """
    handed = with_hidden_tests(notebook)
    for cell in handed["cells"]:
        if is_check(cell):
            cell["source"] = stub_of(cell)  # an answer has been cleared already
        if _counts(cell):
            cell["metadata"]["nbgrader"]["checksum"] = checksum(cell)
    return handed


def with_hidden_tests(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook as nbgrader's gradebook keeps it: like the released one, but with the hidden tests."""
    handed = copy.deepcopy(notebook)
    handed["metadata"].pop("celltoolbar", None)
    for cell in handed["cells"]:
        if is_answer(cell):
            cell["source"] = stub_of(cell)
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
        if not _counts(cell):
            continue
        cell["metadata"]["deletable"] = False
        if not is_answer(cell):
            cell["metadata"]["editable"] = False
        about = cell["metadata"]["nbgrader"]
        about |= {"schema_version": 3, "task": False, "cell_type": cell["cell_type"]}
        about["checksum"] = checksum(cell)
    return handed


def _counts(cell: Cell) -> bool:
    return is_answer(cell) or is_locked(cell)


def checksum(cell: Cell) -> str:
    """nbgrader's checksum of a cell: its source, its kind and its points."""
    about = grading(cell)
    graded_cell = bool(about.get("grade"))
    parts = [cell["source"], cell["cell_type"], graded_cell, is_answer(cell), is_locked(cell), about["grade_id"]]
    if graded_cell:
        parts.append(float(about["points"]))
    found = hashlib.md5(usedforsecurity=False)
    for part in parts:
        found.update(str(part).encode())
    return found.hexdigest()
