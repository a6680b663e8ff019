"""How often words occur in a background corpus.   Chapter 04"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from metalearn_lib.corpora import Corpus
from metalearn_lib.text.fields import tokenize


@dataclass(frozen=True, eq=False)
class WordStatistics:
    """How often words occur in a background corpus: what a few-shot learner may know before it sees a task.

    The vocabulary stays open: a word that the background never used is as rare as can be, so it gets the
    largest idf and probability 0.   Chapter: 04
    """

    n_texts: int
    n_words: int
    document_counts: Counter[str]
    word_counts: Counter[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> WordStatistics:
        """Count words and documents of `texts`; raises ValueError if there are none."""
        documents: Counter[str] = Counter()
        words: Counter[str] = Counter()
        n_texts = 0
        for text in texts:
            tokens = tokenize(text)
            words.update(tokens)
            documents.update(set(tokens))
            n_texts += 1
        if not words:
            raise ValueError("WordStatistics: the background holds no words; give the meta-training texts")
        return cls(n_texts, words.total(), documents, words)

    def idf(self, word: str) -> float:
        """Smoothed inverse document frequency, log((1 + n) / (1 + df)) + 1 (the formula of scikit-learn).

        >>> counts = WordStatistics.of(["the cat", "the dog"])
        >>> counts.idf("the") < counts.idf("cat") < counts.idf("unseen")
        True
        """
        return math.log((1 + self.n_texts) / (1 + self.document_counts.get(word, 0))) + 1

    def probability(self, word: str) -> float:
        """Unigram probability of the word in the background; 0 for a word it never used."""
        return self.word_counts.get(word, 0) / self.n_words


_statistics: WeakKeyDictionary[Corpus, WordStatistics] = WeakKeyDictionary()


def statistics(background: Corpus) -> WordStatistics:
    """Word statistics of a corpus, counted once per corpus object."""
    if background not in _statistics:
        _statistics[background] = WordStatistics.of(background.texts)
    return _statistics[background]
