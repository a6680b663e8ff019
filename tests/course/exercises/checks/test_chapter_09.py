"""Each check passes the right answers, and says of typical wrong ones what is wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.checks import CheckFailed
from metalearn_lib.files import root
from metalearn_lib.transfer import leep
from tests.course.exercises.checks.solutions import solved
from tests.notebooks.stored_notebook import StoredNotebook

NOTEBOOK = StoredNotebook(root() / "notebooks" / "09_transfer.ipynb")


def solution(number: str) -> Any:
    return solved(NOTEBOOK, number, torch=torch, np=np)


def library_leep(theta: Tensor, labels: Tensor, n_classes: int) -> float:
    return leep(theta, [f"{int(label):03d}" for label in labels])


def library_worth(sizes: Any, accuracies: Any, reached: float) -> float:
    if reached > accuracies[-1]:
        return math.inf
    return float(np.exp(np.interp(reached, accuracies, np.log(sizes))))


def choosing(right: Tensor, half: Tensor) -> list[float]:
    best = max(range(len(right)), key=lambda run: float(right[run, half].sum()))
    rest = [i for i in range(right.shape[1]) if i not in half.tolist()]
    return [float(right[best, half].mean()), float(right[best, rest].mean())]


RIGHT: list[tuple[str, Any]] = [
    *[(e.checks[0], solution(e.number)) for e in exercises(NOTEBOOK.raw["cells"]) if e.checks],
    ("leep_score", library_leep),
    ("worth_in_labels", library_worth),
    ("chosen_on_test", choosing),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{n}: {a.__name__}" for n, a in RIGHT])
def test_a_right_answer_passes(passes: Any, name: str, answer: Any) -> None:
    passes(name, answer)


def pool(last: bool = True, mean: str = "words", highest: str = "words", order: tuple[int, ...] = (0, 1, 2)) -> Any:
    def answer(states: Tensor, mask: Tensor) -> Tensor:
        n = mask.sum(1)
        parts = [
            states[torch.arange(len(states)), n - 1] if last else states[:, -1],
            (states * mask[..., None]).sum(1) / (n[:, None] if mean == "words" else states.shape[1]),
            states.masked_fill(~mask[..., None], -torch.inf if highest == "words" else 0.0).amax(1),
        ]
        return torch.cat([parts[i] for i in order], 1)

    return answer


def leeps(table: Any, take: Any = lambda e: e.log().mean()) -> Any:
    def answer(theta: Tensor, labels: Tensor, n: int) -> Any:
        joint = torch.eye(n, dtype=theta.dtype)[labels].T @ theta
        return take((theta @ table(joint, len(theta)).T)[torch.arange(len(theta)), labels])

    return answer


def by_column(joint: Tensor, n: int) -> Tensor:
    return joint / joint.sum(0)


def chosen(pick: Any) -> Any:
    def answer(right: Tensor, half: Tensor) -> Any:
        other = torch.ones(right.shape[1], dtype=torch.bool)
        other[half] = False
        return pick(right, right[:, half].mean(1), right[:, other].mean(1))

    return answer


def worth(between: Any, above: float = math.inf) -> Any:
    def answer(sizes: Any, curve: Any, reached: float) -> float:
        if reached <= curve[0]:
            return float(sizes[0])
        for i in range(1, len(sizes)):
            if reached <= curve[i]:
                return float(between(sizes[i - 1], sizes[i], (reached - curve[i - 1]) / (curve[i] - curve[i - 1])))
        return above

    return answer


def unanswered(*_: Any) -> Any:
    raise NotImplementedError


POOL, LEEP, CHOSEN, WORTH = "concat_pool", "leep_score", "chosen_on_test", "worth_in_labels"
WRONG: list[tuple[str, Any, str]] = [
    (POOL, pool(last=False), "the last place of the batch was taken"),
    (POOL, pool(mean="all"), "the mean divides by L, padding included"),
    (POOL, pool(highest="zero"), "padding counts as 0 in the maximum"),
    (POOL, pool(order=(0, 2, 1)), "the order is last, mean, maximum"),
    (POOL, lambda s, m: torch.cat([s[:, -1], s.mean(1), s.amax(1)], 1), "expected"),
    (POOL, lambda s, m: pool()(s, m)[:, : s.shape[2]], "[B, 3·D]"),
    (LEEP, leeps(lambda joint, n: joint / joint.sum(1, keepdim=True)), "this is P(z | y)"),
    (LEEP, leeps(lambda joint, n: joint / n), "was not divided by P(z)"),
    (LEEP, leeps(by_column, lambda e: e.mean().log()), "the logarithm was taken after the mean"),
    (LEEP, leeps(by_column, lambda e: e.log().sum()), "summed, not averaged"),
    (LEEP, leeps(by_column, lambda e: -e.log().mean()), "the sign: LEEP is at most 0"),
    (LEEP, leeps(by_column, lambda e: e.log()), "expected the number"),
    (CHOSEN, chosen(lambda r, a, b: (a.max(), b.max())), "not the run that was chosen"),
    (CHOSEN, chosen(lambda r, a, b: (a.max(), r[a.argmax()].mean())), "the choosing ones included"),
    (CHOSEN, chosen(lambda r, a, b: (a[b.argmax()], b.max())), "the choice was made on the other texts"),
    (CHOSEN, chosen(lambda r, a, b: (a.mean(), b.mean())), "the mean over all runs"),
    (CHOSEN, chosen(lambda r, a, b: a.max()), "two numbers"),
    (WORTH, worth(lambda low, high, s: low + s * (high - low)), "the line goes over n, not over log n; see hint 1"),
    (WORTH, worth(lambda low, high, s: high), "this is the next measured size"),
    (WORTH, worth(lambda low, high, s: math.log(low) + s * math.log(high / low)), "this is the logarithm"),
    (WORTH, worth(lambda low, high, s: low * (high / low) ** s, above=80.0), "infinity: the floor never gets there"),
    (WORTH, lambda n, a, r: solution("9.4")(n, a, min(r, 0.69)), "infinity"),
    *[(name, unanswered, f"{name}: not answered yet") for name in (POOL, LEEP, CHOSEN, WORTH)],
    *[(name, lambda *_: None, "is the `return` missing?") for name in (POOL, LEEP, CHOSEN, WORTH)],
]


@pytest.mark.parametrize(("name", "answer", "says"), WRONG, ids=[f"{n}: {s[:40]}" for n, _, s in WRONG])
def test_a_wrong_answer_is_told_what_is_wrong(is_told: Any, name: str, answer: Any, says: str) -> None:
    is_told(NOTEBOOK, name, answer, says)


def test_the_hidden_cases_catch_what_the_shown_ones_do_not() -> None:
    def last_of_equals(right: Tensor, half: Tensor) -> Any:
        accuracy = right[:, half].mean(1)
        best = int((accuracy == accuracy.max()).nonzero()[-1])
        other = torch.ones(right.shape[1], dtype=torch.bool)
        other[half] = False
        return right[best, half].mean(), right[best, other].mean()

    with pytest.raises(CheckFailed, match="equally good on half"):
        check.chosen_on_test(last_of_equals, cases="hidden")

    def only_float32(states: Tensor, mask: Tensor) -> Tensor:
        return pool()(states.float(), mask)

    check.concat_pool(only_float32)
    with pytest.raises(CheckFailed, match="dtype of the input"):
        check.concat_pool(only_float32, cases="hidden")
