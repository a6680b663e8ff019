"""Tables of word vectors, GloVe by name.   Chapters 04, 06"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metalearn_lib import corpora
from metalearn_lib.modules import tensor_digest


@dataclass(frozen=True, eq=False)
class WordVectors:
    """A fixed table of word vectors: `table` is [1 + V, D], row 0 is zero and serves padding and unknown words.

    Raises ValueError for vectors that are not finite or whose number differs from that of the words.
    Chapters: 04, 06
    """

    words: Sequence[str]
    table: Tensor

    @classmethod
    def from_array(cls, words: Sequence[str], vectors: np.ndarray) -> WordVectors:
        """Build the table from V words and an array [V, D]."""
        if vectors.ndim != 2 or len(words) != len(vectors):
            raise ValueError(
                f"WordVectors: {len(words)} words but vectors of shape {vectors.shape}; need [{len(words)}, D]"
            )
        if not np.isfinite(vectors).all():
            bad = int(np.flatnonzero(~np.isfinite(vectors).all(1))[0])
            raise ValueError(f"WordVectors: the vector of {words[bad]!r} holds NaN or infinity; mend or drop it")
        table = torch.zeros(len(words) + 1, vectors.shape[1])
        table[1:] = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(words, table)

    @cached_property
    def stoi(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=1)}

    @cached_property
    def identity(self) -> str:
        """A hash of the words and their vectors, the same in every process."""
        words = hashlib.sha256(json.dumps(list(self.words)).encode()).hexdigest()[:16]
        return f"{words}-{tensor_digest(self.table)}"

    @property
    def dim(self) -> int:
        return self.table.shape[1]

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Words → rows of `table`; an unknown word becomes 0."""
        return [self.stoi.get(token, 0) for token in tokens]

    def __deepcopy__(self, memo: dict[int, Any]) -> WordVectors:
        return self  # nothing in it changes: a copied encoder shares it


@cache
def glove() -> WordVectors:
    """GloVe 6B, 50 dimensions, 400,000 words (Pennington et al., 2014), loaded once a process."""
    return WordVectors.from_array(*corpora.glove())


def load_vectors(vectors: WordVectors | str) -> WordVectors:
    """Pass word vectors through, or look a name up; known names: "glove"."""
    if isinstance(vectors, WordVectors):
        return vectors
    if vectors != "glove":
        raise ValueError(f"unknown word vectors {vectors!r}; use 'glove' or a WordVectors of your own")
    return glove()
