"""How the cells of an exercise are read: by nbgrader's metadata and by the heading of the task. The one reader.

A cell is what a notebook file holds (a mapping; its source a text or a list of lines). The rules of the pattern, the
copies for learners, the record of progress and the class kit all read exercises by these functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Cell = Mapping[str, Any]

SOLUTION, HIDDEN = "SOLUTION", "HIDDEN TESTS"  # the marks: `### BEGIN SOLUTION` … `### END SOLUTION`
GRADE_ID = re.compile(r"[A-Za-z0-9_-]+")  # what nbgrader takes
_HEADING = re.compile(
    r"### Exercise (?P<number>\d+\.\d+) · (?P<title>[^·]+) · (?P<difficulty>●{1,3}○{0,2}) difficulty · "
    r"(?P<importance>●{1,3}○{0,2}) importance · (?P<minutes>\d+) min · (?P<points>\d+) points?"
    r"( · you may skip this)?"
)
_HINT = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
_CALL = re.compile(r"^check\.(\w+)\((\w+)(, cases=\"hidden\")?\)$", re.MULTILINE)
_ROLES = {  # kind, grade, solution, locked → what the cell is
    ("markdown", False, False, True): "task",
    ("code", False, True, False): "answer",
    ("code", True, False, True): "check",
    ("markdown", True, True, False): "open answer",
}


class StudentError(ValueError):
    """A chapter's exercise cells are marked in a way from which no safe copy can be made."""


@dataclass(frozen=True)
class Region:
    """What stands between two marks: lines ``first`` to ``last`` (both marks included, from 0), and their indent."""

    first: int
    last: int
    indent: str
    text: str


@dataclass(frozen=True)
class Exercise:
    """One exercise of a chapter; `solution` is what its answer cell holds, without the marks around it."""

    number: str
    title: str
    minutes: int
    hints: tuple[str, ...]
    checks: tuple[str, ...]
    solution: str


def exercises(cells: Sequence[Cell]) -> list[Exercise]:
    """The exercises among the cells of a chapter, in order; one without the heading of the pattern is left out."""
    found = []
    for group in groups(cells):
        about = heading(group[0])
        if about is None:
            continue
        roles = {role(cell): cell for cell in reversed(group)}
        solved = roles.get("answer") or roles.get("open answer")
        found.append(
            Exercise(
                number=about["number"],
                title=about["title"],
                minutes=int(about["minutes"]),
                hints=tuple(summary.strip() for summary, _ in hints(group[0])),
                checks=tuple(dict.fromkeys(name for cell in group if is_check(cell) for name, _, _ in calls(cell))),
                solution=_solution(solved) if solved else "",
            )
        )
    return found


def groups(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """The cells of each exercise: from one tag `exercise` to the next, or to the next part of the chapter."""
    group: list[Cell] = []
    for cell in cells:
        tags = cell["metadata"].get("tags", [])
        starts = "exercise" in tags
        if group and (starts or any(tag.startswith("part-") for tag in tags)):
            yield group
            group = []
        if starts or group:
            group.append(cell)
    if group:
        yield group


def source(cell: Cell) -> str:
    """The source of a cell as one text."""
    written = cell["source"]
    return written if isinstance(written, str) else "".join(written)


def grading(cell: Cell) -> dict[str, Any]:
    """nbgrader's metadata of a cell; empty where there are none."""
    found = cell.get("metadata", {}).get("nbgrader")
    return found if isinstance(found, dict) else {}


def role(cell: Cell) -> str:
    """ "task", "answer", "check" or "open answer"; empty for a cell that is none of them."""
    about = grading(cell)
    return _ROLES.get((cell["cell_type"], *(about.get(key) for key in ("grade", "solution", "locked"))), "")  # type: ignore[arg-type]


def is_answer(cell: Cell) -> bool:
    """Whether the learner writes this cell."""
    return bool(grading(cell).get("solution"))


def is_check(cell: Cell) -> bool:
    """Whether this cell is executed for points."""
    return bool(grading(cell).get("grade")) and not is_answer(cell) and cell["cell_type"] == "code"


def heading(cell: Cell) -> dict[str, str] | None:
    """The parts of a task's first line, or None where it is not of the pattern."""
    found = _HEADING.fullmatch(source(cell).partition("\n")[0].strip())
    dots = found and all(len(found[part]) == 3 for part in ("difficulty", "importance"))
    return found.groupdict() if found and dots else None


def hints(cell: Cell) -> list[tuple[str, str]]:
    """Summary and text of each collapsed hint."""
    return _HINT.findall(source(cell))


def calls(cell: Cell | str) -> list[tuple[str, str, str]]:
    """The calls of self-checks, each alone on its line: name of the check, answer, `, cases="hidden"` or nothing."""
    return _CALL.findall(cell if isinstance(cell, str) else source(cell))


def regions(source: str, mark: str) -> list[Region]:
    """The regions of a cell's source between `BEGIN mark` and `END mark`, in order.

    Raises:
        StudentError: a mark without its partner, or inside another.
    """
    lines, found, first = source.split("\n"), [], -1
    for number, line in enumerate(lines):
        if f"BEGIN {mark}" in line:
            if first >= 0:
                raise StudentError(f"BEGIN {mark} stands inside another; close the first with END {mark}")
            first = number
        elif f"END {mark}" in line:
            if first < 0:
                raise StudentError(f"END {mark} without BEGIN {mark} before it")
            indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
            found.append(Region(first, number, indent, "\n".join(lines[first + 1 : number])))
            first = -1
    if first >= 0:
        raise StudentError(f"BEGIN {mark} without END {mark} after it")
    return found


def replace_regions(source: str, mark: str, instead: Callable[[Region], str | None]) -> str:
    """The source with ``instead(region)`` in the place of each region; None takes its lines out."""
    lines = source.split("\n")
    for region in reversed(regions(source, mark)):
        new = instead(region)
        lines[region.first : region.last + 1] = [] if new is None else [new]
    return "\n".join(lines)


def _solution(cell: Cell) -> str:
    """A code cell without its marks (the signature stays); of a text cell what stands between them."""
    try:
        if cell["cell_type"] == "markdown" and (found := regions(source(cell), SOLUTION)):
            return found[0].text.strip()
        return replace_regions(source(cell), SOLUTION, lambda region: region.text).strip()
    except StudentError:  # said where copies are made; here it is no solution to be shown
        return ""
