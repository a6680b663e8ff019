"""Self-checks of chapter 04: medians, ridge regression, a leak made on purpose, a paired interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from metalearn_lib.learners.ridge import ridge_weights
from metalearn_lib.scores import Score

from .core import (
    Answer,
    Cases,
    describe,
    expect,
    expect_close,
    expect_ends,
    expect_number,
    expect_tensor,
    fail,
    number,
    self_check,
)

EPSILON = 1e-6  # as the text of exercise 4.3 says


@self_check("4.1")
def median_prototypes(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Class centres that one wrong example hardly moves: the median of each coordinate."""

    def compare(given: str, support: Tensor, labels: Tensor, n_way: int, hint: int) -> None:
        got = answer(support, labels, n_way)
        expect_tensor(got, (n_way, support.shape[1]), given=given, like=support, axes="[N, D]", hint=1)
        of_class = [support[labels == c] for c in range(n_way)]
        suspects = {
            "these are the means": torch.stack([x.mean(0) for x in of_class]),
            "torch.median takes the lower of two middle values": torch.stack([x.median(0).values for x in of_class]),
            "the labels were not looked at, only the order": _medians(support, labels.sort().values, n_way),
            "one median was taken over the whole class, not one for each coordinate": torch.stack(
                [x.quantile(0.5).expand(support.shape[1]) for x in of_class]
            ),
        }
        expect_close(got, _medians(support, labels, n_way), given=given, suspects=suspects, hint=hint)

    if cases == "shown":
        support = torch.tensor([[0.0, 1.0], [0.2, 3.0], [90.0, 2.0], [5.0, 5.0], [7.0, 4.0], [6.0, -80.0]])
        support = torch.cat([support, support.sum(1, keepdim=True)], dim=1)  # [6, 3]
        labels = torch.tensor([0, 0, 0, 1, 1, 1])
        compare("3 examples a class, one of them far off,", support, labels, 2, 1)
        yield "odd"
        mixed = torch.tensor([2, 5, 0, 4, 1, 3])
        compare("the same examples in mixed order", support[mixed], labels[mixed], 2, 1)
        yield "mixed"
        four = torch.tensor([[0.1], [0.2], [0.5], [0.9], [4.0], [1.0], [3.0], [2.0]])
        compare("4 examples a class", four, torch.arange(2).repeat_interleave(4), 2, 2)
        yield "even"
        compare("1 example a class", support[[0, 3]], torch.tensor([0, 1]), 2, 1)
        yield "one shot"
        return
    double = torch.randn(30, 7, dtype=torch.float64)
    compare("30 examples in float64", double, torch.arange(30) % 5, 5, 2)
    yield "float64"
    compare("classes of 2, 5 and 3 examples", torch.randn(10, 4), torch.tensor([0, 0, 1, 1, 1, 1, 1, 2, 2, 2]), 3, 2)
    yield "unequal"
    compare("4 classes, 4 examples each, in mixed order", torch.randn(16, 3), torch.arange(16) % 4, 4, 2)
    yield "mixed and even"


@self_check("4.2")
def ridge_logits(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Logits of a ridge regression that is fitted to the support set in closed form."""

    def compare(given: str, support: Tensor, labels: Tensor, query: Tensor, n_way: int, penalty: float) -> None:
        got = answer(support, labels, query, n_way, penalty)
        expect_tensor(got, (len(query), n_way), given=given, like=support, axes="[M, N]", hint=1)
        targets = one_hot(labels, n_way).to(support.dtype)
        right = query @ _ridge(support, targets, penalty)
        gram = support @ support.T
        everywhere = query @ support.T @ torch.linalg.pinv(gram + penalty) @ targets
        centred = query @ _ridge(support, targets - 1 / n_way, penalty)
        suspects = {
            "λ was added to every entry of X Xᵀ, not only to the diagonal": everywhere,
            "λ was left out": query @ torch.linalg.pinv(support) @ targets,
            "λ was squared": query @ _ridge(support, targets, penalty**2),
            "the matrix was not inverted": query @ support.T @ (gram + penalty * torch.eye(len(gram))) @ targets,
            "the targets are not 0 and 1": centred,
        }
        expect_close(got, right, given=given, suspects=suspects if support.dtype == torch.float32 else None, hint=2)

    few = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    if cases == "shown":
        compare("2 examples of 3 numbers", few, torch.tensor([0, 1]), torch.tensor([[1.0, 1.0, 0.0]]), 2, 0.5)
        yield "few"
        many, asked = torch.randn(15, 4), torch.randn(6, 4)
        compare("15 examples of 4 numbers", many, torch.arange(15) // 3, asked, 5, 2.0)
        yield "more examples than dimensions"
        compare("labels in mixed order", many, torch.arange(15) % 5, asked, 5, 2.0)
        yield "mixed"
        size = answer(few, torch.tensor([0, 1]), few, 2, 1e6).abs().max()
        expect(bool(size < 1e-3), "a penalty of a million", "logits near 0", number(size), hint=2)
        yield "a large penalty"
        return
    double = torch.randn(10, 20, dtype=torch.float64)
    compare("10 examples in float64", double, torch.arange(10) % 2, torch.randn(4, 20).double(), 2, 0.1)
    yield "float64"
    twice = torch.randn(3, 8).repeat(2, 1)
    compare("every example twice", twice, torch.tensor([0, 1, 2, 0, 1, 2]), torch.randn(5, 8), 3, 1.0)
    yield "repeated examples: the Gram matrix is singular"
    alone = torch.randn(1, 8)
    compare("one query alone", torch.randn(6, 8), torch.tensor([0, 1, 2, 0, 1, 2]), alone, 3, 3.0)
    yield "one query"


@self_check("4.3")
def peeking_logits(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A leak made on purpose: prototypes after standardising everything by statistics of the queries."""
    ways, shots, asked, width = (3, 2, 9, 4) if cases == "shown" else (5, 1, 20, 6)
    spread = torch.linspace(0.5, 4, width)
    support, query = torch.randn(ways * shots, width) * spread, torch.randn(asked, width) * spread + 3
    labels = torch.arange(ways).repeat_interleave(shots)
    given = f"{asked} queries"
    got = answer(support, labels, query, ways)
    expect_tensor(got, (asked, ways), given=given, like=query, axes="[M, N]", hint=1)
    yield "shape"
    company = torch.cat([query[:1], 5 * torch.randn(asked - 1, width) * spread])
    moved = (answer(support, labels, company, ways)[0] - got[0]).abs().max()
    expect(
        bool(moved > 1e-3),
        "the first query in other company",
        "other logits for it",
        "the same",
        cause="nothing leaks yet; the mean and the standard deviation must be those of the queries",
        hint=1,
    )
    yield "the guard catches it"
    right = _standardised(support, labels, query, ways, query)
    unscaled = -(torch.cdist(query - query.mean(0), _means(support - query.mean(0), labels, ways)) ** 2)
    suspects = {
        "the statistics are those of support and queries together": _standardised(
            support, labels, query, ways, torch.cat([support, query])
        ),
        "only the queries were standardised; the support set must be, in the same way": -(
            torch.cdist(_by(query, query), _means(support, labels, ways)) ** 2
        ),
        "each set was standardised by itself": -(
            torch.cdist(_by(query, query), _means(_by(support, support), labels, ways)) ** 2
        ),
        "the sign: the nearest class must get the largest logit": -right,
        "the distance is not squared": -(-right).sqrt(),
        "nothing is divided by the standard deviation": unscaled,
    }
    if not torch.allclose(got, right * (asked - 1) / asked, rtol=1e-3) and not torch.allclose(
        got, right * asked / (asked - 1), rtol=1e-3
    ):  # a standard deviation over M or over M - 1: both are customary
        expect_close(got, right, given=given, tolerance=1e-3, suspects=suspects, hint=2)
    yield "values"
    if cases == "hidden":
        query[:, 0] = 1.0
        constant = answer(support, labels, query, ways)
        given = "a coordinate that is the same in all queries"
        expect_tensor(constant, (asked, ways), given=given, hint=2)
        yield "a constant coordinate"


@self_check("4.4")
def paired_gain(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The gain of one classifier over another on the same episodes: its mean and the ends of its 95 % interval."""
    tasks, ways, asked = (8, 3, 12) if cases == "shown" else (25, 5, 10)
    support = torch.randn(tasks, ways * 2, 4)
    labels = torch.arange(ways).repeat_interleave(2).expand(tasks, -1)
    truth = torch.arange(asked).remainder(ways).expand(tasks, -1)
    centres = torch.stack([_means(s, c, ways) for s, c in zip(support, labels, strict=True)])
    query = torch.stack([c[t] for c, t in zip(centres, truth, strict=True)]) + torch.randn(tasks, asked, 4)

    def good(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
        return -torch.cdist(query, _means(support, labels, n_way))

    def poor(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
        return -torch.cdist(query[:, :1], _means(support, labels, n_way)[:, :1])

    episodes = list(zip(support, labels, query, truth, strict=True))
    hits = [
        torch.stack([(f(s, c, q, ways).argmax(1) == t).double() for s, c, q, t in episodes]) for f in (good, poor)
    ]  # [T, M] each
    a, b = (Score.of(h.mean(1).numpy(), key=("the same tasks",)) for h in hits)
    right, apart = a > b, Score.of(a.values) > Score.of(b.values)
    over_queries = Score.of(hits[0].flatten().numpy(), key=(1,)) > Score.of(hits[1].flatten().numpy(), key=(1,))
    half = right.high - right.difference
    deviation = float((a.values - b.values).std(ddof=1))
    given = f"{tasks} episodes"
    got = answer(good, poor, support, labels, query, truth, ways)
    if not isinstance(got, tuple | list) or len(got) != 3:
        fail(given, "three numbers (mean, low, high)", describe(got), hint=1)
    means = {
        "the sign: the first classifier minus the second": -right.difference,
        "these are points, not shares": 100 * right.difference,
    }
    expect_number(got[0], right.difference, given=f"{given}, for the mean,", suspects=means, hint=1)
    yield "mean"
    widths = {
        "the interval is not paired: take the differences first": apart.high - apart.difference,
        "this is one standard deviation; the mean of T episodes varies less, by √T": deviation,
        "the unit is the episode, not the query": over_queries.high - right.difference,
        "1.96 belongs to many episodes; for few take Student's t (Score does)": 1.96 * deviation / tasks**0.5,
        "the standard deviation is divided by T, not by √T": half / tasks**0.5,
        "this is one standard error; 95 % needs more than two of them": deviation / tasks**0.5,
    }
    yield from expect_ends(got[1:], right.difference, half, given=given, widths=widths, hint=2)
    same = answer(good, good, support, labels, query, truth, ways)
    for value in same:
        expect_number(value, 0.0, given="a classifier compared with itself", hint=2)
    yield "nothing gained over oneself"


def _means(support: Tensor, labels: Tensor, n_way: int) -> Tensor:
    return torch.stack([support[labels == c].mean(0) for c in range(n_way)])


def _medians(support: Tensor, labels: Tensor, n_way: int) -> Tensor:
    return torch.stack([support[labels == c].quantile(0.5, dim=0) for c in range(n_way)])


def _ridge(support: Tensor, targets: Tensor, penalty: float) -> Tensor:
    weights = ridge_weights(support[None], targets[None], torch.tensor(penalty, dtype=support.dtype))
    return weights[0]


def _by(values: Tensor, reference: Tensor) -> Tensor:
    return (values - reference.mean(0)) / (reference.std(0) + EPSILON)


def _standardised(support: Tensor, labels: Tensor, query: Tensor, n_way: int, reference: Tensor) -> Tensor:
    return -(torch.cdist(_by(query, reference), _means(_by(support, reference), labels, n_way)) ** 2)
