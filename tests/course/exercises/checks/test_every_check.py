"""Every check passes right answers, names the cause of each mistake that it knows, and says what is wrong with others.

The mistakes stand beside the checks; other answers of learners in `answers`, one module a chapter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.files import root
from tests.course.exercises.checks.solutions import solved
from tests.notebooks.stored_notebook import StoredNotebook

CHAPTERS = [path.stem for path in sorted((Path(__file__).parent / "answers").glob("chapter_*.py"))]
HANDED_IN = {chapter: import_module(f"tests.course.exercises.checks.answers.{chapter}") for chapter in CHAPTERS}
CHECKS = check.all_checks()
NOTEBOOKS = {
    name: StoredNotebook(next((root() / "notebooks").glob(f"{function.exercise.partition('.')[0]:0>2}_*.ipynb")))
    for name, function in CHECKS.items()
}


def lists(kind: str) -> list[Any]:
    return [
        pytest.param(*row, id=f"{row[0]}: {named(row)}") for m in HANDED_IN.values() for row in getattr(m, kind, [])
    ]


def named(row: tuple[Any, ...]) -> str:
    return row[2][:40] if len(row) > 2 else row[1].__name__


def references() -> list[Any]:
    return [pytest.param(name, c.reference, id=name) for name, c in CHECKS.items() if c.reference]


def mistakes() -> list[Any]:
    return [
        pytest.param(name, mistake, f": {cause}", id=f"{name}: {cause[:40]}")
        for name, function in CHECKS.items()
        for cause, mistake in function.mistakes.items()
    ]


def nothing(*_: Any, **__: Any) -> None: ...


def unanswered(*_: Any, **__: Any) -> Any:
    raise NotImplementedError


@pytest.mark.parametrize("name", [name for c in CHAPTERS for name in check.CHAPTERS[c]])
def test_the_solution_in_the_notebook_passes(passes: Callable[..., None], name: str) -> None:
    chapter = HANDED_IN[next(c for c, names in check.CHAPTERS.items() if name in names)]
    passes(name, solved(NOTEBOOKS[name], CHECKS[name].exercise, **getattr(chapter, "NAMES", {})))


@pytest.mark.parametrize(("name", "answer"), [*references(), *lists("RIGHT")])
def test_a_right_answer_passes(passes: Callable[..., None], name: str, answer: Any) -> None:
    passes(name, answer)


@pytest.mark.parametrize(("name", "answer", "says"), [*mistakes(), *lists("WRONG")])
def test_a_wrong_answer_is_told_what_is_wrong(is_told: Callable[..., None], name: str, answer: Any, says: str) -> None:
    is_told(NOTEBOOKS[name], name, answer, says)


@pytest.mark.parametrize(("name", "answer", "says"), lists("HIDDEN"))
def test_a_hidden_case_catches_what_the_shown_ones_do_not(
    is_told: Callable[..., None], name: str, answer: Any, says: str
) -> None:
    CHECKS[name](answer)
    is_told(NOTEBOOKS[name], name, answer, says, cases="hidden")


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, ": not answered yet"),
        (unanswered, ": not answered yet"),
        (nothing, "is the `return` missing?"),
        (3, "I expected a function, got an int, 3"),
    ],
    ids=["None", "unanswered", "returns nothing", "no function"],
)
def test_an_answer_that_is_not_there_yet_is_told(
    is_told: Callable[..., None], name: str, answer: Any, says: str
) -> None:
    is_told(NOTEBOOKS[name], name, answer, says)


@pytest.mark.parametrize("name", [name for name, function in CHECKS.items() if function.reference])
def test_a_result_of_another_kind_is_told_what_is_to_be_returned(is_told: Callable[..., None], name: str) -> None:
    is_told(NOTEBOOKS[name], name, lambda *_, **__: "nonsense", CHECKS[name].returns or "the number")


def test_every_check_of_a_chapter_is_listed_once() -> None:
    """The list lets a chapter's checks be imported on first use; it must say what is there."""
    folder = Path(inspect.getfile(check)).parent
    for path in folder.glob("chapter_*.py"):
        module = import_module(f"{check.__name__}.{path.stem}")
        there = {name for name, value in vars(module).items() if isinstance(value, check.core.SelfCheck)}
        assert there == set(check.CHAPTERS[path.stem])
    assert len(CHECKS) == sum(map(len, check.CHAPTERS.values()))


def test_every_check_is_called_in_its_exercise() -> None:
    for name, notebook in NOTEBOOKS.items():
        (exercise,) = [e for e in exercises(notebook.raw["cells"]) if name in e.checks]
        assert exercise.number == CHECKS[name].exercise
