"""Each check passes the right answers, and says of typical wrong ones what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from metalearn_lib import Score
from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.checks import CheckFailed
from metalearn_lib.files import root
from metalearn_lib.learners.metric import pairwise, prototypes
from metalearn_lib.learners.ridge import ridge_weights
from tests.course.exercises.checks.solutions import solved
from tests.notebooks.stored_notebook import StoredNotebook

NOTEBOOK = StoredNotebook(root() / "notebooks" / "04_metric_based.ipynb")


def prototype_logits(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    centres = prototypes(support[None], labels[None], n_way)
    return -pairwise(query[None], centres)[0]


def solution(number: str) -> Any:
    return solved(NOTEBOOK, number, torch=torch, Score=Score, prototype_logits=prototype_logits)


def library_ridge(support: Tensor, labels: Tensor, query: Tensor, n_way: int, penalty: float) -> Tensor:
    targets = torch.eye(n_way, dtype=support.dtype)[labels]
    return query @ ridge_weights(support[None], targets[None], torch.tensor(penalty, dtype=support.dtype))[0]


def primal_ridge(support: Tensor, labels: Tensor, query: Tensor, n_way: int, penalty: float) -> Tensor:
    targets, eye = torch.eye(n_way, dtype=support.dtype)[labels], torch.eye(support.shape[1], dtype=support.dtype)
    return query @ torch.linalg.solve(support.T @ support + penalty * eye, support.T @ targets)


def population_peeking(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    mean, deviation = query.mean(0), query.std(0, unbiased=False) + 1e-6
    return prototype_logits((support - mean) / deviation, labels, (query - mean) / deviation, n_way)


def library_gain(a: Any, b: Any, support: Tensor, labels: Tensor, query: Tensor, truth: Tensor, n: int) -> Any:
    gain = Score.of(shares(a, support, labels, query, truth, n), key=(1,)) > Score.of(
        shares(b, support, labels, query, truth, n), key=(1,)
    )
    return [gain.difference, torch.tensor(gain.low), gain.high]


def shares(f: Any, support: Tensor, labels: Tensor, query: Tensor, truth: Tensor, n: int) -> Any:
    every = zip(support, labels, query, truth, strict=True)
    return torch.stack([(f(s, c, q, n).argmax(1) == t).double().mean() for s, c, q, t in every]).numpy()


RIGHT: list[tuple[str, Any]] = [
    *[(e.checks[0], solution(e.number)) for e in exercises(NOTEBOOK.raw["cells"]) if e.checks],
    ("ridge_logits", library_ridge),
    ("ridge_logits", primal_ridge),
    ("peeking_logits", population_peeking),
    ("paired_gain", library_gain),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{n}: {a.__name__}" for n, a in RIGHT])
def test_a_right_answer_passes(passes: Any, name: str, answer: Any) -> None:
    passes(name, answer)


def per_class(reduce: Callable[[Tensor], Tensor]) -> Any:
    return lambda s, c, n: torch.stack([reduce(s[c == k]) for k in range(n)])


def in_place_peeking(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    support -= query.mean(0)
    query -= query.mean(0)
    return prototype_logits(support, labels, query, n_way)


def peek(whose: Callable[[Tensor, Tensor], Tensor], *, support_too: bool = True) -> Any:
    def logits(s: Tensor, c: Tensor, q: Tensor, n: int) -> Tensor:
        seen = whose(s, q)
        mean, deviation = seen.mean(0), seen.std(0) + 1e-6
        return prototype_logits((s - mean) / deviation if support_too else s, c, (q - mean) / deviation, n)

    return logits


def ridge(shift: Callable[[Tensor, float], Tensor], targets: Callable[[Tensor], Tensor] = lambda y: y) -> Any:
    def logits(s: Tensor, c: Tensor, q: Tensor, n: int, penalty: float) -> Tensor:
        y = targets(torch.eye(n, dtype=s.dtype)[c])
        return q @ s.T @ torch.linalg.pinv(shift(s @ s.T, penalty)) @ y

    return logits


def eye(gram: Tensor) -> Tensor:
    return torch.eye(len(gram), dtype=gram.dtype)


def gain(interval: Callable[[Any, Any], tuple[float, float]], *, sign: int = 1, scale: float = 1.0) -> Any:
    """A wrong `paired_gain`: `interval` gives mean and half width."""

    def answer(a: Any, b: Any, s: Tensor, c: Tensor, q: Tensor, t: Tensor, n: int) -> tuple[float, float, float]:
        mean, half = interval(shares(a, s, c, q, t, n), shares(b, s, c, q, t, n))
        return sign * mean * scale, sign * mean * scale - half, sign * mean * scale + half

    return answer


def half(x: Any) -> float:
    score = Score.of(x)
    return score.high - score.mean


def unanswered(*_: Any) -> Any:
    raise NotImplementedError


MEDIAN, RIDGE, PEEK, GAIN = "median_prototypes", "ridge_logits", "peeking_logits", "paired_gain"
WRONG: list[tuple[str, Any, str]] = [
    (MEDIAN, per_class(lambda x: x.mean(0)), "expected 0.2 at [0, 0], got 30.07: these are the means; see hint 1"),
    (MEDIAN, per_class(lambda x: x.median(0).values), "takes the lower of two middle values; see hint 2"),
    (MEDIAN, lambda s, c, n: s.reshape(n, -1, s.shape[1]).quantile(0.5, dim=1), "the labels were not looked at"),
    (MEDIAN, per_class(lambda x: x.quantile(0.5).expand(x.shape[1])), "one median was taken over the whole class"),
    (MEDIAN, lambda s, c, n: [s[c == k].quantile(0.5, dim=0) for k in range(n)], "torch.stack makes one tensor"),
    (MEDIAN, lambda s, c, n: solution("4.1")(s, c, n).T, "got shape [3, 2]: the last two are swapped; see hint 1"),
    (MEDIAN, lambda s, c, n: solution("4.1")(s, c, n + 1), "shape"),
    (RIDGE, ridge(lambda g, penalty: g + penalty), "to every entry of X Xᵀ, not only to the diagonal; see hint 2"),
    (RIDGE, ridge(lambda g, penalty: g), "λ was left out"),
    (RIDGE, ridge(lambda g, penalty: g + penalty**2 * eye(g)), "λ was squared"),
    (RIDGE, ridge(lambda g, penalty: torch.linalg.inv(g + penalty * eye(g))), "the matrix was not inverted"),
    (RIDGE, ridge(lambda g, penalty: g + penalty * eye(g), lambda y: y - 1 / y.shape[1]), "targets are not 0 and 1"),
    (RIDGE, lambda *a: library_ridge(*a).T, "a tensor of shape [1, 2] ([M, N]), got shape [2, 1]: the last two"),
    (RIDGE, lambda *a: library_ridge(*a).argmax(1), "got shape [1]; see hint 1"),
    (RIDGE, lambda s, c, q, n, p: q @ s.T @ torch.linalg.solve(s @ s.T, c), "RuntimeError"),
    (PEEK, prototype_logits, "the first query in other company I expected other logits for it, got the same"),
    (PEEK, peek(lambda s, q: s), "nothing leaks yet"),
    (PEEK, peek(lambda s, q: torch.cat([s, q])), "those of support and queries together"),
    (PEEK, peek(lambda s, q: q, support_too=False), "only the queries were standardised"),
    (PEEK, in_place_peeking, "changed its argument 1, a tensor of shape [6, 4]: work on a copy"),
    (PEEK, lambda *a: -solution("4.3")(*a), "the sign: the nearest class"),
    (PEEK, lambda s, c, q, n: prototype_logits(s, c, q, n) * 0 / 0, "finite numbers, got NaN: a division by zero"),
    (GAIN, gain(lambda a, b: ((a - b).mean(), (a - b).std(ddof=1))), "one standard deviation; the mean of T episodes"),
    (GAIN, gain(lambda a, b: ((a - b).mean(), half(a) + half(b))), "for the low end,"),
    (GAIN, gain(lambda a, b: ((a - b).mean(), half(a - b)), sign=-1), "the sign: the first classifier minus"),
    (GAIN, gain(lambda a, b: ((a - b).mean(), half(a - b)), scale=100), "these are points, not shares"),
    (GAIN, gain(lambda a, b: ((a - b).mean(), 1.96 * (a - b).std(ddof=1) / len(a) ** 0.5)), "take Student's t"),
    (GAIN, gain(lambda a, b: ((a - b).mean(), (Score.of(a) > Score.of(b)).high - (a - b).mean())), "is not paired"),
    (GAIN, lambda a, b, *rest: 0.5, "three numbers (mean, low, high), got a float, 0.5; see hint 1"),
    *[(name, unanswered, f"{name}: not answered yet") for name in (MEDIAN, RIDGE, PEEK, GAIN)],
    *[(name, lambda *_: None, "is the `return` missing?") for name in (MEDIAN, RIDGE, PEEK, GAIN)],
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "says"), WRONG, ids=[f"{n}: {s[:40]}" for n, _, s in WRONG])
def test_a_wrong_answer_is_told_what_is_wrong(is_told: Any, name: str, answer: Any, says: str) -> None:
    is_told(NOTEBOOK, name, answer, says)


def test_the_hidden_cases_catch_what_the_shown_ones_do_not() -> None:
    def only_float32(support: Tensor, labels: Tensor, n_way: int) -> Tensor:
        return solution("4.1")(support, labels, n_way).float()

    check.median_prototypes(only_float32)
    with pytest.raises(CheckFailed, match="dtype of the input"):
        check.median_prototypes(only_float32, cases="hidden")
    check.peeking_logits(peek_without_epsilon)
    with pytest.raises(CheckFailed, match="the same in all queries I expected finite numbers"):
        check.peeking_logits(peek_without_epsilon, cases="hidden")


def peek_without_epsilon(s: Tensor, c: Tensor, q: Tensor, n: int) -> Tensor:
    return prototype_logits((s - q.mean(0)) / q.std(0), c, (q - q.mean(0)) / q.std(0), n)
