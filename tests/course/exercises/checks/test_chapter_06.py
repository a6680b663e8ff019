"""Each check passes the right answers, and says of typical wrong ones what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.checks import CheckFailed
from metalearn_lib.files import root
from metalearn_lib.meta_embeddings import average
from metalearn_lib.text import WordVectors
from tests.course.exercises.checks.solutions import solved
from tests.notebooks.stored_notebook import StoredNotebook

NOTEBOOK = StoredNotebook(root() / "notebooks" / "06_meta_embeddings.ipynb")


def solution(number: str) -> Any:
    return solved(NOTEBOOK, number, torch=torch)


def padded(x: Tensor, width: int, *, left: bool = False) -> Tensor:
    zeros = x.new_zeros(len(x), width - x.shape[1])
    return torch.cat([zeros, x] if left else [x, zeros], 1)


def library_average(a: Tensor, b: Tensor) -> Tensor:
    """The library leaves words out that no source knows; put their rows of zeros back."""
    words = [str(i) for i in range(len(a))]
    made = average([WordVectors.from_array(words, x.numpy()) for x in (a, b)])
    return made.table[made.encode(words)].to(a.dtype)


def lstsq_a_la_carte(means: Tensor, targets: Tensor, counts: Tensor, penalty: float) -> Tensor:
    root_weights = torch.log1p(counts.to(means.dtype)).sqrt()[:, None]
    eye = penalty**0.5 * torch.eye(means.shape[1], dtype=means.dtype)
    rows = torch.cat([means * root_weights, eye])
    return torch.linalg.lstsq(rows, torch.cat([targets * root_weights, torch.zeros_like(eye)])).solution.T


def scipy_pair(cosines: Tensor, people: Tensor, known: Tensor) -> Any:
    filled = np.where(known, cosines, cosines[known].mean())
    return [spearmanr(cosines[known], people[known]).statistic, torch.tensor(spearmanr(filled, people).statistic)]


def filled_dynamic(mapped: Tensor, known: Tensor, score: Tensor) -> Tensor:
    attention = (mapped @ score).masked_fill(~known, -1e9).softmax(1) * known
    return mapped.shape[1] * torch.einsum("vn,vnd->vd", attention, mapped)


AVERAGE, DYNAMIC, CARTE, TWO = "average_of_known", "masked_dynamic", "fit_a_la_carte", "flattering_and_honest"
RIGHT: list[tuple[str, Any]] = [
    *[(e.checks[0], solution(e.number)) for e in exercises(NOTEBOOK.raw["cells"]) if e.checks],
    (AVERAGE, library_average),
    (DYNAMIC, filled_dynamic),
    (CARTE, lstsq_a_la_carte),
    (TWO, scipy_pair),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{n}: {a.__name__}" for n, a in RIGHT])
def test_a_right_answer_passes(passes: Any, name: str, answer: Any) -> None:
    passes(name, answer)


def summed(a: Tensor, b: Tensor, *, left: bool = False) -> Tensor:
    width = max(a.shape[1], b.shape[1])
    return padded(a, width, left=left) + padded(b, width, left=left)


def known_by(a: Tensor, b: Tensor) -> Tensor:
    return (a.any(1).float() + b.any(1).float())[:, None]


def attended(
    attention: Callable[[Tensor, Tensor], Tensor], *, factor: Callable[[Tensor], Any] = lambda k: k.shape[1]
) -> Any:
    def answer(mapped: Tensor, known: Tensor, score: Tensor) -> Tensor:
        weights = attention(mapped @ score, known)
        return factor(known) * (weights[..., None] * mapped).sum(1)

    return answer


def hidden(scores: Tensor, known: Tensor) -> Tensor:
    return scores.masked_fill(~known, -torch.inf).softmax(1)


def calm(scores: Tensor, known: Tensor) -> Tensor:
    return hidden(scores, known).nan_to_num(0)


def ridge(weight: Callable[[Tensor], Tensor], *, transpose: bool = True, scale: float = 1.0) -> Any:
    def answer(means: Tensor, targets: Tensor, counts: Tensor, penalty: float) -> Tensor:
        weighted = (means * weight(counts.to(means.dtype))[:, None]).T
        eye = scale * penalty * torch.eye(means.shape[1], dtype=means.dtype)
        solved = torch.linalg.solve(weighted @ means + eye, weighted @ targets)
        return solved.T if transpose else solved

    return answer


def rho(x: Any, y: Any) -> float:
    return float(spearmanr(x, y).statistic)


def unranked(cosines: Tensor, people: Tensor, known: Tensor) -> tuple[float, float]:
    filled = np.where(known, cosines, cosines[known].mean())
    return rho(cosines[known], people[known]), float(np.corrcoef(filled, people)[0, 1])


def unanswered(*_: Any) -> Any:
    raise NotImplementedError


def in_place(a: Tensor, b: Tensor) -> Tensor:
    b[:, : a.shape[1]] += a
    return b


WRONG: list[tuple[str, Any, str]] = [
    (AVERAGE, lambda a, b: summed(a, b) / 2, "a silent source was counted"),
    (AVERAGE, lambda a, b: summed(a, b), "this is the sum"),
    (AVERAGE, lambda a, b: summed(a, b, left=True) / known_by(a, b).clamp(min=1), "the zeros belong on the right"),
    (AVERAGE, lambda a, b: summed(a, b) / known_by(a, b), "finite numbers, got NaN: a division by zero"),
    (AVERAGE, lambda a, b: torch.cat([a, b], 1), "([V, max(D1, D2)]), got shape [4, 5]"),
    (AVERAGE, lambda a, b: a + b, "RuntimeError"),
    (AVERAGE, in_place, "changed its argument 2"),
    (DYNAMIC, attended(hidden, factor=lambda k: 1), "the factor n, the number of sources, is missing"),
    (DYNAMIC, attended(lambda s, k: s.softmax(1)), "a silent source has a score of 0, not no weight"),
    (DYNAMIC, attended(lambda s, k: s.softmax(0)), "the softmax runs over words, not over sources"),
    (DYNAMIC, attended(lambda s, k: torch.ones_like(s) / s.shape[1]), "the attention was not used"),
    (DYNAMIC, attended(hidden), "finite numbers, got NaN"),
    (DYNAMIC, attended(calm, factor=lambda k: k.sum(1, keepdim=True)), "the number of all sources"),
    (CARTE, ridge(torch.log1p, transpose=False), "this is the transpose"),
    (CARTE, ridge(torch.ones_like), "the words are not weighted by ln(1 + c); see hint 1"),
    (CARTE, ridge(lambda c: c), "the counts themselves"),
    (CARTE, ridge(torch.log), "the weights are ln c"),
    (CARTE, ridge(lambda c: torch.log1p(c) ** 2), "the weights were squared"),
    (CARTE, ridge(torch.log1p, scale=0), "λ was left out"),
    (CARTE, lambda u, w, c, p: ridge(torch.log1p)(w, u, c, p), "the map goes the wrong way"),
    (CARTE, lambda u, w, c, p: u @ ridge(torch.log1p)(u, w, c, p).T, "([D, D]), got shape [12, 3]; see hint 2"),
    (TWO, lambda c, p, k: scipy_pair(c, p, k)[::-1], "the order: the flattering one comes first"),
    (TWO, lambda c, p, k: (rho(c, p), rho(c, p)), "this is over all pairs"),
    (TWO, lambda c, p, k: (rho(c[k], p[k]), rho(c, p)), "an unknown pair has cosine 0 here"),
    (TWO, lambda c, p, k: (rho(c[k], p[k]), rho(c[k], p[k])), "over the known pairs only; see hint 2"),
    (TWO, unranked, "rank them first"),
    (TWO, lambda c, p, k: rho(c[k], p[k]), "two numbers (flattering, honest), got a float"),
    *[(name, unanswered, f"{name}: not answered yet") for name in (AVERAGE, DYNAMIC, CARTE, TWO)],
    *[(name, lambda *_: None, "is the `return` missing?") for name in (AVERAGE, DYNAMIC, CARTE, TWO)],
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "says"), WRONG, ids=[f"{n}: {s[:40]}" for n, _, s in WRONG])
def test_a_wrong_answer_is_told_what_is_wrong(is_told: Any, name: str, answer: Any, says: str) -> None:
    is_told(NOTEBOOK, name, answer, says)


def test_the_hidden_cases_catch_what_the_shown_ones_do_not() -> None:
    def second_is_wide(a: Tensor, b: Tensor) -> Tensor:
        return (padded(a, b.shape[1]) + b) / known_by(a, b).clamp(min=1)

    check.average_of_known(second_is_wide)
    with pytest.raises(CheckFailed):
        check.average_of_known(second_is_wide, cases="hidden")
