"""Student copies: no solution and no hidden test is left, everything else is; and solutions looked up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from metalearn_lib.course import cli
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.cells import Region, regions, replace_regions
from metalearn_lib.course.exercises.copies import StudentError, student_copy
from metalearn_lib.files import root
from tests.course.cells import code, marks, notebook, said, text

ANSWER = '''def double(x):
    """Twice x"""
    ### BEGIN SOLUTION
    secret = 2
    return secret * x
    ### END SOLUTION


print(double(3))'''
CHECK = "check.double(double)\n### BEGIN HIDDEN TESTS\ncheck.double(double, cases='hidden')\n### END HIDDEN TESTS"
DOTS = "●○○ difficulty · ●○○ importance"
OPEN = "Why?\n### BEGIN SOLUTION\nBecause of the secret reason.\n### END SOLUTION"


def chapter() -> dict[str, Any]:
    """A chapter with two exercises, as the course writes them."""
    why = f"### Exercise 4.10 · Say why · {DOTS} · 5 min · 2 points\nIn words."
    task = f"### Exercise 4.2 · Double it · {DOTS} · 5 min · 4 points\nWrite `double`."
    return notebook(
        text("# 04 · A chapter"),
        code("x = 1", said("6\n")),
        text(task, tags=["exercise"], nbgrader=marks("ex-4-2")),
        code(ANSWER, said("6\n"), nbgrader=marks("ex-4-2-answer", solution=True)),
        code(CHECK, said("6\n"), nbgrader=marks("ex-4-2-check", grade=True, points=4)),
        text(why, tags=["exercise"]),
        text(OPEN, nbgrader=marks("ex-4-10", grade=True, solution=True, points=2)),
    )


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_no_solution_and_no_hidden_test_is_left() -> None:
    original = chapter()
    made = student_copy(original)
    assert not [word for word in ("secret", "BEGIN", "END", "hidden") if word in json.dumps(made)]
    answer, check, written = (source(made["cells"][n]) for n in (3, 4, 6))
    signature = 'def double(x):\n    """Twice x"""\n'
    assert answer.startswith(f"{signature}    # YOUR CODE HERE\n    raise NotImplementedError()\n")
    assert answer.endswith("print(double(3))") and check == "check.double(double)"
    assert written == "Why?\nYOUR ANSWER HERE"
    assert original == chapter(), "the chapter itself was changed"


def test_outputs_go_where_they_give_the_answer_away_and_stay_elsewhere() -> None:
    made, original = student_copy(chapter())["cells"], chapter()["cells"]
    assert made[1] == original[1] and made[2] == original[2] and made[1]["outputs"]
    assert [(made[n]["outputs"], made[n]["execution_count"]) for n in (3, 4)] == [([], None)] * 2
    assert made[3]["metadata"] == original[3]["metadata"], "a copy can still be graded"


def test_an_answer_without_marks_is_a_solution_altogether() -> None:
    notebook = chapter()
    notebook["cells"][3]["source"] = "secret = 3"
    notebook["cells"][6]["source"] = ["a secret\n", "reason"]
    made = student_copy(notebook)["cells"]
    assert source(made[3]) == "# YOUR CODE HERE\nraise NotImplementedError()" and source(made[6]) == "YOUR ANSWER HERE"


def test_the_same_sources_as_nbgrader() -> None:
    preprocessors = pytest.importorskip("nbgrader.preprocessors")
    import nbformat

    theirs, resources = nbformat.from_dict(chapter()), {}
    for preprocessor in (preprocessors.ClearSolutions(), preprocessors.ClearHiddenTests()):
        theirs, resources = preprocessor.preprocess(theirs, resources)
    assert [source(cell) for cell in student_copy(chapter())["cells"]] == [cell.source for cell in theirs.cells]


@pytest.mark.parametrize(("cell", "text", "said"), [
    (3, "### BEGIN SOLUTION\nx", "cell 4: BEGIN SOLUTION without END SOLUTION"),
    (3, "x\n### END SOLUTION", "cell 4: END SOLUTION without BEGIN"),
    (3, ANSWER.replace("secret = 2", "### BEGIN SOLUTION"), "stands inside another"),
    (1, ANSWER, "cell 2: BEGIN SOLUTION in a cell that nbgrader's metadata do not call a solution cell"),
    (1, CHECK, "cell 2: BEGIN HIDDEN TESTS in a cell .* do not call a check"),
    (4, CHECK.replace("### END HIDDEN TESTS", ""), "cell 5: BEGIN HIDDEN TESTS without END"),
])  # fmt: skip
def test_a_copy_that_would_give_something_away_is_refused(cell: int, text: str, said: str) -> None:
    notebook = chapter()
    notebook["cells"][cell]["source"] = text
    with pytest.raises(StudentError, match=said):
        student_copy(notebook)


def test_regions_are_read_and_replaced() -> None:
    text = "a\n  ### BEGIN SOLUTION\n  b\n\n  c\n  ### END SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION"
    assert regions(text, "SOLUTION") == [Region(1, 5, "  ", "  b\n\n  c"), Region(6, 7, "", "")]
    assert replace_regions(text, "SOLUTION", lambda region: f"{region.indent}x") == "a\n  x\nx"
    assert replace_regions(text, "SOLUTION", lambda region: None) == "a"
    assert regions(text, "HIDDEN TESTS") == [] and replace_regions(text, "HIDDEN TESTS", lambda region: "x") == text


def test_a_chapter_with_a_broken_mark_still_lists_its_exercises() -> None:
    notebook = chapter()
    notebook["cells"][3]["source"] = ANSWER.replace("### END SOLUTION", "")
    assert exercises(notebook["cells"])[0].solution == ""


def test_exercises_are_found() -> None:
    first, second = exercises(chapter()["cells"])
    assert (first.number, first.title) == ("4.2", "Double it")
    assert first.checks == ("double",) and not second.checks and second.number == "4.10" and second.title == "Say why"
    assert first.solution.startswith("def double(x):") and "return secret * x" in first.solution
    assert "SOLUTION" not in first.solution and second.solution == "Because of the secret reason."
    assert exercises(chapter()["cells"][:2]) == []


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "04_metric.ipynb").write_text(json.dumps(chapter()))
    (folder / "05_none.ipynb").write_text(json.dumps(notebook()))
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(folder))
    return folder


@pytest.mark.parametrize("exercise", ["4.2", "2", "4-2"])
def test_a_solution_is_shown(course: Path, exercise: str) -> None:
    result = CliRunner().invoke(cli.app, ["solution", "04", exercise])
    assert result.exit_code == 0 and "Exercise 4.2 · Double it" in result.stdout
    assert "return secret * x" in result.stdout and "BEGIN" not in result.stdout


def test_without_a_number_the_exercises_are_listed(course: Path) -> None:
    result = CliRunner().invoke(cli.app, ["solution", "4"])
    assert result.exit_code == 0 and "4.2  Double it" in result.stdout and "4.10  Say why" in result.stdout
    assert "metalearn solution 4 4.2" in result.stdout and "secret" not in result.stdout


@pytest.mark.parametrize(("words", "said"), [
    (["04", "4.3"], "no exercise '4.3'; its exercises are\n4.2  Double it"),
    (["04", "x"], "no exercise 'x'"),
    (["05"], "05_none has no exercises"),
    (["07", "1"], "unknown chapter '07'; the chapters are 04_metric, 05_none"),
])  # fmt: skip
def test_an_unknown_exercise_lists_the_known_ones(course: Path, words: list[str], said: str) -> None:
    result = CliRunner().invoke(cli.app, ["solution", *words])
    assert result.exit_code == 2 and said in result.stderr and "secret" not in result.output


@pytest.mark.parametrize("path", sorted((root() / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_chapters_of_the_course(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    made = student_copy(notebook)
    assert len(made["cells"]) == len(notebook["cells"])
    sources = [source(cell) for cell in made["cells"]]
    assert not any(f"BEGIN {what}" in text for text in sources for what in ("SOLUTION", "HIDDEN TESTS"))
    for exercise in exercises(notebook["cells"]):
        assert exercise.title, f"{exercise.number} has no heading"
        assert exercise.solution not in sources
