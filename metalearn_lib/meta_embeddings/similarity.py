"""Intrinsic evaluation: do cosines rank word pairs as people do? Spearman's correlation, with bootstrap intervals.

Finkelstein et al. (2002) for WordSim-353 (relatedness), Hill et al. (2015) for SimLex-999 (similarity).   Chapter 06
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch.nn.functional import normalize

from metalearn_lib.scores import Correlation
from metalearn_lib.text import WordVectors

if TYPE_CHECKING:
    from metalearn_lib.corpora import WordPairs


def correlate(vectors: WordVectors, pairs: WordPairs, *, resamples: int = 1000, seed: int = 0) -> Correlation:
    """Spearman's correlation between the cosines of word pairs and what people said, over all pairs.   Chapter: 06

    Words are looked up in lower case. A pair with an unknown word gets the mean cosine of the known pairs, so that
    every source is judged on the same pairs; `covered` tells how many were known. The interval is the percentile
    bootstrap over pairs (Efron, 1979). Raises ValueError if fewer than three pairs are known, or all their cosines
    are equal.

    >>> from metalearn_lib.corpora import WordPairs
    >>> line = WordVectors.from_array(["a", "b", "c", "d"], np.array([[1, 0], [1, 1], [0, 1], [-1, 1.0]]))
    >>> correlate(line, WordPairs("toy", ["a", "a", "a"], ["b", "c", "d"], [9, 5, 1])).value
    1.0
    """
    if resamples < 2:
        raise ValueError(f"correlate(resamples={resamples}): an interval needs at least 2")
    cosines, known = _cosines(vectors, pairs)
    if known.sum() < 3 or np.ptp(cosines[known]) == 0:
        raise ValueError(
            f"correlate: {int(known.sum())} of the {len(pairs)} pairs of {pairs.name!r} have a vector for both words, "
            "and their cosines must differ; are the vectors of the same language, and their words in lower case?"
        )
    cosines[~known] = cosines[known].mean()
    people = np.asarray(pairs.scores, dtype=float)
    drawn = np.random.default_rng(seed).integers(0, len(pairs), (resamples, len(pairs)))
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn_rho = _correlation(_resampled_ranks(cosines, drawn), _resampled_ranks(people, drawn))
    drawn_rho = np.where(np.isfinite(drawn_rho), drawn_rho, 0.0)  # a resample of one pair, many times
    low, high = np.quantile(drawn_rho, [0.025, 0.975])
    key = (pairs.name, len(pairs), resamples, seed, *pairs.words1, *pairs.words2, *pairs.scores)
    value = float(spearman(cosines, people))
    return Correlation(value, float(low), float(high), drawn_rho, int(known.sum()), len(pairs), key)


def standing(
    vectors: WordVectors, pairs: Sequence[tuple[str, str]], *, among: Sequence[str], draws: int = 4000, seed: int = 0
) -> list[float | None]:
    """How many standard deviations the cosine of each pair lies above that of random pairs of words.   Chapter: 06

    Cosines of two sources cannot be compared: each source has its own mean and spread. The random pairs are `draws`
    pairs of the words `among` that the source knows. None for a pair with a word that it does not know. Raises
    ValueError if it knows fewer than two of the words `among`.

    >>> line = WordVectors.from_array(["a", "b", "c", "d"], np.array([[1, 0], [1, 0.1], [0, 1], [-1, 1.0]]))
    >>> near, unknown = standing(line, [("a", "b"), ("a", "x")], among=["a", "b", "c", "d"])
    >>> near > 0, unknown
    (True, None)
    """
    known = np.array([row for row in vectors.encode(among) if row])
    if len(known) < 2:
        raise ValueError(f"standing: the source knows {len(known)} of the {len(among)} words; need at least 2")
    rows = normalize(vectors.table, dim=1)
    left, right = known[np.random.default_rng(seed).integers(len(known), size=(2, draws))]
    by_chance = (rows[left] * rows[right]).sum(1)
    cosines = [rows[a] @ rows[b] if a and b else None for a, b in map(vectors.encode, pairs)]
    return [None if cosine is None else float((cosine - by_chance.mean()) / by_chance.std()) for cosine in cosines]


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's ρ along the last axis, ties sharing their mean rank; NaN where one side is constant.

    >>> float(spearman(np.array([1, 2, 3]), np.array([2, 4, 9])))
    1.0
    """
    from scipy.stats import rankdata

    with np.errstate(invalid="ignore", divide="ignore"):
        return _correlation(*(rankdata(values, axis=-1) for values in (a, b)))


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    return np.asarray((x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1)))


def _resampled_ranks(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The ranks of values[drawn] in each row, ties sharing their mean; counted, not sorted: there are few values."""
    _, places = np.unique(values, return_inverse=True)
    places, size = places[drawn], int(places.max()) + 1  # [R, P]
    rows = np.arange(len(drawn))[:, None]
    counts = np.bincount((places + rows * size).ravel(), minlength=len(drawn) * size).reshape(-1, size)
    middle = counts.cumsum(1) - (counts - 1) / 2
    return np.asarray(middle[rows, places])


def _cosines(vectors: WordVectors, pairs: WordPairs) -> tuple[np.ndarray, np.ndarray]:
    """Cosine of each pair [P], and whether both words are known [P]."""
    rows = (vectors.encode([word.lower() for word in words]) for words in (pairs.words1, pairs.words2))
    a, b = (normalize(vectors.table[list(places)].double(), dim=1) for places in rows)
    return (a * b).sum(1).numpy().round(9), (a.any(1) & b.any(1)).numpy()
