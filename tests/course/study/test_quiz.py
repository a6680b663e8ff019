"""Quizzes: the files of the course, the rules for them, judging answers, and the buttons of a live notebook."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from metalearn_lib.course import records
from metalearn_lib.course.study.questions import LETTERS, TYPES, QuizError, as_text, explain, load
from metalearn_lib.course.study.quiz import quiz
from metalearn_lib.course.study.quiz_widgets import build
from metalearn_lib.files import root

FILES = sorted((root() / "notebooks" / "quizzes").glob("*.json"))
GOOD: list[dict[str, Any]] = [
    {"question": "Which is a fruit?", "type": "multiple_choice", "answers": [
        {"answer": "a stone", "correct": False, "feedback": "too hard"},
        {"answer": "an apple", "correct": True, "feedback": "right, it grows on a tree"},
        {"answer": "a <b>cart</b>", "correct": False, "feedback": "it carries fruit"},
    ]},
    {"question": "Which are even?", "type": "many_choice", "answers": [
        {"answer": "2", "correct": True, "feedback": "2 = 2 × 1"},
        {"answer": "3", "correct": False, "feedback": "3 is odd"},
        {"answer": "4", "correct": True, "feedback": "4 = 2 × 2"},
    ]},
    {"question": "A half, as a number?", "type": "numeric", "answers": [
        {"type": "range", "range": [0.49, 0.51], "correct": True, "feedback": "right, 1/2"},
        {"type": "value", "value": 2, "correct": False, "feedback": "that is the inverse"},
        {"type": "default", "feedback": "divide 1 by 2"},
    ]},
]  # fmt: skip
RIGHT: dict[int, str | float] = {1: "b", 2: "ac", 3: "0,5"}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "quizzes").mkdir()
    (tmp_path / "quizzes" / "04.json").write_text(json.dumps(GOOD))
    (tmp_path / records.MARKER).write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(tmp_path))
    return tmp_path


def passed(folder: Path) -> Any:
    return records.records(folder).get("quiz", {}).get("04", {}).get("passed")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_quizzes_of_the_course(path: Path) -> None:
    questions = json.loads(path.read_text(encoding="utf-8"))
    assert len(questions) >= 5 and {question["type"] for question in questions} == set(TYPES)
    assert len({" ".join(question["question"].lower().split()) for question in questions}) == len(questions)
    single = [q["answers"] for q in questions if q["type"] == "multiple_choice"]
    places = {n for answers in single for n, answer in enumerate(answers) if answer["correct"]}
    assert len(places) > 1, "the right choice always stands at the same place"
    said = json.dumps(questions, ensure_ascii=False)
    assert not {"<", "$", "`"} & set(said), "jupyterquiz would take it for HTML, and headless text shows it bare"
    for question in questions:
        feedback = [answer["feedback"].strip() for answer in question["answers"]]
        assert all(feedback) and len({*feedback}) == len(feedback), f"explain each answer of {question['question']!r}"
        (numbers if question["type"] == "numeric" else choices)(question)


def choices(question: dict[str, Any]) -> None:
    """A choice has a text of its own; so many of them are right as the type of the question says."""
    texts = [answer["answer"].strip().lower() for answer in question["answers"]]
    right = [answer["correct"] for answer in question["answers"]]
    assert all(texts) and len({*texts}) == len(texts) and 3 <= len(texts) <= len(LETTERS), question
    assert {*right} == {True, False} and (sum(right) == 1) == (question["type"] == "multiple_choice"), question


def numbers(question: dict[str, Any]) -> None:
    """One answer is right, one is for all other numbers; each is judged, and explained, as the file says."""
    (right,) = (answer for answer in question["answers"] if answer.get("correct"))
    (_,) = (answer for answer in question["answers"] if answer.get("type") == "default")
    for answer in question["answers"]:
        if answer.get("type") != "default":
            low, high = answer.get("range", (answer.get("value"),) * 2)
            assert low < high if "range" in answer else isinstance(low, int | float), question
            if answer is right or "value" in answer:
                assert explain(question, (low + high) / 2) == (answer is right, [answer["feedback"]])


def single_choices(path: Path) -> list[tuple[int, list[int]]]:
    """Of each single-choice question the place of the right answer, and the lengths of all of them."""
    questions = [q["answers"] for q in json.loads(path.read_text(encoding="utf-8")) if q["type"] == "multiple_choice"]
    return [
        ([a["correct"] for a in answers].index(True), [len(a["answer"].strip()) for a in answers])
        for answers in questions
    ]


def test_neither_length_nor_place_gives_the_right_answer_away() -> None:
    """Whoever always takes the longest answer, the shortest, or the same place gets no more than a guess would."""
    asked = [question for path in FILES for question in single_choices(path)]
    for extreme, share in ((max, 0.35), (min, 0.45)):
        found = sum(lengths[right] == extreme(lengths) for right, lengths in asked)
        assert found <= share * len(asked), f"{extreme.__name__}: the right answer of {found} of {len(asked)} questions"
    places = Counter(right for right, _ in asked)
    assert max(places.values()) <= 0.45 * len(asked), places


def test_there_is_a_quiz_for_every_chapter() -> None:
    chapters = {path.name[:2] for path in (root() / "notebooks").glob("[0-9]*.ipynb")}
    assert {path.stem for path in FILES} == chapters


def test_a_quiz_that_is_passed_is_recorded(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiz("04", {1: "b", 2: "a", 3: 2})
    said = capsys.readouterr().out
    assert "1. ✓" in said and "3. ✗ that is the inverse" in said
    assert "2. ✗ a) 2 = 2 × 1 · 1 more of the choices also holds" in said
    assert "1 of 3 right; try those with ✗ again" in said and passed(workspace) is False
    quiz("4", {1: "b", 2: "ac"})
    assert "3. ✗ not answered yet" in capsys.readouterr().out and passed(workspace) is False
    quiz("04_metric_based", RIGHT)
    assert "3 of 3 right: passed" in capsys.readouterr().out and passed(workspace) is True
    quiz("04", {1: "a"})
    assert passed(workspace) is True, "what was passed once stays passed"


@pytest.mark.parametrize(("answers", "said"), [
    ({4: "a"}, "no question 4; they are numbered 1 to 3"),
    ({1: "ab"}, "give one letter, from a to c"),
    ({2: "ad"}, "give letters such as 'ac', from a to c"),
    ({3: "half"}, "asks for a number, not 'half'"),
    ({3: "1/0"}, "asks for a number"),
])  # fmt: skip
def test_an_answer_that_cannot_be_given(workspace: Path, answers: dict[int, str | float], said: str) -> None:
    with pytest.raises(QuizError, match=said):
        quiz("04", answers)
    assert passed(workspace) is None


def test_judging_a_many_choice_question() -> None:
    question = GOOD[1]
    assert explain(question, {0, 2}) == (True, ["a) 2 = 2 × 1", "c) 4 = 2 × 2"])
    assert explain(question, {0, 1, 2})[0] is False
    assert explain(question, {1}) == (False, ["b) 3 is odd"])
    assert explain(question, set()) == (False, ["not answered yet"])


def test_headless_it_is_text_without_answers(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiz("04")  # pytest is no notebook
    said = capsys.readouterr().out
    assert said.strip() == as_text(GOOD) and "2. Which are even? (several hold)" in said and "b) an apple" in said
    assert "right" not in said and passed(workspace) is None


def test_long_lines_are_wrapped() -> None:
    lines = as_text([GOOD[0] | {"question": "word " * 60}]).splitlines()
    assert max(map(len, lines)) <= 110 and lines[0].startswith("1. word") and lines[1].startswith("   word")


def test_what_is_wrong_with_a_file_is_said(workspace: Path) -> None:
    with pytest.raises(QuizError, match=r"quiz\('05'\): there is none; the chapters with a quiz are 04"):
        quiz("05")
    (workspace / "quizzes" / "05.json").write_text('[{"question": ')
    with pytest.raises(QuizError, match=r"05\.json cannot be read"):
        load("05")
    (workspace / "quizzes" / "05.json").write_text('[{"question": "x", "type": "essay"}]')
    with pytest.raises(QuizError, match="does not hold the questions of a quiz"):
        load("05")


def test_the_live_quiz(workspace: Path) -> None:
    box = build("04", GOOD)
    *rows, button, outcome = box.children
    toggles, boxes, field = rows[0].children[2], rows[1].children[2].children, rows[2].children[1]
    assert list(toggles.options) == list(LETTERS[:3])
    assert "&lt;b&gt;cart" in rows[0].children[1].value, "texts are shown as they are, not as HTML"

    button.click()
    assert "0 of 3 right" in outcome.value and "not answered yet" in rows[0].children[-1].value
    toggles.value, boxes[0].value, boxes[1].value, field.value = "a", True, True, "1/2"
    button.click()
    assert "1 of 3 right" in outcome.value and "too hard" in rows[0].children[-1].value
    assert "3 is odd" in rows[1].children[-1].value and passed(workspace) is False
    toggles.value, boxes[1].value, boxes[2].value = "b", False, True
    button.click()
    assert "3 of 3 right: passed" in outcome.value and passed(workspace) is True


def test_the_name_in_the_package_is_the_function() -> None:
    code = (
        "from metalearn_lib.course import quiz; import metalearn_lib.course.study.quiz\n"
        "from metalearn_lib.course import quiz as again; import sys\n"
        "assert callable(quiz) and again is quiz and not {'torch', 'ipywidgets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root())
