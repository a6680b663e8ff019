"""Formats of tests on words: pairs with human scores, and invented words in real contexts.   Chapter 06"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from metalearn_lib.corpora.catalog import CatalogEntry, CorpusError


@dataclass(frozen=True)
class WordPairs:
    """Word pairs with human scores (0 … 10, higher = closer), as three sequences of one length.

    Chapter: 06
    """

    name: str
    words1: Sequence[str]
    words2: Sequence[str]
    scores: Sequence[float]

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Chimera:
    """Contexts of one invented word (tokens, the word itself written `SLOT`), probe words, and their ratings.

    Chapter: 06
    """

    SLOT: ClassVar[str] = "___"

    contexts: Sequence[Sequence[str]]
    probes: Sequence[str]
    ratings: Sequence[float]


def pairs(entry: CatalogEntry, paths: Mapping[str, Path]) -> WordPairs:
    """Lines `word word score`, tab-separated, with # comments, as gensim ships WordSim-353 and SimLex-999."""
    lines = [line for path in paths.values() for line in path.read_text("utf-8").split("\n")]
    rows = [line.split("\t")[:3] for line in lines if line.strip() and not line.startswith("#")]
    words1, words2, scores = zip(*rows, strict=True)
    return WordPairs(entry.name, words1, words2, [float(score) for score in scores])


def chimeras(entry: CatalogEntry, paths: Mapping[str, Path]) -> dict[int, list[Chimera]]:
    """By number of contexts: lines `number, contexts separated by @@, probes, ratings`, tab-separated."""
    found: dict[int, list[Chimera]] = {}
    for path in paths.values():
        for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
            if line.strip():
                chimera = _chimera(line, f"{path.name}, line {number}")
                found.setdefault(len(chimera.contexts), []).append(chimera)
    return found


def _chimera(line: str, place: str) -> Chimera:
    cells = line.split("\t")
    probes, ratings = (cells[2].split(","), cells[3].split(",")) if len(cells) == 4 else ([], [""])
    if len(probes) != len(ratings):
        raise CorpusError(f"{place}: need number, contexts, probes and as many ratings, tab-separated")
    contexts = [context.split() for context in cells[1].split("@@")]
    return Chimera(contexts, [probe.strip() for probe in probes], [float(rating) for rating in ratings])
