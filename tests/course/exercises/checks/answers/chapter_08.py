"""Answers to the exercises of chapter 08."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from metalearn_lib import Score
from metalearn_lib.course.exercises.checks import chapter_08 as checks
from metalearn_lib.distillation import distillation_loss, soft_targets

NAMES = {"nn": nn}

effective, mixed = (check.reference for check in (checks.effective_classes, checks.mixed_loss))


def library_entropy(logits: Tensor, temperature: float) -> Tensor:
    return torch.distributions.Categorical(probs=soft_targets(logits, temperature=temperature)).entropy().exp()


def nan_where_certain(logits: Tensor, temperature: float) -> Tensor:
    p = (logits / temperature).softmax(1)
    return (-(p * p.log()).sum(1)).exp()


def by_ignore_index(z: Tensor, v: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
    soft = distillation_loss(z, v, temperature=temperature)
    plain = cross_entropy(z, labels, ignore_index=-1) if (labels >= 0).any() else torch.zeros((), dtype=z.dtype)
    return weight * plain + (1 - weight) * soft


def nan_without_labels(z: Tensor, v: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
    plain = cross_entropy(z, labels, ignore_index=-1)
    return weight * plain + (1 - weight) * distillation_loss(z, v, temperature=temperature)


def torchs_own(z: Tensor, v: Tensor, temperature: float) -> Tensor:
    return kl_div((z / temperature).log_softmax(1), (v / temperature).softmax(1), reduction="batchmean")


def by_scores(cost: Tensor, right: Tensor, *, key: tuple[str, ...] | None = ("texts",)) -> Tensor:
    scores = [Score.of(row.numpy(), key=key) for row in right]
    every = list(zip(scores, cost, strict=True))
    return torch.tensor([any(bool(b > a) and cb <= ca for b, cb in every) for a, ca in every])


def single_intervals(cost: Tensor, right: Tensor) -> Tensor:
    return by_scores(cost, right, key=None)


CLASSES, MIXED, UNSCALED, BEATEN = "effective_classes", "mixed_loss", "unscaled_loss", "clearly_beaten"
RIGHT: list[tuple[str, Any]] = [
    (CLASSES, library_entropy),
    (MIXED, by_ignore_index),
    (UNSCALED, torchs_own),
    (BEATEN, by_scores),
]
WRONG = [
    (CLASSES, nan_where_certain, "got NaN: a division by zero, 0 times infinity, or the mean of nothing; see hint 2"),
    (CLASSES, lambda *given: effective(*given).mean(), "a tensor of shape [2] ([n]), got shape []; see hint 1"),
    (MIXED, nan_without_labels, "or the mean of nothing; see hint 2"),
    (MIXED, lambda *given: mixed(*given).detach(), "a loss that can be differentiated, got one without a graph"),
    (UNSCALED, lambda *given: torchs_own(*given).detach(), "a loss that can be differentiated"),
    (UNSCALED, lambda z, v, t: torchs_own(z, v, t) * t / 2, "the ratio of the right gradient to yours at T = 8, I"),
    (BEATEN, single_intervals, "worse in 15 texts I expected [False, True], got [False, False]: the intervals are not"),
    (BEATEN, lambda *given: by_scores(*given)[:1], "3 values, true or false, got a list of 1"),
]
HIDDEN = [(CLASSES, lambda *given: effective(*given).float(), "the dtype of the input, torch.float64")]
