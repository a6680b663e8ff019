"""Self-checks of chapter 02: a hypergradient step, momentum unrolled, a window, an outer loop, a ratio of losses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from .core import ENDS, Answer, Cases, Function, interval, self_check
from .loops import PARTS, RETURNS, outer_loop


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
        "the last gradient was multiplied by itself": _rates(lambda g, h: (h * h).sum()),
        "only the sign of the product was used; its size counts": _rates(lambda g, h: (g * h).sum().sign()),
        "the size of the product was used without its sign": _rates(lambda g, h: (g * h).sum().abs()),
        "the products of single numbers count with their signs": _rates(lambda g, h: (g * h).abs().sum()),
        "the rates were cut off at 0; the formula lets them fall below": _rates(
            move=lambda rates, agree, b: (rates + b * agree).clamp(min=0)
        ),
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
        first, second = drawn(*two)
        last = [first + torch.randn(two[0]), -second + torch.randn(two[1])]  # one agrees, one does not
        yield answer.expect("two layers", [first, second], last, rates, 0.01, hint=2)
        still = [torch.zeros(shape).double() for shape in two]
        yield answer.expect("no last gradient (zeros)", drawn(*two), still, rates, 0.3, hint=2)
        turned = drawn(*two)
        yield answer.expect("gradients turned round", turned, [-g for g in turned], rates, 0.2, hint=2)
        return
    yield answer.expect("one layer", drawn((4, 5, 2)), drawn((4, 5, 2)), torch.tensor([0.3]).double(), 0.2, hint=2)
    four = (7, 3), (7,), (2, 7), (2,)
    yield answer.expect("four layers", drawn(*four), drawn(*four), torch.rand(4).double(), 0.05, hint=2)


def _query_loss(
    *run: Any, graph: bool = True, dampened: bool = False, cut: bool = False, last: bool = False, stale: bool = False
) -> Tensor:
    """Query loss after gradient descent with momentum; the options are mistakes that one can make in it."""
    x, y, z, t, weights, log_rate, momentum, steps = run
    weights, velocity = weights.clone().requires_grad_(), torch.zeros_like(weights)
    for _ in range(steps):
        weights = weights.detach().requires_grad_() if last else weights
        (g,) = torch.autograd.grad(cross_entropy(x @ weights, y), weights, create_graph=graph)
        old = velocity
        velocity = momentum * (velocity.detach() if cut else velocity) + (1 - momentum if dampened else 1) * g
        weights = weights - log_rate.exp() * (old if stale else velocity)
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
        "the weights are cut from their graph at each step": partial(_through, last=True),
        "the step is made with the new velocity, not with the old one": partial(_through, stale=True),
        "these are the derivatives for the logarithms of both; m itself is asked for": (
            lambda *run: _through(*run) * torch.stack([torch.ones_like(run[6]), run[6]])
        ),
        "one number was returned twice": lambda *run: _through(*run)[:1].repeat(2),
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


def _in_window(*run: Any, slip: str = "") -> float:
    """The derivative for the log rate of the last `window` steps alone; `slip`: one error."""
    x, y, z, t, weights, log_rate, steps, window = run
    leaf = log_rate.detach().clone().requires_grad_()
    window += {"more": 1, "less": -1}.get(slip, 0)
    window = steps if slip == "whole" else window
    steps = window if slip == "short" else steps
    for number in range(steps):
        inside = number < window if slip == "start" else number >= steps - window
        if slip == "last" or not (inside or slip in ("start", "path")):
            weights = weights.detach()
        weights = weights if weights.requires_grad else weights.clone().requires_grad_()
        graph = (inside or slip == "start") and slip != "constant"
        (g,) = torch.autograd.grad(cross_entropy(x @ weights, y), weights, create_graph=graph, retain_graph=True)
        rate = leaf if inside or slip == "path" else leaf.detach()
        weights = weights - rate.exp() * g
    loss = cross_entropy(x @ weights, y) if slip == "support" else cross_entropy(z @ weights, t)
    return loss.item() if slip == "loss" else torch.autograd.grad(loss, leaf)[0].item()


def _slip(name: str) -> Function:
    return partial(_in_window, slip=name)


@self_check(
    "2.3",
    reference=_in_window,
    mistakes={
        "this is the derivative of the whole run; before the window detach the weights": _slip("whole"),
        "the window is at the end of the run; this is its beginning": _slip("start"),
        "the inner gradients are constants; within the window give create_graph=True": _slip("constant"),
        "within the window the weights must keep their graph; only the last step is left": _slip("last"),
        "before the window the weights must be cut, not only the inner gradients": _slip("path"),
        "the run is as long as ever; only the derivative stops at the window": _slip("short"),
        "the window is one step too long": _slip("more"),
        "the window is one step too short": _slip("less"),
        "the loss is that of the support set": _slip("support"),
        "this is the loss; return its derivative": _slip("loss"),
        "this is the derivative for the rate, not for its logarithm": lambda *run: _in_window(*run) / math.exp(run[5]),
        "the sign: return the derivative, not a step down it": lambda *run: -_in_window(*run),
        "a part of the whole derivative is not the derivative of a part": (
            lambda *run: _in_window(*run, slip="whole") * run[7] / run[6]
        ),
    },
    tolerance=1e-7,
)
def windowed_hypergradient(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A hyper-gradient that goes back through the last steps of a run only."""
    for steps, window in [(6, 3), (5, 5), (4, 1)] if cases == "shown" else [(8, 5), (12, 3), (1, 1)]:
        run = *_task(6, 4), torch.tensor(-0.5).double(), steps, window
        yield answer.expect(f"{steps} steps and a window of {window}", *run, hint=2)


def _run_loss(log_rate: Tensor, task: Any, *inputs: Any, slip: str = "") -> Tensor:
    """Query loss of one task after plain gradient descent, differentiable by the log rate; `slip`: one error."""
    _, weights, _, steps, _ = inputs
    x, y, z, t = task
    steps += {"less": -1, "more": 1}.get(slip, 0)
    rate = log_rate.exp()
    return _query_loss(
        *((x, y, x, y) if slip == "support" else (x, y, z, t)), weights, log_rate, 0 * rate, steps,
        graph=slip != "constant", last=slip == "last",
    )  # fmt: skip


def _take(tasks: list[Any], weights: Tensor, log_rate: Tensor, steps: int, outer_rate: float) -> tuple[Any, ...]:
    return tasks, log_rate.detach(), outer_rate


def _outer(slip: str) -> Function:
    return outer_loop(partial(_run_loss, slip=slip), _take, knob="the log rate", task="task")[0]


def _by_rate(*inputs: Any) -> tuple[Tensor, ...]:
    """The rate itself is moved, not its logarithm."""
    rate, log_rates, losses = inputs[2].exp(), [], []
    for task in inputs[0]:
        leaf = rate.detach().requires_grad_()
        loss = _run_loss(leaf.log(), task, *inputs)
        rate = rate - inputs[4] * torch.autograd.grad(loss, leaf)[0]
        log_rates.append(rate.log())
        losses.append(loss.detach())
    return torch.stack(log_rates), torch.stack(losses)


def _carried(*inputs: Any) -> tuple[Tensor, ...]:
    """Each task begins with the weights that the one before ended with."""
    tasks, weights, log_rate, steps, outer_rate = inputs
    found: list[tuple[Tensor, Tensor]] = []
    for task in tasks:
        learned, losses = _learn([task], weights, log_rate, steps, outer_rate)
        for _ in range(steps):
            leaf = weights.detach().clone().requires_grad_()
            (g,) = torch.autograd.grad(cross_entropy(task[0] @ leaf, task[1]), leaf)
            weights = (leaf - log_rate.exp() * g).detach()
        log_rate = learned[0]
        found.append((learned[0], losses[0]))
    return torch.stack([pair[0] for pair in found]), torch.stack([pair[1] for pair in found])


_learn, _loop_slips = outer_loop(_run_loss, _take, knob="the log rate", task="task")


@self_check(
    "2.4",
    reference=_learn,
    mistakes={
        **_loop_slips,
        "the loss is that of the support set; take the queries": _outer("support"),
        "the inner gradients are constants; give torch.autograd.grad create_graph=True": _outer("constant"),
        "the weights are cut from their graph at each step": _outer("last"),
        "one inner step is missing": _outer("less"),
        "there is one inner step too many": _outer("more"),
        "each task starts from `weights`, not from where the last one ended": _carried,
        "these are the rates; return their logarithms": lambda *run: (_learn(*run)[0].exp(), _learn(*run)[1]),
        "the step was taken on the rate; take it on its logarithm": _by_rate,
    },
    returns=RETURNS,
    parts=PARTS,
    tolerance=1e-7,
    hint=2,
)
def learn_rate(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The outer loop: unroll a run on each task, differentiate its query loss, move the log rate."""

    def run(number: int, steps: int, log_rate: float, outer_rate: float) -> tuple[Any, ...]:
        *tasks, weights = [_task(6, 4)[:4] for _ in range(number)], _task(6, 4)[4]
        return tasks[0], 0.3 * weights, torch.tensor(log_rate).double(), steps, outer_rate

    if cases == "shown":
        yield from answer.expect("one task and outer rate 0", *run(1, 3, -1.0, 0.0), hint=(2, 1))
        yield from answer.expect("two tasks", *run(2, 4, -1.5, 0.5), hint=(2, 1))
        yield from answer.expect("four tasks", *run(4, 3, -0.5, 0.3), hint=(3, 3))
        return
    yield from answer.expect("one task of a single step", *run(1, 1, -2.0, 1.0), hint=(2, 1))
    yield from answer.expect("six tasks", *run(6, 5, -1.0, 0.2), hint=(3, 3))


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
    "2.5",
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
        "the power is that of base e, and so is the logarithm": _power_of(np.exp(1 / np.log(10)))[0],
        "the mean of the logarithms, not their median": lambda a, b: [float((a / b).log().quantile(0.5).exp())] * 3,
        "this is the mean over the runs of the ratio, turned round": lambda a, b: [float(1 / (b / a).mean())] * 3,
        "these are percent; a ratio of 1 means that both are alike": (
            lambda a, b: [100 * (value - 1) for value in _ratio(a, b)]
        ),
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
