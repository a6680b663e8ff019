"""A quiz with buttons, for a live notebook: letters to choose, an explanation under each question."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

from .questions import LETTERS, Given, Question, judge, number_of

Row = tuple[Any, Callable[[], Given], Any]  # the widget of a question, what is chosen in it, its explanation


def show(key: str, questions: Sequence[Question]) -> None:
    """Display the questions of quiz `key`, with one button that judges them all and records the outcome."""
    from IPython.display import display

    display(build(key, questions))  # type: ignore[no-untyped-call]


def build(key: str, questions: Sequence[Question]) -> Any:
    """The widget itself: a box of questions, a button, a line that says how many are right."""
    import ipywidgets

    rows = [_row(number, question) for number, question in enumerate(questions, 1)]
    button = ipywidgets.Button(description="Check my answers", tooltip="Judge all answers and record the outcome")
    outcome = ipywidgets.HTML()

    def check(_: object) -> None:
        try:
            verdicts, said = judge(key, questions, [given() for _, given, _ in rows])
            for (good, why), (_, _, explanation) in zip(verdicts, rows, strict=True):
                explanation.value = _coloured(good, " · ".join(why))
            outcome.value = f"<b>{html.escape(said.splitlines()[-1])}</b>"
        except Exception as error:  # an error in a callback would vanish in the log: tell the reader instead
            outcome.value = html.escape(f"the answers could not be judged: {error}")

    button.on_click(check)
    return ipywidgets.VBox([*(box for box, _, _ in rows), button, outcome])


def _row(number: int, question: Question) -> Row:
    import ipywidgets

    note = " <i>(several hold)</i>" if question["type"] == "many_choice" else ""
    head = ipywidgets.HTML(f"<b>{number}.</b> {html.escape(question['question'])}{note}")
    explanation = ipywidgets.HTML()
    if question["type"] == "numeric":
        field = ipywidgets.Text(placeholder="a number", layout={"width": "12em"})
        return ipywidgets.VBox([head, field, explanation]), lambda: number_of(field.value), explanation
    letters = LETTERS[: len(question["answers"])]
    texts = ipywidgets.HTML("".join(_choice(*each) for each in zip(letters, question["answers"], strict=True)))
    if question["type"] == "multiple_choice":
        radio = ipywidgets.ToggleButtons(options=list(letters), value=None, style={"button_width": "3em"})
        return (
            ipywidgets.VBox([head, texts, radio, explanation]),
            lambda: None if radio.index is None else {radio.index},
            explanation,
        )
    boxes = [ipywidgets.Checkbox(description=letter, indent=False, layout={"width": "4em"}) for letter in letters]
    return (
        ipywidgets.VBox([head, texts, ipywidgets.HBox(boxes), explanation]),
        lambda: {n for n, box in enumerate(boxes) if box.value},
        explanation,
    )


def _choice(letter: str, answer: dict[str, Any]) -> str:
    return f"<div style='margin-left:1.5em'><b>{letter})</b> {html.escape(answer['answer'])}</div>"


def _coloured(good: bool, text: str) -> str:
    colour, mark = ("#1b7837", "✓") if good else ("#b2182b", "✗")
    return f"<span style='color:{colour}'>{mark} {html.escape(text)}</span>"
