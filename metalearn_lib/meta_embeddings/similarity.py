"""Intrinsic evaluation: do cosines rank word pairs as people do? Spearman's correlation, with bootstrap intervals.

Finkelstein et al. (2002) for WordSim-353 (relatedness), Hill et al. (2015) for SimLex-999 (similarity).   Chapter 06
"""

from __future__ import annotations

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
    drawn_rho = spearman(cosines[drawn], people[drawn])
    drawn_rho = np.where(np.isfinite(drawn_rho), drawn_rho, 0.0)  # a resample of one pair, many times
    low, high = np.quantile(drawn_rho, [0.025, 0.975])
    key = (pairs.name, len(pairs), resamples, seed, *pairs.words1, *pairs.words2, *pairs.scores)
    value = float(spearman(cosines, people))
    return Correlation(value, float(low), float(high), drawn_rho, int(known.sum()), len(pairs), key)


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's ρ along the last axis, ties sharing their mean rank; NaN where one side is constant.

    >>> float(spearman(np.array([1, 2, 3]), np.array([2, 4, 9])))
    1.0
    """
    from scipy.stats import rankdata

    x, y = (rankdata(values, axis=-1) for values in (a, b))
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1)))


def _cosines(vectors: WordVectors, pairs: WordPairs) -> tuple[np.ndarray, np.ndarray]:
    """Cosine of each pair [P], and whether both words are known [P]."""
    rows = (vectors.encode([word.lower() for word in words]) for words in (pairs.words1, pairs.words2))
    a, b = (normalize(vectors.table[list(places)].double(), dim=1) for places in rows)
    return (a * b).sum(1).numpy().round(9), (a.any(1) & b.any(1)).numpy()
