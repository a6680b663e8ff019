"""Words and their numbers.   Chapter 01"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from metalearn_lib.corpora import Corpus
from metalearn_lib.text.fields import frequent_words
from metalearn_lib.text.statistics import statistics
from metalearn_lib.text.tokens import BEGIN, END, PADDING, UNKNOWN
from metalearn_lib.text.vectors import WordVectors, load_vectors


class Vocabulary:
    """Words and their numbers, most frequent first (a thin face of torchtext's `Vocab`).

    "<unk>" is 0 and stands for every word not in the vocabulary, "<pad>" is 1; `sentence_marks=True` adds
    "<bos>" 2 and "<eos>" 3 for language models.   Chapter: 01

    >>> vocabulary = Vocabulary.build([["a", "rose", "is", "a", "rose"]])
    >>> vocabulary.decode(vocabulary.encode(["a", "daisy"]))
    ['a', '<unk>']
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.itos = list(words)
        # A plain dict: torchtext's is a defaultdict that grows with every unknown word it is asked for.
        self.stoi = {word: number for number, word in enumerate(self.itos)}

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
        counts = Counter(chain.from_iterable(token_lists))
        specials = [UNKNOWN, PADDING, *([BEGIN, END] if sentence_marks else [])]
        words = frequent_words(counts, min_count=min_count, max_size=max_size, specials=specials)
        if len(words) == len(specials):
            raise ValueError(f"Vocabulary: no word occurs {min_count} times; lower min_count or give more text")
        return cls(words)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Words → numbers; an unknown word becomes 0."""
        return [self.stoi.get(token, 0) for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Numbers → words."""
        return [self.itos[i] for i in ids]

    def __len__(self) -> int:
        return len(self.itos)


def common_words(corpus: Corpus, *, size: int, vectors: WordVectors | str = "glove") -> WordVectors:
    """The `size` words that occur in most texts of the corpus, with their rows of a larger table.   Chapter: 08

    A small student carries no 400,000 words around. Words without a vector are left out. Raises ValueError for a size
    below 1 or if no word is known.
    """
    if size < 1:
        raise ValueError(f"common_words(size={size}): must be ≥ 1")
    table = load_vectors(vectors)
    documents = statistics(corpus).document_counts
    kept = [word for word, _ in sorted(documents.items(), key=lambda item: (-item[1], item[0])) if word in table.stoi]
    if not kept:
        raise ValueError(f"common_words: no word of {corpus.name!r} has a vector; use vectors of its language")
    return WordVectors.from_array(kept[:size], table.table[table.encode(kept[:size])].numpy())
