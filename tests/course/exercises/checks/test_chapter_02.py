"""Each check passes the right answers, and says of typical wrong ones what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalearn_lib import Score
from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.checks import CheckFailed
from metalearn_lib.files import root
from metalearn_lib.meta_optimizers import HypergradientSGD, finite_differences
from tests.course.exercises.checks.solutions import solved
from tests.notebooks.stored_notebook import StoredNotebook

NOTEBOOK = StoredNotebook(root() / "notebooks" / "02_meta_optimizers.ipynb")


def solution(number: str) -> Any:
    return solved(NOTEBOOK, number, torch=torch, np=np, cross_entropy=cross_entropy, Score=Score)


def library_rates(gradients: list[Tensor], last: list[Tensor], rates: Tensor, hyper_rate: float) -> Tensor:
    """Two steps of the library's optimizer; the first product is with nothing, so that the rates stay."""
    weights = [nn.Parameter(torch.zeros_like(g)) for g in gradients]
    groups = [{"params": [w], "lr": float(rate)} for w, rate in zip(weights, rates, strict=True)]
    optimizer = HypergradientSGD(groups, lr=0.1, hyper_lr=hyper_rate)
    for step in (last, gradients):
        for w, g in zip(weights, step, strict=True):
            w.grad = g.clone()
        optimizer.step()
    return torch.tensor(optimizer.rates, dtype=rates.dtype)


def trained(task: Any, weights: Tensor, log_rate: Tensor, momentum: Tensor, steps: int) -> Tensor:
    """The query loss after torch's own SGD with momentum; differences ask for momenta below 0, which it refuses."""
    x, y, z, t = task
    w = nn.Parameter(weights.clone())
    optimizer = torch.optim.SGD([w], lr=float(log_rate.exp()))
    optimizer.param_groups[0]["momentum"] = float(momentum)
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(x @ w, y).backward()
        optimizer.step()
    return cross_entropy(z @ w, t).detach()


def by_finite_differences(*given: Any) -> Tensor:
    """In double precision, whatever was given."""
    *task, weights, log_rate, momentum, steps = (
        g.double() if isinstance(g, Tensor) and g.is_floating_point() else g for g in given
    )
    knobs = {"log_rate": log_rate.clone(), "momentum": momentum.clone()}
    found = finite_differences(lambda: trained(task, weights, *knobs.values(), steps), knobs)
    return torch.stack(list(found.values())).to(given[4].dtype)


def by_hand(*given: Any) -> Tensor:
    """−α Σ g · g_Q: the sum of the inner gradients times the gradient at the end."""
    x, y, z, t, w, log_rate, steps = given
    w, total = w.clone().requires_grad_(), torch.zeros_like(w)
    for _ in range(steps):
        g = torch.autograd.grad(cross_entropy(x @ w, y), w)[0]
        total, w = total + g, (w - log_rate.exp() * g).detach().requires_grad_()
    return -log_rate.exp() * (total * torch.autograd.grad(cross_entropy(z @ w, t), w)[0]).sum()


def library_ratio(losses: Tensor, other: Tensor) -> list[float]:
    one, two = (Score.of(x.log().numpy(), key=("runs",), share=False) for x in (losses, other))
    gap = one.minus(two)
    return np.exp([gap.difference, gap.low, gap.high]).tolist()


RATES, MOMENTUM, CUT, RATIO = "layer_rates", "momentum_hypergradient", "incomplete_hypergradient", "loss_ratio"
RIGHT: list[tuple[str, Any]] = [
    *[(e.checks[0], solution(e.number)) for e in exercises(NOTEBOOK.raw["cells"]) if e.checks],
    (RATES, library_rates),
    (MOMENTUM, by_finite_differences),
    (CUT, by_hand),
    (RATIO, library_ratio),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{n}: {a.__name__}" for n, a in RIGHT])
def test_a_right_answer_passes(passes: Any, name: str, answer: Any) -> None:
    passes(name, answer)


def rates_by(product: Any) -> Any:
    """A wrong `layer_rates`, with another product of two gradients."""
    return lambda g, last, rates, b: rates + b * torch.stack([product(*p) for p in zip(g, last, strict=True)])


def momentum(*, graph: bool = True, cut: bool = False, weight: float | None = None, outer: int = 2) -> Any:
    """`momentum_hypergradient` with a slip of one's choice."""

    def answer(*given: Any) -> Tensor:
        w, log_rate, m = (t.detach().clone().requires_grad_() for t in given[4:7])
        velocity = torch.zeros_like(w)
        for _ in range(given[7]):
            (g,) = torch.autograd.grad(cross_entropy(given[0] @ w, given[1]), w, create_graph=graph)
            velocity = m * (velocity.detach() if cut else velocity) + (1 if weight is None else weight - m) * g
            w = w - log_rate.exp() * velocity
        loss = cross_entropy(given[outer] @ w, given[outer + 1])
        return torch.stack(torch.autograd.grad(loss, (log_rate, m), materialize_grads=True))

    return answer


def complete(*given: Any) -> Tensor:
    return solution("2.2")(*given[:6], torch.tensor(0.0).double(), given[6])[0]


def last_step_only(*given: Any) -> Tensor:
    x, y, z, t, w, log_rate, steps = given
    for _ in range(steps - 1):
        w = (w - log_rate.exp() * torch.autograd.grad(cross_entropy(x @ w.requires_grad_(), y), w)[0]).detach()
    return solution("2.3")(x, y, z, t, w, log_rate, 1)


def ratio(interval: Any) -> Any:
    """A wrong `loss_ratio`: `interval` gives the mean and the half width in logarithms."""

    def answer(losses: Tensor, other: Tensor) -> list[float]:
        mean, half = map(float, interval(losses.log(), other.log()))
        return np.exp([mean, mean - half, mean + half]).tolist()

    return answer


def unpaired(a: Tensor, b: Tensor) -> tuple[float, float]:
    gap = Score.of(a.numpy()).minus(Score.of(b.numpy()))
    return gap.difference, gap.high - gap.difference


def in_place(gradients: list[Tensor], last: list[Tensor], rates: Tensor, hyper_rate: float) -> Tensor:
    for i, (g, h) in enumerate(zip(gradients, last, strict=True)):
        rates[i] += hyper_rate * (g * h).sum()
    return rates


def unanswered(*_: Any) -> Any:
    raise NotImplementedError


WRONG: list[tuple[str, Any, str]] = [
    (RATES, lambda g, last, r, b: 2 * r - library_rates(g, last, r, b), "the sign: gradients that agree"),
    (RATES, lambda g, last, r, b: r + b * sum((x * y).sum() for x, y in zip(g, last, strict=True)), "over all layers"),
    (RATES, rates_by(lambda g, h: (g * h).mean()), "the products were averaged, not added up; see hint 2"),
    (RATES, rates_by(lambda g, h: torch.cosine_similarity(g.flatten(), h.flatten(), 0)), "this is the cosine"),
    (RATES, rates_by(lambda g, h: (g * g).sum()), "each gradient was multiplied by itself"),
    (RATES, lambda g, last, r, b: library_rates(g, last, r, b) - r, "this is the change alone"),
    (RATES, lambda g, last, r, b: library_rates(g, last, r, 1.0), "the hyper-rate was left out"),
    (RATES, lambda g, last, r, b: library_rates(g, last, r, b).tolist(), "got a list of 2: torch.stack"),
    (RATES, in_place, "changed its argument 3"),
    (MOMENTUM, momentum(graph=False), "the inner gradients are constants; give torch.autograd.grad create_graph=True"),
    (MOMENTUM, momentum(cut=True), "the velocity is cut from its graph"),
    (MOMENTUM, momentum(weight=1.0), "here g was weighted by 1 − m; see hint 2"),
    (MOMENTUM, momentum(outer=0), "the loss is that of the support set"),
    (MOMENTUM, lambda *g: solution("2.2")(*g).flip(0), "the two are swapped: log rate first"),
    (MOMENTUM, lambda *g: solution("2.2")(*g[:7], g[7] - 1), "one step is missing"),
    (MOMENTUM, lambda *g: solution("2.2")(*g) / torch.stack([g[5].exp(), g[6] * 0 + 1]), "not for its logarithm"),
    (MOMENTUM, lambda *g: solution("2.2")(*g)[0], "a tensor of shape [2] ([log rate, momentum]), got shape []"),
    (CUT, complete, "this is the complete derivative: nothing is broken yet; see hint 2"),
    (CUT, lambda *g: torch.zeros(()), "no path at all is left"),
    (CUT, last_step_only, "only the last step is left; cut the inner gradients, not the weights"),
    (CUT, lambda *g: by_hand(*g) / g[5].exp(), "this is the derivative for the rate, not for its logarithm"),
    (CUT, lambda *g: trained(g[:4], g[4], g[5], torch.tensor(0.0), g[6]), "this is the loss; return its derivative"),
    (RATIO, lambda a, b: np.log(library_ratio(a, b)).tolist(), "this is the logarithm of the ratio"),
    (RATIO, lambda a, b: library_ratio(b, a), "the other way round: the first loss over the second"),
    (RATIO, lambda a, b: [float(a.mean() / b.mean())] * 3, "this is the ratio of the means"),
    (RATIO, lambda a, b: [float((a / b).mean())] * 3, "this is the mean of the ratios"),
    (RATIO, lambda a, b: [library_ratio(a, b)[0], *np.log(library_ratio(a, b))[1:]], "take exp of all three"),
    (RATIO, ratio(unpaired), "the interval is not paired"),
    (RATIO, ratio(lambda a, b: ((a - b).mean(), (a - b).std())), "this is one standard deviation"),
    (RATIO, lambda a, b: 0.5, "three numbers (ratio, low, high), got a float, 0.5; see hint 1"),
    *[(name, unanswered, f"{name}: not answered yet") for name in (RATES, MOMENTUM, CUT, RATIO)],
    *[(name, lambda *_: None, "is the `return` missing?") for name in (RATES, MOMENTUM, CUT, RATIO)],
]


@pytest.mark.parametrize(("name", "answer", "says"), WRONG, ids=[f"{n}: {s[:40]}" for n, _, s in WRONG])
def test_a_wrong_answer_is_told_what_is_wrong(is_told: Any, name: str, answer: Any, says: str) -> None:
    is_told(NOTEBOOK, name, answer, says)


def test_the_hidden_cases_catch_what_the_shown_ones_do_not() -> None:
    def only_double(*given: Any) -> Tensor:
        return solution("2.2")(*given).double()

    check.momentum_hypergradient(only_double)
    with pytest.raises(CheckFailed, match="with float32 I expected the dtype of the input"):
        check.momentum_hypergradient(only_double, cases="hidden")
