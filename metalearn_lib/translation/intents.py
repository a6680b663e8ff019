"""The same intents in many languages: a language is a task, its classes are everywhere the same.   Chapter 11

What learns is what chapter 03 has: `DomainSampler` draws a language, `MAML`, `Reptile` and `MultiTask` adapt a
`TextModel` of `CharacterNgrams`. Relatives share runs of characters, and these carry over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from metalearn_lib.corpora import Corpus, CorpusError
from metalearn_lib.encoders import Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import check_options
from metalearn_lib.learners import Learner


class CharacterNgrams(Encoder):
    """Counts of character n-grams, hashed into `dim` places and scaled to length 1; nothing to train.   Chapter: 11

    n-grams of the lengths `orders`, first to last, stay inside words. Weinberger et al. (2009) on hashing.
    """

    def __init__(self, *, dim: int = 2048, orders: tuple[int, int] = (2, 4)) -> None:
        super().__init__()
        check_options("CharacterNgrams", dim=dim, first=orders[0])
        check_options("CharacterNgrams", least=orders[0], last=orders[1])
        self.dim, self.orders = dim, orders

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        from sklearn.feature_extraction.text import HashingVectorizer

        counting = HashingVectorizer(
            analyzer="char_wb", ngram_range=self.orders, n_features=self.dim, alternate_sign=False
        )
        return torch.from_numpy(counting.transform(texts).toarray()).float()


def shared_classes(corpus: Corpus, *, least: int) -> Corpus:
    """The classes of which every domain (language) has at least `least` texts.   Chapter: 11

    Raises CorpusError for a corpus without domains, and where fewer than two classes are left.
    """
    check_options("shared_classes", least_texts=least)
    if corpus.domains is None:
        raise CorpusError(f"shared_classes: {corpus.name!r} has no domains; give it `domains`, one per text")
    counts = Counter(zip(corpus.domains, corpus.labels, strict=True))
    kept = [label for label in corpus.classes if all(counts[d, label] >= least for d in set(corpus.domains))]
    if len(kept) < 2:
        raise CorpusError(
            f"shared_classes(least={least}): {len(kept)} classes of {corpus.name!r} have so many texts in each of its "
            f"{len(set(corpus.domains))} domains; ask for fewer, or leave languages out"
        )
    return corpus.only(kept)


class LookUp(Learner):
    """The intent of what is most similar, among texts of other languages and the support set; untrained.   Chapter: 11

    By cosine. With `weight` None the label of the nearest text counts; with a number the nearest class mean, in which a
    text of the support set counts as so many of `known`. `own=False` looks at `known` alone: zero shots. What was
    looked up is kept, so the encoder may not change. Raises ValueError where the episodes have other classes than
    `known`.
    """

    def __init__(self, encoder: Encoder, known: Corpus, *, weight: int | None = None, own: bool = True) -> None:
        super().__init__()
        if weight is not None:
            check_options("LookUp", weight=weight)
        self.encoder, self.known, self.weight, self.own = encoder, known, weight, own
        self.name = "nearest text" if weight is None else "nearest class mean"
        labels = np.array(known.labels)
        self._places = [torch.from_numpy(np.flatnonzero(labels == name)) for name in known.classes]
        self._best: WeakKeyDictionary[Corpus, Tensor] = WeakKeyDictionary()

    @torch.no_grad()
    def predict(self, episodes: Episodes) -> Tensor:
        pool = episodes.pool
        if pool is None or pool.classes != self.known.classes:
            raise ValueError(f"LookUp: the episodes must have the classes of {self.known.name!r}, in texts of a corpus")
        vectors = self._vectors(pool)
        query, support = vectors[episodes.query_x], vectors[episodes.support_x]  # [T, ·, D]
        mine = one_hot(episodes.support_y, episodes.n_way).float() * float(self.own)  # [T, N·K, N]
        if self.weight is not None:
            sums = self._sums + self.weight * mine.mT @ support  # [T, N, D]
            return query @ normalize(sums, dim=-1).mT
        if pool not in self._best:
            similar = vectors @ self._of_known.T
            self._best[pool] = torch.stack([similar[:, at].amax(1) for at in self._places], 1)  # [P, N]
        apart = (query @ support.mT)[..., None].masked_fill(mine[:, None] == 0, -torch.inf)  # [T, N·Q, N·K, N]
        return torch.maximum(self._best[pool][episodes.query_x], apart.amax(2))

    @cached_property
    def _of_known(self) -> Tensor:
        return self._vectors(self.known)

    @cached_property
    def _sums(self) -> Tensor:
        return torch.stack([self._of_known[at].sum(0) for at in self._places])

    def _vectors(self, corpus: Corpus) -> Tensor:
        return normalize(self.encoder.embed(corpus), dim=-1)
