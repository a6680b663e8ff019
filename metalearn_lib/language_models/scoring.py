"""What every language model must offer, and what can then be done with any of them: score text, write text.

Perplexity: Jelinek et al. (1977). Paired bootstrap: Efron and Tibshirani (1993), chapter 13.   Chapter: 01
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.text import BEGIN, END, PADDING, UNKNOWN, Vocabulary

Sentence = Sequence[str]
NEVER_PREDICTED = (BEGIN, PADDING)


class LanguageModel(Protocol):
    """A distribution over the next token, given those before it in the sentence."""

    vocabulary: Vocabulary

    def next_log_probabilities(self, history: Sentence) -> Tensor:
        """Log-probability of every vocabulary entry as the next token, [V]; −∞ for `<bos>` and `<pad>`."""

    def log_probabilities(self, sentences: Sequence[Sentence]) -> list[Tensor]:
        """Log-probability of each token of each sentence and of its end, one [length + 1] tensor a sentence."""


@dataclass(frozen=True)
class PerplexityRatio:
    """Perplexity of one model over that of another with its paired 95 % interval; true where that lies below 1."""

    ratio: float
    low: float
    high: float

    def __bool__(self) -> bool:
        return self.high < 1

    def __repr__(self) -> str:
        return f"PerplexityRatio({self.ratio:.3f}, 95 % interval {self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, eq=False)
class Perplexity:
    """A perplexity with its 95 % bootstrap interval; `a < b` compares two models on the same text, pairwise."""

    value: float
    low: float
    high: float
    outcomes: int
    """Number of tokens the model chooses among: perplexities over different numbers are not comparable."""
    losses: np.ndarray = field(repr=False)
    """Negative log-likelihood of each resampled unit, in nats."""
    tokens: np.ndarray = field(repr=False)
    """Predicted tokens of each resampled unit, ends of sentences included."""

    def __lt__(self, other: Perplexity) -> PerplexityRatio:
        """Paired comparison over the same units.

        Raises ValueError where the two are not comparable: other vocabulary, other text.
        """
        if self.outcomes != other.outcomes:
            raise ValueError(
                f"perplexities over {self.outcomes:,} and {other.outcomes:,} possible tokens cannot be compared: "
                "the smaller choice looks better whatever the model; score both models with one vocabulary"
            )
        if not np.array_equal(self.tokens, other.tokens):
            raise ValueError(
                f"the two perplexities are of different texts ({self.tokens.sum():,} and {other.tokens.sum():,} "
                f"tokens in {len(self.tokens):,} and {len(other.tokens):,} units); "
                "score both models on the same sentences"
            )
        means = _bootstrap(self.losses - other.losses, self.tokens)
        low, high = np.exp(np.quantile(means, [0.025, 0.975])) if len(self.tokens) > 1 else (np.nan, np.nan)
        return PerplexityRatio(self.value / other.value, float(low), float(high))

    def __str__(self) -> str:
        return f"{self.value:.1f} (95 % interval {self.low:.1f} to {self.high:.1f})"


def perplexity(
    model: LanguageModel, sentences: Sequence[Sentence], *, groups: Sequence[Hashable] | None = None
) -> Perplexity:
    """Perplexity exp(−mean log P) of `model` on tokenised sentences, per token, end of sentence included.

    A token outside the vocabulary is scored as `<unk>`. `groups` names the document of each sentence; the
    interval then resamples whole documents, because sentences of one document are not independent. It is
    NaN where there is a single unit. Raises ValueError for no sentences or a `groups` of another length.

    >>> from metalearn_lib.language_models import NGram
    >>> words = [["a", "b"], ["a", "c"]]
    >>> model = NGram(Vocabulary.build(words, sentence_marks=True), order=1).fit(words)
    >>> round(perplexity(model, [["a", "b"]]).value, 1)
    4.0

    Chapter: 01
    """
    if not sentences:
        raise ValueError("perplexity: no sentences to score; give at least one tokenised sentence")
    if groups is not None and len(groups) != len(sentences):
        raise ValueError(f"perplexity: {len(groups)} groups for {len(sentences)} sentences; give one per sentence")
    scored = model.log_probabilities(sentences)
    losses = np.array([-float(s.double().sum()) for s in scored])
    tokens = np.array([len(s) for s in scored])
    if groups is not None:
        unit = np.unique(np.array([str(g) for g in groups]), return_inverse=True)[1]
        losses, tokens = np.bincount(unit, losses), np.bincount(unit, tokens)
    low = high = float("nan")
    if len(tokens) > 1:
        low, high = np.exp(np.quantile(_bootstrap(losses, tokens), [0.025, 0.975]))
    value = float(np.exp(losses.sum() / tokens.sum()))
    return Perplexity(value, float(low), float(high), outcomes(model.vocabulary), losses, tokens)


def sample(
    model: LanguageModel,
    *,
    prompt: Sentence = (),
    temperature: float = 1.0,
    top_k: int | None = None,
    max_tokens: int = 40,
    seed: int = 0,
) -> list[str]:
    """Continue `prompt` token by token until the end of the sentence or `max_tokens`; `<unk>` is never written.

    `temperature` > 0 divides the log-probabilities: below 1 bolder, above 1 wilder. `top_k` keeps the k most
    probable tokens. Same seed, same sentence. Returns the new tokens, without the prompt. Raises ValueError.

    Chapter: 01
    """
    if temperature <= 0:
        raise ValueError(f"sample(temperature={temperature}): must be > 0; for the most probable token use top_k=1")
    if top_k is not None and top_k < 1:
        raise ValueError(f"sample(top_k={top_k}): must be ≥ 1, or None for the whole vocabulary")
    generator = torch.Generator().manual_seed(seed)
    written: list[str] = []
    for _ in range(max_tokens):
        scores = model.next_log_probabilities([*prompt, *written]) / temperature  # [V]
        scores[model.vocabulary.stoi[UNKNOWN]] = -torch.inf
        if top_k is not None and top_k < len(scores):
            scores[scores < scores.topk(top_k).values[-1]] = -torch.inf
        token = model.vocabulary.itos[int(torch.multinomial(scores.softmax(0), 1, generator=generator))]
        if token == END:
            break
        written.append(token)
    return written


def outcomes(vocabulary: Vocabulary) -> int:
    """How many tokens can come next: all but `<bos>` and `<pad>`."""
    return len(vocabulary) - len(NEVER_PREDICTED)


def check(vocabulary: Vocabulary, owner: str) -> None:
    """Raise ValueError where a vocabulary cannot carry a language model."""
    missing = [token for token in (BEGIN, END) if token not in vocabulary.stoi]
    if missing:
        raise ValueError(
            f"{owner}: the vocabulary lacks {' and '.join(missing)}; "
            "build it with Vocabulary.build(…, sentence_marks=True)"
        )


def _bootstrap(losses: np.ndarray, tokens: np.ndarray, resamples: int = 2000) -> np.ndarray:
    """Mean loss per token in `resamples` bootstrap samples of the units."""
    draws = np.random.default_rng(0).multinomial(len(tokens), np.full(len(tokens), 1 / len(tokens)), size=resamples)
    means: np.ndarray = (draws @ losses) / (draws @ tokens)
    return means
