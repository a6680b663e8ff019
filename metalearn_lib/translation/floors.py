"""Translators that learn nothing across languages, which every trained one has to beat.   Chapter 11

A `Translator` has a name and turns texts into texts; `score` measures each with chrF on the same pairs.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Protocol

from metalearn_lib.corpora.translations import Pair
from metalearn_lib.errors import check_options
from metalearn_lib.fingerprint import digest
from metalearn_lib.scores import Score
from metalearn_lib.translation.chrf import chrf

WORD = re.compile(r"\w+(?:['’·-]\w+)*")


class Translator(Protocol):
    """What can be scored: texts in, as many translations out."""

    name: str

    def translate(self, texts: Sequence[str]) -> list[str]: ...


def score(translator: Translator, pairs: Sequence[Pair]) -> Score:
    """chrF of each text, their mean and its 95 % interval over the texts; two translators are compared in pairs.

    Raises ValueError for fewer than two pairs, and where the translator loses a text.   Chapter: 11
    """
    translations = translator.translate([pair.source for pair in pairs])
    if len(translations) != len(pairs):
        raise ValueError(f"score: {translator.name} gave {len(translations)} translations of {len(pairs)} texts")
    values = [chrf(translation, pair.target) for translation, pair in zip(translations, pairs, strict=True)]
    key = ("chrF", digest([[pair.source, pair.target] for pair in pairs])[:16])
    return Score.of(values, name=translator.name, key=key, over="texts")


class Copy:
    """The source text as it is: between relatives a strong floor.   Chapter: 11"""

    name = "copy"

    def translate(self, texts: Sequence[str]) -> list[str]:
        return list(texts)


class WordTable:
    """Word by word: what most often stands in a word's place in the pairs; an unknown word is copied.   Chapter: 11

    Words are aligned by position, in pairs that have as many on both sides; what stands between them is copied from the
    source. `least`: how often a word must have been seen to count as known. Raises ValueError without pairs.

    >>> WordTable([Pair("", "o gato negro", "el gato negro")]).translate(["o gato, branco"])
    ['el gato, branco']
    """

    def __init__(self, pairs: Sequence[Pair], *, least: int = 1) -> None:
        check_options("WordTable", least_seen=least)
        self.name = f"word table of {_number(pairs, 'WordTable')} pairs"
        votes: dict[str, Counter[str]] = defaultdict(Counter)
        for pair in pairs:
            source, target = WORD.findall(pair.source), WORD.findall(pair.target)
            if len(source) == len(target):
                for word, translation in zip(source, target, strict=True):
                    votes[word][translation] += 1
        self.words = {word: seen.most_common(1)[0][0] for word, seen in votes.items() if seen.total() >= least}

    def translate(self, texts: Sequence[str]) -> list[str]:
        return [WORD.sub(lambda word: self.words.get(word[0], word[0]), text) for text in texts]


class TranslationMemory:
    """What the pair with the most similar source says: cosine of tf-idf vectors of character n-grams.   Chapter: 11

    With pairs of the same languages it is a translation memory; with those of other languages into the same target it
    looks the text up in its neighbours. A text without a known n-gram is copied. Raises ValueError without pairs.

    >>> TranslationMemory([Pair("", "gato negro", "black cat"), Pair("", "porta", "door")]).translate(["gatos negros"])
    ['black cat']
    """

    def __init__(self, pairs: Sequence[Pair], *, orders: tuple[int, int] = (2, 4), name: str | None = None) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.name = name or f"memory of {_number(pairs, 'TranslationMemory')} pairs"
        self._vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=orders, sublinear_tf=True)
        self._sources = self._vectorizer.fit_transform([pair.source for pair in pairs])
        self._targets = [pair.target for pair in pairs]

    def translate(self, texts: Sequence[str]) -> list[str]:
        found = []
        for start in range(0, len(texts), 256):  # no more than 256 rows of similarities at a time
            part = texts[start : start + 256]
            similar = (self._vectorizer.transform(part) @ self._sources.T).toarray()
            best = zip(part, similar.argmax(1), similar.max(1), strict=True)
            found += [self._targets[place] if value > 0 else text for text, place, value in best]
        return found


def _number(pairs: Sequence[Pair], who: str) -> str:
    if not pairs:
        raise ValueError(f"{who}: there are no pairs to look anything up in; give one at least")
    return f"{len(pairs):,}"
