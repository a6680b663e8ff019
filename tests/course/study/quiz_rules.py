"""What a file of quiz questions must hold; the files of the course are tested against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metalearn_lib.course.study.questions import LETTERS, TYPES, Question


def faults(questions: Any) -> list[str]:
    """What is wrong with a file of questions; nothing in a good one.

    Every choice needs an explanation, a right one too; a numeric question needs one for whatever else is typed.

    >>> faults([{"question": "1 + 1 = ?", "type": "numeric", "answers": [{"value": 2, "correct": True}]}])
    ["question 1: answer 1 has no explanation ('feedback')", "question 1: no explanation for other numbers ..."]
    """
    if not isinstance(questions, list) or not all(isinstance(question, dict) for question in questions):
        return ["a list of questions is expected"]
    found = [f"question {n}: {fault}" for n, question in enumerate(questions, 1) for fault in _faults(question)]
    texts = [" ".join(str(question.get("question")).lower().split()) for question in questions]
    return found + [f"question {n} is there twice" for n, text in enumerate(texts, 1) if text in texts[: n - 1]]


def _faults(question: Question) -> list[str]:
    answers = question.get("answers")
    if question.get("type") not in TYPES:
        return [f"type {question.get('type')!r}; the types are {', '.join(TYPES)}"]
    if not isinstance(question.get("question"), str) or not question["question"].strip():
        return ["it asks nothing"]
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        return ["a list of answers is expected"]
    numeric = question["type"] == "numeric"
    found = [
        f"answer {n} has no explanation ('feedback')"
        for n, answer in enumerate(answers, 1)
        if not isinstance(answer.get("feedback"), str) or not answer["feedback"].strip()
    ]
    right = sum(answer.get("correct") is True for answer in answers)
    if numeric:
        found += [] if right == 1 else [f"{right} right answers; a numeric question has one"]
        if sum(answer.get("type") == "default" for answer in answers) != 1:
            found.append("no explanation for other numbers (one answer of type 'default')")
        found += [
            f"answer {n} is no value, range or default" for n, a in enumerate(answers, 1) if not _is_number_answer(a)
        ]
        return found
    texts = [str(answer.get("answer", "")).strip().lower() for answer in answers]
    if not all(texts) or not all(isinstance(answer.get("correct"), bool) for answer in answers):
        found.append("every choice needs a text ('answer') and 'correct', true or false")
    if len(set(texts)) < len(texts):
        found.append("a choice is there twice")
    if not 3 <= len(answers) <= len(LETTERS):
        found.append(f"{len(answers)} choices; 3 to {len(LETTERS)} are expected")
    least, most = (1, 1) if question["type"] == "multiple_choice" else (2, len(answers) - 1)
    if not least <= right <= most:
        found.append(f"{right} right choices; for {question['type']} {least} to {most} are expected")
    return found


def _is_number_answer(answer: Mapping[str, Any]) -> bool:
    """Both jupyterquiz and `explain` look at `value` and `range`; `type` is for the reader, and for the default."""
    if answer.get("type") == "default":
        return True
    numbers: Any = answer["range"] if "range" in answer else [answer.get("value")]
    good = isinstance(numbers, list) and all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
    return good and (len(numbers) == 2 and numbers[0] < numbers[1] if "range" in answer else True)
