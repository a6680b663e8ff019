"""Answers to the exercises of chapter 08."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalearn_lib import Score
from metalearn_lib.course.exercises.checks import chapter_08 as checks
from metalearn_lib.distillation import distillation_loss, soft_targets

NAMES = {"nn": nn}

effective, mixed, unscaled = (
    check.reference for check in (checks.effective_classes, checks.mixed_loss, checks.unscaled_loss)
)


def library_entropy(logits: Tensor, temperature: float) -> Tensor:
    return torch.distributions.Categorical(probs=soft_targets(logits, temperature=temperature)).entropy().exp()


def nan_where_certain(logits: Tensor, temperature: float) -> Tensor:
    p = (logits / temperature).softmax(1)
    return (-(p * p.log()).sum(1)).exp()


def nan_without_labels(z: Tensor, v: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
    plain = cross_entropy(z, labels, ignore_index=-1)
    return weight * plain + (1 - weight) * distillation_loss(z, v, temperature=temperature)


def by_scores(cost: Tensor, right: Tensor, *, key: tuple[str, ...] | None = ("texts",)) -> Tensor:
    """Without a `key` the library does not take the texts for the same, and compares single intervals."""
    scores = [Score.of(row.numpy(), key=key) for row in right]
    every = list(zip(scores, cost, strict=True))
    return torch.tensor([any(bool(b > a) and cb <= ca for b, cb in every) for a, ca in every])


CLASSES, MIXED, UNSCALED, BEATEN = "effective_classes", "mixed_loss", "unscaled_loss", "clearly_beaten"
RIGHT = [(CLASSES, library_entropy), (BEATEN, by_scores)]
WRONG = [
    (CLASSES, nan_where_certain, "got NaN: a division by zero, 0 times infinity, or the mean of nothing; see hint 2"),
    (MIXED, nan_without_labels, "or the mean of nothing; see hint 2"),
    (MIXED, lambda *given: mixed(*given).detach(), "differentiated by the student's logits, got one without a graph"),
    (UNSCALED, lambda *given: unscaled(*given).detach(), ": was the loss turned into a number?"),
    (UNSCALED, lambda z, v, t: unscaled(torch.tensor(z.numpy()), v, t), "RuntimeError (Can't call numpy() on Tensor"),
    (UNSCALED, lambda z, v, t: unscaled(z, v, t) * t / 2, "the ratio of the right gradient to yours at T = 8, I"),
    (BEATEN, partial(by_scores, key=None), "worse in 15 texts I expected [False, True], got [False, False]: the inter"),
    (BEATEN, lambda *given: by_scores(*given)[:1], "3 values, true or false, got a "),
]
HIDDEN = [(CLASSES, lambda *given: effective(*given).float(), "the dtype of the input, torch.float64")]
