"""n-gram language models: count what followed the last n − 1 tokens, and smooth.

Interpolated Kneser–Ney: Kneser and Ney (1995), interpolated as in Chen and Goodman (1999). Add-k: Lidstone (1920).
Chapter: 01
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from metalearn_lib.language_models.scoring import NEVER_PREDICTED, Sentence, check, outcomes
from metalearn_lib.text import BEGIN, END, Vocabulary

Smoothing = Literal["kneser_ney", "add_k"]
Context = tuple[int, ...]


class NGram:
    r"""An n-gram model of order `order` (1 = unigram, 2 = bigram, …), smoothed.

    With h the last n − 1 tokens, h' the last n − 2, c the counts and N(h) the number of different tokens seen after h:

    - `"kneser_ney"`: P(w|h) = [max(c(hw) − d, 0) + d N(h) P(w|h')] / c(h). Below the highest order c counts the
      *different* tokens seen before hw, not occurrences. d = n₁ / (n₁ + 2n₂) for each order.
      The recursion ends in the uniform distribution.
    - `"add_k"`: P(w|h) = (c(hw) + k) / (c(h) + kV).

    >>> from metalearn_lib.text import Vocabulary
    >>> words = [["the", "king"], ["the", "fox"]]
    >>> model = NGram(Vocabulary.build(words, sentence_marks=True), order=2).fit(words)
    >>> model.vocabulary.itos[int(model.next_log_probabilities(["king"]).argmax())]
    '<eos>'

    Chapter: 01
    """

    def __init__(
        self, vocabulary: Vocabulary, *, order: int = 3, smoothing: Smoothing = "kneser_ney", k: float = 0.1
    ) -> None:
        check(vocabulary, "NGram")
        if order < 1:
            raise ValueError(f"NGram(order={order}): must be ≥ 1 (1 = unigram, 2 = bigram, 3 = trigram)")
        if smoothing not in get_args(Smoothing):
            raise ValueError(f"NGram(smoothing={smoothing!r}): unknown; use one of {', '.join(get_args(Smoothing))}")
        if k <= 0:
            raise ValueError(f"NGram(k={k}): must be > 0, or unseen words get probability 0 and perplexity is infinite")
        self.vocabulary, self.order, self.smoothing, self.k = vocabulary, order, smoothing, k
        self._counts: list[dict[Context, Counter[int]]] = []  # [i]: context of i tokens → counts of what followed
        self._totals: list[dict[Context, int]] = []
        self._discounts: list[float] = []

    def fit(self, sentences: Sequence[Sentence]) -> NGram:
        """Count `sentences`; returns the model itself. Raises ValueError for an empty text."""
        if not any(len(sentence) for sentence in sentences):
            raise ValueError("NGram.fit: the text is empty; give at least one sentence with one token")
        grams = Counter(gram for sentence in sentences for gram in self._grams(sentence))
        self._counts = [defaultdict(Counter) for _ in range(self.order)]
        for level in reversed(range(self.order)):
            for gram, count in grams.items():
                self._counts[level][gram[:-1]][gram[-1]] = count
            # Kneser–Ney's lower orders ask after how many different tokens a word was seen; add-k never backs off.
            grams = Counter(gram[1:] for gram in grams)
        self._totals = [{h: seen.total() for h, seen in table.items()} for table in self._counts]
        self._discounts = [self._discount(table) for table in self._counts]
        return self

    def probability(self, token: int, context: Context) -> float:
        """P(token | context), token ids; `context` is cut to the last order − 1 ids."""
        self._require_fit()
        if self.smoothing == "add_k":
            h = context[len(context) - (self.order - 1) :]
            return (self._seen(h).get(token, 0) + self.k) / (self._total(h) + self.k * outcomes(self.vocabulary))
        p = 1 / outcomes(self.vocabulary)
        for level in range(self.order):
            h = context[len(context) - level :]
            if total := self._total(h):
                seen, d = self._seen(h), self._discounts[level]
                p = (max(seen.get(token, 0) - d, 0.0) + d * len(seen) * p) / total
        return p

    def next_log_probabilities(self, history: Sentence) -> Tensor:
        """Log-probability of every vocabulary entry as the next token, [V]; −∞ for `<bos>` and `<pad>`."""
        self._require_fit()
        context = self._context(history)
        p = torch.full((len(self.vocabulary),), 1 / outcomes(self.vocabulary), dtype=torch.float64)
        for level in range(self.order) if self.smoothing == "kneser_ney" else [self.order - 1]:
            h = context[len(context) - level :]
            seen = self._seen(h)
            counts = torch.zeros_like(p)
            counts[list(seen)] = torch.tensor(list(seen.values()), dtype=p.dtype)
            if self.smoothing == "add_k":
                p = (counts + self.k) / (self._total(h) + self.k * outcomes(self.vocabulary))
            elif seen:
                d = self._discounts[level]
                p = ((counts - d).clamp(min=0) + d * len(seen) * p) / self._total(h)
        p[[self.vocabulary.stoi[token] for token in NEVER_PREDICTED]] = 0
        return p.log()

    def log_probabilities(self, sentences: Sequence[Sentence]) -> list[Tensor]:
        """Log-probability of each token of each sentence and of its end, one [length + 1] tensor a sentence."""
        return [
            torch.tensor([math.log(self.probability(g[-1], g[:-1])) for g in self._grams(s)], dtype=torch.float64)
            for s in sentences
        ]

    def _context(self, history: Sentence) -> Context:
        padded = [self.vocabulary.stoi[BEGIN]] * (self.order - 1) + list(self.vocabulary.encode(list(history)))
        return tuple(padded[len(padded) - (self.order - 1) :])

    def _grams(self, sentence: Sentence) -> list[Context]:
        ids = [self.vocabulary.stoi[BEGIN]] * (self.order - 1) + list(self.vocabulary.encode(list(sentence)))
        ids.append(self.vocabulary.stoi[END])
        return [tuple(ids[i : i + self.order]) for i in range(len(ids) - self.order + 1)]

    def _seen(self, context: Context) -> Counter[int] | dict[int, int]:
        return self._counts[len(context)].get(context, {})

    def _total(self, context: Context) -> int:
        return self._totals[len(context)].get(context, 0)

    def _require_fit(self) -> None:
        if not self._counts:
            raise RuntimeError("NGram: not fitted yet; call .fit(sentences) first")

    @staticmethod
    def _discount(table: dict[Context, Counter[int]]) -> float:
        """n₁ / (n₁ + 2n₂); ½ where the text is too small to hold both singletons and doubletons."""
        sizes = Counter(count for seen in table.values() for count in seen.values())
        return sizes[1] / (sizes[1] + 2 * sizes[2]) if sizes[1] and sizes[2] else 0.5
