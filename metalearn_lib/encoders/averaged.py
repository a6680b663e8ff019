"""A text is the average of its words' vectors, plain or weighted by how telling each word is.   Chapters 04, 06"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Literal

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
        weight_of = cache(self._weight)
        out = torch.zeros(len(texts), self.dim)
        for row, words in enumerate(map(text.tokenize, texts)):
            numbers, weights = [], []
            for word, count in Counter(words).items():
                if number := self.vectors.stoi.get(word):
                    numbers.append(number)
                    weights.append(weight_of(word, number) * (1 + math.log(count) if self.log_counts else count))
            if numbers:
                shares = torch.tensor(weights)
                out[row] = shares @ self.vectors.table[numbers] / shares.sum()
        return out

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
