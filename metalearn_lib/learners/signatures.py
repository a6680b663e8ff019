"""Distributional signatures (Bao et al., 2020): attention from how words are distributed, not from what they are.

Which words matter changes with every task, so an attention over word identities learned on the training classes
misleads on new ones. How rare a word is, and how well it separates the classes at hand, are signals that carry over.

Chapter 04
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from metalearn_lib import text
from metalearn_lib.encoders import Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import check_options
from metalearn_lib.learners.base import MetaLearner
from metalearn_lib.learners.ridge import Ridge, ridge_weights

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus


class _Words(Encoder):
    """Texts → [n, L, 2]: row of each word in the vector table, and its general signature s (eq. 2)."""

    def __init__(self, vectors: text.WordVectors, background: Corpus, max_length: int, epsilon: float) -> None:
        super().__init__()
        self.vectors, self.background, self.dim = vectors, background, vectors.dim
        self.max_length, self.epsilon = max_length, epsilon
        self.register_buffer("table", vectors.table, persistent=False)

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        counts = text.statistics(self.background)
        out = torch.zeros(len(texts), self.max_length, 2, dtype=torch.float64)  # doubles: row numbers stay exact
        for row, words in enumerate(map(text.tokenize, texts)):
            known = [(i, w) for i, w in zip(self.vectors.encode(words), words, strict=True) if i][: self.max_length]
            for column, (number, word) in enumerate(known):
                out[row, column, 0] = number
                out[row, column, 1] = self.epsilon / (self.epsilon + counts.probability(word))
        return out


class DistributionalSignatures(MetaLearner):
    """Word attention from two statistics, then ridge regression on the weighted mean of word vectors.   Chapter: 04

    Bao et al. (2020): s(w) = ε / (ε + P(w)) from the background (eq. 2); t(w) = 1 / H(P(y | w)), where P(y | w) comes
    from a ridge classifier fitted to the support set (eq. 3-4); a biLSTM turns (s, t) into attention (eq. 5-6); the
    text is the attention-weighted mean, classified by ridge regression (eq. 7-9).
    """

    def __init__(
        self,
        background: Corpus,
        *,
        vectors: text.WordVectors | str = "glove",
        hidden: int = 50,
        max_length: int = 120,
        epsilon: float = 1e-3,
    ) -> None:
        super().__init__()
        check_options("DistributionalSignatures", hidden=hidden, max_length=max_length)
        if epsilon <= 0:
            raise ValueError(f"DistributionalSignatures(epsilon={epsilon}): must be > 0")
        self.name = "distributional signatures"
        self.words = _Words(text.load_vectors(vectors), background, max_length, epsilon)
        self.lstm = nn.LSTM(2, hidden, batch_first=True, bidirectional=True)
        self.score = nn.Linear(2 * hidden, 1, bias=False)
        self.log_penalty = nn.Parameter(torch.zeros(()))  # of the classifier behind t
        self.head = Ridge(self.words)

    def predict(self, episodes: Episodes) -> Tensor:
        support, s_support, mask_support = self._lookup(episodes.support_x, episodes.pool)
        query, s_query, mask_query = self._lookup(episodes.query_x, episodes.pool)
        classifier = self._word_classifier(support, mask_support, episodes)  # [T, D, N]
        support = self._attend(support, s_support, mask_support, classifier)  # [T, M, D]
        query = self._attend(query, s_query, mask_query, classifier)
        return self.head.solve(support, query, episodes)

    def attention(self, episodes: Episodes) -> Tensor:
        """Attention over the words of each query text, [T, N·Q, L]; rows add up to 1."""
        support, _, mask = self._lookup(episodes.support_x, episodes.pool)
        query, s, mask_query = self._lookup(episodes.query_x, episodes.pool)
        return self._weights(query, s, mask_query, self._word_classifier(support, mask, episodes))

    def _lookup(self, x: Tensor, pool: Corpus | None) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of the words [T, M, L, D], s and the mask [T, M, L]."""
        packed = self.words(x, pool)  # [T, M, L, 2]
        ids = packed[..., 0].long()
        longest = max(1, int((ids > 0).sum(-1).max()))
        ids, s = ids[..., :longest], packed[..., :longest, 1].float()
        return self.words.get_buffer("table")[ids], s, ids > 0

    def _word_classifier(self, support: Tensor, mask: Tensor, episodes: Episodes) -> Tensor:
        """A ridge classifier of words, fitted to the mean vectors of the support texts (eq. 4)."""
        means = support.sum(2) / mask.sum(2, keepdim=True).clamp(min=1)  # [T, M, D]
        targets = one_hot(episodes.support_y, episodes.n_way).to(means.dtype)
        return ridge_weights(means, targets, self.log_penalty.exp())

    def _weights(self, words: Tensor, s: Tensor, mask: Tensor, classifier: Tensor) -> Tensor:
        logits = words @ classifier[:, None]  # [T, M, L, N]
        p = logits.softmax(-1)
        t = 1 / -(p * p.clamp(min=1e-9).log()).sum(-1).clamp(max=-1e-3)  # inverse entropy [T, M, L]
        signals = torch.stack([s, t], dim=-1).flatten(0, 1)  # [T·M, L, 2]
        lengths = mask.flatten(0, 1).sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(signals, lengths, batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=mask.shape[-1]
        )
        scores = self.score(states).squeeze(-1).unflatten(0, mask.shape[:2])  # [T, M, L]
        weights: Tensor = scores.masked_fill(~mask, -1e9).softmax(-1)
        return weights

    def _attend(self, words: Tensor, s: Tensor, mask: Tensor, classifier: Tensor) -> Tensor:
        return (self._weights(words, s, mask, classifier)[..., None] * words).sum(2)
