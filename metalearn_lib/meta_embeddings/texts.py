"""Texts under many tables of word vectors: the words are counted and weighed once, each table costs a product.

Chapter 06
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from metalearn_lib import text
from metalearn_lib.encoders import Encoder

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus


class TextMeans:
    """Makes encoders: a text is the idf-weighted mean of its words' vectors, as in `encoders.Averaged`.   Chapter: 06

    `TextMeans(train)(vectors)` has the vectors of `encoders.Averaged(vectors, weighting="idf", background=train)`. The
    words of a list of texts are counted when its first encoder meets it, and kept for all others.

    >>> from metalearn_lib.corpora import Corpus
    >>> means = TextMeans(Corpus("toy", ["hot tea", "cold ice"], ["hot", "cold"]))
    >>> tables = [text.WordVectors.from_array(["hot", "tea"], np.eye(2) * size) for size in (1, 3)]
    >>> [means(table).embed(["hot tea"]).tolist() for table in tables]
    [[[0.5, 0.5]], [[1.5, 1.5]]]
    """

    def __init__(self, background: Corpus) -> None:
        self.background = background
        self._counted: dict[tuple[str, ...], tuple[list[str], Any]] = {}

    def __call__(self, vectors: text.WordVectors) -> Encoder:
        return _Mean(vectors, self)

    def __deepcopy__(self, memo: dict[int, Any]) -> TextMeans:
        return self  # what it keeps does not change: a copied encoder shares it

    def counted(self, texts: Sequence[str]) -> tuple[list[str], Any]:
        """The U different words of the texts, and how much each counts in each text: scipy, csr, [n, U]."""
        from scipy.sparse import csr_array

        key = tuple(texts)
        if key not in self._counted:
            tokens = [text.tokenize(t) for t in texts]
            ends = np.cumsum([0, *map(len, tokens)])  # where each text ends in the row of all words
            numbers: dict[str, int] = {}
            columns = np.array([numbers.setdefault(w, len(numbers)) for w in chain.from_iterable(tokens)], np.int64)
            counts = csr_array((np.ones(len(columns)), columns, ends), shape=(len(texts), len(numbers)))
            counts.sum_duplicates()
            counts.data *= np.array([*map(text.statistics(self.background).idf, numbers)])[counts.indices]
            self._counted[key] = list(numbers), counts
        return self._counted[key]


class _Mean(Encoder):
    """One table of vectors, over texts whose words `means` has counted."""

    def __init__(self, vectors: text.WordVectors, means: TextMeans) -> None:
        super().__init__()
        self.vectors, self.means, self.dim = vectors, means, vectors.dim
        self._kept: dict[tuple[str, ...], Tensor] = {}  # a copied encoder has them, too

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        key = tuple(texts)
        if key not in self._kept:
            self._kept[key] = self._vectors(key)
        return self._kept[key]

    def _vectors(self, texts: Sequence[str]) -> Tensor:
        words, counts = self.means.counted(texts)
        rows = np.array(self.vectors.encode(words), np.int64)
        totals = (counts @ (rows > 0).astype(float))[:, None]
        sums = counts @ self.vectors.table[rows].numpy()  # [n, D]; an unknown word adds zero
        return torch.from_numpy(sums / np.where(totals > 0, totals, 1)).to(self.vectors.table.dtype)
