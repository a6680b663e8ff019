"""Answers to the exercises of chapter 02."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metalearn_lib.course.exercises.checks import chapter_02 as checks
from metalearn_lib.meta_optimizers import finite_differences

NAMES = {"cross_entropy": cross_entropy}

momentum, cut = checks.momentum_hypergradient.reference, checks.incomplete_hypergradient.reference
query_loss = checks._query_loss


def by_finite_differences(*run: Any) -> Tensor:
    """In double precision, whatever was given."""
    *task, log_rate, momentum = (x.double() if x.is_floating_point() else x for x in run[:7])
    knobs = {"log_rate": log_rate.clone(), "momentum": momentum.clone()}
    slopes = finite_differences(lambda: query_loss(*task, *knobs.values(), run[7]).detach(), knobs)
    return torch.stack(list(slopes.values())).to(run[4].dtype)


MOMENTUM, CUT = "momentum_hypergradient", "incomplete_hypergradient"
RIGHT = [(MOMENTUM, by_finite_differences)]
WRONG = [
    (CUT, lambda *run: torch.zeros(()), "no path at all is left"),
    (CUT, lambda *run: torch.tensor([cut(*run)]), "the number -0."),
]
HIDDEN = [(MOMENTUM, lambda *run: momentum(*run).double(), "with float32 I expected the dtype of the input")]
