"""Self-checks of chapter 03: ANIL, a meta-gradient, a test for second order, the gain of more steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from metalearn_lib.inner_loop import InnerLoop, Tasks
from metalearn_lib.learners import mlp
from metalearn_lib.scores import Score

from .core import Answer, Cases, describe, expect_close, expect_ends, expect_number, expect_tensor, fail, self_check


@self_check("3.1")
def anil_adapted(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Weights after gradient steps on the last layer alone."""
    names = ("first layer's weights", "first layer's bias", "last layer's weights", "last layer's bias")

    def compare(given: str, network: nn.Sequential, x: Tensor, y: Tensor, rate: float, steps: int) -> None:
        weights: list[Tensor] = list(network.parameters())
        got = answer(weights, x, y, rate, steps)
        if not isinstance(got, list | tuple) or len(got) != len(weights):
            fail(given, "a list of four tensors, like `weights`", describe(got), hint=1)
        nobody = torch.zeros(1, 1, dtype=torch.long)
        adapt = InnerLoop(network, adapt="head").adapt(Tasks(x[None], y[None], x[None, :1], nobody), rate, steps=steps)
        right = [adapt[name][0] if name in adapt else p for name, p in network.named_parameters()]
        slips = {
            "the sign: go down the gradient": _head_steps(weights, x, y, -rate, steps),
            "only one step was taken": _head_steps(weights, x, y, rate, 1),
            "every step was taken from the start; the next must begin where the last one ended": [
                w + steps * (moved - w) for w, moved in zip(weights, _head_steps(weights, x, y, rate, 1), strict=True)
            ],
            "the loss of the examples was added up, not averaged": _head_steps(weights, x, y, rate * len(x), steps),
            "the rate was left out": _head_steps(weights, x, y, 1.0, steps),
            "it did not move; the bias belongs to the last layer": weights,
        }
        for i, name in enumerate(names):
            what = f"{given} for the {name},"
            expect_tensor(got[i], tuple(weights[i].shape), given=what, like=weights[i], hint=1)
            causes = {cause: slip[i].detach() for cause, slip in slips.items()}
            if i < 2 and steps and not torch.equal(got[i].detach(), weights[i].detach()):
                causes = {"this layer must stay where it is": got[i].detach()}
            expect_close(got[i].detach(), right[i].detach(), given=what, tolerance=1e-9, suspects=causes, hint=2)

    if cases == "shown":
        network = mlp(4, 5, 2).double()  # with 3 hidden units all are 0 for these seeds, and nothing but the bias moves
        x, y = torch.randn(6, 4).double(), torch.tensor([0, 1, 1, 0, 1, 1])
        compare("3 steps at rate 0.5,", network, x, y, 0.5, 3)
        yield "three steps"
        compare("1 step at rate 0.1,", network, x, y, 0.1, 1)
        yield "one step"
        compare("0 steps,", network, x, y, 0.1, 0)
        yield "no step"
        return
    network = mlp(7, 5, 4).double()
    compare("5 steps, 4 classes,", network, torch.randn(8, 7).double(), torch.arange(8) % 4, 0.3, 5)
    yield "four classes"
    compare("1 example,", network, torch.randn(1, 7).double(), torch.tensor([2]), 1.5, 2)
    yield "one example"


@self_check("3.2")
def regression_meta_gradient(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The meta-gradient of MAML with one inner step, for a linear regression, of either order."""

    def compare(given: str, w: Tensor, tasks: Tasks, rate: float, second_order: bool, hint: int) -> None:
        got = answer(w, *tasks, rate, second_order=second_order)
        expect_tensor(got, tuple(w.shape), given=given, like=w, axes="[D]", hint=1)
        right = _meta_gradient(w, tasks, rate, second_order)
        supports, queries = (Tasks(*half, *half) for half in (tasks[:2], tasks[2:]))
        examples = tasks.support_x.shape[1]
        suspects = {
            "this is the first-order gradient; does the inner gradient keep its graph?": (
                _meta_gradient(w, tasks, rate, second_order=False)
            ),
            "this is the second-order gradient, although second_order=False": _meta_gradient(w, tasks, rate),
            "this is the gradient at the start: the inner step has no effect": _meta_gradient(w, tasks, 0.0),
            "the inner step used the query set": _meta_gradient(w, queries, rate, second_order),
            "the outer loss is that of the support set": _meta_gradient(w, supports, rate, second_order),
            "the rate was left out": _meta_gradient(w, tasks, 1.0, second_order),
            "the inner step goes up the gradient": _meta_gradient(w, tasks, -rate, second_order),
            "the tasks were added up, not averaged": right * len(tasks.support_x),
            "the support errors were added up, not averaged": _meta_gradient(w, tasks, rate * examples, second_order),
            "the query errors were added up, not averaged": right * tasks.query_x.shape[1],
            "the squared errors were halved": _meta_gradient(w, tasks, rate / 2, second_order) / 2,
            "each task started where the one before it ended": _meta_gradient(w, tasks, rate, second_order, True),
            "the sign: return the gradient itself, not a step down it": -right,
        }
        expect_close(got.detach(), right, given=given, tolerance=1e-7, suspects=suspects, hint=hint)

    if cases == "shown":
        w, tasks = torch.randn(3).double(), _regressions(1, 4, 5, 3)
        compare("one task", w, tasks, 0.1, True, 2)
        yield "one task"
        tasks = _regressions(4, 5, 6, 3)
        compare("four tasks", w, tasks, 0.1, True, 2)
        yield "four tasks"
        compare("second_order=False", w, tasks, 0.1, False, 3)
        yield "first order"
        compare("rate 0", w, tasks, 0.0, True, 2)
        yield "rate 0"
        return
    compare("ten weights, a rate of 0.3", torch.randn(10).double(), _regressions(7, 3, 9, 10), 0.3, True, 2)
    yield "few examples"
    compare("one example, first order", torch.randn(2).double(), _regressions(3, 1, 1, 2), 0.5, False, 3)
    yield "one example"


@self_check("3.3")
def is_second_order(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A test that tells the derivative of a loss after adapting from gradients that only resemble it."""
    dim, steps, rate = (4, 3, 0.5) if cases == "shown" else (3, 1, 0.02)
    x, y = torch.randn(2, 8, dim).double(), torch.arange(8).remainder(3)
    start = torch.randn(dim * 3).double()

    def adapted_loss(start: Tensor, kept: int, scale: float = 1.0) -> Tensor:
        weights = start.view(dim, 3)
        for step in range(steps):
            loss = cross_entropy(x[0] @ weights, y)
            (g,) = torch.autograd.grad(loss, weights, create_graph=True)
            weights = weights - rate * (g if step < kept else g.detach())
        return scale * cross_entropy(x[1] @ weights, y)

    def gradient(start: Tensor, kept: int, scale: float = 1.0) -> Tensor:
        start = start.detach().clone().requires_grad_()
        return torch.autograd.grad(adapted_loss(start, kept, scale), start)[0]

    def partly(start: Tensor) -> Tensor:
        right = gradient(start, steps)
        return torch.cat([right[:-3], gradient(start, 0)[-3:]])

    def ask(given: str, function: Callable[[Tensor], Tensor], right: bool, cause: str, scale: float = 1.0) -> None:
        def loss(start: Tensor) -> Tensor:
            return adapted_loss(start.detach().clone().requires_grad_(), steps, scale).detach()

        got = answer(function, loss, start)
        if isinstance(got, Tensor) and got.dtype == torch.bool and got.numel() == 1:
            got = bool(got)
        if not isinstance(got, bool) and type(got).__name__ not in ("bool_", "bool"):
            fail(given, "True or False", describe(got), hint=1)
        if bool(got) != right:
            fail(given, str(right), str(bool(got)), cause=cause, hint=2)

    loose = "the test is too loose: it does not compare every number with finite differences"
    strict = "the test is too strict, or its differences too rough: both sides of each number, float64, a small step"
    if cases == "shown":
        ask("a right implementation", lambda s: gradient(s, steps), True, strict)
        yield "right"
        silent = "a loss cannot tell them apart, and no shape can; compare the gradient with differences of the loss"
        ask("one that forgot create_graph", lambda s: gradient(s, 0), False, silent)
        yield "silent"
        ask("one that cuts the graph at the last step only", lambda s: gradient(s, steps - 1), False, loose)
        yield "one step cut"
        ask("one that is wrong in the last three numbers only", partly, False, "not every number was compared")
        yield "partly"
        ask("twice the gradient", lambda s: 2 * gradient(s, steps), False, "the length counts, not only the direction")
        yield "twice"
        return
    ask("a rate of 0.02, forgotten create_graph,", lambda s: gradient(s, 0), False, loose)
    yield "a small rate"
    ask("a rate of 0.02, a right implementation,", lambda s: gradient(s, steps), True, strict)
    yield "a small rate, right"
    absolute = "the tolerance must go with the size of the gradient"
    ask("a loss times 10⁻⁴, forgotten create_graph,", lambda s: gradient(s, 0, 1e-4), False, absolute, 1e-4)
    yield "a small loss"
    ask("the negative gradient", lambda s: -gradient(s, steps), False, "the sign counts")
    yield "sign"


@self_check("3.4")
def gain_of_steps(answer: Answer, cases: Cases) -> Iterator[Any]:
    """By how much the squared error falls with more inner steps: its mean and the ends of its 95 % interval."""
    tasks, asked, few, many = (9, 7, 1, 4) if cases == "shown" else (30, 4, 0, 10)
    support_x, query_x = torch.randn(tasks, 5, 1).double(), torch.randn(tasks, asked, 1).double()
    slopes = 3 * torch.randn(tasks, 1).double()
    support_y, query_y = (slopes * x[..., 0] + 0.3 * torch.randn(x.shape[:2]).double() for x in (support_x, query_x))

    def predict(support_x: Tensor, support_y: Tensor, query_x: Tensor, steps: int) -> Tensor:
        slope = torch.zeros((), dtype=support_x.dtype)
        for _ in range(steps):
            slope = slope - 0.1 * 2 * ((slope * support_x[:, 0] - support_y) * support_x[:, 0]).mean()
        return slope * query_x[:, 0]

    episodes = list(zip(support_x, support_y, query_x, query_y, strict=True))
    squares = [torch.stack([(predict(s, t, q, k) - z) ** 2 for s, t, q, z in episodes]) for k in (few, many)]  # [T, Q]
    before, after = (Score.of(e.mean(1).numpy(), key=("tasks",), share=False) for e in squares)
    right = before.minus(after)
    half = right.high - right.difference
    deviation = float((before.values - after.values).std(ddof=1))
    apart = before.minus(Score.of(after.values, key=("others",), share=False))
    points = Score.of((squares[0] - squares[1]).flatten().numpy(), share=False)
    given = f"{tasks} tasks, {few} and {many} steps"
    got = answer(predict, support_x, support_y, query_x, query_y, few, many)
    if not isinstance(got, tuple | list) or len(got) != 3:
        fail(given, "three numbers (mean, low, high)", describe(got), hint=1)
    means = {
        "the sign: a fall of the error is a gain, so take `few` minus `many`": -right.difference,
        "the errors of a task were added up, not averaged": right.difference * asked,
        "these are errors on the support set": float(_on_support(predict, episodes, few, many)),
    }
    expect_number(got[0], right.difference, given=f"{given}, for the mean,", suspects=means, hint=1)
    yield "mean"
    widths = {
        "the interval is not paired: take the difference of each task first": apart.high - apart.difference,
        "the unit is the task, not the query": points.high - points.mean,
        "this is one standard deviation; the mean of T tasks varies less, by √T": deviation,
        "1.96 belongs to many tasks; for few take Student's t (Score does)": 1.96 * deviation / tasks**0.5,
        "this is one standard error; 95 % needs more than two of them": deviation / tasks**0.5,
    }
    yield from expect_ends(got[1:], right.difference, half, given=given, widths=widths, hint=2)


def _head_steps(weights: list[Tensor], x: Tensor, y: Tensor, rate: float, steps: int) -> list[Tensor]:
    first, first_bias, last, last_bias = (w.detach() for w in weights)
    hidden = torch.relu(x @ first.T + first_bias)
    for _ in range(steps):
        error = ((hidden @ last.T + last_bias).softmax(1) - one_hot(y, len(last))) / len(y)  # of the mean loss [M, N]
        last, last_bias = last - rate * error.T @ hidden, last_bias - rate * error.sum(0)
    return [first, first_bias, last, last_bias]


def _regressions(tasks: int, support: int, query: int, dim: int) -> Tasks:
    x, z = torch.randn(tasks, support, dim).double(), torch.randn(tasks, query, dim).double()
    slopes = torch.randn(tasks, dim, 1).double()
    return Tasks(x, (x @ slopes)[..., 0], z, (z @ slopes)[..., 0])


def _meta_gradient(w: Tensor, tasks: Tasks, rate: float, second_order: bool = True, chained: bool = False) -> Tensor:
    """The formula of section 3, with the matrix of second derivatives written out."""
    found = []
    for x, y, z, t in zip(*tasks, strict=True):
        moved = w - rate * 2 * x.T @ (x @ w - y) / len(y)
        outer, hessian = 2 * z.T @ (z @ moved - t) / len(t), 2 * x.T @ x / len(y)
        found.append(outer - rate * hessian @ outer if second_order else outer)
        w = moved if chained else w
    return torch.stack(found).mean(0)


def _on_support(predict: Callable[..., Tensor], episodes: list[Any], few: int, many: int) -> Tensor:
    errors = [[((predict(s, t, s, k) - t) ** 2).mean() for s, t, _, _ in episodes] for k in (few, many)]
    return torch.stack([torch.stack(e).mean() for e in errors]) @ torch.tensor([1.0, -1.0]).double()
