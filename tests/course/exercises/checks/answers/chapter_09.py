"""Answers to the exercises of chapter 09."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.course.exercises.checks import chapter_09 as checks

pooled = checks.concat_pool.reference


def text_by_text(states: Tensor, mask: Tensor) -> Tensor:
    words = [state[inside] for state, inside in zip(states, mask, strict=True)]
    return torch.stack([torch.cat([text[-1], text.mean(0), text.amax(0)]) for text in words])


def leep_by_loops(theta: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    table = torch.stack([theta[labels == c].sum(0) for c in range(n_classes)]) / theta.sum(0)
    return torch.stack([(table[c] @ row).log() for row, c in zip(theta, labels, strict=True)]).mean()


def choosing(right: Tensor, half: Tensor) -> list[float]:
    best = max(range(len(right)), key=lambda run: float(right[run, half].sum()))
    rest = [i for i in range(right.shape[1]) if i not in half.tolist()]
    return [float(right[best, half].mean()), float(right[best, rest].mean())]


def interpolated(sizes: Any, accuracies: Any, reached: float) -> float:
    return float(np.exp(np.interp(reached, accuracies, np.log(sizes), right=math.inf)))


POOL, LEEP, CHOSEN, WORTH = "concat_pool", "leep_score", "chosen_on_test", "worth_in_labels"
RIGHT: list[tuple[str, Any]] = [
    (POOL, text_by_text),
    (LEEP, leep_by_loops),
    (CHOSEN, choosing),
    (WORTH, interpolated),
]
WRONG = [
    (POOL, lambda states, mask: pooled(states, mask)[:, :2], "[1, 6] ([B, 3·D]), got shape [1, 2]; see hint 1"),
    (LEEP, lambda theta, labels, n: theta.log(), "I expected the number -0.3853, got a tensor"),
    (CHOSEN, lambda *given: choosing(*given)[0], "two numbers (accuracy on half, accuracy on the others), got a float"),
]
HIDDEN = [(POOL, lambda states, mask: pooled(states.float(), mask), "the dtype of the input, torch.float64")]
