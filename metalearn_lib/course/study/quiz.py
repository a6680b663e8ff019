"""The quiz at the end of a chapter.

Shown with ipywidgets, because what is clicked there reaches Python and can be recorded; a quiz of jupyterquiz lives
in the browser alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from metalearn_lib.progress import headless

from .questions import as_text, given, judge, load


def quiz(chapter: str, answers: Mapping[int, str | float] | None = None) -> None:
    """Show the questions of a chapter; with answers, judge them: `quiz("04", {1: "b", 2: "acd", 3: 15})`.

    In a live notebook one clicks; elsewhere the questions are printed as text, without their answers. The quiz is
    passed when all answers are right at the same time; one may try as often as one likes. Passing is recorded.

    Raises:
        QuizError: no quiz of that chapter, a damaged file, or an answer that no question has.

    Chapter: the last part but one of every chapter.
    """
    key, questions = load(chapter)
    if answers is not None:
        print(judge(key, questions, given(questions, answers))[1])
        return
    if headless():
        print(as_text(questions))
    else:
        from .quiz_widgets import show  # here: ipywidgets

        show(key, questions)
