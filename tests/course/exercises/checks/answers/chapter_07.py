"""Answers to the exercises of chapter 07."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.course.exercises.checks import chapter_07 as checks

NAMES = {"np": np, "torch": torch}
measures, grown, projected, mer = (
    check.reference for check in (checks.stream_measures, checks.one_text_more, checks.unopposed, checks.mer_training)
)


def measures_by_loops(R: Tensor) -> list[float]:
    rows, count = R.tolist(), len(R)
    backward = [rows[-1][j] - rows[j][j] for j in range(count - 1)]
    fall = [max(rows[i][j] for i in range(j, count)) - rows[-1][j] for j in range(count - 1)]
    return [sum(rows[-1]) / count, sum(backward) / (count - 1), sum(fall) / (count - 1)]


def grown_by_welford(count: int, mean: Tensor, scatter: Tensor, x: Tensor) -> Any:
    """One distance to the old mean, the other to the new one."""
    new = mean + (x - mean) / (count + 1)
    return count + 1, new, scatter + torch.outer(x - mean, x - new)


def in_place(count: int, mean: Tensor, scatter: Tensor, x: Tensor) -> Any:
    made = grown(count, mean, scatter, x)
    mean.copy_(made[1])
    return made


def projected_with_clamp(g: Tensor, r: Tensor) -> Tensor:
    return g - (g @ r).clamp(max=0) / r.square().sum() * r


def mer_by_lerp(step: Any, theta: Tensor, texts: Any, draws: Any, beta: float, gamma: float) -> Tensor:
    for text, batches in zip(texts, draws, strict=True):
        moved = theta
        for remembered in batches:
            inner = moved
            for each in (*remembered, text):
                inner = step(inner, each)
            moved = torch.lerp(moved, inner, beta)
        theta = torch.lerp(theta, moved, gamma)
    return theta


MEASURES, GROWN, PROJECTED, MER = ("stream_measures", "one_text_more", "unopposed", "mer_training")
RIGHT = [
    (MEASURES, measures_by_loops),
    (MEASURES, lambda R: torch.tensor(measures(R))),
    (GROWN, grown_by_welford),
    (GROWN, lambda *given: list(grown(*given))),
    (PROJECTED, projected_with_clamp),
    (MER, mer_by_lerp),
]
WRONG = [
    (
        MEASURES,
        lambda R: measures(R)[0],
        "three numbers (average accuracy, backward transfer, forgetting), got a float",
    ),
    (GROWN, in_place, "your function changed its argument 2"),
    (GROWN, lambda *given: grown(*given)[1:], "three things (count, mean, scatter), got"),
    (
        PROJECTED,
        lambda g, r: g if g @ r < 0 else g - (g @ r) / (r @ r) * r,
        "was left as it is; project where the product is negative",
    ),
    (PROJECTED, lambda g, r: float(g @ r), "a tensor of shape [3] ([P]), got a float"),
    (MER, lambda *given: [mer(*given)], "a tensor of shape [2] ([P]), got a list"),
]
HIDDEN: list[Any] = []
