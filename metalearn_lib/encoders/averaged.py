"""A text is the average of its words' vectors, plain or weighted by how telling each word is.   Chapters 04, 06"""

from __future__ import annotations

from collections.abc import Sequence
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
    (the meta-training texts: no other text is looked at); "sif" by a / (a + p(word)), a = 0.001 (Arora et al., 2017).
    Words without a vector are left out; a text without any is the zero vector.

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
    ) -> None:
        super().__init__()
        if weighting not in (None, "idf", "sif"):
            raise ValueError(f"Averaged(weighting={weighting!r}): use None, 'idf' or 'sif'")
        if weighting is not None and background is None:
            raise ValueError(
                f"Averaged(weighting={weighting!r}) needs background=, the corpus whose words are counted "
                "(the meta-training texts)"
            )
        self.vectors, self.weighting, self.background = text.load_vectors(vectors), weighting, background
        self.dim = self.vectors.dim

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        out = torch.zeros(len(texts), self.dim)
        for row, words in enumerate(map(text.tokenize, texts)):
            ids = self.vectors.encode(words)
            known = [i for i, number in enumerate(ids) if number]
            if known:
                weights = torch.tensor([self._weight(words[i]) for i in known])
                out[row] = weights @ self.vectors.table[[ids[i] for i in known]] / weights.sum()
        return out

    def encode(self, prepared: Tensor) -> Tensor:
        return prepared

    def _weight(self, word: str) -> float:
        if self.background is None:
            return 1.0
        counts = text.statistics(self.background)
        return counts.idf(word) if self.weighting == "idf" else 1e-3 / (1e-3 + counts.probability(word))
