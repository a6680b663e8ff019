"""Answers to the exercises of chapter 02."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalearn_lib import Score
from metalearn_lib.course.exercises.checks import chapter_02 as checks
from metalearn_lib.meta_optimizers import HypergradientSGD, finite_differences

NAMES = {"cross_entropy": cross_entropy}

rates, momentum, ratio = (
    check.reference for check in (checks.layer_rates, checks.momentum_hypergradient, checks.loss_ratio)
)


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


def in_place(gradients: list[Tensor], last: list[Tensor], rates: Tensor, hyper_rate: float) -> Tensor:
    for i, (g, h) in enumerate(zip(gradients, last, strict=True)):
        rates[i] += hyper_rate * (g * h).sum()
    return rates


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
RIGHT = [(RATES, library_rates), (MOMENTUM, by_finite_differences), (CUT, by_hand), (RATIO, library_ratio)]
WRONG = [
    (RATES, lambda *a: rates(*a).tolist(), "a tensor of shape [2] ([L]), got a list of 2: torch.stack"),
    (RATES, in_place, "changed its argument 3"),
    (MOMENTUM, lambda *a: momentum(*a)[0], "a tensor of shape [2] ([log rate, momentum]), got shape []"),
    (CUT, lambda *a: torch.zeros(()), "no path at all is left"),
    (CUT, lambda *a: by_hand(*a)[None], "the number -0."),
    (RATIO, lambda *a: np.log(ratio(*a)), "for the ratio, I expected 0."),
    (RATIO, lambda *a: 0.5, "three numbers (ratio, low, high), got a float, 0.5; see hint 1"),
]
HIDDEN = [(MOMENTUM, lambda *a: momentum(*a).double(), "with float32 I expected the dtype of the input")]
