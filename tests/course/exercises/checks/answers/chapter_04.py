"""Answers to the exercises of chapter 04."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.course.exercises.checks import chapter_04 as checks
from metalearn_lib.learners.metric import pairwise, prototypes


def prototype_logits(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    centres = prototypes(support[None], labels[None], n_way)
    return -pairwise(query[None], centres)[0]


NAMES = {"prototype_logits": prototype_logits}

medians = checks.median_prototypes.reference


def population_peeking(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    mean, deviation = query.mean(0), query.std(0, unbiased=False) + 1e-6
    return prototype_logits((support - mean) / deviation, labels, (query - mean) / deviation, n_way)


def without_epsilon(s: Tensor, c: Tensor, q: Tensor, n: int) -> Tensor:
    return prototype_logits((s - q.mean(0)) / q.std(0), c, (q - q.mean(0)) / q.std(0), n)


def scaled_only(s: Tensor, c: Tensor, q: Tensor, n: int) -> Tensor:
    """Without the mean, which changes no distance."""
    return prototype_logits(s / (q.std(0) + 1e-6), c, q / (q.std(0) + 1e-6), n)


def centred_only(s: Tensor, c: Tensor, q: Tensor, n: int) -> Tensor:
    return prototype_logits(s - q.mean(0), c, q - q.mean(0), n)


def primal(s: Tensor, labels: Tensor, query: Tensor, n_way: int, penalty: float) -> Tensor:
    """The other form of the same solution: (Xᵀ X + λ I)⁻¹ Xᵀ Y."""
    eye, targets = torch.eye(s.shape[1], dtype=s.dtype), torch.eye(n_way, dtype=s.dtype)[labels]
    return query @ torch.linalg.solve(s.T @ s + penalty * eye, s.T @ targets)


def single_identities(s: Tensor, labels: Tensor, query: Tensor, n_way: int, penalty: float) -> Tensor:
    solved = torch.linalg.solve(s @ s.T + penalty * torch.eye(len(s)), torch.eye(n_way)[labels])
    return query @ s.T @ solved


gain, training = checks.paired_gain.reference, checks.prototype_training.reference


def with_torch(draw: Any, start: Tensor, n_way: int, rate: float, steps: int, **options: Any) -> tuple[Tensor, Tensor]:
    """The loop with an optimizer of torch; the losses keep their graphs."""
    matrix, losses = start.clone().requires_grad_(), []
    optimizer = torch.optim.SGD([matrix], lr=rate, **options)
    for i in range(steps):
        support, labels, query, truth = draw(i)
        loss = torch.nn.functional.cross_entropy(
            prototype_logits(support @ matrix, labels, query @ matrix, n_way), truth
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)
    return matrix, torch.stack(losses)


def in_place(draw: Any, start: Tensor, n_way: int, rate: float, steps: int) -> tuple[Tensor, list[float]]:
    return start.sub_(1), [0.0] * steps


def slow(draw: Any, start: Tensor, n_way: int, rate: float, steps: int) -> tuple[Tensor, Tensor]:
    """Right for a few steps."""
    matrix, losses = training(draw, start, n_way, rate, min(steps, 5))
    return matrix, losses if steps < 6 else torch.cat([losses, losses.mean().expand(steps - 5)])


MEDIAN, RIDGE, PEEK, GAIN, TRAIN = (
    "median_prototypes",
    "ridge_logits",
    "peeking_logits",
    "paired_gain",
    "prototype_training",
)
RIGHT = [
    (RIDGE, primal),
    (PEEK, population_peeking),
    (PEEK, scaled_only),
    (GAIN, lambda *a: np.array(gain(*a))),
    (TRAIN, with_torch),
    (TRAIN, lambda *a: (training(*a)[0], training(*a)[1].tolist())),
]
WRONG = [
    (MEDIAN, lambda *a: medians(*a).T, "a tensor of shape [2, 3] ([N, D]), got shape [3, 2]: the last two are swapped"),
    (MEDIAN, lambda *a: medians(*a).float(), "the dtype of the input, torch.float64, got torch.float32"),
    (MEDIAN, lambda *a: list(medians(*a)), "got a list of 2: torch.stack makes one tensor of a list of tensors"),
    (RIDGE, lambda *a: primal(*a).T, "a tensor of shape [5, 2] ([M, N]), got shape [2, 5]: the last two are swapped"),
    (RIDGE, lambda *a: primal(*a).argmax(1), "a tensor of shape [5, 2] ([M, N]), got shape [5]"),
    (RIDGE, single_identities, "your function raised RuntimeError"),
    (PEEK, prototype_logits, "the first query in other company I expected other logits for it, got the same: nothing"),
    (PEEK, centred_only, "got the same: nothing leaks: taking a mean off changes no distance; divide"),
    (PEEK, without_epsilon, "the same in all queries I expected finite numbers, got NaN: a division by zero"),
    (GAIN, lambda *a: [gain(*a)[0]] * 3, "with 8 episodes, for the low end, I expected"),
    (GAIN, lambda *a: gain(*a)[:2], "I expected three numbers (mean, low, high), got a tuple of 2"),
    (TRAIN, lambda *a: with_torch(*a, momentum=0.9), "3 steps, for the trained matrix, I expected"),
    (TRAIN, lambda *a: training(*a)[0], "I expected two things, the trained matrix and the losses, got a tensor"),
    (
        TRAIN,
        lambda *a: training(*a)[::-1],
        "the trained matrix, I expected a tensor of shape [3, 3], got shape [3]",
    ),
    (TRAIN, lambda *a: (training(*a)[0], training(*a)[1][1:]), "for the losses, I expected a tensor of shape [3]"),
    (TRAIN, lambda *a: (training(*a)[0].float(), training(*a)[1]), "the dtype of the input, torch.float64, got torch."),
    (TRAIN, in_place, "your function changed its argument 2"),
    (TRAIN, slow, "with 80 steps, I expected a loss that falls to less than half, got one that goes from"),
]
