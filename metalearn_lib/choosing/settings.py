"""How each corpus of the grid is split; chosen without any test class.   Chapter 12"""

from __future__ import annotations

from dataclasses import dataclass

from metalearn_lib import corpora
from metalearn_lib.corpora import Corpus


@dataclass(frozen=True)
class Setting:
    """The splits of a corpus, how many texts a class has at most, and how much of a text a Transformer reads."""

    splits: tuple[str, ...]
    about: str
    at_most: int | None = None
    windows: int = 1  # pieces of 128 tokens

    def parts(self, name: str, split: str) -> tuple[Corpus, Corpus, Corpus]:
        """Train, valid and test corpora; raises CorpusError where the corpus cannot be had."""
        corpus = corpora.load(name)
        if self.at_most is not None:
            corpus = corpus.at_most(self.at_most, seed=0)
        return corpus.split_classes(split) if corpus.published else corpus.split_classes(seed=int(split))


_FIVE = Setting(splits=("01", "02", "03", "04", "05"), about="5 published splits")
SETTINGS = {
    "clinc150": _FIVE,
    "banking77": _FIVE,
    "hwu64": _FIVE,
    "liu": _FIVE,
    "newsgroups": Setting(splits=("bao",), about="Bao's split, ≤ 150 texts a class", at_most=150, windows=4),
    "news46": Setting(splits=("0", "1", "2"), about="3 seeded splits, ≤ 150 texts a class", at_most=150),
}
