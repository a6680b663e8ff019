"""Self-checks of chapter 03: ANIL, a meta-gradient, a test for second order, an outer loop, the gain of more steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metalearn_lib.inner_loop import InnerLoop, Tasks
from metalearn_lib.learners import mlp

from .core import (
    ENDS,
    Answer,
    Cases,
    Function,
    describe,
    expect,
    expect_close,
    expect_tensor,
    fail,
    interval,
    row,
    self_check,
)


def _outputs(weights: Sequence[Tensor], x: Tensor, *, cut: bool = False) -> Tensor:
    first, first_bias, last, last_bias = weights
    hidden = torch.relu(x @ first.T + first_bias)
    return (hidden.detach() if cut else hidden) @ last.T + last_bias


def _adapted(
    weights: Sequence[Tensor],
    x: Tensor,
    y: Tensor,
    rate: float,
    steps: int,
    *,
    still: Sequence[int] = (0, 1),
    chained: bool = True,
    graph: bool = True,
    cut: bool = False,
    fresh: bool = False,
) -> tuple[Tensor, ...]:
    """The four tensors after gradient descent on all but `still`, with a graph through every step.

    Not `chained`: all steps are taken from the start. `cut`: the hidden units are constants in the inner loss. `fresh`:
    each step begins with a detached copy.
    """
    moving = [place for place in range(4) if place not in still]
    now = list(weights)
    for _ in range(steps):
        if fresh:
            now = [w if place in still else w.detach().clone().requires_grad_() for place, w in enumerate(now)]
        at = now if chained else weights
        loss = cross_entropy(_outputs(at, x, cut=cut), y)
        gradients = torch.autograd.grad(loss, [at[place] for place in moving], create_graph=graph)
        for place, g in zip(moving, gradients, strict=True):
            now[place] = now[place] - rate * g
    return tuple(now)


def _head_copied(weights: Sequence[Tensor], *run: Any) -> tuple[Tensor, ...]:
    return _adapted([*weights[:2], *(w.detach().clone().requires_grad_() for w in weights[2:])], *run)


def _constants(weights: Sequence[Tensor], *run: Any) -> tuple[Tensor, ...]:
    return tuple(w.detach() for w in _adapted(weights, *run))


def _first_detached(weights: Sequence[Tensor], *run: Any) -> tuple[Tensor, ...]:
    moved = _adapted(weights, *run)
    return (*(w.detach() for w in moved[:2]), *moved[2:])


def _last_detached(weights: Sequence[Tensor], *run: Any) -> tuple[Tensor, ...]:
    return (*weights[:2], *(w.detach() for w in _adapted(weights, *run)[2:]))


@self_check(
    "3.1",
    reference=_adapted,
    mistakes={
        "this layer must stay where it is": partial(_adapted, still=()),
        "the sign: go down the gradient": lambda w, x, y, rate, steps: _adapted(w, x, y, -rate, steps),
        "only one step was taken": lambda w, x, y, rate, steps: _adapted(w, x, y, rate, 1),
        "one step too many was taken": lambda w, x, y, rate, steps: _adapted(w, x, y, rate, steps + 1),
        "every step was taken from the start, not from where the last one ended": partial(_adapted, chained=False),
        "the loss was added up, not averaged": lambda w, x, y, rate, steps: _adapted(w, x, y, rate * len(x), steps),
        "the rate was left out": lambda w, x, y, rate, steps: _adapted(w, x, y, 1.0, steps),
        "the bias of the last layer stayed where it was; it belongs to the layer": partial(_adapted, still=(0, 1, 3)),
        "the bias of the first layer moved; both its tensors stay": partial(_adapted, still=(0,)),
        "the last layer did not move": lambda weights, *_: tuple(weights),
        # these end at the right weights; only a gradient through them tells
        "the inner gradients are constants; give torch.autograd.grad create_graph=True": partial(_adapted, graph=False),
        "the output of the first layer was detached; the inner gradient depends on that layer": (
            partial(_adapted, cut=True)
        ),
        "nothing depends on `weights` any more; adapt the tensors that you were given, no copies": _constants,
        "the last layer was copied by .detach() before its first step": _head_copied,
        "every step began with a detached copy, so only the last one has a graph": (partial(_adapted, fresh=True)),
        "the adapted last layer was detached": _last_detached,
        "the first two tensors must come back themselves, not as detached copies": _first_detached,
    },
    returns="a list of four tensors, like `weights`",
    parts=("the first layer's weights", "the first layer's bias", "the last layer's weights", "the last layer's bias"),
    tolerance=1e-9,
)
def anil_adapted(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Weights after gradient steps on the last layer alone, and a meta-gradient through these steps."""
    if cases == "shown":
        network = mlp(4, 5, 2).double()  # with 3 hidden units all are 0 here; only the bias moves
        weights = list(network.parameters())
        x, y = torch.randn(6, 4).double(), torch.tensor([0, 1, 1, 0, 1, 1])
        yield answer.expect("3 steps at rate 0.5,", weights, x, y, 0.5, 3, hint=2)
        yield answer.expect("0 steps,", weights, x, y, 0.1, 0, hint=2)
        yield _meta_gradient_holds(answer, "3 steps at rate 0.5,", network, x, y, 0.5, 3)
        return
    network = mlp(7, 5, 4).double()
    weights, x, y = list(network.parameters()), torch.randn(8, 7).double(), torch.arange(8) % 4
    yield answer.expect("5 steps, 4 classes,", weights, x, y, 0.3, 5, hint=2)
    yield answer.expect("1 example,", weights, x[:1], y[2:3], 1.5, 2, hint=2)
    yield _meta_gradient_holds(answer, "4 classes, 2 steps,", network, x, y, 0.3, 2)


def _meta_gradient_holds(answer: Answer, given: str, network: torch.nn.Module, *run: Any) -> str:
    """The gradient, by the start, of a query loss after `answer` has adapted is that of the library's inner loop."""
    weights, (x, y, rate, steps) = list(network.parameters()), run
    z, t = torch.randn(9, x.shape[1]).double(), torch.randint(0, int(y.max()) + 1, (9,))

    def through(function: Function) -> Tensor:
        loss = cross_entropy(_outputs(function(weights, *run), z), t)
        zeros = [torch.zeros_like(w) for w in weights]
        slopes = torch.autograd.grad(loss, weights, allow_unused=True) if loss.requires_grad else zeros
        return torch.cat([(w if s is None else s).flatten() for w, s in zip(zeros, slopes, strict=True)])

    def suspected() -> Iterator[tuple[str, Tensor]]:
        for cause, mistake in answer.check.mistakes.items():
            yield cause, through(mistake)
        yield "something between the start and the result was detached", got

    answer(weights, *run)  # tells an error
    inner = InnerLoop(network, adapt="head", engine="loop", steps=steps)
    tasks = Tasks(x[None], y[None], z[None], t[None])
    right = torch.cat([slope.flatten() for slope in inner.gradients(tasks, rate)[1].values()])
    got = through(answer.value)
    what = f"{given} for the meta-gradient of a query loss through your steps,"
    expect_close(got, right, given=what, tolerance=1e-9, suspects=suspected(), hint=3)
    return what


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
        "one inner step was taken on all tasks together; each task has its own": (
            lambda w, x, y, *run, **how: _meta(
                w, *(a.flatten(0, 1)[None].expand(len(x), -1, *a.shape[2:]) for a in (x, y)), *run, **how
            )
        ),
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
    shown = cases == "shown"
    dim, steps, usual, small = (4, 3, 0.5, 0.006) if shown else (3, 2, 0.3, 0.01)
    x, y = torch.randn(2, 8, dim).double(), torch.arange(8).remainder(3)
    start = torch.randn(dim * 3).double()

    def loss(start: Tensor, kept: int = steps, rate: float = usual) -> Tensor:
        """The query loss after adapting, with a graph through the first `kept` steps."""
        weights = start.clone().requires_grad_().view(dim, 3)
        for step in range(steps):
            (g,) = torch.autograd.grad(cross_entropy(x[0] @ weights, y), weights, create_graph=True)
            weights = weights - rate * (g if step < kept else g.detach())
        return cross_entropy(x[1] @ weights, y)

    def gradient(start: Tensor, kept: int = steps, rate: float = usual) -> Tensor:
        start = start.detach().clone().requires_grad_()
        return torch.autograd.grad(loss(start, kept, rate), start)[0]

    def partly(wrong: slice) -> Function:
        return lambda start: gradient(start).index_put((places[wrong],), gradient(start, 0)[wrong])

    def as_long(start: Tensor) -> Tensor:
        """Of first order, and as long as the right one."""
        right, first = gradient(start), gradient(start, 0)
        return first * right.norm() / first.norm()

    def times(scale: float, function: Function) -> Function:
        return lambda start: scale * function(start).detach()

    near, off = gradient(start, 0, small), gradient(start, rate=small)
    share = f"{100 * float((near - off).norm() / off.norm()):.1f} %"
    places = torch.arange(dim * 3)
    loose = "the test is too loose: it does not compare every number with finite differences"
    wide = f"the tolerance is too wide, this gradient is off by {share}; differences are good to seven digits"
    strict = (
        "the test is too strict, or its differences too rough: both sides of each number, float64, a step near 10⁻⁵"
    )
    silent = "a loss cannot tell them apart, and no shape can; compare every number of the gradient with differences"
    absolute = (
        "the tolerance must go with the size of the gradient (an atol does not; torch.allclose has one unless told)"
    )
    some = "not every number was compared"
    slow = partial(loss, rate=small)
    right = ("a right implementation", gradient, loss, strict)
    implementations: list[tuple[str, Function, Function, str]] = [
        right,
        ("one that forgot create_graph", partial(gradient, kept=0), loss, silent),
        ("one that cuts the graph at the last step only", partial(gradient, kept=steps - 1), loss, loose),
        ("one that is wrong in the last three numbers only", partly(slice(-3, None)), loss, some),
        ("one that is wrong in the first number only", partly(slice(1)), loss, some),
        ("twice the gradient", lambda s: 2 * gradient(s), loss, "the length counts, not only the direction"),
        ("a wrong gradient of the right length", as_long, loss, "the direction counts, not only the length"),
        ("the negative gradient", lambda s: -gradient(s), loss, "the sign counts"),
        (f"a rate of {small}, forgotten create_graph,", partial(gradient, kept=0, rate=small), slow, wide),
    ]
    if not shown:
        implementations = [
            right,
            ("two steps, forgotten create_graph,", partial(gradient, kept=0), loss, loose),
            ("one that is wrong in three numbers in the middle", partly(slice(3, 6)), loss, some),
            ("nine tenths of the gradient", lambda s: 0.9 * gradient(s), loss, "the length counts"),
            ("a wrong gradient of the right length", as_long, loss, "the direction counts, not only the length"),
            (f"a rate of {small}, forgotten create_graph,", partial(gradient, kept=0, rate=small), slow, wide),
            (f"a rate of {small}, a right implementation,", partial(gradient, rate=small), slow, strict),
        ]
    scales = ((1e-6, "a loss times 10⁻⁶, "), (1e4, "a loss times 10⁴, ")) if shown else ((1e-5, "a loss times 10⁻⁵, "),)
    for given, function, of_loss, cause in implementations:
        is_right = cause == strict
        for scale, of in ((1.0, ""), *scales):
            got = answer(times(scale, function), times(scale, of_loss), start)
            kind = str(getattr(got, "dtype", type(got).__name__)).removeprefix("torch.")
            one = math.prod(getattr(got, "shape", ())) == 1
            expect(kind == "bool" and one, given, "True or False", describe(got), hint=1)
            why = absolute if of else cause  # it was right at the first scale
            expect(bool(got) == is_right, f"{of}{given}", str(is_right), str(bool(got)), cause=why, hint=2)
        yield given


def _reptile(
    start: Tensor, draw: Function, loss: Function, *settings: Any, slip: str = ""
) -> tuple[Tensor, list[float]]:
    """Reptile with plain steps: the trained start, and the query losses after adapting. `slip`: with a mistake."""
    rate, steps, epsilon, meta_steps = settings
    theta = start.detach().clone()
    curve: list[float] = []

    def slope(phi: Tensor, x: Tensor, y: Tensor) -> Tensor:
        phi = phi.detach().requires_grad_()
        return torch.autograd.grad(loss(phi, x, y), phi)[0]

    def moved(phi: Tensor, x: Tensor, y: Tensor) -> Tensor:
        for _ in range(steps):
            phi = phi - rate * slope(phi, x, y)
        return phi

    for i in range(meta_steps):
        before, tasks, losses = theta, draw(0 if slip == "draw" else i), []
        moves: list[Tensor] = []
        for x, y, z, t in tasks:
            if slip not in ("goes on", "never back") or not (moves or (curve and slip == "never back")):
                phi = theta
            if slip == "query trained":
                x, y = z, t
            if slip == "both":
                x, y = torch.cat([x, z]), torch.cat([y, t])
            phi = moved(phi, x, y)
            moves.append(-slope(phi, z, t) if slip == "first order" else phi - theta)
            asked = (x, y) if slip == "support" else (z, t)
            losses.append(float(loss(theta if slip == "unadapted" else phi, *asked)))
            if slip == "drift":
                theta = phi
            if slip in ("each", "parts"):
                theta = theta + epsilon * moves[-1] / (len(tasks) if slip == "parts" else 1)
        mean = moves[-1] if slip == "last" else torch.stack(moves).mean(0)
        if slip not in ("drift", "each", "parts", "none"):
            theta = theta + (1 if slip == "end" else epsilon) * mean
        if slip in ("after", "moved"):
            losses = [float(loss(moved(theta, x, y) if slip == "after" else theta, z, t)) for x, y, z, t in tasks]
        if slip == "forgets":
            theta = theta if i == meta_steps - 1 else before
        losses = losses[-1:] if slip == "one loss" else losses
        curve.append(sum(losses) if slip == "added" else sum(losses) / len(losses))
    return phi if slip == "phi" else theta, curve


def _with(**other: Any) -> Function:
    """Reptile with a setting that is another than the one asked for."""
    names = ("rate", "steps", "epsilon", "meta_steps")

    def answer(start: Tensor, draw: Function, loss: Function, *settings: Any) -> tuple[Tensor, list[float]]:
        given = dict(zip(names, settings, strict=True))
        changed = {name: change(given, len(draw(0))) for name, change in other.items()}
        return _reptile(start, draw, loss, *(given | changed).values())

    return answer


@self_check(
    "3.4",
    reference=_reptile,
    mistakes={
        "there is no meta-update: the start is never moved": partial(_reptile, slip="none"),
        "the sign: move the start towards where the tasks ended, phi − theta": (
            _with(epsilon=lambda given, _: -given["epsilon"])
        ),
        "adapting moved the start; phi must be a copy of theta in every task": partial(_reptile, slip="drift"),
        "the start was moved after every task; take the mean of the moves first": partial(_reptile, slip="each"),
        "the start was moved within a meta-step; its tasks all begin at one start": partial(_reptile, slip="parts"),
        "phi was not set back to the start for every task": partial(_reptile, slip="goes on"),
        "phi was never set back to the start": partial(_reptile, slip="never back"),
        "the moves were added up, not averaged": _with(epsilon=lambda given, tasks: given["epsilon"] * tasks),
        "epsilon was left out": partial(_reptile, slip="end"),
        "only the move of the last task counts": partial(_reptile, slip="last"),
        "every meta-step sees the tasks of the first; draw(i) gives new ones": partial(_reptile, slip="draw"),
        "each meta-step begins at the first start again": partial(_reptile, slip="forgets"),
        "only one inner step was taken": _with(steps=lambda *_: 1),
        "one inner step too many was taken": _with(steps=lambda given, _: given["steps"] + 1),
        "every inner step took the gradient at the start": _with(
            rate=lambda given, _: given["rate"] * given["steps"], steps=lambda *_: 1
        ),
        "the inner steps go up the gradient": _with(rate=lambda given, _: -given["rate"]),
        "the inner rate was left out": _with(rate=lambda *_: 1.0),
        "the inner steps were taken on the query set": partial(_reptile, slip="query trained"),
        "the inner steps were taken on both sets; queries are for watching": partial(_reptile, slip="both"),
        "this moves down the query gradient, which is first-order MAML": partial(_reptile, slip="first order"),
        "these are the adapted weights of the last task; return the start": partial(_reptile, slip="phi"),
        "these losses are of the support set, on which the task has been trained": partial(_reptile, slip="support"),
        "these losses are from before adapting": partial(_reptile, slip="unadapted"),
        "these losses are from after the update, whose start has seen these tasks": partial(_reptile, slip="after"),
        "these losses are of the moved start, without adapting": partial(_reptile, slip="moved"),
        "only the loss of the last task counts": partial(_reptile, slip="one loss"),
        "the losses of the tasks were added up, not averaged": partial(_reptile, slip="added"),
    },
    returns="two things, the trained start and the losses",
    hint=1,
)
def reptile_training(answer: Answer, cases: Cases) -> Iterator[Any]:
    """An outer loop: the loss after adapting falls; its start and its learning curve are those of Reptile."""
    size, tasks, settings, short = (3, 4, (0.05, 3, 0.3, 60), 2) if cases == "shown" else (5, 2, (0.1, 2, 0.2, 60), 3)
    middle = 3 * torch.randn(size).double()

    def draw(i: int) -> list[tuple[Tensor, ...]]:
        """Regressions whose slopes lie around `middle`; the same i, the same tasks."""
        random = torch.Generator().manual_seed(i)
        found: list[tuple[Tensor, ...]] = []
        for _ in range(tasks):
            slopes = middle + 0.3 * torch.randn(size, generator=random).double()
            x, z = (torch.randn(6, size, generator=random).double() for _ in range(2))
            found.append((x, x @ slopes, z, z @ slopes))
        return found

    def loss(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return ((x @ weights - y) ** 2).mean()

    start = torch.randn(size).double()

    def results(given: str, *settings: Any) -> tuple[Tensor, Tensor]:
        got = row(answer(start, draw, loss, *settings), 2, answer.check.returns, given=given, hint=1)
        theta = expect_tensor(got[0], (size,), given=f"{given} for the trained start,", like=start, hint=1)
        return theta.detach(), _curve(got[1], settings[-1], given)

    def suspected(place: int, *settings: Any) -> Iterator[tuple[str, Any]]:
        return ((c, torch.as_tensor(made[place])) for c, made in answer.suspects(start, draw, loss, *settings))

    few = (*settings[:3], short)
    given, right = f"{short} meta-steps,", _reptile(start, draw, loss, *few)
    theta, curve = results(given, *few)
    what, suspects = f"{given} for the trained start,", suspected(0, *few)
    expect_close(theta, right[0], given=what, tolerance=1e-7, suspects=suspects, hint=2)
    yield "the start"
    what, suspects, losses = f"{given} for the losses,", suspected(1, *few), torch.tensor(right[1]).double()
    expect_close(curve, losses, given=what, tolerance=1e-6, suspects=suspects, hint=3)
    yield "the losses"
    given = f"{settings[-1]} meta-steps,"
    theta, curve = results(given, *settings)
    first, last = float(curve[:5].mean()), float(curve[-5:].mean())
    told = f"one that goes from {first:.2f} to {last:.2f}"
    expect(last < first / 5, given, "a loss after adapting that falls to less than a fifth", told, hint=2)
    yield "the loss falls"


def _curve(got: Any, meta_steps: int, given: str) -> Tensor:
    """The losses as a row of numbers, if there is one for each meta-step."""
    wanted = f"{meta_steps} numbers, one for each meta-step"
    several = isinstance(got, list | tuple) or getattr(got, "ndim", 0) == 1
    if not several or len(got) != meta_steps:
        cause = "one loss for each meta-step, the mean over its tasks" if several else ""
        fail(f"{given} for the losses,", wanted, describe(got), cause=cause, hint=1)
    try:
        return torch.tensor([float(x.detach() if isinstance(x, Tensor) else x) for x in got], dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        fail(f"{given} for the losses,", wanted, f"a list that holds {describe(got[0])}", hint=1)


def _errors(predict: Function, s: Tensor, t: Tensor, q: Tensor, z: Tensor, *steps: int) -> list[Tensor]:
    """The squared errors [T, Q] after few and after many steps."""
    tasks = list(zip(s, t, q, z, strict=True))
    return [torch.stack([(predict(*task[:3], k) - task[3]) ** 2 for task in tasks]) for k in steps]


def _many(*run: Any) -> list[Tensor]:
    after = _errors(*run)[1].mean(1)
    return [after, torch.zeros_like(after)]


def _shares(*run: Any) -> list[Tensor]:
    few, many = (errors.mean(1) for errors in _errors(*run))
    return [1 - many / few, torch.zeros_like(few)]


_gain, _slips = interval(_errors, values=lambda x: x.mean(1), unit="tasks", take="the difference of each task")


@self_check(
    "3.5",
    reference=_gain,
    mistakes={
        "the sign: a fall of the error is a gain, `few` minus `many`": lambda *run: _gain(*run[:5], *run[:4:-1]),
        "the errors of a task were added up, not averaged": interval(_errors, values=lambda x: x.sum(1))[0],
        "these are errors on the support set": lambda predict, s, t, q, z, *steps: _gain(predict, s, t, s, t, *steps),
        "the root of the error was taken": interval(_errors, values=lambda x: x.mean(1) ** 0.5)[0],
        "these are absolute errors, not squared ones": interval(_errors, values=lambda x: (x**0.5).mean(1))[0],
        "these are the errors after `many` steps, not how far they fell": interval(_many)[0],
        "this is a share of the error after `few` steps; return the difference": interval(_shares)[0],
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
