"""Self-checks of chapter 06: an average over known sources, masked attention, à la carte, two ways to correlate."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from metalearn_lib.meta_embeddings.similarity import spearman

from .core import Answer, Cases, Function, self_check


def _sum(a: Tensor, b: Tensor, *, sides: tuple[int, int] = (0, 1)) -> Tensor:
    """The sum of two tables, the narrower one padded on the right: (left, right)."""
    width = max(a.shape[1], b.shape[1])
    first, second = (pad(x, [side * (width - x.shape[1]) for side in sides]) for x in (a, b))
    return first + second


def _counts(a: Tensor, b: Tensor) -> Tensor:
    return (a.any(1).to(a.dtype) + b.any(1).to(a.dtype)).clamp(min=1)[:, None]


@self_check(
    "6.1",
    reference=lambda a, b: _sum(a, b) / _counts(a, b),
    mistakes={
        "a silent source was counted: divide by the number of sources that know the word": lambda a, b: _sum(a, b) / 2,
        "this is the sum; divide by the number of sources that know the word": _sum,
        "the zeros belong on the right": lambda a, b: _sum(a, b, sides=(1, 0)) / _counts(a, b),
    },
    returns="[V, max(D1, D2)]",
    hint=2,
)
def average_of_known(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The mean over the sources that know a word, the narrower one padded."""
    dtype = torch.float32 if cases == "shown" else torch.float64
    a = torch.tensor([[2.0, 4.0], [0.0, 0.0], [6.0, 2.0], [0.0, 0.0]], dtype=dtype)
    b = torch.tensor([[4.0, 2.0, 8.0], [1.0, 3.0, 5.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=dtype)
    if cases == "hidden":
        a, b = a[[3, 1, 0, 2]] * 3, torch.cat([b, b], dim=1)
    for first, second in ((a, b), (b, a)):
        widths = f"{first.shape[1]} and {second.shape[1]} dimensions"
        yield answer.expect(f"{widths} and words known to both, to one or to no source", first, second, hint=1)
    yield answer.expect("the same source twice", a, a, hint=1)


def _attended(attention: Function, *, factor: Function = lambda known: known.shape[1]) -> Function:
    """n Σ αₛ vₛ, with the attention made of the scores and of who knows the word."""
    return lambda mapped, known, score: factor(known) * (attention(mapped @ score, known)[..., None] * mapped).sum(1)


def _masked(scores: Tensor, known: Tensor) -> Tensor:
    return scores.masked_fill(~known, -1e9).softmax(1) * known


@self_check(
    "6.2",
    reference=_attended(_masked),
    mistakes={
        "the factor n, the number of sources, is missing": _attended(_masked, factor=lambda known: 1),
        "all sources count alike: the attention was not used": _attended(lambda s, k: torch.ones_like(s) / s.shape[1]),
        "the softmax runs over words, not over sources": _attended(lambda s, k: s.softmax(0)),
        "a silent source has a score of 0, not no weight at all": _attended(lambda s, k: s.softmax(1)),
        "n is the number of all sources, known or not": _attended(_masked, factor=lambda k: k.sum(1, keepdim=True)),
    },
    returns="[V, d]",
    nan_hint=2,
)
def masked_dynamic(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Attention over the sources that know the word."""
    words, n, dim = (4, 3, 2) if cases == "shown" else (6, 4, 5)
    dtype = torch.float32 if cases == "shown" else torch.float64
    mapped, score = torch.randn(words, n, dim, dtype=dtype), torch.randn(dim, dtype=dtype)
    known, all_know, nobody = torch.ones(3, words, n, dtype=torch.bool)
    known[1, 0] = known[2, 1:] = nobody[:] = False
    given = f"{n} sources and {dim} dimensions"
    yield answer.expect(f"{given}, all of which know the word,", mapped[:1], all_know[:1], score, hint=1)
    some = mapped * known[..., None]
    yield answer.expect(f"{given}, some of which do not know some words,", some, known, score, hint=1)
    yield answer.expect("words that no source knows", torch.zeros_like(mapped), nobody, score, hint=2)


def _ridge(weight: Function, *, scale: float = 1.0) -> Function:
    """A weighted ridge regression of vectors on the means of their contexts, words weighted by their counts."""

    def answer(means: Tensor, targets: Tensor, counts: Tensor, penalty: float) -> Tensor:
        weighted = (means * weight(counts.to(means.dtype))[:, None]).T
        eye = scale * penalty * torch.eye(means.shape[1], dtype=means.dtype)
        return torch.linalg.solve(weighted @ means + eye, weighted @ targets).T

    return answer


_a_la_carte = _ridge(torch.log1p)


@self_check(
    "6.3",
    reference=_a_la_carte,
    mistakes={
        "this is the transpose: new vectors are means @ A.T": lambda *given: _a_la_carte(*given).T,
        "the words are not weighted by ln(1 + c)": _ridge(torch.ones_like),
        "the weights are the counts themselves, not ln(1 + c)": _ridge(lambda counts: counts),
        "the weights are ln c, not ln(1 + c)": _ridge(torch.log),
        "the weights were squared": _ridge(lambda counts: torch.log1p(counts) ** 2),
        "λ was left out": _ridge(torch.log1p, scale=0.0),
        "the map goes the wrong way, from vectors to means": lambda u, w, c, penalty: _a_la_carte(w, u, c, penalty),
    },
    returns="[D, D]",
    tolerance=1e-3,
    hint=2,
)
def fit_a_la_carte(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The matrix from context means to word vectors, by weighted ridge regression."""
    words, dim, penalty = (12, 3, 0.5) if cases == "shown" else (40, 6, 2.0)
    dtype = torch.float32 if cases == "shown" else torch.float64
    means, noise = torch.randn(words, dim, dtype=dtype), torch.randn(words, dim, dtype=dtype)
    exact = means @ torch.randn(dim, dim, dtype=dtype).T
    counts, given = torch.arange(1, words + 1) ** 2, f"{words} words of {dim} dimensions"
    yield answer.expect(given, means, exact + noise, counts, penalty, hint=1)
    yield answer.expect(f"{given} and λ = {8 * penalty:g}", means, exact + noise, counts, 8 * penalty, hint=1)
    linear = "targets that are a linear map of the means"
    yield answer.expect(linear, means, exact, counts, 1e-9, hint=2, tolerance=1e-2)


def _rho(x: Tensor, y: Tensor) -> float:
    return float(spearman(x.double().numpy(), y.double().numpy()))


def _pearson(x: Tensor, y: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([x, y]))[0, 1])


def _all_pairs(cosines: Tensor, people: Tensor, known: Tensor) -> float:
    return _rho(cosines, people)


def _known_pairs(cosines: Tensor, people: Tensor, known: Tensor) -> float:
    return _rho(cosines[known], people[known])


def _filled(cosines: Tensor, people: Tensor, known: Tensor, *, rho: Function = _rho) -> float:
    return rho(torch.where(known, cosines, cosines[known].mean()), people)


def _both(flattering: Function, honest: Function) -> Function:
    return lambda *given: (flattering(*given), honest(*given))


@self_check(
    "6.4",
    reference=_both(_known_pairs, _filled),
    mistakes={
        "an unknown pair has cosine 0 here; give it the mean cosine of the known ones": _both(_known_pairs, _all_pairs),
        "this is over the known pairs only": _both(_known_pairs, _known_pairs),
        "this is the correlation of the values; rank them first": _both(_known_pairs, partial(_filled, rho=_pearson)),
        "this is over all pairs": _both(_all_pairs, _all_pairs),
        "the order: the flattering one comes first": _both(_filled, _known_pairs),
    },
    returns="two numbers (flattering, honest)",
    parts=("the first number", "the second number"),
    tolerance=1e-5,
)
def flattering_and_honest(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Spearman's correlation over the known pairs, and over all."""
    n = 20 if cases == "shown" else 61
    people, known = torch.rand(n) * 10, torch.arange(n) % 3 > 0
    cosines = (people / 10 + torch.randn(n) * 0.2) * known  # 0: what a table gives for an unknown word
    yield from answer.expect(f"{n} pairs, {int(known.sum())} of them known,", cosines, people, known, hint=(1, 2))
    agreed = torch.ones(n, dtype=torch.bool)
    yield answer.expect("a source that agrees with people on every pair", people, people, agreed, hint=2)
