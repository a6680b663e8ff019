"""Answers to the exercises of chapter 02."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalearn_lib.course.exercises.checks import chapter_02 as checks
from metalearn_lib.meta_optimizers import HypergradientSGD, finite_differences

NAMES = {"cross_entropy": cross_entropy}

rates, momentum = checks.layer_rates.reference, checks.momentum_hypergradient.reference
windowed = checks.windowed_hypergradient.reference
query_loss = checks._query_loss


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


def by_finite_differences(*run: Any) -> Tensor:
    """In double precision, whatever was given."""
    *task, log_rate, momentum = (x.double() if x.is_floating_point() else x for x in run[:7])
    knobs = {"log_rate": log_rate.clone(), "momentum": momentum.clone()}
    slopes = finite_differences(lambda: query_loss(*task, *knobs.values(), run[7]).detach(), knobs)
    return torch.stack(list(slopes.values())).to(run[4].dtype)


def with_torch(tasks: Any, weights: Tensor, log_rate: Tensor, steps: int, outer_rate: float) -> Any:
    """The outer loop with an optimizer of torch, in lists."""
    knob = log_rate.clone().requires_grad_()
    optimizer = torch.optim.SGD([knob], lr=outer_rate)
    log_rates, losses = [], []
    for x, y, z, t in tasks:
        moved = weights.clone().requires_grad_()
        for _ in range(steps):
            (gradient,) = torch.autograd.grad(cross_entropy(x @ moved, y), moved, create_graph=True)
            moved = moved - knob.exp() * gradient
        loss = cross_entropy(z @ moved, t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log_rates.append(knob.item())
        losses.append(loss.item())
    return log_rates, losses


def detached_rate(tasks: Any, weights: Tensor, log_rate: Tensor, steps: int, outer_rate: float) -> Any:
    """The rate is a number, so that no path leads back to its logarithm."""
    knob = log_rate.clone().requires_grad_()
    x, y, z, t = tasks[0]
    moved = weights.clone().requires_grad_()
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(cross_entropy(x @ moved, y), moved, create_graph=True)
        moved = moved - knob.exp().item() * gradient
    return torch.autograd.grad(cross_entropy(z @ moved, t), knob), []


def tuples(*run: Any) -> Any:
    return tuple(momentum(*run))


def ratios(losses: Tensor, others: Tensor, *, form: Any = tuple) -> Any:
    return form(checks.loss_ratio.reference(losses, others))


RATES, MOMENTUM, WINDOW, LEARN = "layer_rates", "momentum_hypergradient", "windowed_hypergradient", "learn_rate"
RATIO = "loss_ratio"
RIGHT = [
    (RATES, library_rates),
    (RATES, lambda *step: rates(*step).tolist()),
    (RATES, lambda *step: tuple(rates(*step))),
    (RATES, lambda *step: rates(*step).numpy()),
    (MOMENTUM, by_finite_differences),
    (MOMENTUM, tuples),
    (MOMENTUM, lambda *run: list(momentum(*run))),
    (WINDOW, lambda *run: torch.tensor(windowed(*run))),
    (LEARN, with_torch),
    (LEARN, lambda *run: [np.array(part) for part in with_torch(*run)]),
    (RATIO, lambda a, b: ratios(a, b, form=np.array)),
    (RATIO, lambda a, b: ratios(a, b, form=list)),
    (RATIO, lambda a, b: ratios(a, b, form=torch.tensor)),
]
WRONG = [
    (RATES, lambda *step: rates(*step).sum(), "a tensor of shape [2] ([L]), got shape []"),
    (RATES, lambda *step: rates(*step)[:, None], "a tensor of shape [2] ([L]), got shape [2, 1]"),
    (RATES, lambda g, h, *_: [a * b for a, b in zip(g, h, strict=True)], "a tensor of shape [2] ([L]), got a list"),
    (RATES, lambda g, h, r, b: r.add_(b), "your function changed its argument 3"),
    (MOMENTUM, lambda *run: momentum(*run)[0], "a tensor of shape [2] ([log rate, momentum]), got shape []"),
    (WINDOW, lambda *run: torch.tensor([windowed(*run)]), "the number "),
    (LEARN, detached_rate, "your function raised RuntimeError (The differentiated Tensor at index 0 appears"),
    (LEARN, lambda *run: (with_torch(*run)[0][-1], with_torch(*run)[1]), "a tensor of shape [1], got a float"),
    (LEARN, lambda *run: with_torch(*run)[0], "two rows of T numbers (learned, losses), got a list of 1"),
    (LEARN, lambda *run: (with_torch(*run)[0][:0], with_torch(*run)[1]), "a tensor of shape [1], got a list of 0"),
    (RATIO, lambda a, b: ratios(a, b)[0], "three numbers (ratio, low, high), got a float"),
]
HIDDEN = [(MOMENTUM, lambda *run: momentum(*run).double(), "with float32 I expected the dtype of the input")]
