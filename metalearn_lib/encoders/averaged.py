"""A text is the average of its words' vectors, plain or weighted by how telling each word is.   Chapters 04, 06"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from metalearn_lib import text
from metalearn_lib.encoders.base import Encoder

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus


class Averaged(Encoder):
    """Average of word vectors; nothing is trained, so a corpus is encoded once.   Chapter: 04

    `weighting`: None counts all words alike; "idf" weights a word by its inverse document frequency in `background`
    (the meta-training texts: no other text is looked at); "sif" by a / (a + p(word)), a = 0.001 (Arora et al., 2017),
    with p counted in `background` or, without one, p ∝ 1 / (rank + 10) by Zipf's law from the word's place in the
    vector table, where the most frequent word comes first (true of GloVe). With `log_counts` a word that occurs c times
    counts 1 + ln c times. Words without a vector are left out; a text without any is the zero vector.

    >>> Averaged(weighting="idf")
    Traceback (most recent call last):
    ValueError: Averaged(weighting='idf') needs background=, the corpus whose words are counted (the meta-training
    texts)
    """

    def __init__(
        self,
        vectors: text.WordVectors | str = "glove",
        *,
        weighting: Literal["idf", "sif"] | None = None,
        background: Corpus | None = None,
        log_counts: bool = False,
    ) -> None:
        super().__init__()
        if weighting not in (None, "idf", "sif"):
            raise ValueError(f"Averaged(weighting={weighting!r}): use None, 'idf' or 'sif'")
        if weighting == "idf" and background is None:
            raise ValueError(
                f"Averaged(weighting={weighting!r}) needs background=, the corpus whose words are counted "
                "(the meta-training texts)"
            )
        self.vectors, self.weighting, self.background = text.load_vectors(vectors), weighting, background
        self.log_counts, self.dim = log_counts, self.vectors.dim

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        from scipy.sparse import csr_array

        known = [[number for word in text.tokenize(t) if (number := self.vectors.stoi.get(word))] for t in texts]
        ends = np.cumsum([0, *map(len, known)])  # where each text ends in the row of all words
        used, columns = np.unique(np.fromiter(chain.from_iterable(known), np.int64), return_inverse=True)
        counts = csr_array((np.ones(len(columns)), columns, ends), shape=(len(texts), len(used)))
        counts.sum_duplicates()
        if self.log_counts:
            counts.data = 1 + np.log(counts.data)
        weights = np.array([self._weight(self.vectors.words[row - 1], row) for row in used.tolist()])
        counts.data *= weights[counts.indices]
        sums = counts @ self.vectors.table[used].numpy()  # [n, D], over the words that occur
        totals = counts.sum(1)[:, None]
        return torch.from_numpy(sums / np.where(totals > 0, totals, 1)).to(self.vectors.table.dtype)

    def encode(self, prepared: Tensor) -> Tensor:
        return prepared

    def _weight(self, word: str, row: int) -> float:
        if self.weighting is None:
            return 1.0
        if self.background is None:
            return 1e-3 / (1e-3 + self._zipf / (row + 9))  # row 1 holds the word of rank 0
        counts = text.statistics(self.background)
        return counts.idf(word) if self.weighting == "idf" else 1e-3 / (1e-3 + counts.probability(word))

    @cached_property
    def _zipf(self) -> float:
        """The constant that makes 1 / (rank + 10) a probability over the words of the table."""
        return 1 / sum(1 / (rank + 10) for rank in range(len(self.vectors.words)))
