"""Answers to the exercises of chapter 04."""

from __future__ import annotations

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


MEDIAN, PEEK, GAIN = "median_prototypes", "peeking_logits", "paired_gain"
RIGHT = [(PEEK, population_peeking)]
WRONG = [
    (MEDIAN, lambda *a: medians(*a).T, "a tensor of shape [2, 3] ([N, D]), got shape [3, 2]: the last two are swapped"),
    (MEDIAN, lambda *a: medians(*a).float(), "the dtype of the input, torch.float64, got torch.float32"),
    (PEEK, prototype_logits, "the first query in other company I expected other logits for it, got the same: nothing"),
    (PEEK, without_epsilon, "the same in all queries I expected finite numbers, got NaN: a division by zero"),
    (GAIN, lambda *a: [checks.paired_gain.reference(*a)[0]] * 3, "with 8 episodes, for the low end, I expected"),
]
