"""Self-checks of chapter 04: medians, ridge regression, a leak made on purpose, a paired interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.linalg import pinv
from torch.nn.functional import one_hot

from metalearn_lib.learners.ridge import ridge_weights

from .core import ENDS, Answer, Cases, Function, expect, expect_tensor, interval, number, self_check

EPSILON = 1e-6  # as the text of exercise 4.3 says


def _per_class(reduce: Function) -> Function:
    return lambda support, labels, n_way: torch.stack([reduce(support[labels == c]) for c in range(n_way)])


_means, _medians = _per_class(lambda x: x.mean(0)), _per_class(lambda x: x.quantile(0.5, dim=0))


@self_check(
    "4.1",
    reference=_medians,
    mistakes={
        "these are the means": _means,
        "torch.median takes the lower of two middle values": _per_class(lambda x: x.median(0).values),
        "the labels were not looked at, only the order": lambda s, labels, n: _medians(s, labels.sort().values, n),
        "one median a class, not one for each coordinate": _per_class(lambda x: x.quantile(0.5).expand(x.shape[1])),
    },
    returns="[N, D]",
)
def median_prototypes(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Class centres that one wrong example hardly moves: the median of each coordinate."""
    if cases == "shown":
        support = torch.tensor([[0.0, 1.0], [0.2, 3.0], [90.0, 2.0], [5.0, 5.0], [7.0, 4.0], [6.0, -80.0]])
        support = torch.cat([support, support.sum(1, keepdim=True)], dim=1)  # [6, 3]
        labels = torch.tensor([0, 0, 0, 1, 1, 1])
        yield answer.expect("3 examples a class, one of them far off,", support, labels, 2, hint=1)
        mixed = torch.tensor([2, 5, 0, 4, 1, 3])
        yield answer.expect("the same examples in mixed order", support[mixed], labels[mixed], 2, hint=1)
        four = torch.tensor([[0.1], [0.2], [0.5], [0.9], [4.0], [1.0], [3.0], [2.0]], dtype=torch.float64)
        yield answer.expect("4 examples a class in float64", four, torch.arange(2).repeat_interleave(4), 2, hint=2)
        yield answer.expect("1 example a class", support[[0, 3]], torch.tensor([0, 1]), 2, hint=1)
        return
    double, unequal = torch.randn(30, 7, dtype=torch.float64), torch.tensor([0, 0, 1, 1, 1, 1, 1, 2, 2, 2])
    yield answer.expect("30 examples in float64", double, torch.arange(30) % 5, 5, hint=2)
    yield answer.expect("classes of 2, 5 and 3 examples", torch.randn(10, 4), unequal, 3, hint=2)
    yield answer.expect("4 classes, 4 examples each, mixed,", torch.randn(16, 3), torch.arange(16) % 4, 4, hint=2)


def _ridge(support: Tensor, labels: Tensor, query: Tensor, n_way: int, penalty: float, shift: float = 0) -> Tensor:
    targets = one_hot(labels, n_way).to(support.dtype) - shift
    return query @ ridge_weights(support[None], targets[None], torch.tensor(penalty, dtype=support.dtype))[0]


def _ridge_by(matrix: Function) -> Function:
    """A ridge regression with another matrix than (X Xᵀ + λ I)⁻¹, made of X Xᵀ and λ I."""

    def logits(support: Tensor, labels: Tensor, query: Tensor, n_way: int, penalty: float) -> Tensor:
        gram, eye = support @ support.T, torch.eye(len(support), dtype=support.dtype)
        return query @ support.T @ matrix(gram, penalty * eye) @ one_hot(labels, n_way).to(support.dtype)

    return logits


@self_check(
    "4.2",
    reference=_ridge,
    mistakes={
        "λ was added to every entry of X Xᵀ, not only to the diagonal": _ridge_by(lambda g, p: pinv(g + p.max())),
        "λ was left out": _ridge_by(lambda gram, _: pinv(gram, rtol=1e-5)),
        "λ was squared": lambda s, labels, q, n, penalty: _ridge(s, labels, q, n, penalty**2),
        "the matrix was not inverted": _ridge_by(lambda gram, penalty: gram + penalty),
        "the targets are not 0 and 1": lambda s, labels, q, n, penalty: _ridge(s, labels, q, n, penalty, shift=1 / n),
    },
    returns="[M, N]",
)
def ridge_logits(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Logits of a ridge regression that is fitted to the support set in closed form."""
    few, two = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]), torch.tensor([0, 1])
    if cases == "shown":
        yield answer.expect("2 examples of 3 numbers", few, two, torch.tensor([[1.0, 1.0, 0.0]]), 2, 0.5, hint=2)
        many, asked = torch.randn(15, 4), torch.randn(6, 4)
        given = "15 examples of 4 numbers (more examples than dimensions)"
        yield answer.expect(given, many, torch.arange(15) // 3, asked, 5, 2.0, hint=2)
        mixed, given = torch.arange(15) % 5, "labels in mixed order and float64"
        yield answer.expect(given, many.double(), mixed, asked.double(), 5, 2.0, hint=3)
        size = answer(few, two, few, 2, 1e6).abs().max()
        expect(bool(size < 1e-3), "a penalty of a million", "logits near 0", number(size), hint=2)
        yield "a large penalty"
        return
    ten, four, three = torch.randn(10, 20).double(), torch.randn(4, 20).double(), torch.arange(6) % 3
    yield answer.expect("10 examples in float64", ten, torch.arange(10) % 2, four, 2, 0.1, hint=3)
    twice, query = torch.randn(3, 8).repeat(2, 1), torch.randn(5, 8)  # the Gram matrix is singular
    yield answer.expect("every example twice", twice, three, query, 3, 1.0, hint=2)
    yield answer.expect("one query alone", torch.randn(6, 8), three, torch.randn(1, 8), 3, 3.0, hint=2)


def _standard(x: Tensor, by: Tensor, *, over: int = 1) -> Tensor:
    """Standardised by the statistics of other texts; variances divide by their number minus `over`."""
    return (x - by.mean(0)) / (by.std(0, correction=over) + EPSILON)


def _peeking(scaled: Function) -> Function:
    """The logits of prototypes, after support and query were `scaled`."""

    def logits(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
        known, asked = scaled(support, query)
        return -(torch.cdist(asked, _means(known, labels, n_way)) ** 2)

    return logits


_by_queries = _peeking(lambda s, q: (_standard(s, q), _standard(q, q)))


@self_check(
    "4.3",
    reference=_by_queries,
    mistakes={
        "the statistics are those of support and queries together": _peeking(
            lambda *sets: (_standard(x, torch.cat(sets)) for x in sets)
        ),
        "only the queries were standardised; the support set must be, too": _peeking(lambda s, q: (s, _standard(q, q))),
        "each set was standardised by itself": _peeking(lambda *sets: (_standard(x, x) for x in sets)),
        "the sign: the nearest class must get the largest logit": lambda *episode: -_by_queries(*episode),
        "the distance is not squared": lambda *episode: -(-_by_queries(*episode)).sqrt(),
    },
    returns="[M, N]",
    tolerance=1e-3,
)
def peeking_logits(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A leak made on purpose: prototypes after standardising everything by statistics of the queries."""
    ways, shots, asked, width = (3, 2, 9, 4) if cases == "shown" else (5, 1, 20, 6)
    spread = torch.linspace(0.5, 4, width)
    support, query = torch.randn(ways * shots, width) * spread, torch.randn(asked, width) * spread + 3
    labels = torch.arange(ways).repeat_interleave(shots)
    flat = query.index_fill(1, torch.tensor(0), 1.0)
    for given, queries in (("a coordinate that is the same in all queries", flat), (f"{asked} queries", query)):
        got = answer(support, labels, queries, ways)
        expect_tensor(got, (asked, ways), given=given, like=query, axes="[M, N]", hint=1)
    yield "shape, and no division by zero"
    company = torch.cat([query[:1], 5 * torch.randn(asked - 1, width) * spread])
    moved = (answer(support, labels, company, ways)[0] - got[0]).abs().max()
    cause = "nothing leaks yet; the mean and the standard deviation must be those of the queries"
    given, wanted = "the first query in other company", "other logits for it"
    expect(bool(moved > 1e-3), given, wanted, "the same", cause=cause, hint=1)
    yield "the guard catches it"
    for episode in [(support, labels, query), (support.double(), labels, query.double())][: 1 + (cases == "hidden")]:
        over_all = _peeking(lambda *sets: (_standard(x, sets[1], over=0) for x in sets))  # as customary as M - 1
        if not torch.allclose(answer(*episode, ways), over_all(*episode, ways), rtol=1e-3):
            answer.expect(f"{asked} queries", *episode, ways, hint=2)
        yield "values"


def _right(a: Function, b: Function, *given: Any) -> list[Tensor]:
    """Whether each query [T, M] is right, by two classifiers."""
    episodes, ways = list(zip(*given[:4], strict=True)), given[4]
    return [torch.stack([f(s, c, q, ways).argmax(1) == t for s, c, q, t in episodes]) for f in (a, b)]


_gain, _slips = interval(_right, values=lambda hits: hits.mean(1))


@self_check(
    "4.4",
    reference=_gain,
    mistakes={
        **_slips,
        "the sign: the first classifier minus the second": lambda a, b, *episodes: _gain(b, a, *episodes),
        "these are points, not shares": lambda *given: tuple(100 * value for value in _gain(*given)),
        "the unit is the episode, not the query": interval(_right, values=np.ravel)[0],
    },
    returns="three numbers (mean, low, high)",
    parts=ENDS,
)
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

    episodes = (support, labels, query, truth, ways)
    yield from answer.expect(f"{tasks} episodes", good, poor, *episodes, hint=(1, 2, 2))
    answer.expect("a classifier compared with itself", good, good, *episodes, hint=2)
    yield "nothing gained over oneself"
