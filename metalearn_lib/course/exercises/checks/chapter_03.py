"""Self-checks of chapter 03: ANIL, a meta-gradient, a test for second order, the gain of more steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metalearn_lib.inner_loop import Tasks
from metalearn_lib.learners import mlp

from .core import ENDS, Answer, Cases, Function, describe, expect, interval, self_check


def _adapted(
    weights: Sequence[Tensor], x: Tensor, y: Tensor, rate: float, steps: int, *, still: int = 2, chained: bool = True
) -> tuple[Tensor, ...]:
    """The four tensors after gradient descent; the first `still` stay. Not `chained`: all steps from the start."""
    now = list(weights)
    for _ in range(steps):
        first, first_bias, last, last_bias = now if chained else weights
        loss = cross_entropy(torch.relu(x @ first.T + first_bias) @ last.T + last_bias, y)
        gradients = torch.autograd.grad(loss, [first, first_bias, last, last_bias][still:], create_graph=True)
        now[still:] = [w - rate * g for w, g in zip(now[still:], gradients, strict=True)]
    return tuple(now)


@self_check(
    "3.1",
    reference=_adapted,
    mistakes={
        "this layer must stay where it is": partial(_adapted, still=0),
        "the sign: go down the gradient": lambda w, x, y, rate, steps: _adapted(w, x, y, -rate, steps),
        "only one step was taken": lambda w, x, y, rate, steps: _adapted(w, x, y, rate, 1),
        "every step was taken from the start, not from where the last one ended": partial(_adapted, chained=False),
        "the loss was added up, not averaged": lambda w, x, y, rate, steps: _adapted(w, x, y, rate * len(x), steps),
        "the rate was left out": lambda w, x, y, rate, steps: _adapted(w, x, y, 1.0, steps),
        "it did not move; the bias belongs to the last layer": lambda weights, *_: tuple(weights),
    },
    returns="a list of four tensors, like `weights`",
    parts=("the first layer's weights", "the first layer's bias", "the last layer's weights", "the last layer's bias"),
    tolerance=1e-9,
)
def anil_adapted(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Weights after gradient steps on the last layer alone."""
    if cases == "shown":
        weights = list(mlp(4, 5, 2).double().parameters())  # with 3 hidden units all are 0 here; only the bias moves
        x, y = torch.randn(6, 4).double(), torch.tensor([0, 1, 1, 0, 1, 1])
        yield answer.expect("3 steps at rate 0.5,", weights, x, y, 0.5, 3, hint=2)
        answer.expect("1 step at rate 0.1,", weights, x, y, 0.1, 1, hint=2)
        told = {"by": "the first layer's weights", "cause": "give torch.autograd.grad create_graph=True"}
        answer.gradient(weights[0], weights, x, y, 0.1, 1, part=2, **told)
        yield "one step, and its graph"
        yield answer.expect("0 steps,", weights, x, y, 0.1, 0, hint=2)
        return
    weights = list(mlp(7, 5, 4).double().parameters())
    x, y = torch.randn(8, 7).double(), torch.arange(8) % 4
    yield answer.expect("5 steps, 4 classes,", weights, x, y, 0.3, 5, hint=2)
    yield answer.expect("1 example,", weights, x[:1], y[2:3], 1.5, 2, hint=2)


def _meta(*run: Any, second_order: bool = False, chained: bool = False) -> Tensor:
    """The formula of section 3, with the matrix of second derivatives written out."""
    w, *tasks, rate = run
    gradients = []
    for x, y, z, t in zip(*tasks, strict=True):
        moved = w - rate * 2 * x.T @ (x @ w - y) / len(y)
        outer, hessian = 2 * z.T @ (z @ moved - t) / len(t), 2 * x.T @ x / len(y)
        gradients.append(outer - rate * hessian @ outer if second_order else outer)
        w = moved if chained else w
    return torch.stack(gradients).mean(0)


@self_check(
    "3.2",
    reference=_meta,
    mistakes={
        "this is the first-order gradient; does the inner one keep its graph?": lambda *run, **how: _meta(*run),
        "this is the second order, although second_order=False": lambda *run, **how: _meta(*run, second_order=True),
        "this is the gradient at the start: the step has no effect": lambda *run, **how: _meta(*run[:5], 0.0, **how),
        "the inner step used the query set": lambda w, x, y, *run, **how: _meta(w, *run[:2], *run, **how),
        "the outer loss used the support set": lambda w, x, y, *run, **how: _meta(w, x, y, x, y, run[2], **how),
        "the rate was left out": lambda *run, **how: _meta(*run[:5], 1.0, **how),
        "the inner step goes up the gradient": lambda *run, **how: _meta(*run[:5], -run[5], **how),
        "the tasks were added up, not averaged": lambda *run, **how: len(run[1]) * _meta(*run, **how),
        "the support errors were added up, not averaged": (
            lambda *run, **how: _meta(*run[:5], run[5] * run[1].shape[1], **how)
        ),
        "the query errors were added up, not averaged": lambda *run, **how: run[3].shape[1] * _meta(*run, **how),
        "the squared errors were halved": lambda *run, **how: _meta(*run[:5], run[5] / 2, **how) / 2,
        "each task started where the one before it ended": partial(_meta, chained=True),
        "the sign: return the gradient itself, not a step down it": lambda *run, **how: -_meta(*run, **how),
    },
    returns="[D]",
    tolerance=1e-7,
)
def regression_meta_gradient(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The meta-gradient of MAML with one inner step, for a linear regression, of either order."""
    if cases == "shown":
        w, tasks = torch.randn(3).double(), _regressions(1, 4, 5, 3)
        yield answer.expect("one task", w, *tasks, 0.1, second_order=True, hint=2)
        tasks = _regressions(4, 5, 6, 3)
        yield answer.expect("four tasks", w, *tasks, 0.1, second_order=True, hint=2)
        yield answer.expect("second_order=False", w, *tasks, 0.1, second_order=False, hint=3)
        yield answer.expect("rate 0", w, *tasks, 0.0, second_order=True, hint=2)
        return
    w, tasks = torch.randn(10).double(), _regressions(7, 3, 9, 10)
    yield answer.expect("ten weights, a rate of 0.3", w, *tasks, 0.3, second_order=True, hint=2)
    w, tasks = torch.randn(2).double(), _regressions(3, 1, 1, 2)
    yield answer.expect("one example, first order", w, *tasks, 0.5, second_order=False, hint=3)


@self_check("3.3")
def is_second_order(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A test that tells the derivative of a loss after adapting from gradients that only resemble it."""
    dim, steps, rate = (4, 3, 0.5) if cases == "shown" else (3, 1, 0.02)
    x, y = torch.randn(2, 8, dim).double(), torch.arange(8).remainder(3)
    start = torch.randn(dim * 3).double()

    def loss(start: Tensor, kept: int = steps) -> Tensor:
        """The query loss after adapting, with a graph through the first `kept` steps."""
        weights = start.clone().requires_grad_().view(dim, 3)
        for step in range(steps):
            (g,) = torch.autograd.grad(cross_entropy(x[0] @ weights, y), weights, create_graph=True)
            weights = weights - rate * (g if step < kept else g.detach())
        return cross_entropy(x[1] @ weights, y)

    def gradient(start: Tensor, kept: int = steps) -> Tensor:
        start = start.detach().clone().requires_grad_()
        return torch.autograd.grad(loss(start, kept), start)[0]

    def partly(wrong: slice) -> Function:
        return lambda start: gradient(start).index_put((places[wrong],), gradient(start, 0)[wrong])

    def times(scale: float, function: Function) -> Function:
        return lambda start: scale * function(start).detach()

    places = torch.arange(dim * 3)
    loose = "the test is too loose: it does not compare every number with finite differences"
    strict = "the test is too strict, or its differences too rough: both sides of each number, float64, a small step"
    silent = "a loss cannot tell them apart, and no shape can; compare the gradient with differences of the loss"
    absolute = "the tolerance must go with the size of the gradient"
    some = "not every number was compared"
    implementations: list[tuple[str, Function, str]] = [
        ("a right implementation", gradient, strict),
        ("one that forgot create_graph", lambda s: gradient(s, 0), silent),
        ("one that cuts the graph at the last step only", lambda s: gradient(s, steps - 1), loose),
        ("one that is wrong in the last three numbers only", partly(slice(-3, None)), some),
        ("twice the gradient", lambda s: 2 * gradient(s), "the length counts, not only the direction"),
    ]
    if cases == "hidden":
        implementations = [
            ("a rate of 0.02, forgotten create_graph,", lambda s: gradient(s, 0), loose),
            ("a rate of 0.02, a right implementation,", gradient, strict),
            ("one that is wrong in the first three numbers only", partly(slice(3)), some),
            ("the negative gradient", lambda s: -gradient(s), "the sign counts"),
        ]
    for given, function, cause in implementations:
        right = cause == strict
        for scale, of, why in ((1.0, "", cause), (1e-4, "a loss times 10⁻⁴, ", cause if right else absolute)):
            got = answer(times(scale, function), times(scale, loss), start)
            kind = str(getattr(got, "dtype", type(got).__name__)).removeprefix("torch.")
            one = math.prod(getattr(got, "shape", ())) == 1
            expect(kind == "bool" and one, given, "True or False", describe(got), hint=1)
            expect(bool(got) == right, f"{of}{given}", str(right), str(bool(got)), cause=why, hint=2)
        yield given


def _errors(predict: Function, s: Tensor, t: Tensor, q: Tensor, z: Tensor, *steps: int) -> list[Tensor]:
    """The squared errors [T, Q] after few and after many steps."""
    tasks = list(zip(s, t, q, z, strict=True))
    return [torch.stack([(predict(*task[:3], k) - task[3]) ** 2 for task in tasks]) for k in steps]


_gain, _slips = interval(_errors, values=lambda x: x.mean(1), unit="tasks", take="the difference of each task")


@self_check(
    "3.4",
    reference=_gain,
    mistakes={
        "the sign: a fall of the error is a gain, `few` minus `many`": lambda *run: _gain(*run[:5], *run[:4:-1]),
        "the errors of a task were added up, not averaged": interval(_errors, values=lambda x: x.sum(1))[0],
        "these are errors on the support set": lambda predict, s, t, q, z, *steps: _gain(predict, s, t, s, t, *steps),
        **_slips,
        "the unit is the task, not the query": interval(_errors, values=np.ravel)[0],
    },
    returns="three numbers (mean, low, high)",
    parts=ENDS,
)
def gain_of_steps(answer: Answer, cases: Cases) -> Iterator[Any]:
    """By how much the squared error falls with more inner steps: its mean and the ends of its 95 % interval."""
    tasks, asked, few, many = (9, 7, 1, 4) if cases == "shown" else (30, 4, 0, 10)
    inputs = torch.randn(tasks, 5, 1).double(), torch.randn(tasks, asked, 1).double()
    slopes = 3 * torch.randn(tasks, 1).double()
    targets = [slopes * x[..., 0] + 0.3 * torch.randn(x.shape[:2]).double() for x in inputs]

    def predict(support_x: Tensor, support_y: Tensor, query_x: Tensor, steps: int) -> Tensor:
        slope = torch.zeros((), dtype=support_x.dtype)
        for _ in range(steps):
            slope = slope - 0.1 * 2 * ((slope * support_x[:, 0] - support_y) * support_x[:, 0]).mean()
        return slope * query_x[:, 0]

    sets = inputs[0], targets[0], inputs[1], targets[1]
    yield from answer.expect(f"{tasks} tasks, {few} and {many} steps", predict, *sets, few, many, hint=(1, 2, 2))


def _regressions(tasks: int, support: int, query: int, dim: int) -> Tasks:
    x, z = torch.randn(tasks, support, dim).double(), torch.randn(tasks, query, dim).double()
    slopes = torch.randn(tasks, dim, 1).double()
    return Tasks(x, (x @ slopes)[..., 0], z, (z @ slopes)[..., 0])
