"""Tokens, vocabulary, word vectors, word statistics. The only file that imports torchtext (0.6.0, pinned).

torchtext's own vector loader is not used: it switches off TLS verification for the whole process and unpickles
its cache. Vectors come from `corpora.glove()` as arrays.   Chapters 01, 04, 09.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus

UNKNOWN, PADDING, BEGIN, END = "<unk>", "<pad>", "<bos>", "<eos>"


@cache
def _basic_english() -> Callable[[str], list[str]]:
    from torchtext.data.utils import get_tokenizer

    tokenizer: Callable[[str], list[str]] = get_tokenizer("basic_english")
    return tokenizer


def tokenize(text: str) -> list[str]:
    """Split a text into lower-case words and punctuation marks (torchtext's "basic_english").   Chapter: 01

    >>> tokenize("Where is my card?")
    ['where', 'is', 'my', 'card', '?']
    """
    return _basic_english()(text)


def check_texts(texts: Sequence[str], who: str) -> None:
    """Raise ValueError if a text is not a string or holds nothing but white space; `who` names the asker."""
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{who}: text {number} is {text!r}, not a string; give texts as str")
        if not text.strip():
            raise ValueError(f"{who}: text {number} is empty; drop empty texts first (from_csv(…, drop_empty=True))")


class Vocabulary:
    """Words and their numbers, most frequent first (a thin face of torchtext's `Vocab`).

    "<unk>" is 0 and stands for every word not in the vocabulary, "<pad>" is 1; `sentence_marks=True` adds
    "<bos>" 2 and "<eos>" 3 for language models.   Chapter: 01

    >>> vocabulary = Vocabulary.build([["a", "rose", "is", "a", "rose"]])
    >>> vocabulary.decode(vocabulary.encode(["a", "daisy"]))
    ['a', '<unk>']
    """

    def __init__(
        self,
        counts: Counter[str],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        sentence_marks: bool = False,
    ) -> None:
        from torchtext.vocab import Vocab

        specials = [UNKNOWN, PADDING, *([BEGIN, END] if sentence_marks else [])]
        vocab = Vocab(counts, max_size=max_size, min_freq=min_count, specials=specials)
        self.itos: list[str] = list(vocab.itos)
        # A plain dict: torchtext's is a defaultdict that grows with every unknown word it is asked for.
        self.stoi: dict[str, int] = dict(vocab.stoi)
        if len(self.itos) == len(specials):
            raise ValueError(f"Vocabulary: no word occurs {min_count} times; lower min_count or give more text")

    @classmethod
    def build(
        cls,
        token_lists: Iterable[Sequence[str]],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        sentence_marks: bool = False,
    ) -> Vocabulary:
        """Count the words of tokenised texts and keep those that occur `min_count` times, at most `max_size`."""
        counts: Counter[str] = Counter()
        for tokens in token_lists:
            counts.update(tokens)
        return cls(counts, min_count=min_count, max_size=max_size, sentence_marks=sentence_marks)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Words → numbers; an unknown word becomes 0."""
        return [self.stoi.get(token, 0) for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Numbers → words."""
        return [self.itos[i] for i in ids]

    def __len__(self) -> int:
        return len(self.itos)


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
    from metalearn_lib import corpora

    return WordVectors.from_array(*corpora.glove())


def load_vectors(vectors: WordVectors | str) -> WordVectors:
    """Pass word vectors through, or look a name up; known names: "glove"."""
    if isinstance(vectors, WordVectors):
        return vectors
    if vectors != "glove":
        raise ValueError(f"unknown word vectors {vectors!r}; use 'glove' or a WordVectors of your own")
    return glove()


def pad(sequences: Sequence[Sequence[int]], *, max_length: int, value: int = 0) -> Tensor:
    """Cut every sequence to `max_length` and pad it with `value` → LongTensor [n, longest kept sequence].

    >>> pad([[5, 6, 7], [8]], max_length=2)
    tensor([[5, 6],
            [8, 0]])
    """
    kept = [sequence[:max_length] for sequence in sequences]
    out = torch.full((len(kept), max((len(s) for s in kept), default=0) or 1), value, dtype=torch.long)
    for row, sequence in enumerate(kept):
        out[row, : len(sequence)] = torch.as_tensor(sequence, dtype=torch.long)
    return out


class Fields:
    """torchtext's classic pipeline: a text and a label field, datasets of both, bucketed batches.   Chapter: 09

    Words and labels are those of `train` alone: any other word is "<unk>", 0, padding is 1. With `vectors` the
    vocabulary carries them, `fields.text.vocab.vectors` [V, D], zeros for what has none. Raises ValueError for an empty
    text or a label that `train` lacks.

    >>> from metalearn_lib.corpora import Corpus
    >>> pets = Corpus("pets", ["a cat purrs", "a dog", "the dog barks"], ["cat", "dog", "dog"])
    >>> batch = next(iter(Fields(pets, min_count=1).batches(pets, batch_size=3, train=False)))
    >>> batch.text.shape, batch.label.tolist()
    (torch.Size([3, 3]), [1, 0, 0])
    """

    def __init__(
        self, train: Corpus, *, vectors: WordVectors | None = None, min_count: int = 2, max_length: int = 120
    ) -> None:
        from torchtext.data import Field, LabelField

        if max_length < 1:
            raise ValueError(f"Fields(max_length={max_length}): keep at least one word of a text")
        check_texts(train.texts, "Fields")
        self.text: Any = Field(tokenize=lambda t: tokenize(t)[:max_length], batch_first=True)
        self.label: Any = LabelField()
        self.text.build_vocab([self.text.preprocess(t) for t in train.texts], min_freq=min_count)
        self.label.build_vocab(train.labels)
        if len(self.text.vocab) == 2:
            raise ValueError(f"Fields: no word of {train.name!r} occurs {min_count} times; lower min_count")
        if vectors is not None:
            self.text.vocab.set_vectors(vectors.stoi, vectors.table, vectors.dim)

    @property
    def classes(self) -> list[str]:
        """The labels in the order of their numbers: the most frequent first."""
        return list(self.label.vocab.itos)

    def batches(self, corpus: Corpus, *, batch_size: int = 64, train: bool = True, seed: int = 0) -> Any:
        """A `BucketIterator` over a corpus; for training shuffled, texts of like length together, else in its order."""
        from torchtext.data import BucketIterator, Dataset, Example

        check_texts(corpus.texts, "Fields.batches")
        if unknown := sorted(set(corpus.labels).difference(self.classes)):
            raise ValueError(
                f"Fields.batches: {corpus.name!r} has the label {unknown[0]!r}, unknown to the training texts"
            )
        fields = [("text", self.text), ("label", self.label)]
        rows = [Example.fromlist(row, fields) for row in zip(corpus.texts, corpus.labels, strict=True)]
        before = random.getstate()
        random.seed(seed)  # torchtext shuffles from the state it finds when an iterator is made
        try:
            order = {"sort": False, "shuffle": train, "sort_within_batch": train}
            return BucketIterator(Dataset(rows, fields), batch_size, sort_key=lambda row: len(row.text), **order)
        finally:
            random.setstate(before)


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
