"""Answers to the exercises of chapter 04."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from metalearn_lib import Score
from metalearn_lib.course.exercises.checks import chapter_04 as checks
from metalearn_lib.learners.metric import pairwise, prototypes


def prototype_logits(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    centres = prototypes(support[None], labels[None], n_way)
    return -pairwise(query[None], centres)[0]


NAMES = {"prototype_logits": prototype_logits}

medians, ridge = (check.reference for check in (checks.median_prototypes, checks.ridge_logits))


def primal_ridge(support: Tensor, labels: Tensor, query: Tensor, n_way: int, penalty: float) -> Tensor:
    targets, eye = torch.eye(n_way, dtype=support.dtype)[labels], torch.eye(support.shape[1], dtype=support.dtype)
    return query @ torch.linalg.solve(support.T @ support + penalty * eye, support.T @ targets)


def population_peeking(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    mean, deviation = query.mean(0), query.std(0, unbiased=False) + 1e-6
    return prototype_logits((support - mean) / deviation, labels, (query - mean) / deviation, n_way)


def in_place_peeking(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    support -= query.mean(0)
    return prototype_logits(support, labels, query, n_way)


def without_epsilon(s: Tensor, c: Tensor, q: Tensor, n: int) -> Tensor:
    return prototype_logits((s - q.mean(0)) / q.std(0), c, (q - q.mean(0)) / q.std(0), n)


def peeks_only_at_support(s: Tensor, c: Tensor, q: Tensor, n: int) -> Tensor:
    return prototype_logits((s - s.mean(0)) / s.std(0), c, (q - s.mean(0)) / s.std(0), n)


def library_gain(a: Any, b: Any, support: Tensor, labels: Tensor, query: Tensor, truth: Tensor, n: int) -> Any:
    def score(f: Any) -> Score:
        every = zip(support, labels, query, truth, strict=True)
        return Score.of([float((f(s, c, q, n).argmax(1) == t).double().mean()) for s, c, q, t in every], key=(1,))

    gain = score(a) > score(b)
    return [gain.difference, torch.tensor(gain.low), gain.high]


MEDIAN, RIDGE, PEEK, GAIN = "median_prototypes", "ridge_logits", "peeking_logits", "paired_gain"
RIGHT = [(RIDGE, primal_ridge), (PEEK, population_peeking), (GAIN, library_gain)]
WRONG = [
    (MEDIAN, lambda s, c, n: torch.stack([s[c == k].mean(0) for k in range(n)]), "expected 0.2 at [0, 0], got 30.07:"),
    (MEDIAN, lambda *a: list(medians(*a)), "got a list of 2: torch.stack makes one tensor"),
    (MEDIAN, lambda *a: medians(*a).T, "a tensor of shape [2, 3] ([N, D]), got shape [3, 2]: the last two are swapped"),
    (MEDIAN, lambda s, c, n: medians(s, c, n + 1), "see hint 1"),
    (MEDIAN, lambda *a: medians(*a).float(), "the dtype of the input, torch.float64, got torch.float32"),
    (RIDGE, lambda *a: ridge(*a).argmax(1), "got shape [1]; see hint 1"),
    (RIDGE, lambda s, c, q, n, p: q @ s.T @ torch.linalg.solve(s @ s.T, c), "RuntimeError"),
    (PEEK, prototype_logits, "the first query in other company I expected other logits for it, got the same"),
    (PEEK, peeks_only_at_support, "nothing leaks yet"),
    (PEEK, in_place_peeking, "changed its argument 1, a tensor of shape [6, 4]: work on a copy"),
    (PEEK, without_epsilon, "the same in all queries I expected finite numbers, got NaN: a division by zero"),
    (GAIN, lambda *a: [library_gain(*a)[0]] * 3, "with 8 episodes, for the low end, I expected"),
]
