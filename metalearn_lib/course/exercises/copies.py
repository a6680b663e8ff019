"""Student copies: a chapter without its solutions and hidden tests; and the solutions alone, to be looked up.

The chapter is the only source. Its cells carry nbgrader's metadata, and a copy made here has the same sources as one
made by `nbgrader generate_assignment`; but it needs no nbgrader, and takes milliseconds.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .cells import HIDDEN, SOLUTION, StudentError, exercises, grading, replace_regions, source

CODE_STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
TEXT_STUB = ("YOUR ANSWER HERE",)


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
        marks, written = grading(cell), source(cell)
        try:
            shown = clear(written, HIDDEN, (), allowed=bool(marks.get("grade")))
            stub = CODE_STUB if cell["cell_type"] == "code" else TEXT_STUB
            cleared = clear(shown, SOLUTION, stub, allowed=bool(marks.get("solution")))
        except StudentError as error:
            raise StudentError(f"cell {number}: {error}") from None
        if marks.get("solution") and cleared == shown:
            cleared = "\n".join(stub)  # nothing is marked: all of it is the solution
        if cleared != written:
            cell["source"] = cleared.splitlines(keepends=True)
        if cell["cell_type"] == "code" and (marks.get("solution") or marks.get("grade")):
            cell["outputs"], cell["execution_count"] = [], None
    return made


def solution(chapter: str, number: str | None = None) -> str:
    """The solution of exercise `4.2` (or `2`) of a chapter; without a number, the list of its exercises.

    Raises:
        UsageError: no such chapter or exercise, or the exercise has no solution; the message lists the known ones.
    """
    from metalearn_lib.course.running.chapters import UsageError, find

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


def clear(source: str, what: str, stub: Sequence[str], *, allowed: bool = True) -> str:
    """The source with each region between BEGIN and END replaced by the stub, indented as the region is.

    Raises:
        StudentError: a mark without its partner or inside another, or a region where none is `allowed`.
    """
    cleared = replace_regions(
        source, what, lambda region: "\n".join(region.indent + text for text in stub) if stub else None
    )
    if cleared != source and not allowed:
        kind = "a solution cell" if what == SOLUTION else "a check that is graded"
        raise StudentError(f"BEGIN {what} in a cell that nbgrader's metadata do not call {kind}; a copy would keep it")
    return cleared
