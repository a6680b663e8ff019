"""The corpora of the benchmark: how each is split, and which views of its texts are taken.   Chapter 04"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from metalearn_lib import corpora
from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes import Episodes, EpisodeSampler


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


class AnyShots:
    """Episodes with 1, 2, … 5 support examples in turn: a learner should not rely on one number.

    >>> corpus = Corpus("toy", list("abcdef"), ["x", "x", "x", "y", "y", "y"])
    >>> sampler = AnyShots(corpus, shots=(1, 2), n_way=2, n_query=1, seed=0)
    >>> [sampler.sample(4, first=first).k_shot for first in (0, 4, 8)]
    [1, 2, 1]
    """

    def __init__(
        self, corpus: Corpus, *, n_way: int, n_query: int, seed: int, shots: Sequence[int] = (1, 2, 3, 4, 5)
    ) -> None:
        n_way = min(n_way, len(corpus.classes))
        self.samplers = [EpisodeSampler(corpus, n_way=n_way, k_shot=k, n_query=n_query, seed=seed) for k in shots]

    @property
    def key(self) -> tuple[object, ...]:
        return ("AnyShots", *(sampler.key for sampler in self.samplers))

    def sample(self, tasks: int = 1, *, first: int = 0) -> Episodes:
        return self.samplers[first // tasks % len(self.samplers)].sample(tasks, first=first)
