"""The corpora of the grid: how each is split, and which views of its texts are taken.   Chapter 12"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from metalearn_lib import corpora
from metalearn_lib.corpora import Corpus


@dataclass(frozen=True)
class Setting:
    """How a corpus is split and which views of its texts are taken; chosen without any test class."""

    splits: tuple[str, ...]
    about: str
    max_length: int
    glove: Literal["sif", "idf"] = "sif"
    shrink: float = 0.3
    glove_map: bool = False  # meta-train a linear map of the whitened GloVe vectors for the blends
    idf_power: float = 1.0
    windows: int = 1  # pieces of 128 tokens that MiniLM reads of a text
    intents: bool = True  # short sentences with many training classes: a CNN and a linear map of MiniLM can be trained
    folds: tuple[str, ...] = ()  # beginnings of class names: each group alone stands in for the training classes

    def parts(self, name: str, split: str) -> tuple[Corpus, Corpus, Corpus]:
        """Train, valid and test corpora; raises CorpusError where the corpus cannot be had."""
        corpus = corpora.load(name)
        if self.intents:
            return corpus.split_classes(split)
        corpus = corpus.at_most(150, seed=0)
        return corpus.split_classes(split) if corpus.published else corpus.split_classes(seed=int(split))


_FIVE = ("01", "02", "03", "04", "05")
SETTINGS = {
    "clinc150": Setting(splits=_FIVE, about="5 published splits", max_length=20),
    "banking77": Setting(splits=_FIVE, about="5 published splits", max_length=30),
    "newsgroups": Setting(
        splits=("bao",),
        about="Bao's split, ≤ 150 texts a class",
        max_length=120,
        glove="idf",
        shrink=0.5,
        idf_power=2.0,
        windows=4,
        intents=False,
        folds=("rec.", "sci.", "comp."),
    ),
    "news46": Setting(
        splits=("0", "1", "2"),
        about="3 seeded splits, ≤ 150 texts a class",
        max_length=120,
        glove="idf",
        glove_map=True,
        idf_power=1.5,
        intents=False,
    ),
}
