"""Which strings are for training and which for the test: by what they say, never by the language alone.   Chapter 11

All languages translate the same English strings. Where only the languages are kept apart, every test string stands
among the training strings of a neighbour, and looking it up there is enough.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

from metalearn_lib.corpora import CorpusError
from metalearn_lib.corpora.translations import Parallel


def split_english(parallel: Parallel, fractions: Sequence[float], *, seed: int = 0) -> list[Parallel]:
    """Parts that share no English string in any language, with about these shares of them.   Chapter: 11

    Each string falls by its own hash with `seed`, whatever else the corpus holds, so that it is in the same part of
    every corpus; strings that differ in case and punctuation alone stay together. Raises CorpusError for fractions that
    do not add up to 1, and for a part that is left empty.
    """
    if not fractions or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise CorpusError(f"split_english({list(fractions)}): give positive fractions that add up to 1")
    edges = list(accumulate(fractions))[:-1]
    chosen: list[list[str]] = [[] for _ in fractions]
    for english in parallel.english:
        place = int(hashlib.sha256(f"{seed} {english_key(english)}".encode()).hexdigest()[:12], 16) / 16**12
        chosen[sum(place >= edge for edge in edges)].append(english)
    parts = [parallel.only(english=strings) for strings in chosen]
    if empty := [number for number, part in enumerate(parts, 1) if not len(part)]:
        raise CorpusError(f"split_english: part {empty[0]} of {parallel.name!r} is empty; give it a larger fraction")
    return [replace(part, name=f"{parallel.name}/part{number}") for number, part in enumerate(parts, 1)]


def split_languages(parallel: Parallel, test: Iterable[str]) -> tuple[Parallel, Parallel]:
    """The other languages, and those of the test: the common mistake, as both hold the same English strings.

    Raises CorpusError for a language that is not there, or where no other is left.   Chapter: 11
    """
    held_out = set(test)
    others = [language for language in parallel.languages if language not in held_out]
    if not others:
        raise CorpusError(f"split_languages of {parallel.name!r}: no language is left for training")
    return parallel.only(others), parallel.only(sorted(held_out))


def leaked(train: Parallel, test: Parallel) -> float:
    """The share of the test's English strings that the training part has too, 0 … 1.

    >>> signs = Parallel("signs", {"es": {"exit": "salida"}, "gl": {"exit": "saída", "open": "aberto"}})
    >>> leaked(*split_languages(signs, ["gl"]))
    0.5
    """
    keys, seen = ({english_key(english) for english in part.english} for part in (test, train))
    return len(keys & seen) / len(keys)


def english_key(text: str) -> str:
    """The form in which two English strings count as the same: letters and digits, lower case.

    >>> english_key("Log in:") == english_key("log in")
    True
    """
    return "".join(filter(str.isalnum, text.casefold())) or text
