"""Self-checks of chapter 02: a hypergradient step, momentum unrolled, a path cut on purpose, a ratio of losses."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from .core import ENDS, Answer, Cases, Function, interval, self_check


def _rates(
    product: Function = lambda g, h: (g * h).sum(), move: Function = lambda rates, agree, b: rates + b * agree
) -> Function:
    """New rates [L] from old ones, the `product` of each layer's two gradients, and the hyper-rate b."""

    def answer(gradients: list[Tensor], last: list[Tensor], rates: Tensor, hyper_rate: float) -> Tensor:
        agree = torch.stack([product(g, h) for g, h in zip(gradients, last, strict=True)])
        return move(rates, agree, hyper_rate)

    return answer


@self_check(
    "2.1",
    reference=_rates(),
    mistakes={
        "the sign: gradients that agree make a rate larger": _rates(move=lambda rates, agree, b: rates - b * agree),
        "one product was taken over all layers": _rates(move=lambda rates, agree, b: rates + b * agree.sum()),
        "the hyper-rate was left out": _rates(move=lambda rates, agree, b: rates + agree),
        "the products were averaged, not added up": _rates(lambda g, h: (g * h).mean()),
        "this is the cosine: the lengths count": _rates(lambda g, h: cosine_similarity(g.flatten(), h.flatten(), 0)),
        "each gradient was multiplied by itself, not by the last one": _rates(lambda g, h: (g * g).sum()),
        "this is the change alone; add it to the rates": _rates(move=lambda rates, agree, b: b * agree),
        "the rate was multiplied, not moved": _rates(move=lambda rates, agree, b: rates * (1 + b * agree)),
    },
    returns="[L]",
    tolerance=1e-8,
)
def layer_rates(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Hypergradient descent with a rate for each layer: one step of the rates."""

    def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
        return [torch.randn(shape).double() for shape in shapes]

    if cases == "shown":
        two = (3, 2), (3,)
        rates = torch.tensor([0.1, 0.5]).double()
        yield answer.expect("two layers", drawn(*two), drawn(*two), rates, 0.01, hint=2)
        still = [torch.zeros(shape).double() for shape in two]
        yield answer.expect("no last gradient (zeros)", drawn(*two), still, rates, 0.3, hint=2)
        turned = drawn(*two)
        yield answer.expect("gradients turned round", turned, [-g for g in turned], 10 * rates, 0.01, hint=2)
        return
    yield answer.expect("one layer", drawn((4, 5, 2)), drawn((4, 5, 2)), torch.tensor([0.3]).double(), 0.2, hint=2)
    four = (7, 3), (7,), (2, 7), (2,)
    yield answer.expect("four layers", drawn(*four), drawn(*four), torch.rand(4).double(), 0.05, hint=2)


def _query_loss(*run: Any, graph: bool = True, dampened: bool = False, cut: bool = False, last: bool = False) -> Tensor:
    """Query loss after gradient descent with momentum; the options are mistakes that one can make in it."""
    x, y, z, t, weights, log_rate, momentum, steps = run
    weights, velocity = weights.clone().requires_grad_(), torch.zeros_like(weights)
    for _ in range(steps):
        weights = weights.detach().requires_grad_() if last else weights
        (g,) = torch.autograd.grad(cross_entropy(x @ weights, y), weights, create_graph=graph)
        velocity = momentum * (velocity.detach() if cut else velocity) + (1 - momentum if dampened else 1) * g
        weights = weights - log_rate.exp() * velocity
    return cross_entropy(z @ weights, t)


def _through(*run: Any, extra: int = 0, **slips: bool) -> Tensor:
    """The derivatives [2] of the query loss for the log rate and the momentum, after `extra` more steps."""
    log_rate, momentum = (knob.detach().clone().requires_grad_() for knob in run[5:7])
    loss = _query_loss(*run[:5], log_rate, momentum, run[7] + extra, **slips)
    return torch.stack(torch.autograd.grad(loss, (log_rate, momentum)))


@self_check(
    "2.2",
    reference=_through,
    mistakes={
        "the inner gradients are constants; give torch.autograd.grad create_graph=True": partial(_through, graph=False),
        "this is the derivative for the rate, not for its logarithm": (
            lambda *run: _through(*run) / torch.stack([run[5].exp(), torch.ones_like(run[5])])
        ),
        "the loss is that of the support set": lambda x, y, z, t, *run: _through(x, y, x, y, *run),
        "the two are swapped: log rate first": lambda *run: _through(*run).flip(0),
        "the velocity is v ← m·v + g; here g was weighted by 1 − m": partial(_through, dampened=True),
        "one step is missing": partial(_through, extra=-1),
        "there is one step too many": partial(_through, extra=1),
        "the velocity is cut from its graph": partial(_through, cut=True),
        "the sign: return the derivative, not a step down it": lambda *run: -_through(*run),
    },
    returns="[log rate, momentum]",
    tolerance=1e-7,
)
def momentum_hypergradient(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The derivative of the query loss through gradient descent with momentum, for the log rate and the momentum."""

    def run(examples: int, dim: int, log_rate: float, momentum: float, steps: int) -> tuple[Any, ...]:
        return *_task(examples, dim), *torch.tensor([log_rate, momentum]).double(), steps

    if cases == "shown":
        yield answer.expect("3 steps", *run(6, 4, -1.0, 0.5, 3), hint=2)
        yield answer.expect("momentum 0", *run(6, 4, -0.5, 0.0, 4), hint=2)
        yield answer.expect("2 steps, momentum 0.9,", *run(9, 5, -2.0, 0.9, 2), hint=2)
        return
    yield answer.expect("10 steps", *run(12, 6, -1.5, 0.8, 10), hint=2)
    single = [part.float() if getattr(part, "dtype", None) == torch.float64 else part for part in run(6, 4, -1, 0.5, 3)]
    yield answer.expect("float32", *single, tolerance=1e-3, hint=2)


def _plain(*run: Any, **slips: bool) -> float:
    """The derivative for the log rate, without momentum."""
    return _through(*run[:6], 0 * run[5], run[6], **slips)[0].item()


_cut = partial(_plain, graph=False)


@self_check(
    "2.3",
    reference=_cut,
    mistakes={
        "this is the complete derivative: nothing is broken yet": _plain,
        "no path at all is left; cut the graph of the inner gradients, not that of the weights": lambda *run: 0.0,
        "only the last step is left; cut the inner gradients, not the weights": partial(_plain, last=True),
        "this is the derivative for the rate, not for its logarithm": lambda *run: _cut(*run) / run[5].exp(),
        "this is the loss; return its derivative": lambda *run: _query_loss(*run[:6], 0 * run[5], run[6]).item(),
    },
    tolerance=1e-7,
)
def incomplete_hypergradient(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A hyper-gradient with the second derivatives cut off on purpose."""
    examples, dim, steps, log_rate = (6, 4, 5, -0.5) if cases == "shown" else (10, 3, 8, 0.0)
    for _ in range(2):
        run = *_task(examples, dim), torch.tensor(log_rate).double(), steps
        yield answer.expect(f"{steps} steps", *run, hint=2)


def _losses(*losses: Tensor) -> tuple[Tensor, ...]:
    return losses


def _power_of(base: float) -> tuple[Function, dict[str, Function]]:
    """`base` to the mean difference of the natural logarithms, and to the ends of its interval."""
    return interval(
        _losses,
        values=np.log,
        unit="runs",
        take="the difference of the logarithms in each run",
        finish=lambda ends, *_: tuple((base ** np.array(ends)).tolist()),
    )


_ratio, _slips = _power_of(np.e)
_log_ratio, _ = interval(_losses, values=np.log)


@self_check(
    "2.4",
    reference=_ratio,
    mistakes={
        "the ends are logarithms still: exp of all three": lambda *two: (_ratio(*two)[0], *_log_ratio(*two)[1:]),
        "this is the logarithm of the ratio: take exp at the end": _log_ratio,
        **_slips,
        "the ratio is the other way round: the first loss over the second": lambda a, b: _ratio(b, a),
        "this is the ratio of the means; average the logarithms": lambda a, b: [float(a.mean() / b.mean())] * 3,
        "this is the mean of the ratios; average the logarithms": interval(lambda a, b: (a / b, 0 * b))[0],
        "this is a difference, not a ratio": interval(_losses)[0],
        "the logarithm is that of base e, and so is the power": _power_of(10)[0],
    },
    returns="three numbers (ratio, low, high)",
    parts=("the ratio", *ENDS[1:]),
)
def loss_ratio(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The ratio of two losses over the same runs, as a geometric mean, with its 95 % interval."""
    runs = 8 if cases == "shown" else 40
    common = torch.randn(runs).double()
    losses = [(common + 0.3 * torch.randn(runs).double() + shift).exp() for shift in (-0.7, 0.0)]
    yield from answer.expect(f"{runs} runs", *losses, hint=(1, 2, 2))


def _task(examples: int, dim: int) -> tuple[Tensor, ...]:
    """Support x [M, D], y [M], query x [M + 2, D], y [M + 2] of three classes, and weights to start from [D, 3]."""
    x, z = torch.randn(examples, dim).double(), torch.randn(examples + 2, dim).double()
    truth = torch.randn(dim, 3).double()
    return x, (x @ truth).argmax(1), z, (z @ truth).argmax(1), torch.randn(dim, 3).double()
