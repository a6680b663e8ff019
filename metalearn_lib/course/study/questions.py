"""Questions of a chapter's quiz: `notebooks/quizzes/NN.json`, in the format of jupyterquiz; judging answers."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metalearn_lib.course import records
from metalearn_lib.files import notebooks_folder

LETTERS = "abcdefgh"
TYPES = ("multiple_choice", "many_choice", "numeric")
Question = dict[str, Any]
Given = set[int] | float | None  # positions of the choices, a number, or nothing yet


class QuizError(ValueError):
    """There is no such quiz, its file cannot be used, or an answer is none of those that can be given."""


def load(chapter: str) -> tuple[str, list[Question]]:
    """Number (`"04"`) and questions of a chapter's quiz.

    Raises:
        QuizError: no quiz of that chapter, or a damaged file.
    """
    number = re.match(r"\d+", str(chapter))
    key = f"{int(number[0]):02d}" if number else str(chapter)
    folders = (Path.cwd() / "quizzes", notebooks_folder() / "quizzes")
    path = next((folder / f"{key}.json" for folder in folders if (folder / f"{key}.json").is_file()), None)
    if path is None:
        known = sorted({file.stem for folder in folders for file in folder.glob("*.json")})
        raise QuizError(f"quiz({chapter!r}): there is none; the chapters with a quiz are {', '.join(known) or 'none'}")
    try:
        questions = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise QuizError(f"{path} cannot be read ({error}); take the file of the course again") from error
    if not isinstance(questions, list) or not all(_is_question(question) for question in questions):
        raise QuizError(f"{path} does not hold the questions of a quiz; take the file of the course again")
    return key, questions


def _is_question(found: Any) -> bool:
    """Whether it can be asked; what a good one needs besides is a matter of the course's tests."""
    return isinstance(found, dict) and found.get("type") in TYPES and {"question", "answers"} <= found.keys()


def explain(question: Question, given: Given) -> tuple[bool, list[str]]:
    """Whether what was given (the positions of the choices, or a number) is right, and why."""
    answers = question["answers"]
    if given is None or given == set():
        return False, ["not answered yet"]
    if isinstance(given, set):
        right = {n for n, answer in enumerate(answers) if answer["correct"]}
        several = question["type"] == "many_choice"
        said = [f"{LETTERS[n]}) " * several + answers[n]["feedback"] for n in sorted(given)]
        if given < right:
            missing = len(right - given)
            said.append(f"{missing} more of the choices also hold{'s' if missing == 1 else ''}")
        return given == right, said
    for answer in answers:  # in their order, as jupyterquiz does
        low, high = answer.get("range", (1.0, 0.0))
        if low <= given < high or ("value" in answer and math.isclose(given, answer["value"], rel_tol=1e-9)):
            return bool(answer.get("correct")), [answer["feedback"]]
    return False, [next(answer["feedback"] for answer in answers if answer.get("type") == "default")]


def as_text(questions: Sequence[Question]) -> str:
    """Questions and choices, without the answers."""
    blocks = []
    for number, question in enumerate(questions, 1):
        note = {"many_choice": " (several hold)", "numeric": " (a number)"}.get(question["type"], "")
        lines = [_wrapped(f"{number}. ", question["question"] + note)]
        if question["type"] != "numeric":
            lines += [_wrapped(f"   {LETTERS[n]}) ", answer["answer"]) for n, answer in enumerate(question["answers"])]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _wrapped(mark: str, text: str) -> str:
    return textwrap.fill(text, 110, initial_indent=mark, subsequent_indent=" " * len(mark))


def given(questions: Sequence[Question], answers: Mapping[int, str | float]) -> list[Given]:
    """Answers as they are written, by number of the question → what was given to each question."""
    unknown = [number for number in answers if number not in range(1, len(questions) + 1)]
    if unknown:
        raise QuizError(f"there is no question {unknown[0]!r}; they are numbered 1 to {len(questions)}")
    return [_parsed(n, question, answers.get(n)) for n, question in enumerate(questions, 1)]


def _parsed(number: int, question: Question, answer: str | float | None) -> Given:
    if answer is None or answer == "":
        return None
    if question["type"] == "numeric":
        parsed = number_of(str(answer))
        if parsed is None:
            raise QuizError(f"question {number} asks for a number, not {answer!r}")
        return parsed
    letters = LETTERS[: len(question["answers"])]
    chosen = [letter for letter in str(answer).lower() if letter not in " ,;"]
    if not set(chosen) <= set(letters) or (question["type"] == "multiple_choice" and len(chosen) > 1):
        many = "letters such as 'ac'" if question["type"] == "many_choice" else "one letter"
        raise QuizError(f"question {number}: {answer!r} is no answer; give {many}, from {letters[0]} to {letters[-1]}")
    return {letters.index(letter) for letter in chosen}


def number_of(text: str) -> float | None:
    """`"15"`, `"0,5"` or `"1/3"` as a number; None for anything else.

    >>> [number_of(text) for text in ("15", "0,5", "1/4", "many")]
    [15.0, 0.5, 0.25, None]
    """
    above, slash, below = text.strip().replace(",", ".").partition("/")
    try:
        value = float(above) / (float(below) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) else None


def judge(key: str, questions: Sequence[Question], given: Sequence[Given]) -> tuple[list[tuple[bool, list[str]]], str]:
    """Judge all answers, record the outcome, and say it."""
    verdicts = [explain(question, answer) for question, answer in zip(questions, given, strict=True)]
    right = sum(good for good, _ in verdicts)
    records.record("quiz", key, passed=right == len(questions))
    lines = [_wrapped(f"{n}. {'✓' if good else '✗'} ", " · ".join(said)) for n, (good, said) in enumerate(verdicts, 1)]
    outcome = ": passed" if right == len(questions) else "; try those with ✗ again"
    return verdicts, "\n".join([*lines, f"{right} of {len(questions)} right{outcome}"])
