"""The pattern of exercises: each rule finds its fault, and the chapters have none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from metalearn_lib.course.exercises import Exercise, exercises
from metalearn_lib.course.running.chapters import Chapter
from metalearn_lib.files import root
from tests.course.cells import Cell, code, marks, notebook, text
from tests.notebooks import pattern
from tests.notebooks.rules import faults as notebook_faults

HINTS = "".join(f"<details><summary>Hint {k}: where</summary>\n\nThere.\n</details>\n" for k in (1, 2))
ANSWER = "def {0}(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION\n"
CHECK = 'check.{0}({0})\n### BEGIN HIDDEN TESTS\ncheck.{0}({0}, cases="hidden")\n### END HIDDEN TESTS'
NAMES = ("median_prototypes", "ridge_logits", "peeking_logits")


def task(k: int, points: int = 3, more: str = "") -> Cell:
    heading = f"### Exercise 4.{k} · Task {k} · ●●○ difficulty · ●●● importance · 10 min · {points} points{more}"
    return text(f"{heading}\n\nDo it.\n\n{HINTS}", tags=["exercise"], nbgrader=marks(f"ex-4-{k}"))


def good() -> Any:
    """Three exercises with a check, one open question, and cells around them."""
    cells = [text("## Exercises", tags=["part-exercises"])]
    for k, name in enumerate(NAMES, 1):
        cells += [
            task(k),
            code(ANSWER.format(name), nbgrader=marks(f"ex-4-{k}-answer", solution=True)),
            code(CHECK.format(name), nbgrader=marks(f"ex-4-{k}-check", grade=True, points=3)),
        ]
    because = "<!-- ### BEGIN SOLUTION -->\nBecause.\n<!-- ### END SOLUTION -->"
    cells += [code("measure()"), task(4, 5, " · you may skip this")]
    cells += [text(because, nbgrader=marks("ex-4-4-answer", grade=True, solution=True, points=5))]
    return nbformat.from_dict(notebook(*cells, text("## Quiz", tags=["part-quiz"])))


TASK, FIRST_ANSWER, FIRST_CHECK, SECOND_CHECK, OPEN, OPEN_ANSWER, LAST = 1, 2, 3, 6, 11, 12, 13


def departures(made: Any) -> list[tuple[int, str]]:
    return list(pattern.faults(made["cells"], chapter=4))


def replace(cell: int, old: str, new: str) -> Callable[[Any], None]:
    def change(notebook: Any) -> None:
        assert old in notebook.cells[cell].source
        notebook.cells[cell].source = notebook.cells[cell].source.replace(old, new)

    return change


def grade(cell: int, **values: Any) -> Callable[[Any], None]:
    return lambda notebook: notebook.cells[cell].metadata.nbgrader.update(values)


def drop(cell: int, key: str) -> Callable[[Any], None]:
    return lambda notebook: notebook.cells[cell].metadata.nbgrader.pop(key)


def leave(*numbers: int) -> Callable[[Any], None]:
    return lambda notebook: notebook.update(cells=[notebook.cells[n] for n in numbers])


def remove(cell: int) -> Callable[[Any], None]:
    return lambda notebook: notebook.cells.pop(cell)


def tag(cell: int, name: str) -> Callable[[Any], None]:
    return lambda notebook: notebook.cells[cell].metadata.update(tags=[name])


FAULTS: list[tuple[str, int, Callable[[Any], None]]] = [
    ("the first line is not of the form", TASK + 1, replace(TASK, " · 10 min", "")),
    ("the first line is not of the form", TASK + 1, replace(TASK, "●●○", "●●○○")),
    ("the first line is not of the form", TASK + 1, replace(TASK, "●●○ difficulty", "●○ difficulty")),
    ("the exercises are numbered 4.2, 4.2, 4.3, 4.4, not 4.1", TASK + 1, replace(TASK, "4.1 ·", "4.2 ·")),
    ("has 1 hints; give 2 or 3", TASK + 1, replace(TASK, "<details><summary>Hint 2", "<b><summary>Hint 2")),
    ("hint 2 needs a summary", TASK + 1, replace(TASK, "Hint 2: where", "Hint 2")),
    ("hint 2 needs a summary", TASK + 1, replace(TASK, "Hint 2:", "Hint 3:")),
    ("the heading says 4 points, the metadata of its cells 3", TASK + 1, replace(TASK, "3 points", "4 points")),
    ("the cell of the task has no nbgrader metadata", TASK + 1, lambda n: n.cells[TASK].metadata.pop("nbgrader")),
    ("'ex-4-1' of cell 2; each is used once", FIRST_ANSWER + 1, grade(FIRST_ANSWER, grade_id="ex-4-1")),
    ("must begin with 'ex-4-1'", FIRST_ANSWER + 1, grade(FIRST_ANSWER, grade_id="ex-4-10-answer")),
    ("letters, digits, - and _ only", FIRST_ANSWER + 1, grade(FIRST_ANSWER, grade_id="ex-4-1-änder")),
    ("the nbgrader metadata lacks points", FIRST_CHECK + 1, drop(FIRST_CHECK, "points")),
    ("the nbgrader metadata lacks locked", FIRST_ANSWER + 1, drop(FIRST_ANSWER, "locked")),
    ("must have schema_version 3", FIRST_ANSWER + 1, grade(FIRST_ANSWER, schema_version=2)),
    ("fit no code cell", FIRST_ANSWER + 1, grade(FIRST_ANSWER, locked=True)),
    ("has answer", TASK + 1, remove(FIRST_CHECK)),
    ("has check", TASK + 1, remove(FIRST_ANSWER)),
    ("has neither", OPEN + 1, remove(OPEN_ANSWER)),
    ("needs one solution", FIRST_ANSWER + 1, replace(FIRST_ANSWER, "### END SOLUTION", "")),
    ("needs one solution", OPEN_ANSWER + 1, replace(OPEN_ANSWER, "Because.", "")),
    ("no valid Python without its solution", FIRST_ANSWER + 1, replace(FIRST_ANSWER, "(x):", "(x:")),
    ("calls no self-check", FIRST_CHECK + 1, replace(FIRST_CHECK, "check.median_prototypes(median_prototypes)\n", "")),
    ("lacks ### BEGIN HIDDEN TESTS", FIRST_CHECK + 1, replace(FIRST_CHECK, ', cases="hidden"', "")),
    ("lacks ### BEGIN HIDDEN TESTS", FIRST_CHECK + 1, replace(FIRST_CHECK, "### END HIDDEN TESTS", "")),
    ("there is no check.nonsense", FIRST_CHECK + 1, replace(FIRST_CHECK, "check.median_prototypes", "check.nonsense")),
    ("belongs to exercise 4.1, not 4.2", SECOND_CHECK + 1,
     replace(SECOND_CHECK, "check.ridge_logits", "check.median_prototypes")),
    ("remove the nbval tag", FIRST_CHECK + 1, tag(FIRST_CHECK, "nbval-ignore-output")),
    ("belongs to no exercise", LAST + 1,
     lambda n: n.cells[LAST].metadata.update(nbgrader=marks("late"))),
    ("the chapter has 2 exercises; at least 3", 5, leave(*range(7))),
]  # fmt: skip


def test_the_pattern_has_no_fault() -> None:
    assert departures(good()) == [] and departures(notebook(code("x = 1"))) == []


@pytest.mark.parametrize(("says", "cell", "spoil"), FAULTS, ids=[f"{cell}: {says}" for says, cell, _ in FAULTS])
def test_each_fault_is_found_in_its_cell(says: str, cell: int, spoil: Callable[[Any], Any]) -> None:
    spoil(spoiled := good())
    found = departures(spoiled)
    assert any(says in message and number == cell for number, message in found), found


def test_the_checks_of_a_stored_chapter_include_the_pattern(tmp_path: Path) -> None:
    grade(FIRST_CHECK, points=7)(spoiled := good())
    nbformat.write(spoiled, tmp_path / "04_good.ipynb")
    found = [str(fault) for fault in notebook_faults(tmp_path / "04_good.ipynb")]
    assert "cell 2: the heading says 3 points, the metadata of its cells 7 [exercise-pattern]" in found


def test_what_is_read() -> None:
    first, *_, last = exercises(good().cells)
    assert first == Exercise(
        number="4.1", title="Task 1", minutes=10, hints=("Hint 1: where", "Hint 2: where"),
        checks=("median_prototypes",), solution="def median_prototypes(x):\n    return x",
    )  # fmt: skip
    assert (last.number, last.checks, last.solution) == ("4.4", (), "Because.")


def test_chapters_that_have_exercises_keep_them() -> None:
    for number, least in ((0, 5), (1, 4), (4, 5)):
        (path,) = (root() / "notebooks").glob(f"{number:02d}_*.ipynb")
        assert len(exercises(Chapter(path).cells)) >= least
