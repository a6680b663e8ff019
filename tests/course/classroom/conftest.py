"""A tiny chapter with exercises as the course has them, and a class that works on it."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metalearn_lib.course.classroom.assign import assign
from metalearn_lib.course.classroom.course import read_course
from metalearn_lib.course.classroom.grade import grade
from metalearn_lib.course.classroom.needed import TAG
from metalearn_lib.course.classroom.workers import Limits
from metalearn_lib.course.running.chapters import Chapter
from tests.course.cells import Cell, code, marks, notebook, text

RIGHT = {"mean": "return sum(x) / len(x)", "double": "return 2 * x", "total": "return scores[x]"}
FAST = Limits(cell_seconds=2, seconds=20, memory_mb=400)


def exercise(number: str, name: str, body: str, shown: str, hidden: str, points: float) -> list[Cell]:
    answer = f"def {name}(x):\n    ### BEGIN SOLUTION\n    {body}\n    ### END SOLUTION"
    check = f"{shown}\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
    task = f"### Exercise {number} · {name} · ●○○ difficulty · 5 min · {points} points\n\nWrite it."
    start = f"ex-{number.replace('.', '-')}"
    return [
        text(task, nbgrader=marks(start)),
        code(answer, nbgrader=marks(f"{start}-answer", solution=True)),
        code(check, nbgrader=marks(f"{start}-check", grade=True, points=points)),
    ]


def tiny_chapter() -> dict[str, Any]:
    """Data, an experiment that no exercise needs, three exercises (3, 5 and 2 points) and a question (4 points)."""
    question = "Why?\n\n### BEGIN SOLUTION\nBecause of the mean.\n### END SOLUTION"
    return notebook(
        text("# 04 · Tiny"),
        code("import math\n\nseed = 0", tags=["parameters", TAG]),
        code("numbers = [1.0, 2.0, 6.0]\nscores = {}", tags=[TAG]),
        code("for name in ('a', 'b'):\n    scores[name] = math.fsum(numbers)", tags=[TAG]),
        code("experiment = [x * seed for x in range(10)]"),
        code("chart = [experiment, seed]\nprint(chart)"),
        *exercise("4.1", "mean", "return sum(x) / len(x)", "assert mean(numbers) == 3", "assert mean([2, 4]) == 3", 3),
        code("half = mean(numbers) / 2", tags=["later", TAG]),
        *exercise("4.2", "double", "return 2 * x", "assert double(half) == 3", "assert double(-1) == -2", 5),
        *exercise("4.3", "total", "return scores[x]", "assert total('a') == 9", "assert total('b') == 9", 2),
        text("### Exercise 4.4 · The mean · ●●● difficulty · 5 min · 4 points\n\nThink."),
        text(question, nbgrader=marks("ex-4-4", grade=True, solution=True, points=4)),
        code("print('the end')"),
    )


def find(notebook: dict[str, Any], grade_id: str) -> Cell:
    return next(c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)


@pytest.fixture
def chapter(tmp_path: Path) -> Chapter:
    path = tmp_path / "notebooks" / "04_tiny.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps(tiny_chapter()), encoding="utf-8")
    return Chapter(path)


HandIn = Callable[..., Path]


@pytest.fixture
def no_gradebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """nbgrader's gradebook takes seconds to make; one test makes it."""
    module = sys.modules["metalearn_lib.course.classroom.assign"]
    monkeypatch.setattr(module, "fill_gradebook", lambda folder, assignments: [])


@pytest.fixture
def course(chapter: Chapter, tmp_path: Path, no_gradebook: None) -> Path:
    assign([chapter], tmp_path / "class", due=["2026-12-01"])
    return tmp_path / "class"


@pytest.fixture
def released(course: Path) -> dict[str, Any]:
    return json.loads((course / "release" / "ch04" / "04_tiny.ipynb").read_text(encoding="utf-8"))


@pytest.fixture
def hand_in(course: Path, released: dict[str, Any]) -> HandIn:
    """Hand in the released notebook with these bodies of mean, double, total, and an answer in words."""

    def write(
        student: str, mean: str = "", double: str = "", total: str = "", words: str = "", change: Any = None
    ) -> Path:
        notebook = copy.deepcopy(released)
        for number, body in enumerate((mean, double, total), 1):
            cell = find(notebook, f"ex-4-{number}-answer")
            if body:
                cell["source"] = cell["source"].replace("# YOUR CODE HERE\n    raise NotImplementedError()", body)
        if words:
            find(notebook, "ex-4-4")["source"] = words
        notebook = change(notebook) or notebook if change else notebook
        path = course / "submitted" / student / "ch04" / "04_tiny.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return path

    return write


def change_file(course: Path, *pairs: tuple[str, str], part: str = "source") -> None:
    """Replace texts in the chapter as the class's folder holds it."""
    path = course / part / "ch04" / "04_tiny.ipynb"
    content = path.read_text(encoding="utf-8")
    for old, new in pairs:
        assert json.dumps(old)[1:-1] in content
        content = content.replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1])
    path.write_text(content, encoding="utf-8")


def grades_of(course: Path, **options: Any) -> dict[str, Any]:
    options.setdefault("limits", FAST)
    return {one.student: one for one in grade(read_course(course)["ch04"], course, **options)[1]}


def points(one: Any) -> list[float | None]:
    return list(one.points.values())
