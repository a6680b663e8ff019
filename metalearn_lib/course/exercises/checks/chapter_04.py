"""Self-checks of chapter 04: medians, ridge regression, a leak made on purpose, a paired interval, an episode loss."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor
from torch.linalg import pinv
from torch.nn.functional import cross_entropy, normalize, one_hot

from metalearn_lib.learners.ridge import ridge_weights
from metalearn_lib.scores import Score

from .core import (
    ENDS,
    Answer,
    Cases,
    Function,
    expect,
    expect_tensor,
    interval,
    number,
    row,
    self_check,
)
from .episode_loss import EPISODE_LOSS_SLIPS, episodes

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
        "this is the upper of two middle values; take their mean": _per_class(lambda x: x.sort(0).values[len(x) // 2]),
        "this is one of the examples; take the median of each coordinate by itself": _per_class(
            lambda x: x[torch.cdist(x, x).sum(1).argmin()]
        ),
        "these are the medians of all examples, whatever their class": (
            lambda s, labels, n: s.quantile(0.5, dim=0).expand(n, -1)
        ),
        "the labels were not looked at, only the order": lambda s, labels, n: _medians(s, labels.sort().values, n),
        "the examples were cut into parts of one size; a class may have more of them than another": (
            lambda s, labels, n: s[labels.argsort(stable=True)].view(n, -1, s.shape[1]).quantile(0.5, dim=1)
        ),
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
        yield answer.expect("classes of 2 and 4 examples", support, torch.tensor([1, 0, 1, 1, 0, 1]), 2, hint=2)
        return
    double, unequal = torch.randn(30, 7, dtype=torch.float64), torch.tensor([0, 0, 1, 1, 1, 1, 1, 2, 2, 2])
    yield answer.expect("30 examples in float64", double, torch.arange(30) % 5, 5, hint=2)
    yield answer.expect("classes of 2, 5 and 3 examples", torch.randn(10, 4), unequal, 3, hint=2)
    yield answer.expect("4 classes, 4 examples each, mixed,", torch.randn(16, 3), torch.arange(16) % 4, 4, hint=2)


def _ridge(
    support: Tensor, labels: Tensor, query: Tensor, n_way: int, penalty: float, *, low: float = 0, high: float = 1
) -> Tensor:
    """Logits of a ridge regression on targets that are `high` for the class of an example and `low` for the others."""
    targets = one_hot(labels, n_way).to(support.dtype) * (high - low) + low
    return query @ ridge_weights(support[None], targets[None], torch.tensor(penalty, dtype=support.dtype))[0]


def _ridge_by(matrix: Function) -> Function:
    """A ridge regression with another matrix than (X Xᵀ + λ I)⁻¹, made of X Xᵀ and λ I."""

    def logits(support: Tensor, labels: Tensor, query: Tensor, n_way: int, penalty: float) -> Tensor:
        gram, eye = support @ support.T, torch.eye(len(support), dtype=support.dtype)
        return query @ support.T @ matrix(gram, penalty * eye) @ one_hot(labels, n_way).to(support.dtype)

    return logits


def _ridge_on(change: Function) -> Function:
    """A ridge regression on vectors that were changed: by (vectors, support vectors)."""
    return lambda s, labels, query, n, penalty: _ridge(change(s, s), labels, change(query, s), n, penalty)


_centred = _ridge_on(lambda x, s: x - s.mean(0))
_one_more = _ridge_on(lambda x, _: torch.cat([x, torch.ones_like(x[:, :1])], dim=1))


@self_check(
    "4.2",
    reference=_ridge,
    mistakes={
        "λ was added to every entry of X Xᵀ, not only to the diagonal": _ridge_by(lambda g, p: pinv(g + p.max())),
        "λ was left out": _ridge_by(lambda gram, _: pinv(gram, rtol=1e-5)),
        "λ was squared": lambda s, labels, q, n, penalty: _ridge(s, labels, q, n, penalty**2),
        "λ was multiplied by the number of examples; the errors are added up here, not averaged": (
            lambda s, labels, q, n, penalty: _ridge(s, labels, q, n, penalty * len(s))
        ),
        "λ was divided by the number of examples": (
            lambda s, labels, q, n, penalty: _ridge(s, labels, q, n, penalty / len(s))
        ),
        "the matrix was not inverted": _ridge_by(lambda gram, penalty: gram + penalty),
        "an intercept was fitted; the formula has none": (
            lambda s, labels, *rest: _centred(s, labels, *rest) + one_hot(labels).to(s.dtype).mean(0)
        ),
        "an intercept was fitted (a column of ones); the formula has none": _one_more,
        "the mean was taken off the vectors; the formula takes them as they are": _centred,
        "the vectors were scaled to length 1; the formula takes them as they are": _ridge_on(
            lambda x, _: normalize(x, dim=1)
        ),
        "the targets are −1 and 1; take 0 and 1": partial(_ridge, low=-1),
        "the mean was taken off the targets; take 0 and 1": (
            lambda s, labels, q, n, penalty: _ridge(s, labels, q, n, penalty, low=-1 / n, high=1 - 1 / n)
        ),
        "a softmax was taken; return the logits themselves": lambda *given: _ridge(*given).softmax(1),
        "a log-softmax was taken; return the logits themselves": lambda *given: _ridge(*given).log_softmax(1),
        "the sign is turned": lambda *given: -_ridge(*given),
        "these are prototypes, not a ridge regression": lambda s, c, q, n, _: -(torch.cdist(q, _means(s, c, n)) ** 2),
        "the labels were not looked at, only the order": (
            lambda s, labels, *rest: _ridge(s, labels.sort().values, *rest)
        ),
    },
    returns="[M, N]",
)
def ridge_logits(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Logits of a ridge regression that is fitted to the support set in closed form."""
    if cases == "shown":
        few, labels = torch.randn(3, 4), torch.tensor([1, 0, 1])
        yield answer.expect("3 examples of 4 numbers, in mixed order,", few, labels, torch.randn(5, 4), 2, 0.3, hint=1)
        many, asked = torch.randn(15, 4), torch.randn(6, 4)
        given = "15 examples of 4 numbers (more examples than dimensions)"
        yield answer.expect(given, many, torch.arange(15) // 3, asked, 5, 2.0, hint=2)
        mixed, given = torch.arange(15) % 5, "labels in mixed order and float64"
        yield answer.expect(given, many.double(), mixed, asked.double(), 5, 2.0, hint=3)
        size = answer(few, labels, few, 2, 1e6).abs().max()
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
_as_they_are = _peeking(lambda *sets: sets)


def _scaled_by(width: Function) -> Function:
    """Both sets divided by another number than the standard deviation; the mean changes no distance."""
    return _peeking(lambda *sets: (x / (width(sets[1]) + EPSILON) for x in sets))


@self_check(
    "4.3",
    reference=_by_queries,
    mistakes={
        "the statistics are those of support and queries together": _peeking(
            lambda *sets: (_standard(x, torch.cat(sets)) for x in sets)
        ),
        "only the queries were standardised; the support set must be, too": _peeking(lambda s, q: (s, _standard(q, q))),
        "only the support set was standardised; the queries must be, too": _peeking(lambda s, q: (_standard(s, q), q)),
        "this is the variance; divide by its root": _scaled_by(lambda q: q.var(0)),
        "one standard deviation for all numbers; each coordinate has its own": _scaled_by(lambda q: q.std()),
        "this is the length of a column; divide by its standard deviation": _scaled_by(lambda q: q.norm(dim=0)),
        "a softmax was taken; return the logits themselves": lambda *episode: _by_queries(*episode).softmax(1),
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
    still = torch.allclose(got, _as_they_are(support, labels, query, ways), rtol=1e-3)
    cause = "nothing leaks yet; the mean and the standard deviation must be those of the queries"
    if still:
        cause = "nothing leaks: taking a mean off changes no distance; divide by the standard deviation, too"
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


def _ends(make: Function) -> Function:
    """What `make` makes of the two rows of accuracies [T]."""
    return lambda *given: make(*(hits.double().mean(1).numpy() for hits in _right(*given)))


def _around(half_width: Function) -> Function:
    """The mean of the differences, and ends that lie as far from it as `half_width` of the two rows says."""

    def ends(a: Any, b: Any) -> tuple[float, ...]:
        mean, half = float((a - b).mean()), float(half_width(a, b))
        return mean, mean - half, mean + half

    return _ends(ends)


def _half(values: Any) -> float:
    return Score.of(values).high - float(values.mean())


def _both_errors(a: Any, b: Any) -> float:
    """The standard error of a difference of two means from different episodes."""
    return float(((a.var(ddof=1) + b.var(ddof=1)) / len(a)) ** 0.5)


def _quantile(degrees: int, share: float = 0.975) -> float:
    return float(stdtrit(degrees, share))


_gain, _slips = interval(_right, values=lambda hits: hits.mean(1))


@self_check(
    "4.4",
    reference=_gain,
    mistakes={
        **_slips,
        "the interval is not paired: 1.96 times the root of the sum of both squared errors": _around(
            lambda a, b: 1.96 * _both_errors(a, b)
        ),
        "the interval is not paired: it is that of two means from different episodes": _around(
            lambda a, b: _quantile(2 * len(a) - 2) * _both_errors(a, b)
        ),
        "the interval is not paired: the squares of both half-widths were added": _around(
            lambda a, b: (_half(a) ** 2 + _half(b) ** 2) ** 0.5
        ),
        "the interval is not paired: the half-widths of both were added": _around(lambda a, b: _half(a) + _half(b)),
        "the interval is not paired: the ends of one were subtracted from those of the other": _ends(
            lambda a, b: [getattr(Score.of(a), end) - getattr(Score.of(b), end) for end in ("mean", "low", "high")]
        ),
        "the standard deviation divides by T − 1: std(ddof=1)": _around(
            lambda a, b: _half(a - b) * (1 - 1 / len(a)) ** 0.5
        ),
        "this is a 90 % interval; take the 97.5 % quantile": _around(
            lambda a, b: _half(a - b) * _quantile(len(a) - 1, 0.95) / _quantile(len(a) - 1)
        ),
        "this is where the differences lie, not where their mean does": _ends(
            lambda a, b: ((a - b).mean(), *np.percentile(a - b, (2.5, 97.5)))
        ),
        "the sign of a difference counts: no absolute values": _ends(
            lambda a, b: [getattr(Score.of(abs(a - b)), end) for end in ("mean", "low", "high")]
        ),
        "the sign: the first classifier minus the second": lambda a, b, *episodes: _gain(b, a, *episodes),
        "the largest logit wins: argmax": lambda a, b, *rest: _gain(
            *(lambda *episode, f=f: -f(*episode) for f in (a, b)), *rest
        ),
        "the accuracy of the floor was not subtracted": _ends(
            lambda a, b: [getattr(Score.of(a), end) for end in ("mean", "low", "high")]
        ),
        "these are points, not shares": lambda *given: tuple(100 * value for value in _gain(*given)),
        "the two ends are swapped": lambda *given: tuple(_gain(*given)[k] for k in (0, 2, 1)),
        "the mean comes first, then the low end": lambda *given: tuple(_gain(*given)[k] for k in (1, 0, 2)),
        "these are accuracies on the support set": lambda a, b, s, c, q, t, n: _gain(a, b, s, c, s, c, n),
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
    answer.expect("the worse classifier first", poor, good, *episodes, hint=1)
    yield "a loss is negative"
    answer.expect("a classifier compared with itself", good, good, *episodes, hint=2)
    yield "nothing gained over oneself"


def _logits(support: Tensor, labels: Tensor, query: Tensor, n_way: int, *, slip: str = "") -> Tensor:
    """The logits of prototypes, of vectors that are mapped already. `slip`: with a mistake."""
    if slip == "order":
        labels = labels.sort().values
    if slip == "length":
        support, query = normalize(support, dim=1), normalize(query, dim=1)
    centres = _means(support, labels, n_way)
    if slip == "cut":
        centres = centres.detach()
    if slip == "cut queries":
        query = query.detach()
    squares = ((query[:, None] - centres) ** 2).sum(-1)
    if slip == "root":
        squares = (squares + 1e-12).sqrt()
    return (-squares).softmax(1) if slip == "softmax" else -squares


def _trained(
    draw: Function, start: Tensor, n_way: int, rate: float, steps: int, *, slip: str = ""
) -> tuple[Tensor, Tensor]:
    """A matrix that is trained by an episode loss, and the losses. `slip`: with a mistake."""
    now, added, losses = start.detach().clone(), torch.zeros_like(start), []
    matrices = [now]

    def loss_of(matrix: Tensor, i: int) -> tuple[Tensor, float]:
        support, labels, query, truth = draw(0 if slip == "first" else i)
        if slip == "support":
            query, truth = support, labels
        if slip == "both":
            query, truth = torch.cat([query, support]), torch.cat([truth, labels])
        mapped = [x if slip == raw else x @ (matrix.T if slip == "turned" else matrix) for x, raw in (
            (support, "raw support"), (query, "raw query"))]  # fmt: skip
        logits = _logits(mapped[0], labels, mapped[1], n_way, slip=slip)
        loss = cross_entropy(-logits if slip == "far" else logits, truth)
        return loss * (len(truth) if slip == "sum" else 1), float((logits.argmax(1) == truth).double().mean())

    adam = torch.zeros_like(start), torch.zeros_like(start)
    for i in range(steps + (slip == "more")):
        leaf = (start if slip in ("anew", "together") else now).detach().clone().requires_grad_()
        loss, accuracy = loss_of(leaf, i)
        (slope,) = torch.autograd.grad(loss, leaf)
        added = added + slope
        if slip == "adam":
            adam = 0.9 * adam[0] + 0.1 * slope, 0.999 * adam[1] + 0.001 * slope**2
            slope = adam[0] / (1 - 0.9 ** (i + 1)) / ((adam[1] / (1 - 0.999 ** (i + 1))).sqrt() + 1e-8)
        step = {"added": added, "still": 0 * slope, "up": -slope, "no rate": slope / rate if rate else slope}
        now = leaf.detach() - rate * step.get(slip, slope)
        matrices.append(now)
        losses.append(loss_of(now, i)[0].item() if slip == "late" else accuracy if slip == "accuracy" else loss.item())
    if slip == "together":
        now = start - rate * added / steps
    if slip == "early":
        now = matrices[-2]
    if slip == "means":
        losses = [sum(losses[: k + 1]) / (k + 1) for k in range(steps)]
    return now, torch.tensor(losses[:steps], dtype=start.dtype)


@self_check(
    "4.5",
    reference=_trained,
    mistakes={
        cause: partial(_trained, slip=slip)
        for cause, slip in {
            "the matrix never moved; take a step after each episode": "still",
            "the sign: a step goes against the gradient": "up",
            "the rate was left out": "no rate",
            "each step began at the start again; go on from where the last one ended": "anew",
            "this is one step on all episodes; take one on each": "together",
            "every step saw the first episode; draw(i) gives new ones": "first",
            "this is the matrix before the last step": "early",
            "one step too many was taken": "more",
            "the gradients add up: .grad must be emptied before each backward()": "added",
            "this is Adam; plain gradient descent is asked for": "adam",
            "the support vectors were not mapped": "raw support",
            "the loss is that of both sets; the support set has made the prototypes": "both",
            "the query vectors were not mapped": "raw query",
            "no gradient runs through the prototypes; they depend on the matrix, too": "cut",
            "no gradient runs through the queries; they depend on the matrix, too": "cut queries",
            "the map is x @ matrix, not x @ matrix.T": "turned",
            "the mapped vectors were scaled to length 1": "length",
            **EPISODE_LOSS_SLIPS,
            "these losses are from after the step; note them before": "late",
            "these are accuracies; note the loss": "accuracy",
            "these are running means of the losses": "means",
        }.items()
    },
    returns="two things, the trained matrix and the losses",
    parts=("the trained matrix", "the losses"),
    tolerance=1e-6,
)
def prototype_training(answer: Answer, cases: Cases) -> Iterator[Any]:
    """An episode loss and the loop that lowers it: a matrix trained to make prototypes work."""
    shown = cases == "shown"

    ways, shots = (3, 2) if shown else (4, 1)
    square, start = episodes(ways, shots, 3, 0.8), torch.eye(3).double() + 0.1 * torch.randn(3, 3).double()
    if shown:
        yield from answer.expect("3 steps,", square, start, ways, 0.2, 3, hint=(2, 3))
    flat = 0.5 * torch.randn(5, 2).double()
    given = "a matrix from 5 numbers to 2, 2 classes, 2 steps,"
    yield from answer.expect(given, episodes(2, 3, 5, 0.8), flat, 2, 0.1, 2, hint=(2, 3))
    steps = 80
    wide, eye = episodes(ways, shots, 6, 1.5), torch.eye(6).double()
    given = f"{steps} steps,"
    got = row(answer(wide, eye, ways, 0.1, steps), 2, answer.check.returns, given=given, hint=1)
    losses = torch.tensor([float(torch.as_tensor(loss).detach()) for loss in got[1]])
    first, last = float(losses[:10].mean()), float(losses[-10:].mean())
    told = f"one that goes from {first:.2f} to {last:.2f}"
    expect(last < first / 2, given, "a loss that falls to less than half", told, hint=2)
    yield "the loss falls"
