"""Vectors by counting: which words stand near each other, how much more often than by chance, in few dimensions.

Levy and Goldberg (2014); Levy, Goldberg and Dagan (2015).   Chapter 06
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np
import torch

from metalearn_lib.text import WordVectors


def cooccurrences(
    token_lists: Sequence[Sequence[str]], numbers: Mapping[str, int], *, window: int = 5, decay: bool = True
) -> Any:
    """Count how often words stand at most `window` apart: a symmetric sparse matrix [V, V] (scipy, csr).   Chapter: 06

    `numbers` maps V words to 0 … V-1; other words are skipped but keep their place. With `decay` a neighbour at
    distance k counts 1/k, without it 1. Texts do not touch each other. Raises ValueError for a window below 1, or
    numbers that are not 0 … V-1.

    >>> cooccurrences([["a", "b", "a"]], {"a": 0, "b": 1}, window=1).toarray()
    array([[0., 2.],
           [2., 0.]], dtype=float32)
    """
    from scipy import sparse

    size = len(numbers)
    if window < 1 or not size or sorted(numbers.values()) != list(range(size)):
        raise ValueError(
            f"cooccurrences(window={window}): need window ≥ 1 and at least one word, numbered from 0 to {size - 1}"
        )
    stream = numbered(token_lists, numbers, gap=window, unknown=-1)
    counts = sparse.csr_matrix((size, size), dtype=np.float32)
    for distance in range(1, window + 1):
        left, right = stream[:-distance], stream[distance:]
        both = np.flatnonzero((left >= 0) & (right >= 0))
        shares = np.full(len(both), 1 / distance if decay else 1.0, dtype=np.float32)
        counts = counts + sparse.coo_matrix((shares, (left[both], right[both])), (size, size)).tocsr()
    return (counts + counts.T).tocsr()


def numbered(token_lists: Sequence[Sequence[str]], numbers: Mapping[str, int], *, gap: int, unknown: int) -> np.ndarray:
    """All words of all texts as one row of numbers, with `gap` times `unknown` after each text.

    >>> numbered([["a", "x"], ["b"]], {"a": 1, "b": 2}, gap=1, unknown=0).tolist()
    [1, 0, 0, 2, 0]
    """
    lengths = np.fromiter(map(len, token_lists), int, len(token_lists))
    total = int(lengths.sum())
    row = np.full(total + gap * len(lengths), unknown)
    places = np.arange(total) + np.repeat(gap * np.arange(len(lengths)), lengths)
    row[places] = np.fromiter(map(numbers.get, chain.from_iterable(token_lists), repeat(unknown)), int, total)
    return row


def ppmi_svd(
    token_lists: Sequence[Sequence[str]],
    *,
    dim: int = 100,
    window: int = 5,
    min_count: int = 5,
    max_words: int = 20_000,
    smoothing: float = 0.75,
    seed: int = 0,
) -> WordVectors:
    """Positive pointwise mutual information, reduced to `dim` numbers a word by a singular value decomposition.

    PPMI(w, c) = max(0, ln P(w, c) / (P(w) P_s(c))), with P_s(c) ∝ count(c)^s, s = `smoothing` (Levy et al., 2015,
    §3); the vectors are the left singular vectors, without the singular values (their "eigenvalue weighting" 0), and
    have length 1. Takes tokenised texts; words that occur less than `min_count` times, or beyond the `max_words` most
    frequent, have no vector. Raises ValueError if fewer than dim + 1 words are left.   Chapter: 06

    >>> vectors = ppmi_svd([["hot", "tea"], ["hot", "soup"], ["cold", "ice"]] * 3, dim=2, min_count=1)
    >>> sorted(vectors.words), vectors.dim
    (['cold', 'hot', 'ice', 'soup', 'tea'], 2)
    """
    from scipy import sparse

    counted = Counter(chain.from_iterable(token_lists))
    words = [word for word, count in counted.most_common(max_words) if count >= min_count]
    if dim < 1 or len(words) <= dim:
        raise ValueError(
            f"ppmi_svd(dim={dim}, min_count={min_count}): {len(words)} words occur so often, and {dim} dimensions need "
            f"more than {dim}; give more text, or lower min_count or dim"
        )
    counts = cooccurrences(token_lists, {word: n for n, word in enumerate(words)}, window=window).tocoo()
    totals = np.asarray(counts.sum(1)).ravel()
    context = totals**smoothing / (totals**smoothing).sum()
    values = np.log(counts.data / (totals[counts.row] * context[counts.col]))
    kept = values > 0
    ppmi = sparse.csr_matrix(
        (values[kept].astype(np.float32), (counts.row[kept], counts.col[kept])), (len(words), len(words))
    )
    left = _left_vectors(ppmi, dim, seed)
    lengths = np.linalg.norm(left, axis=1, keepdims=True)
    return WordVectors.from_array(words, left / np.maximum(lengths, 1e-12))


def _left_vectors(matrix: Any, dim: int, seed: int, *, more: int = 10, passes: int = 2) -> np.ndarray:
    """The first left singular vectors of a square sparse matrix → [V, dim], up to signs (Halko et al., 2011).

    Random directions, sharpened by `passes` products with M Mᵀ; then an exact decomposition in their span.
    """
    across = matrix.T.tocsr()
    span = np.random.RandomState(seed).normal(size=(matrix.shape[0], dim + more)).astype(np.float32)
    for _ in range(passes):
        span = across @ (matrix @ span)
    basis = torch.linalg.qr(torch.from_numpy(matrix @ span))[0]  # [V, dim + more]
    inside = torch.from_numpy(across @ basis.numpy()).double()  # the transpose of Qᵀ M
    _, rotation = torch.linalg.eigh(inside.T @ inside)
    return (basis @ rotation.flip(1)[:, :dim].float()).numpy()
