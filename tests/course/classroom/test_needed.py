"""Which cells are run to grade: the tagged ones are enough for every chapter, and own cells are found by names."""

from __future__ import annotations

import pytest

from metalearn_lib.course.classroom.needed import TAG, cells_to_run, names_of
from metalearn_lib.course.classroom.release import graded
from metalearn_lib.course.classroom.submission import Restored, read_cells, unchanged
from metalearn_lib.course.classroom.workers import Limits, Sandbox
from metalearn_lib.course.exercises.cells import is_check
from metalearn_lib.course.running.chapters import Chapter, chapters
from tests.course.cells import code, marks, text

from .conftest import tiny_chapter

WITH_EXERCISES = [chapter for chapter in chapters() if any(map(is_check, chapter.cells))]


@pytest.mark.parametrize("chapter", WITH_EXERCISES, ids=lambda chapter: chapter.name)
def test_own_answers_of_a_chapter_pass_with_its_tagged_cells(chapter: Chapter) -> None:
    cells = read_cells(chapter.path)
    plan = cells_to_run(unchanged(cells))
    assert len(plan) < len(cells) / 4, "more than a quarter of the cells is run for every class"
    with Sandbox(cells, []) as box:
        box.start()
        outcome = box.grade(unchanged(cells), plan, Limits(cell_seconds=120, seconds=500))
    assert outcome.checks == {part.grade_id: None for part in graded(cells) if not part.by_hand}


def needs(*own: str, check: str) -> list[int]:
    """Which of a student's own cells are run for a check."""
    cells = [code(source) for source in own]
    cells += [code(check, nbgrader=marks("x", grade=True, points=1)), code("after = 1")]
    found = cells_to_run(Restored(cells, [*[None] * len(own), 0, 1]))
    assert found[-1] == len(own)
    return found[:-1]


@pytest.mark.parametrize(
    ("own", "check", "right"),
    [
        (["a = 1", "b = 2", "c = a"], "assert c", [0, 2]),
        (["a = []", "a.append(1)", "b = a"], "assert a", [0, 1]),
        (["a = {}", "a['x'] = 1", "print(a)"], "assert a", [0, 1]),
        (["a.b = 1"], "assert a.b", []),  # not theirs
        (["a = 1", "a += 1"], "assert a", [0, 1]),
        (["from t import *", "b = 1"], "assert b", [0, 1]),
        (["%matplotlib inline", "b = 1"], "assert b", [0, 1]),
        (["def f(x):\n    y = 1\n    return x + z", "y = 2", "z = 3"], "assert f(1)", [0, 2]),
        (["def f(x):\n    return x", "f(3)", "print(f(3))"], "assert f(1)", [0]),  # tried out
        (["x = 1", "def f(x):\n    return [x for x in range(x)]"], "f(1)", [1]),  # names of its own
        (["w = 1", "def f():\n    global w\n    w = 2", "f()"], "assert w", [0, 1]),
        (["m = 1", "train(m)", "plots.show(m)", "claim('m', m)"], "assert m", [0, 1]),
        (["import torch", "torch.manual_seed(0)"], "torch.ones(1)", [0, 1]),
        (["import a.b", "import c as d"], "assert a.b and d", [0, 1]),
        (["z = 1", "class A:\n    y = z"], "A", [0, 1]),
        (["with open('x') as f:\n    t = f.read()", "u = 1"], "assert t", [0]),
        (["try:\n    import q\nexcept ImportError:\n    q = None"], "assert q is None", [0]),
        (["a = (n := 3)", "b = 1"], "assert n", [0]),
        (["a, *b = 1, 2", "c = 1"], "assert b", [0]),
        (["f = lambda: g", "g = 1", "h = 1"], "f()", [0, 1]),
        (["broken ="], "assert 1", [0]),  # what cannot be read is run
    ],
)
def test_names_lead_to_own_cells(own: list[str], check: str, right: list[int]) -> None:
    assert needs(*own, check=check) == right


def test_what_is_never_or_always_run() -> None:
    check = code("assert a", nbgrader=marks("x", grade=True, points=1))
    skipped = code("a = 1", tags=["nbval-skip", "skip-execution", TAG])
    cells = [skipped, text("a = 1"), code(""), code("b = 1", tags=[TAG]), code("a = 1"), check]
    assert cells_to_run(unchanged(cells)) == [3, 5]
    assert cells_to_run(unchanged(cells), everything=True) == [3, 4, 5]
    assert cells_to_run(unchanged([code("a = 1")])) == []


def test_the_tiny_chapter() -> None:
    cells = tiny_chapter()["cells"]
    chosen = [cells[index]["source"].partition("\n")[0] for index in cells_to_run(unchanged(cells))]
    assert len(chosen) == 10 and not [start for start in chosen if start.startswith(("experiment", "chart", "print"))]


def test_a_name_used_before_the_cell_makes_it() -> None:
    assert names_of("x = y\nz = x").uses == {"y"} and names_of("x = y\nz = x").makes == {"x", "z"}
