"""What every language model must offer, and what can then be done with any of them: score text, write text.

Perplexity: Jelinek et al. (1977). Paired bootstrap: Efron and Tibshirani (1993), chapter 13.   Chapter: 01
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.scores import Perplexity
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
    read = json.dumps([[list(sentence) for sentence in sentences], [str(g) for g in groups or ()]])
    key = hashlib.sha256(read.encode()).hexdigest()[:16]
    return Perplexity.of(losses, tokens, outcomes=outcomes(model.vocabulary), key=key)


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
