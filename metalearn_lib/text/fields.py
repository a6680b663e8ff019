"""What comes from torchtext (0.6.0, pinned): tokenizer, vocabulary, the classic pipeline. The only file to import it.

torchtext's own vector loader is not used: it switches off TLS verification for the whole process and unpickles
its cache. Vectors come from `corpora.glove()` as arrays.   Chapters 01, 04, 09
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from metalearn_lib.corpora import Corpus
from metalearn_lib.text.tokens import check_texts
from metalearn_lib.text.vectors import WordVectors


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


def frequent_words(counts: Counter[str], *, min_count: int, max_size: int | None, specials: list[str]) -> list[str]:
    """The special tokens, then the words that occur `min_count` times, most frequent first, at most `max_size`."""
    from torchtext.vocab import Vocab

    return list(Vocab(counts, max_size=max_size, min_freq=min_count, specials=specials).itos)


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
