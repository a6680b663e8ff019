"""Every check passes right answers, names the cause of each mistake that it knows, and says what is wrong with others.

The mistakes stand beside the checks; other answers of learners in `answers`, one module a chapter.
"""

from __future__ import annotations

import inspect
import math
import random
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metalearn_lib import Score
from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.cells import Exercise
from metalearn_lib.course.exercises.checks import CheckFailed
from metalearn_lib.files import root
from metalearn_lib.inner_loop import InnerLoop, Tasks
from metalearn_lib.learners import mlp
from tests.notebooks.stored_notebook import StoredNotebook

CHECKS = check.all_checks()
CHAPTER_OF = {name: chapter for chapter, names in check.CHAPTERS.items() for name in names}
HANDED_IN = {chapter: import_module(f"{__package__}.answers.{chapter}") for chapter in check.CHAPTERS}
NOTEBOOKS = {
    chapter: StoredNotebook(next((root() / "notebooks").glob(f"{chapter.removeprefix('chapter_')}_*.ipynb")))
    for chapter in check.CHAPTERS
}


def listed(kind: str) -> list[Any]:
    rows = [row for module in HANDED_IN.values() for row in getattr(module, kind, [])]
    return [pytest.param(*row, id=f"{row[0]}: {row[2][:40] if row[2:] else row[1].__name__}") for row in rows]


def mistakes() -> list[Any]:
    return [
        pytest.param(name, mistake, f": {cause}", id=f"{name}: {cause[:40]}")
        for name, function in CHECKS.items()
        for cause, mistake in function.mistakes.items()
    ]


def exercise_of(name: str) -> Exercise:
    (exercise,) = [e for e in exercises(NOTEBOOKS[CHAPTER_OF[name]].raw["cells"]) if name in e.checks]
    return exercise


def solution(name: str) -> Any:
    """The function in the answer cell of the notebook."""
    names = {"math": math, "random": random, "np": np, "torch": torch, "Score": Score}
    names |= getattr(HANDED_IN[CHAPTER_OF[name]], "NAMES", {})
    exec(exercise_of(name).solution, names)
    return names[name]


def tell(name: str, answer: Any, says: str, **cases: str) -> None:
    """A wrong answer is told, in one short paragraph, what is wrong; a hint that it names is in the notebook."""
    with pytest.raises(CheckFailed) as failure:
        CHECKS[name](answer, **cases)
    message = str(failure.value)
    assert says in message
    assert message.startswith(f"{name}: ")
    assert message.endswith(".")
    assert len(message) < 400
    assert "\n" not in message
    assert all(int(k) <= len(exercise_of(name).hints) for k in re.findall(r"see hint (\d)", message))


def unanswered(*_: Any, **__: Any) -> Any:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        *(pytest.param(name, solution(name), id=f"{name}: the notebook's solution") for name in CHECKS),
        *(pytest.param(name, c.reference, id=f"{name}: the reference") for name, c in CHECKS.items() if c.reference),
        *listed("RIGHT"),
    ],
)
def test_a_right_answer_passes_all_cases_with_one_line_each(
    capsys: pytest.CaptureFixture[str], name: str, answer: Any
) -> None:
    CHECKS[name](answer)
    CHECKS[name](answer, cases="hidden")
    shown, hidden = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"✓ {name}: (1 property holds|\d+ properties hold)", shown)
    assert re.fullmatch(rf"✓ {name}: \d+ more, hidden", hidden)


@pytest.mark.parametrize(("name", "answer", "says"), [*mistakes(), *listed("WRONG")])
def test_a_wrong_answer_is_told_what_is_wrong(name: str, answer: Any, says: str) -> None:
    tell(name, answer, says)


@pytest.mark.parametrize(("name", "answer", "says"), listed("HIDDEN"))
def test_a_hidden_case_catches_what_the_shown_ones_do_not(name: str, answer: Any, says: str) -> None:
    CHECKS[name](answer)
    tell(name, answer, says, cases="hidden")


@pytest.mark.parametrize("name", CHECKS)
def test_an_answer_that_is_not_there_or_of_another_kind_is_told(name: str) -> None:
    tell(name, None, ": not answered yet")
    tell(name, unanswered, ": not answered yet")
    tell(name, lambda *_, **__: None, "is the `return` missing?")
    tell(name, 3, "I expected a function, got an int, 3")
    if CHECKS[name].reference:
        tell(name, lambda *_, **__: "nonsense", CHECKS[name].returns or "the number")


def test_every_check_of_a_chapter_is_listed_once() -> None:
    """The list lets a chapter's checks be imported on first use; it must say what is there."""
    folder = Path(inspect.getfile(check)).parent
    for path in folder.glob("chapter_*.py"):
        module = import_module(f"{check.__name__}.{path.stem}")
        there = {name for name, value in vars(module).items() if isinstance(value, check.core.SelfCheck)}
        assert there == set(check.CHAPTERS[path.stem])
    assert len(CHECKS) == sum(map(len, check.CHAPTERS.values()))


def test_every_check_is_called_in_its_exercise() -> None:
    for name, function in CHECKS.items():
        assert exercise_of(name).number == function.exercise


def test_exercise_0_1_quotes_the_message_that_its_wrong_answer_gets() -> None:
    with pytest.raises(CheckFailed) as failure:
        check.episode_size(lambda n_way, k_shot, n_query: (k_shot, n_query, 1 / n_way))
    sources = [cell.source for cell in NOTEBOOKS["chapter_00"].cells]
    (task,) = [source for source in sources if source.startswith("### Exercise 0.1")]
    assert f"\n> {failure.value}\n" in task


def test_the_reference_of_exercise_3_1_agrees_with_the_inner_loop() -> None:
    torch.manual_seed(0)
    network, x, y = mlp(4, 5, 3).double(), torch.randn(7, 4).double(), torch.arange(7) % 3
    moved = InnerLoop(network, adapt="head").adapt(Tasks(x[None], y[None], x[None], y[None]), 0.5, steps=3)
    ours = check.anil_adapted.reference(list(network.parameters()), x, y, 0.5, 3)
    for (name, start), end in zip(network.named_parameters(), ours, strict=True):
        torch.testing.assert_close(end, moved[name][0] if name in moved else start, rtol=1e-9, atol=1e-9)
