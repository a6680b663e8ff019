"""Answers to the exercises of chapter 06."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from metalearn_lib.course.exercises.checks import chapter_06 as checks
from metalearn_lib.meta_embeddings import average
from metalearn_lib.text import WordVectors

a_la_carte = checks.fit_a_la_carte.reference
padded = torch.nn.functional.pad


def library_average(a: Tensor, b: Tensor) -> Tensor:
    """The library leaves words out that no source knows; put their rows of zeros back."""
    words = [str(i) for i in range(len(a))]
    made = average([WordVectors.from_array(words, x.numpy()) for x in (a, b)])
    return made.table[made.encode(words)].to(a.dtype)


def divided_by_none(a: Tensor, b: Tensor) -> Tensor:
    width = max(a.shape[1], b.shape[1])
    total = sum(padded(x, (0, width - x.shape[1])) for x in (a, b))
    return total / (a.any(1).float() + b.any(1).float())[:, None]


def in_place(a: Tensor, b: Tensor) -> Tensor:
    b[:, : a.shape[1]] += a
    return b


def einsum_dynamic(mapped: Tensor, known: Tensor, score: Tensor) -> Tensor:
    attention = (mapped @ score).masked_fill(~known, -1e9).softmax(1) * known
    return mapped.shape[1] * torch.einsum("vn,vnd->vd", attention, mapped)


def nan_where_nobody_knows(mapped: Tensor, known: Tensor, score: Tensor) -> Tensor:
    attention = (mapped @ score).masked_fill(~known, -torch.inf).softmax(1)
    return mapped.shape[1] * (attention[..., None] * mapped).sum(1)


def lstsq_a_la_carte(means: Tensor, targets: Tensor, counts: Tensor, penalty: float) -> Tensor:
    root_weights = torch.log1p(counts.to(means.dtype)).sqrt()[:, None]
    eye = penalty**0.5 * torch.eye(means.shape[1], dtype=means.dtype)
    rows = torch.cat([means * root_weights, eye])
    return torch.linalg.lstsq(rows, torch.cat([targets * root_weights, torch.zeros_like(eye)])).solution.T


def scipy_pair(cosines: Tensor, people: Tensor, known: Tensor) -> Any:
    filled = np.where(known, cosines, cosines[known].mean())
    return [spearmanr(cosines[known], people[known]).statistic, torch.tensor(spearmanr(filled, people).statistic)]


AVERAGE, DYNAMIC, CARTE, TWO = "average_of_known", "masked_dynamic", "fit_a_la_carte", "flattering_and_honest"
RIGHT = [(AVERAGE, library_average), (DYNAMIC, einsum_dynamic), (CARTE, lstsq_a_la_carte), (TWO, scipy_pair)]
WRONG = [
    (AVERAGE, divided_by_none, "finite numbers, got NaN: a division by zero"),
    (AVERAGE, lambda a, b: torch.cat([a, b], 1), "([V, max(D1, D2)]), got shape [4, 5]"),
    (AVERAGE, lambda a, b: a + b, "RuntimeError"),
    (AVERAGE, in_place, "changed its argument 2"),
    (DYNAMIC, nan_where_nobody_knows, "or the mean of nothing; see hint 2"),
    (CARTE, lambda u, *rest: u @ a_la_carte(u, *rest).T, "([D, D]), got shape [12, 3]; see hint 2"),
    (TWO, lambda *given: scipy_pair(*given)[0], "two numbers (flattering, honest), got a float"),
]
