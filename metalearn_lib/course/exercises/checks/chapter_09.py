"""Self-checks of chapter 09: concat pooling, LEEP, choosing on the test set, a source's worth in labels."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from metalearn_lib.transfer import leep

from .core import Answer, Cases, Function, self_check


def _last(states: Tensor, mask: Tensor) -> Tensor:
    return states[torch.arange(len(states)), mask.sum(1) - 1]


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def _highest(states: Tensor, mask: Tensor, padding: float = -torch.inf) -> Tensor:
    return states.masked_fill(~mask[..., None], padding).amax(1)


def _pool(*parts: Function) -> Function:
    return lambda states, mask: torch.cat([part(states, mask) for part in parts], dim=1)


def _blind(part: Function) -> Function:
    return lambda states, mask: part(states, torch.ones_like(mask))


@self_check(
    "9.1",
    reference=_pool(_last, _mean, _highest),
    mistakes={
        "the last place of the batch was taken, not the last word of each text": _pool(_blind(_last), _mean, _highest),
        "the mean divides by L, padding included": _pool(_last, lambda s, m: (s * m[..., None]).mean(1), _highest),
        "mean and maximum see the padding": _pool(_last, _blind(_mean), _blind(_highest)),
        "the mask was not used": _blind(_pool(_last, _mean, _highest)),
        "padding counts as 0 in the maximum": _pool(_last, _mean, partial(_highest, padding=0)),
        "the order is last, mean, maximum": _pool(_last, _highest, _mean),
    },
    returns="[B, 3·D]",
)
def concat_pool(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Last state, mean and maximum over the words of each text."""

    def batch(states: Tensor, *lengths: int) -> tuple[Tensor, Tensor]:
        return states, torch.arange(states.shape[1]) < torch.tensor(lengths)[:, None]

    if cases == "shown":
        padded = torch.tensor([[[1.0, -1], [3, -5], [2, -2]], [[4, -6], [9, 9], [8, 7]]])
        yield answer.expect("one text of 3 words", *batch(padded[:1], 3), hint=1)
        yield answer.expect("two texts, of 3 words and of 1,", *batch(padded, 3, 1), hint=2)
        yield answer.expect("texts whose states are all negative", *batch(-padded.abs() - 1, 2, 3), hint=2)
        return
    double = torch.randn(5, 7, 3, dtype=torch.float64)
    yield answer.expect("float64", *batch(double, 7, 1, 4, 2, 6), hint=2)
    yield answer.expect("a batch without any text of full length", *batch(torch.randn(3, 9, 4), 2, 5, 3), hint=1)


def _leep_by(
    *,
    table: Function = lambda joint: joint / joint.sum(0),
    reduce: Function = lambda expected: expected.log().mean(),
    answers: Function = lambda theta: theta,
) -> Function:
    """LEEP, by what becomes of the joint table [C, Z], of the expected predictions [n] and of the source's answers."""

    def score(theta: Tensor, labels: Tensor, n_classes: int) -> float:
        joint = one_hot(labels, n_classes).to(theta.dtype).T @ theta / len(theta)
        return float(reduce((answers(theta) @ table(joint).T)[torch.arange(len(theta)), labels]))

    return score


@self_check(
    "9.2",
    reference=lambda theta, labels, n_classes: leep(theta, [f"{label:03d}" for label in labels.tolist()]),
    mistakes={
        "this is P(z | y): divide each column by its sum": _leep_by(table=lambda j: j / j.sum(1, keepdim=True)),
        "the joint table was not divided by P(z)": _leep_by(table=lambda joint: joint),
        "the logarithm was taken after the mean": _leep_by(reduce=lambda expected: expected.mean().log()),
        "only the source's most likely class was looked at": _leep_by(
            answers=lambda theta: one_hot(theta.argmax(1), theta.shape[1]).to(theta.dtype)
        ),
        "the sign: LEEP is at most 0": _leep_by(reduce=lambda expected: -expected.log().mean()),
        "the logarithms were summed, not averaged": _leep_by(reduce=lambda expected: expected.log().sum()),
    },
)
def leep_score(answer: Answer, cases: Cases) -> Iterator[Any]:
    """LEEP: how well the source's answers tell the target's classes."""
    if cases == "shown":
        theta, unsure = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), torch.full((4, 2), 0.5)
        yield answer.expect("3 texts and a source of 2 classes", theta, torch.tensor([0, 0, 1]), 2, hint=1)
        yield answer.expect("a source that answers 0.5 to everything", unsure, torch.arange(4) % 2, 2, hint=2)
        yield answer.expect("a source that is always right", torch.eye(3), torch.arange(3), 3, hint=2)
        theta = torch.randn(20, 5).softmax(1)
        yield answer.expect("5 source classes, 3 target classes", theta, torch.arange(20) % 3, 3, hint=1)
        return
    double, mixed = torch.randn(12, 3).double().softmax(1), torch.tensor([2, 0, 1, 1, 0, 2, 2, 1, 0, 3, 3, 0])
    yield answer.expect("float64 and labels in mixed order", double, mixed, 4, hint=1)
    theta, unequal = torch.randn(30, 2).softmax(1), (torch.arange(30) > 27).long()
    yield answer.expect("classes of very different sizes", theta, unequal, 2, hint=2)


def _chosen(pick: Function, *, over: Function = torch.mean) -> Function:
    """Two numbers, picked from the accuracies [R] of all runs on half, on the others and on all texts."""

    def answer(right: Tensor, half: Tensor) -> tuple[float, ...]:
        other = torch.ones(right.shape[1], dtype=torch.bool)
        other[half] = False
        return tuple(float(x) for x in pick(*(over(right[:, texts], 1) for texts in (half, other, slice(None)))))

    return answer


def _best(half: Tensor, other: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
    return half.max(), other[half.argmax()]


@self_check(
    "9.3",
    reference=_chosen(_best),
    mistakes={
        "this is the accuracy on all texts, not on the others": _chosen(lambda half, _, every: _best(half, every)),
        "of equally good runs take the first": _chosen(lambda *rows: _best(*(row.flip(0) for row in rows))),
        "this is the best run there, not the chosen one": _chosen(lambda half, other, _: (half.max(), other.max())),
        "the choice was made on the other texts": _chosen(lambda half, other, _: _best(other, half)[::-1]),
        "this is the mean over all runs": _chosen(lambda half, other, _: (half.mean(), other.mean())),
        "this is a number of texts, not a share": _chosen(_best, over=torch.sum),
        "the two numbers are swapped": _chosen(lambda *rows: _best(*rows)[::-1]),
    },
    returns="two numbers (accuracy on half, accuracy on the others)",
    parts=("the accuracy on half", "the accuracy on the others"),
)
def chosen_on_test(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The best run on some texts, and what it does on the others."""
    if cases == "shown":
        right = torch.tensor([[1.0, 1, 0, 0, 0, 1], [1, 0, 1, 1, 1, 1], [0, 1, 0, 1, 0, 0]])
        yield answer.expect("3 runs and 6 texts, chosen on the first two,", right, torch.arange(2), hint=(1, 2))
        given = "texts 4, 1 and 5 as half, on which two runs are equally good,"
        yield answer.expect(given, right, torch.tensor([4, 1, 5]), hint=(1, 1))
        tosses, some = (torch.rand(40, 60) < 0.5).float(), torch.randperm(60)[:20]
        yield answer.expect("40 runs of coin tosses", tosses, some, hint=(1, 2))
        return
    equal = torch.tensor([[1.0, 0, 1, 1], [0, 1, 0, 0]])
    yield answer.expect("two runs that are equally good on half", equal, torch.arange(2), hint=(1, 1))
    yield answer.expect("all but one text as half", (torch.rand(9, 12) < 0.7).double(), torch.arange(11), hint=(1, 2))


def _log_line(low: float, high: float, share: float) -> float:
    return low * (high / low) ** share


def _worth(between: Function = _log_line, *, reaches: Function = operator.le, flat: bool = True) -> Function:
    """The size at which a curve reaches an accuracy, by what lies `between` two sizes; `flat` below the first point."""

    def answer(sizes: list[int], curve: list[float], reached: float) -> float:
        if flat and reached <= curve[0]:
            return float(sizes[0])
        for (low, a), (high, b) in pairwise(zip(sizes, curve, strict=True)):
            if reaches(reached, b):
                return float(between(low, high, (reached - a) / (b - a)))
        return math.inf

    return answer


_in_labels = _worth()


@self_check(
    "9.4",
    reference=_in_labels,
    mistakes={
        "the line goes over n, not over log n": _worth(lambda low, high, share: low + share * (high - low)),
        "this is the next measured size": _worth(lambda low, high, _: high),
        "this is the measured size before": _worth(lambda low, high, _: low),
        "this is the logarithm": _worth(lambda *piece: math.log(_log_line(*piece))),
        "below the first point it is worth no more than the first size": _worth(flat=False),
        "the floor never gets there: infinity": lambda n, curve, a: _in_labels(n, curve, min(a, curve[-1])),
        "an accuracy that equals the last point gives the last size": _worth(reaches=operator.lt),
    },
)
def worth_in_labels(answer: Answer, cases: Cases) -> Iterator[Any]:
    """How many labels the floor needs for an accuracy."""
    sizes, curve = [5, 20, 80], [0.3, 0.5, 0.7]
    if cases == "shown":
        yield answer.expect("sizes 5, 20, 80, accuracies 0.3, 0.5, 0.7, reached 0.4", sizes, curve, 0.4, hint=1)
        for reached, hint in ((0.65, 1), (0.1, 2), (0.8, 2), (0.7, 2)):
            yield answer.expect(f"the same curve, reached {reached}", sizes, curve, reached, hint=hint)
        return
    more, rising = [1, 3, 10, 30, 100], [0.2, 0.35, 0.5, 0.6, 0.65]
    yield answer.expect("five sizes, reached 0.625", more, rising, 0.625, hint=1)
    yield answer.expect("the first point itself", sizes, curve, 0.3, hint=2)
