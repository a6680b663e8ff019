"""Answers to the exercises of chapter 02."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalearn_lib.course.exercises.checks import chapter_02 as checks
from metalearn_lib.meta_optimizers import HypergradientSGD, finite_differences

NAMES = {"cross_entropy": cross_entropy}

momentum, cut = checks.momentum_hypergradient.reference, checks.incomplete_hypergradient.reference
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


MOMENTUM, CUT = "momentum_hypergradient", "incomplete_hypergradient"
RIGHT = [("layer_rates", library_rates), (MOMENTUM, by_finite_differences)]
WRONG = [
    (CUT, lambda *run: torch.zeros(()), "no path at all is left"),
    (CUT, lambda *run: torch.tensor([cut(*run)]), "the number -0."),
]
HIDDEN = [(MOMENTUM, lambda *run: momentum(*run).double(), "with float32 I expected the dtype of the input")]
