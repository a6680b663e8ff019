"""Self-checks of chapter 02: a hypergradient step, momentum unrolled, a path cut on purpose, a ratio of losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metalearn_lib.scores import Score

from .core import Answer, Cases, describe, expect_close, expect_number, expect_tensor, fail, self_check

Task = tuple[Tensor, Tensor, Tensor, Tensor]  # support x [M, D], y [M], query x [Q, D], y [Q]


@self_check("2.1")
def layer_rates(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Hypergradient descent with a rate for each layer: one step of the rates."""

    def compare(given: str, gradients: list[Tensor], last: list[Tensor], rates: Tensor, hyper_rate: float) -> None:
        got = answer(gradients, last, rates, hyper_rate)
        expect_tensor(got, tuple(rates.shape), given=given, like=rates, axes="[L]", hint=1)
        agree = torch.stack([(g * h).sum() for g, h in zip(gradients, last, strict=True)])
        sizes = torch.tensor([g.numel() for g in gradients], dtype=rates.dtype)
        lengths = torch.stack([g.norm() * h.norm() + 1e-12 for g, h in zip(gradients, last, strict=True)])
        suspects = {
            "the sign: gradients that agree make a rate larger": rates - hyper_rate * agree,
            "one product was taken over all layers": rates + hyper_rate * agree.sum(),
            "the hyper-rate was left out": rates + agree,
            "the products were averaged, not added up": rates + hyper_rate * agree / sizes,
            "this is the cosine: the lengths of the gradients count": rates + hyper_rate * agree / lengths,
            "each gradient was multiplied by itself, not by the last one": (
                rates + hyper_rate * torch.stack([g.square().sum() for g in gradients])
            ),
            "this is the change alone; add it to the rates": hyper_rate * agree,
            "the rate was multiplied, not moved": rates * (1 + hyper_rate * agree),
        }
        right = rates + hyper_rate * agree
        expect_close(got.detach(), right, given=given, tolerance=1e-8, suspects=suspects, hint=2)

    def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
        return [torch.randn(shape).double() for shape in shapes]

    if cases == "shown":
        shapes: tuple[tuple[int, ...], ...] = ((3, 2), (3,))
        compare("two layers", drawn(*shapes), drawn(*shapes), torch.tensor([0.1, 0.5]).double(), 0.01)
        yield "two layers"
        still = [torch.zeros(shape).double() for shape in shapes]
        compare("no last gradient (zeros)", drawn(*shapes), still, torch.tensor([0.1, 0.5]).double(), 0.3)
        yield "the first step"
        turned = drawn(*shapes)
        compare("gradients turned round", turned, [-g for g in turned], torch.tensor([1.0, 2.0]).double(), 0.01)
        yield "turned round"
        return
    compare("one layer", drawn((4, 5, 2)), drawn((4, 5, 2)), torch.tensor([0.3]).double(), 0.2)
    yield "one layer"
    shapes = ((7, 3), (7,), (2, 7), (2,))
    compare("four layers", drawn(*shapes), drawn(*shapes), torch.rand(4).double(), 0.05)
    yield "four layers"


@self_check("2.2")
def momentum_hypergradient(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The derivative of the query loss through gradient descent with momentum, for the log rate and the momentum."""

    def compare(given: str, task: Task, log_rate: float, momentum: float, steps: int, dtype: torch.dtype) -> None:
        weights = torch.randn(task[0].shape[1], 3, dtype=dtype)
        knobs = torch.tensor([log_rate, momentum], dtype=dtype)
        got = answer(*task, weights, knobs[0], knobs[1], steps)
        expect_tensor(got, (2,), given=given, like=weights, axes="[log rate, momentum]", hint=1)
        right = _through_momentum(task, weights, knobs, steps)
        scale = torch.stack([knobs[0].exp(), torch.ones_like(knobs[0])])
        supports: Task = (*task[:2], *task[:2])
        suspects = {
            "the inner gradients are constants; give torch.autograd.grad create_graph=True": (
                _through_momentum(task, weights, knobs, steps, graph=False)
            ),
            "this is the derivative for the rate, not for its logarithm": right / scale,
            "the loss is that of the support set": _through_momentum(supports, weights, knobs, steps),
            "the two are swapped: log rate first": right.flip(0),
            "the velocity is v ← m·v + g; here g was weighted by 1 − m": (
                _through_momentum(task, weights, knobs, steps, dampened=True)
            ),
            "one step is missing": _through_momentum(task, weights, knobs, steps - 1),
            "there is one step too many": _through_momentum(task, weights, knobs, steps + 1),
            "the velocity is cut from its graph": _through_momentum(task, weights, knobs, steps, cut=True),
            "the sign: return the derivative, not a step down it": -right,
        }
        tolerance = 1e-7 if dtype == torch.float64 else 1e-3
        expect_close(got.detach(), right, given=given, tolerance=tolerance, suspects=suspects, hint=2)

    if cases == "shown":
        compare("3 steps", _task(6, 4), -1.0, 0.5, 3, torch.float64)
        yield "three steps"
        compare("momentum 0", _task(6, 4), -0.5, 0.0, 4, torch.float64)
        yield "no momentum"
        compare("2 steps, momentum 0.9,", _task(9, 5), -2.0, 0.9, 2, torch.float64)
        yield "much momentum"
        return
    compare("10 steps", _task(12, 6), -1.5, 0.8, 10, torch.float64)
    yield "ten steps"
    halves = tuple(part.float() if part.is_floating_point() else part for part in _task(6, 4))
    compare("float32", halves, -1.0, 0.5, 3, torch.float32)  # type: ignore[arg-type]
    yield "float32"


@self_check("2.3")
def incomplete_hypergradient(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A hyper-gradient with the second derivatives cut off on purpose."""
    examples, dim, steps, log_rate = (6, 4, 5, -0.5) if cases == "shown" else (10, 3, 8, 0.0)
    for _ in range(2):
        task, weights = _task(examples, dim), torch.randn(dim, 3).double()
        knobs = torch.tensor([log_rate, 0.0]).double()
        given = f"{steps} steps"
        got = answer(*task, weights, knobs[0], steps)
        complete = _through_momentum(task, weights, knobs, steps)[0]
        cut = _through_momentum(task, weights, knobs, steps, graph=False)[0]
        last = _through_momentum(task, weights, knobs, steps, last=True)[0]
        suspects = {
            "this is the complete derivative: nothing is broken yet": complete.item(),
            "no path at all is left; cut the graph of the inner gradients, not that of the weights": 0.0,
            "only the last step is left; cut the inner gradients, not the weights": last.item(),
            "this is the derivative for the rate, not for its logarithm": (cut / knobs[0].exp()).item(),
            "this is the loss; return its derivative": _loss_of(task, weights, knobs, steps).item(),
        }
        got = got.detach() if isinstance(got, Tensor) else got
        expect_number(got, cut.item(), given=given, tolerance=1e-7, suspects=suspects, hint=2)
        yield "wrong in the way that was asked for"


@self_check("2.4")
def loss_ratio(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The ratio of two losses over the same runs, as a geometric mean, with its 95 % interval."""
    runs = 8 if cases == "shown" else 40
    common = torch.randn(runs).double()
    one, other = ((common + 0.3 * torch.randn(runs).double() + shift).exp() for shift in (-0.7, 0.0))
    logs = [x.log().numpy() for x in (one, other)]
    gap = Score.of(logs[0] - logs[1], share=False)
    apart = Score.of(logs[0], key=("one",)).minus(Score.of(logs[1], key=("other",)))
    given = f"{runs} runs"
    got = answer(one, other)
    if not isinstance(got, tuple | list) or len(got) != 3:
        fail(given, "three numbers (ratio, low, high)", describe(got), hint=1)
    ratios = {
        "this is the logarithm of the ratio: take exp at the end": gap.mean,
        "the ratio is the other way round: the first loss over the second": float(torch.tensor(-gap.mean).exp()),
        "this is the ratio of the means; average the logarithms": float(one.mean() / other.mean()),
        "this is the mean of the ratios; average the logarithms": float((one / other).mean()),
        "this is a difference, not a ratio": float((one - other).mean()),
        "the logarithm is that of base e, and so is the power": float(10 ** torch.tensor(gap.mean)),
    }
    right = torch.tensor([gap.mean, gap.low, gap.high]).double().exp()
    expect_number(got[0], right[0].item(), given=f"{given}, for the ratio,", suspects=ratios, hint=1)
    yield "ratio"
    half, deviation = gap.high - gap.mean, float((logs[0] - logs[1]).std(ddof=1))
    widths = {
        "the interval is not paired: take the difference of the logarithms in each run first": (
            apart.high - apart.difference
        ),
        "this is one standard deviation; the mean of T runs varies less, by √T": deviation,
        "1.96 belongs to many runs; for few take Student's t (Score does)": 1.96 * deviation / runs**0.5,
        "this is one standard error; 95 % needs more than two of them": deviation / runs**0.5,
    }
    for end, name, sign in ((1, "low end", -1), (2, "high end", 1)):
        wrong = {cause: float(torch.tensor(gap.mean + sign * width).exp()) for cause, width in widths.items()}
        wrong["the ends are logarithms still: take exp of all three"] = gap.mean + sign * half
        expect_number(got[end], right[end].item(), given=f"{given}, for the {name},", suspects=wrong, hint=2)
        yield name


def _task(examples: int, dim: int) -> Task:
    x, z = torch.randn(examples, dim).double(), torch.randn(examples + 2, dim).double()
    truth = torch.randn(dim, 3).double()
    return x, (x @ truth).argmax(1), z, (z @ truth).argmax(1)


def _loss_of(
    task: Task, weights: Tensor, knobs: Tensor, steps: int, *,
    graph: bool = True, dampened: bool = False, cut: bool = False, last: bool = False,
) -> Tensor:  # fmt: skip
    """Query loss after gradient descent with momentum; the options are mistakes that one can make in it."""
    log_rate, momentum = knobs
    weights, velocity = weights.clone().requires_grad_(), torch.zeros_like(weights)
    for _ in range(steps):
        weights = weights.detach().requires_grad_() if last else weights
        (g,) = torch.autograd.grad(cross_entropy(task[0] @ weights, task[1]), weights, create_graph=graph)
        velocity = momentum * (velocity.detach() if cut else velocity) + (1 - momentum if dampened else 1) * g
        weights = weights - log_rate.exp() * velocity
    return cross_entropy(task[2] @ weights, task[3])


def _through_momentum(task: Task, weights: Tensor, knobs: Tensor, steps: int, **mistakes: bool) -> Tensor:
    knobs = knobs.detach().clone().requires_grad_()
    loss = _loss_of(task, weights, knobs, steps, **mistakes)
    (found,) = torch.autograd.grad(loss, (knobs,))
    return found
