"""Self-checks of chapter 07: measures of a stream, statistics text by text, A-GEM's gradient, the loop of MER."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .core import Answer, Cases, expect, self_check


def _measures(R: Tensor, *, best: str = "below", cut: bool = True, diagonal: bool = True) -> tuple[float, ...]:
    """`best`: rows of which the maximum is taken: from the task on ("below"), "all", its own, and so on."""
    last, count = R[-1], len(R)
    peaks = {
        "below": [R[j:, j].max() for j in range(count)],
        "all": [R[:, j].max() for j in range(count)],
        "own": [R[j, j] for j in range(count)],
        "next": [R[j : j + 2, j].max() for j in range(count)],
        "not last": [R[j : max(j + 1, count - 1), j].max() for j in range(count)],
    }[best]
    kept = slice(None, -1) if cut else slice(None)
    backward, fall = last - (R.diagonal() if diagonal else R[0]), torch.stack(peaks) - last
    return tuple(float(x) for x in (last.mean(), backward[kept].mean(), fall[kept].mean()))


def _signs_turned(R: Tensor) -> tuple[float, ...]:
    average, backward, forgetting = _measures(R)
    return average, -backward, forgetting


@self_check(
    "7.1",
    reference=_measures,
    mistakes={
        "the last task was not left out; it had no time to be forgotten": partial(_measures, cut=False),
        "the maximum is over the rows from task j on; before it is learned its accuracy does not count": (
            partial(_measures, best="all")
        ),
        "this is minus the backward transfer; an earlier row may be better than that of learning": (
            partial(_measures, best="own")
        ),
        "the maximum is over all rows from task j on, to the last; here it stops one row below the diagonal": (
            partial(_measures, best="next")
        ),
        "the last row counts in the maximum, too: a task that is best at the end was not forgotten at all": (
            partial(_measures, best="not last")
        ),
        "compare with the accuracy right after learning, the diagonal, not with the first row": (
            partial(_measures, diagonal=False)
        ),
        "the sign: backward transfer is the last row minus the diagonal": _signs_turned,
        "average accuracy is over the last row, not over the whole matrix": lambda R: (
            float(R.mean()), *_measures(R)[1:]
        ),
    },
    returns="three numbers (average accuracy, backward transfer, forgetting)",
    parts=("the average accuracy", "the backward transfer", "the forgetting"),
    tolerance=1e-6,
)  # fmt: skip
def stream_measures(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Average accuracy, backward transfer and forgetting of an accuracy matrix."""
    if cases == "shown":
        yield from answer.expect("two tasks,", torch.tensor([[0.9, 0.1], [0.5, 0.7]]), hint=1)
        grown = torch.tensor([[0.6, 0.9, 0.0], [0.8, 0.5, 0.2], [0.7, 0.4, 0.9]])
        yield from answer.expect("a task that was best later, and one that was best before,", grown, hint=(1, 1, 2))
        late = torch.tensor([[0.5, 0.1, 0.0, 0.2], [0.6, 0.6, 0.1, 0.0], [0.9, 0.5, 0.7, 0.1], [0.3, 0.8, 0.6, 0.9]])
        yield from answer.expect("one task best two rows later, one at the very end,", late, hint=(1, 1, 2))
    else:
        for count in (3, 6):
            yield from answer.expect(f"{count} tasks,", torch.rand(count, count), hint=(1, 1, 2))


Statistics = tuple[int, Tensor, Tensor]


def _grown(
    count: int, mean: Tensor, scatter: Tensor, x: Tensor, *, share: Callable[[int], float] = lambda n: n / (n + 1)
) -> Statistics:
    change = x - mean
    return count + 1, mean + change / (count + 1), scatter + share(count) * torch.outer(change, change)


def _by_new_mean(count: int, mean: Tensor, scatter: Tensor, x: Tensor) -> Statistics:
    new = _grown(count, mean, scatter, x)[1]
    return count + 1, new, scatter + torch.outer(x - new, x - new)


def _covariance(count: int, mean: Tensor, scatter: Tensor, x: Tensor) -> Statistics:
    n, new, grown = _grown(count, mean, scatter, x)
    return n, new, grown / n


def _half_way(count: int, mean: Tensor, scatter: Tensor, x: Tensor) -> Statistics:
    return count + 1, (mean + x) / 2, _grown(count, mean, scatter, x)[2]


def _uncounted(count: int, mean: Tensor, scatter: Tensor, x: Tensor) -> Statistics:
    return count, *_grown(count, mean, scatter, x)[1:]


@self_check(
    "7.2",
    reference=_grown,
    mistakes={
        "the new text was not counted": _uncounted,
        "this is the middle between the mean and x; the mean stands for all texts before": _half_way,
        "the factor n/(n + 1) is missing": partial(_grown, share=lambda n: 1.0),
        "with the distance to the new mean on both sides it is too little; take the old mean, times n/(n + 1)": (
            _by_new_mean
        ),
        "this is a covariance; the scatter is a sum, not divided by the number of texts": _covariance,
    },
    returns="three things (count, mean, scatter)",
    parts=("the count", "the mean", "the scatter"),
    tolerance=1e-6,
)
def one_text_more(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Count, mean and scatter after one more text, as of all texts at once."""
    if cases == "shown":
        mean, scatter = torch.tensor([1.0, 0.0]), torch.tensor([[2.0, 0.0], [0.0, 2.0]])
        yield from answer.expect("three texts and a fourth,", 3, mean, scatter, torch.tensor([5.0, 4.0]), hint=1)
        yield from answer.expect(
            "no text so far,", 0, torch.zeros(2), torch.zeros(2, 2), torch.tensor([3.0, -1.0]), hint=2
        )
    else:
        texts = torch.randn(9, 4).double()
        statistics: Any = 0, torch.zeros(4).double(), torch.zeros(4, 4).double()
        for x in texts:
            statistics = answer(*statistics, x)
        apart = texts - texts.mean(0)
        off = max(
            float((statistics[1] - texts.mean(0)).abs().max()), float((statistics[2] - apart.T @ apart).abs().max())
        )
        expect(
            off < 1e-9, "nine texts, one after another,", "mean and scatter of all nine", f"{off:.2g} beside it", hint=1
        )
        yield
        yield from answer.expect("a single text before,", 1, texts[0], torch.zeros(4, 4).double(), texts[1], hint=1)


def _projected(
    g: Tensor, r: Tensor, *, always: bool = False, length: bool = True, sign: float = -1, below: float = 0.0
) -> Tensor:
    """`below`: of the cosine, from where on g is left as it is."""
    product = g @ r
    if product >= below * g.norm() * r.norm() and not always:
        return g
    return g + sign * product / ((r @ r) if length else 1.0) * r


@self_check(
    "7.3",
    reference=_projected,
    mistakes={
        "this asks whether g has a negative number; ask whether its product with r is negative": (
            lambda g, r: g - g @ r / (r @ r) * r if bool((g < 0).any()) else g
        ),
        "one negative coordinate of g·r is not yet a negative product; the sum over all of them decides": (
            lambda g, r: g - g @ r / (r @ r) * r if bool((g * r < 0).any()) else g
        ),
        "a gradient that agrees with the memory must stay as it is": partial(_projected, always=True),
        "divide by r·r, or r must have length 1": partial(_projected, length=False),
        "r·r is the sum of all squares of r, not the largest of them": lambda g, r: (
            g - (g @ r).clamp(max=0) / r.square().max() * r
        ),
        "r·r is a square; this divides by the length of r": lambda g, r: g - (g @ r).clamp(max=0) / r.norm() * r,
        "the part along r was added, not taken out": partial(_projected, sign=1),
        "gradients that oppose each other a little were left as they are; 0 is the limit": partial(
            _projected, below=-0.5
        ),
        "the gradient opposes the memory and was left as it is; project where the product is negative": lambda g, r: g,
        "this goes coordinate by coordinate; the product is one number, and so is what is taken of r": lambda g, r: (
            torch.where(g * r < 0, 0, g)
        ),
        "what is negative in g was set to 0; take out the part along r": lambda g, r: g.clamp(min=0),
        "g was set to 0 wherever r is not; take out the part along r only": lambda g, r: torch.where(r != 0, 0, g),
        "take out the part along r itself, with its signs": lambda g, r: g - (g @ r).clamp(max=0) / (r @ r) * r.abs(),
        "this is the memory's gradient": lambda g, r: r,
    },
    returns="[P]",
    tolerance=1e-6,
)
def unopposed(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A-GEM's gradient."""
    if cases == "shown":
        old = torch.tensor([1.0, 3.0, -2.0])
        for said, g, hint in (
            ("gradients that oppose each other,", [1.0, -2.0, 0.5], 2),
            ("gradients that agree in every coordinate,", [1.0, 2.0, 0.0], 1),
            ("gradients that agree, though not in every coordinate,", [1.0, 2.0, 0.5], 1),
            ("gradients that agree, though g has negative numbers,", [-1.0, 2.0, -0.5], 1),
            ("gradients that oppose each other a little,", [2.0, -1.0, 0.5], 1),
        ):
            yield answer.expect(said, torch.tensor(g), old, hint=hint)
    else:
        g, r = torch.randn(2, 8).double()
        yield answer.expect("vectors of eight numbers,", g, r, hint=1)
        yield answer.expect("the second one turned round,", g, -r, hint=1)


def _mer(
    step: Callable[[Tensor, Any], Tensor],
    theta: Tensor,
    texts: Sequence[Any],
    draws: Sequence[Sequence[Sequence[Any]]],
    beta: float,
    gamma: float,
    *,
    each_from_start: bool = False,
    new_first: bool = False,
    new_once: bool = False,
    without: str = "",
) -> Tensor:
    for text, batches in zip(texts, draws, strict=True):
        start = theta
        for number, remembered in enumerate(batches):
            before = theta = start if each_from_start else theta
            news = [text] if not new_once or number == 0 else []
            for each in [*news, *remembered] if new_first else [*remembered, *news]:
                theta = step(theta, each)
            theta = theta if without == "beta" else before + beta * (theta - before)
        theta = theta if without == "gamma" else start + gamma * (theta - start)
    return theta


def _gamma_at_the_end(step: Any, theta: Tensor, texts: Any, draws: Any, beta: float, gamma: float) -> Tensor:
    return theta + gamma * (_mer(step, theta, texts, draws, beta, gamma, without="gamma") - theta)


def _beta_each_step(step: Any, theta: Tensor, texts: Any, draws: Any, beta: float, gamma: float) -> Tensor:
    return _mer(lambda now, each: now + beta * (step(now, each) - now), theta, texts, draws, 1.0, gamma)


@self_check(
    "7.4",
    reference=_mer,
    mistakes={
        "the Reptile step with beta is missing": partial(_mer, without="beta"),
        "the Reptile step with gamma is missing": partial(_mer, without="gamma"),
        "gamma belongs to every text, not to the end of the stream": _gamma_at_the_end,
        "beta belongs to the end of a batch, not to every step": _beta_each_step,
        "every batch began at the weights before the text; the next one starts where the last one ended": (
            partial(_mer, each_from_start=True)
        ),
        "the new text comes after the remembered ones": partial(_mer, new_first=True),
        "every batch has the new text, not only the first": partial(_mer, new_once=True),
        "beta and gamma are swapped": lambda s, t, x, d, beta, gamma: _mer(s, t, x, d, gamma, beta),
        "nothing was learned": lambda s, theta, *_: theta,
    },
    returns="[P]",
    tolerance=1e-6,
)
def mer_training(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Weights after a stream by meta-experience replay."""
    texts = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]), torch.tensor([3.0, 1.0])]
    start = torch.tensor([5.0, -1.0])
    draws: Any = [[[], []], [[texts[0]], [texts[0]]], [[texts[0], texts[1]], [texts[1]]]]
    if cases == "shown":
        yield answer.expect(
            "one batch a text, β = 0.5,", _towards, start, texts, [d[:1] for d in draws], 0.5, 1.0, hint=2
        )
        yield answer.expect("two batches a text, γ = 0.5,", _towards, start, texts, draws, 1.0, 0.5, hint=1)
        yield answer.expect("both, β = 0.3 and γ = 0.6,", _towards, start, texts, draws, 0.3, 0.6, hint=2)
        yield answer.expect("β = γ = 1, which is replay one by one,", _towards, start, texts, draws, 1.0, 1.0, hint=1)
    else:
        texts = list(torch.randn(5, 3).double())
        draws = [[[texts[i] for i in range(n)] for _ in range(3)] for n in range(5)]
        yield answer.expect("five texts, three batches each,", _towards, texts[0], texts, draws, 0.7, 0.4, hint=1)


def _towards(theta: Tensor, text: Tensor) -> Tensor:
    """A step of descent on half the squared distance to the text."""
    return theta - 0.25 * (theta - text)
