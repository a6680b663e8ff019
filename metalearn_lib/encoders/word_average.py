"""The weighted average of word vectors, all of them trained: a very small student.   Chapter 08

With a linear head it is fastText's classifier (Joulin et al., 2017) without its n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metalearn_lib import text
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders.base import Encoder
from metalearn_lib.errors import check_options


class WordAverage(Encoder):
    """Σ_w a_w v_w / Σ_w a_w over the words of a text, with trained vectors v and trained weights a > 0.   Chapter: 08

    Starts at `vectors`, all words alike, or weighted by their idf in `background`. Words without a vector are left
    out, a text without any is the zero vector. Only the first `max_length` known words of a text count.

    >>> pets = text.WordVectors(["cat", "dog"], torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    >>> WordAverage(pets).embed(["cat dog cat cow"])
    tensor([[0.6667, 0.3333]])
    """

    padding = 0

    def __init__(self, vectors: text.WordVectors, *, background: Corpus | None = None, max_length: int = 300) -> None:
        super().__init__()
        check_options("WordAverage", max_length=max_length)
        self.vectors, self.max_length, self.dim = vectors, max_length, vectors.dim
        self.table = nn.Embedding.from_pretrained(vectors.table.clone(), freeze=False)
        self.log_weight = nn.Parameter(torch.zeros(len(vectors.table)))
        if background is not None:
            counts = text.statistics(background)
            with torch.no_grad():
                self.log_weight[1:] = torch.tensor([counts.idf(word) for word in vectors.words]).log()

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        ids = [[i for i in self.vectors.encode(text.tokenize(t)) if i] for t in texts]
        return text.pad(ids, max_length=self.max_length)

    def encode(self, prepared: Tensor) -> Tensor:
        shares = self.shares(prepared)[..., None, :]  # [..., 1, L]
        return (shares @ self.table(prepared.contiguous()))[..., 0, :]  # the 8-bit table asks for contiguous numbers

    def shares(self, prepared: Tensor) -> Tensor:
        """Share of each word in its text [..., L]: they add up to 1, or are all 0 where no word is known."""
        weights = self.log_weight[prepared].exp() * (prepared > 0)
        return weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)
