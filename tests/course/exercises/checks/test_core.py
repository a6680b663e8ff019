"""What every self-check does with an answer, whatever it is about."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from metalearn_lib import Score
from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises.checks import CheckFailed, core
from metalearn_lib.course.exercises.checks.core import (
    Answer,
    Cases,
    expect_close,
    expect_number,
    expect_tensor,
    self_check,
)


@self_check("9.1")
def doubled(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Twice the input."""
    values = torch.rand(3)
    got = expect_tensor(answer(values), (3,), given="three numbers", like=values, hint=1)
    yield "shape"
    expect_close(got, 2 * values, given="three numbers", suspects=[("that is the square", values**2)], hint=2)
    yield "values"
    if cases == "hidden":
        expect_number(answer(torch.tensor(2.0)), 4.0, given="2")
        yield "a number"


def quotient(x: Tensor, y: Tensor, *, sign: int = 1) -> tuple[Tensor, float]:
    return sign * x / y, float(len(x))


@self_check(
    "9.2",
    reference=quotient,
    mistakes={
        "this one raises": lambda x, y, **_: x @ y[1:],
        "the two are swapped": lambda x, y, *, sign=1: quotient(y, x, sign=sign),
        "the sign was not used": lambda x, y, **_: (x / y, 0),
        "one is missing": lambda x, y, **_: (x / y, len(x) - 1),
    },
    returns="two values (quotient, number)",
    parts=("the quotient", "the number"),
)
def divided(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Quotient and number."""
    x, y = torch.rand(2, 3) + 1
    yield answer.expect("three numbers,", x, y, hint=(1, 2))
    yield from answer.expect("a sign", x, y, sign=-1, hint=3)


def said(check: core.SelfCheck, answer: Any, **options: Any) -> str:
    with pytest.raises(CheckFailed) as failure:
        check(answer, **options)
    assert failure.value.__suppress_context__
    return str(failure.value)


def test_one_stable_line_for_a_right_answer(capsys: pytest.CaptureFixture[str]) -> None:
    doubled(lambda x: 2 * x)
    doubled(lambda x: x + x, cases="hidden")
    assert capsys.readouterr().out == "✓ doubled: 2 properties hold\n✓ doubled: 3 more, hidden\n"


def in_place(x: Tensor) -> Tensor:
    x *= 2
    return x


def wrong_shape(x: Tensor) -> Tensor:
    return x @ torch.ones(7)


@pytest.mark.parametrize(
    ("check", "answer", "says"),
    [
        (doubled, ..., "not answered yet"),
        (doubled, 3, "I expected a function, got an int, 3: hand in its name"),
        (doubled, lambda x: [1, 2], "with three numbers I expected a tensor of shape [3], got a list of 2: torch.st"),
        (doubled, lambda x: 2 * x[:2], "got shape [2]; see hint 1"),
        (doubled, lambda x: (2 * x).double(), "the dtype of the input, torch.float32, got torch.float64"),
        (doubled, lambda x: (2 * x).to("meta"), "a result on cpu, got one on meta"),
        (doubled, lambda x: x / 0, "finite numbers, got infinity"),
        (doubled, lambda x: 0 * x / 0, "finite numbers, got NaN"),
        (doubled, lambda x: x**2, "at [0], got … : that is the square; see hint 2."),
        (doubled, in_place, "your function changed its argument 1, a tensor of shape [3]: work on a copy"),
        (doubled, wrong_shape, "your function raised RuntimeError … at `return x @ torch.ones(7)`"),
        (divided, lambda x, y, **_: (y / x, 3), "for the quotient, … : the two are swapped; see hint 1."),
        (divided, lambda x, y, **_: (x / y, 3), "a sign, for the quotient, … : the sign was not used; see hint 3."),
        (divided, lambda x, y, **_: [x / y, 2], "for the number, I expected 3, got 2: one is missing; see hint 2."),
        (divided, lambda x, y, **_: (x / y, 7), "for the number, I expected 3, got 7; see hint 2."),
        (divided, lambda x, y, **_: x / y, "three numbers, I expected two values (quotient, number), got a tensor of"),
        (divided, lambda x, y, **_: ((x / y)[:1], 3), "a tensor of shape [3], got shape [1]; see hint 1."),
        (divided, lambda x, y, **_: (x / y, "3"), "the number 3, got a str, '3'"),
        (divided, lambda x, y, **_: (x / y, True), "got a bool, True"),
        (divided, lambda x, y, **_: (x / y, float("nan")), "I expected 3, got NaN"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_paragraph(check: core.SelfCheck, answer: Any, says: str) -> None:
    message = said(check, answer)
    assert all(part in message for part in says.split(" … "))
    assert message.startswith(f"{check.__name__}: ")
    assert "\n" not in message


def test_the_properties_that_hold_are_counted_and_mistakes_are_asked_only_when_something_differs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any, **__: Any) -> None:
        pytest.fail("a mistake was computed for a right answer")

    monkeypatch.setattr(divided, "mistakes", {"asked": asked})
    divided(lambda x, y, *, sign=1: [(sign * x / y).requires_grad_(), torch.tensor(3)])
    assert capsys.readouterr().out == "✓ divided: 3 properties hold\n"


def test_the_interval_is_that_of_paired_differences() -> None:
    a, b = torch.randn(2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    right, mistakes = core.interval(lambda a, b: (a, b), unit="runs", finish=lambda ends, a, b: np.exp(ends).tolist())
    score = Score.of((a - b).numpy())
    assert right(a, b) == pytest.approx(np.exp([score.mean, score.low, score.high]))
    made = [mistake(a, b) for mistake in mistakes.values()]
    assert all(mean == pytest.approx(right(a, b)[0]) for mean, _, _ in made)
    assert len({round(high, 9) for _, _, high in [*made, right(a, b)]}) == 6
    assert "the mean of T runs varies less" in " ".join(mistakes)


def test_a_notebook_shows_the_message_alone() -> None:
    assert CheckFailed("why")._render_traceback_() == ["CheckFailed: why"]


@pytest.mark.parametrize("given", [[0], {"a": [1.0]}, np.zeros(2), (torch.zeros(1), [torch.zeros(2)])])
def test_inputs_of_every_kind_are_guarded(given: Any) -> None:
    def change(values: Any) -> int:
        while isinstance(values, tuple | dict):
            values = values["a"] if isinstance(values, dict) else values[-1]
        values[0] += 1
        return 1

    with pytest.raises(CheckFailed, match="changed its argument 2"):
        Answer(lambda flag, x: change(x), doubled)(True, x=given)
    assert Answer(lambda x, flag: len(x), doubled)(given, flag=True) == len(given)


def test_the_random_state_of_the_notebook_is_kept_and_the_check_sees_the_same_numbers_each_time() -> None:
    drawn: list[Any] = []

    def draws(x: Tensor) -> Tensor:
        drawn.append((x.tolist(), torch.rand(1).item(), random.random()))
        return 2 * x

    torch_state, state = torch.get_rng_state(), random.getstate()
    doubled(draws)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == state
    random.random(), torch.rand(3)
    doubled(draws)
    assert drawn[0] == drawn[1]


def test_the_outcome_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[tuple[str, bool]] = []
    monkeypatch.setattr(core.records, "record", lambda kind, exercise, *, passed: noted.append((exercise, passed)))
    doubled(lambda x: 2 * x)
    said(doubled, lambda x: x)
    assert noted == [("9.1", True), ("9.1", False)]


def test_cases_are_shown_or_hidden() -> None:
    with pytest.raises(ValueError, match="use 'shown' or 'hidden'"):
        doubled(lambda x: 2 * x, cases="all")


def test_a_check_imports_its_own_chapter_only(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    monkeypatch.setattr(check, "import_module", lambda name: imported.append(name) or check.core)
    monkeypatch.setattr(check.core, "ridge_logits", doubled, raising=False)
    assert check.ridge_logits is doubled
    assert imported == ["metalearn_lib.course.exercises.checks.chapter_04"]


def test_checks_are_found_by_name() -> None:
    checks = check.all_checks()
    assert {"median_prototypes", "ridge_logits"} <= checks.keys()
    assert check.median_prototypes is checks["median_prototypes"]
    assert "ridge_logits" in dir(check)
    assert all(function.__doc__ for function in checks.values())
    with pytest.raises(AttributeError, match="there is no check called 'nonsense'; the checks are "):
        check.nonsense


@self_check("9.2", reference=lambda x: 2 * x, returns="[D]")
def doubled_row(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Twice a row of numbers, in whatever comes as one."""
    yield answer.expect("a row", torch.tensor([1.0, 2.0, 3.0]), hint=1)


@pytest.mark.parametrize("form", [list, tuple, np.array, torch.tensor], ids=["list", "tuple", "array", "tensor"])
def test_a_row_of_numbers_may_come_in_any_sequence(form: Any) -> None:
    doubled_row(lambda x: form((2 * x).tolist()))
    doubled_row(lambda x: form([float(part) for part in 2 * x]))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x: [2.0, 4.0], "I expected a tensor of shape [3] ([D]), got shape [2]"),
        (lambda x: [], "I expected a tensor of shape [3] ([D]), got a list of 0"),
        (lambda x: ["2", "4", "6"], "I expected a tensor of shape [3] ([D]), got a list of 3"),
        (lambda x: [x, x, x], "I expected a tensor of shape [3] ([D]), got a list of 3"),
        (lambda x: x.numpy(), "I expected 2 at [0], got 1"),
    ],
)
def test_what_is_no_row_of_so_many_numbers_is_told(answer: Any, says: str) -> None:
    with pytest.raises(CheckFailed) as failure:
        doubled_row(answer)
    assert says in str(failure.value)


WORDS = ["tea", "chess", "space", "cars", "baking", "whales", "ships"]


def test_words_of_another_process_are_the_same_words_in_another_order_of_their_set() -> None:
    processes = [core.elsewhere(WORDS, process) for process in range(8)]
    assert all(words == WORDS and sorted(words) == sorted(WORDS) for words in processes)
    assert all(dict.fromkeys(words)[words[0]] is None for words in processes)
    assert len({tuple(map(str, set(words))) for words in processes}) > 1


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda words, seed: random.Random(seed).sample(list(set(words)), 3), "the order of a set of words changes"),
        (lambda words, seed: random.choices(words, k=30), "two different ones: draw from `rng`"),
    ],
    ids=["the order of a set", "another generator"],
)
def test_a_draw_that_is_not_repeatable_is_told_why(draw: Any, says: str) -> None:
    with pytest.raises(CheckFailed) as failure:
        core.expect_repeatable(draw, WORDS, "sample", "`rng`", hint=1)
    assert says in str(failure.value)


def test_a_draw_by_its_seed_is_repeatable() -> None:
    core.expect_repeatable(
        lambda words, seed: random.Random(seed).sample(sorted(set(words)), 3), WORDS, "sample", "`rng`", hint=1
    )
