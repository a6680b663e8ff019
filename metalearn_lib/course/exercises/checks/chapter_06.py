"""Self-checks of chapter 06: an average over known sources, masked attention, à la carte, two ways to correlate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from metalearn_lib.meta_embeddings.similarity import spearman

from .core import Answer, Cases, describe, expect, expect_close, expect_number, expect_tensor, fail, self_check


@self_check("6.1")
def average_of_known(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The mean over the sources that know a word, the narrower one padded."""
    dtype = torch.float32 if cases == "shown" else torch.float64
    a = torch.tensor([[2.0, 4.0], [0.0, 0.0], [6.0, 2.0], [0.0, 0.0]], dtype=dtype)
    b = torch.tensor([[4.0, 2.0, 8.0], [1.0, 3.0, 5.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=dtype)
    if cases == "hidden":
        a, b = b, a
    right = _average(a, b)
    wide = right.shape[1]
    given = f"{a.shape[1]} and {b.shape[1]} dimensions and words known to both, to one or to no source"
    got = answer(a, b)
    expect_tensor(got, (4, wide), given=given, like=a, axes="[V, max(D1, D2)]", hint=2)
    yield "shape, no division by zero"
    total = torch.stack([_padded(x, wide) for x in (a, b)]).sum(0)
    suspects = {
        "a silent source was counted: divide by the number of sources that know the word": total / 2,
        "this is the sum; divide by the number of sources that know the word": total,
        "the zeros belong on the right": torch.stack(
            [x.new_zeros(4, wide).index_copy(1, torch.arange(wide - x.shape[1], wide), x) for x in (a, b)]
        ).sum(0)
        / _counts(a, b),
    }
    expect_close(got, right, given=given, suspects=suspects, hint=1)
    yield "values"
    same = answer(a, a)
    expect_close(same, a, given="the same source twice", hint=1)
    yield "a source with itself"


@self_check("6.2")
def masked_dynamic(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Attention over the sources that know the word."""
    words, n, dim = (4, 3, 2) if cases == "shown" else (6, 4, 5)
    dtype = torch.float32 if cases == "shown" else torch.float64
    mapped, score = torch.randn(words, n, dim, dtype=dtype), torch.randn(dim, dtype=dtype)
    known = torch.ones(words, n, dtype=torch.bool)
    known[1, 0] = known[2, 1:] = False
    mapped = mapped * known[..., None]
    everywhere = torch.ones_like(known)
    given = f"{n} sources and {dim} dimensions"
    got = answer(mapped[:1], known[:1], score)
    expect_tensor(got, (1, dim), given=given, like=mapped, axes="[V, d]", hint=1)
    plain = (mapped[:1] @ score).softmax(1)[..., None] * mapped[:1]
    suspects = {
        "the factor n, the number of sources, is missing": plain.sum(1),
        "all sources count alike: the attention was not used": mapped[:1].sum(1),
        "the softmax runs over words, not over sources": n
        * ((mapped[:1] @ score).softmax(0)[..., None] * mapped[:1]).sum(1),
    }
    expect_close(
        got, _dynamic(mapped, everywhere, score)[:1], given=f"{given}, all of which know the word,", suspects=suspects
    )
    yield "a word that all know"
    right = _dynamic(mapped, known, score)
    got = answer(mapped, known, score)
    scores = (mapped @ score).softmax(1)
    suspects = {
        "a silent source has a score of 0, not no weight at all": n * (scores[..., None] * mapped).sum(1),
        "n is the number of all sources, not of those that know the word": right * known.sum(1, keepdim=True) / n,
    }
    expect_close(got, right, given=f"{given}, some of which do not know some words,", suspects=suspects, hint=1)
    yield "silent sources"
    got = answer(torch.zeros_like(mapped), torch.zeros_like(known), score)
    expect_tensor(got, (words, dim), given="words that no source knows", like=mapped, axes="[V, d]", hint=2)
    expect(not bool(got.any()), "words that no source knows", "zeros", describe(got), hint=2)
    yield "words that nobody knows"


@self_check("6.3")
def fit_a_la_carte(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The matrix from context means to word vectors, by weighted ridge regression."""
    words, dim, penalty = (12, 3, 0.5) if cases == "shown" else (40, 6, 2.0)
    dtype = torch.float32 if cases == "shown" else torch.float64
    means, noise = torch.randn(words, dim, dtype=dtype), torch.randn(words, dim, dtype=dtype)
    true = torch.randn(dim, dim, dtype=dtype)
    targets = means @ true.T + noise
    counts = torch.arange(1, words + 1) ** 2
    given = f"{words} words of {dim} dimensions"
    got = answer(means, targets, counts, penalty)
    expect_tensor(got, (dim, dim), given=given, like=means, axes="[D, D]", hint=2)
    yield "shape"
    weights = torch.log1p(counts.to(dtype))
    right = _ridge(means, targets, weights, penalty)
    suspects = {
        "this is the transpose: new vectors are means @ A.T": right.T,
        "the words are not weighted by ln(1 + c)": _ridge(means, targets, torch.ones_like(weights), penalty),
        "the weights are the counts themselves, not ln(1 + c)": _ridge(means, targets, counts.to(dtype), penalty),
        "the weights are ln c, not ln(1 + c)": _ridge(means, targets, counts.to(dtype).log(), penalty),
        "the weights were squared": _ridge(means, targets, weights**2, penalty),
        "λ was left out": _ridge(means, targets, weights, 0.0),
        "the map goes the wrong way, from vectors to means": _ridge(targets, means, weights, penalty),
    }
    expect_close(got, right, given=given, tolerance=1e-3, suspects=suspects, hint=1)
    yield "values"
    exact = answer(means, means @ true.T, counts, 1e-9)
    expect_close(exact, true, given="targets that are a linear map of the means", tolerance=1e-2, hint=2)
    yield "recovers a linear map"


@self_check("6.4")
def flattering_and_honest(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Spearman's correlation over the known pairs, and over all."""
    n = 20 if cases == "shown" else 61
    people = torch.rand(n) * 10
    cosines = people / 10 + torch.randn(n) * 0.2
    known = torch.arange(n) % 3 > 0
    cosines = torch.where(known, cosines, torch.zeros(n))  # what a table gives for an unknown word
    given = f"{n} pairs, {int(known.sum())} of them known,"
    got = answer(cosines, people, known)
    if not isinstance(got, tuple | list) or len(got) != 2:
        fail(given, "two numbers (flattering, honest)", describe(got), hint=1)
    flattering = _spearman(cosines[known], people[known])
    filled = torch.where(known, cosines, cosines[known].mean())
    honest = _spearman(filled, people)
    wrong = {"the order: the flattering one comes first": honest, "this is over all pairs": _spearman(cosines, people)}
    expect_number(got[0], flattering, given=f"{given} for the first number,", tolerance=1e-5, suspects=wrong, hint=1)
    yield "flattering"
    wrong = {
        "an unknown pair has cosine 0 here; give it the mean cosine of the known ones": _spearman(cosines, people),
        "this is over the known pairs only": flattering,
        "this is the correlation of the values; rank them first": float(
            torch.corrcoef(torch.stack([filled, people]))[0, 1]
        ),
    }
    expect_number(got[1], honest, given=f"{given} for the second number,", tolerance=1e-5, suspects=wrong, hint=2)
    yield "honest"
    got = answer(people, people, torch.ones(n, dtype=torch.bool))
    for value in got:
        expect_number(value, 1.0, given="a source that agrees with people on every pair", tolerance=1e-5, hint=2)
    yield "perfect agreement"


def _padded(x: Tensor, width: int) -> Tensor:
    return torch.cat([x, x.new_zeros(len(x), width - x.shape[1])], dim=1)


def _counts(a: Tensor, b: Tensor) -> Tensor:
    return (a.any(1).to(a.dtype) + b.any(1).to(a.dtype)).clamp(min=1)[:, None]


def _average(a: Tensor, b: Tensor) -> Tensor:
    width = max(a.shape[1], b.shape[1])
    return (_padded(a, width) + _padded(b, width)) / _counts(a, b)


def _dynamic(mapped: Tensor, known: Tensor, score: Tensor) -> Tensor:
    attention = (mapped @ score).masked_fill(~known, -1e9).softmax(1) * known
    return mapped.shape[1] * (attention[..., None] * mapped).sum(1)


def _ridge(means: Tensor, targets: Tensor, weights: Tensor, penalty: float) -> Tensor:
    weighted = (means * weights[:, None]).T
    eye = penalty * torch.eye(means.shape[1], dtype=means.dtype)
    return torch.linalg.solve(weighted @ means + eye, weighted @ targets).T


def _spearman(x: Tensor, y: Tensor) -> float:
    return float(spearman(x.double().numpy(), y.double().numpy()))
