"""Which self-checks and quizzes a learner has passed, a line for each chapter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.records import default_workspace, find_workspace, passed, records
from metalearn_lib.course.running.chapters import chapters


@dataclass(frozen=True)
class Row:
    """One chapter: which of its self-checks and quizzes there are, and which were passed."""

    chapter: str
    checks: dict[str, bool | None]  # number of the exercise → passed; None: not tried yet
    quiz: bool | None
    has_quiz: bool


def rows(folder: Path | None = None) -> list[Row]:
    """A row for each chapter with exercises or a quiz, and for each that has only records."""
    folder = folder or find_workspace() or default_workspace()
    found = records(folder)
    checks, quizzes = found.get("exercise", {}), found.get("quiz", {})
    made: list[Row] = []
    for chapter in chapters():
        if not chapter.number:
            continue
        known = [exercise.number for exercise in exercises(chapter.cells) if exercise.checks]
        mine = [key for key in checks if key.partition(".")[0] == str(int(chapter.number))]
        state = {key: passed(checks.get(key)) for key in sorted({*known, *mine}, key=_natural)}
        has_quiz = chapter.quiz.is_file() or chapter.number in quizzes
        if state or has_quiz:
            made.append(Row(chapter.name, state, passed(quizzes.get(chapter.number)), has_quiz))
    return made


def show(folder: Path | None = None) -> None:
    """Print which self-checks and quizzes were passed, a line for each chapter.

    Chapter: the exercises of every chapter.
    """
    print(text(rows(folder)))


def text(found: list[Row]) -> str:
    """The rows as lines of text: ✓ passed, ✗ tried, · not tried yet.

    >>> print(text([Row("04_metric_based", {"4.1": True, "4.2": False, "4.3": None}, None, True)]))
    04_metric_based   self-checks 1 of 3: ✓ 4.1  ✗ 4.2  · 4.3   quiz ·
    ✓ passed   ✗ tried, not passed yet   · not tried yet
    """
    if not found:
        return "no chapter has exercises or a quiz yet"
    marks = {True: "✓", False: "✗", None: "·"}
    width, lines = max(len(row.chapter) for row in found), []
    for row in found:
        line = f"{row.chapter:<{width}}"
        if row.checks:
            done = sum(bool(passed) for passed in row.checks.values())
            each = "  ".join(f"{marks[passed]} {key}" for key, passed in row.checks.items())
            line += f"   self-checks {done} of {len(row.checks)}: {each}"
        if row.has_quiz:
            line += f"   quiz {marks[row.quiz]}"
        lines.append(line)
    return "\n".join([*lines, "✓ passed   ✗ tried, not passed yet   · not tried yet"])


def _natural(key: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", key)]
