"""Episodes of several shots in turn, so that a learner does not rely on one number.   Chapter 12"""

from __future__ import annotations

from collections.abc import Sequence

from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes import Episodes, EpisodeSampler


class AnyShots:
    """Episodes with 1, 2, … 5 support examples in turn, `block` episodes of each; classes at most those of the corpus.

    Episode number i is the same in whatever batch it is drawn. All episodes of a batch have equal shots, so `sample`
    raises ValueError for a batch that does not lie within one block.

    >>> corpus = Corpus("toy", list("abcdef"), ["x", "x", "x", "y", "y", "y"])
    >>> sampler = AnyShots(corpus, shots=(1, 2), block=4, n_way=2, n_query=1, seed=0)
    >>> [sampler.sample(2, first=first).k_shot for first in (0, 2, 4, 8)]
    [1, 1, 2, 1]
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        block: int,
        n_way: int,
        n_query: int,
        seed: int,
        shots: Sequence[int] = (1, 2, 3, 4, 5),
    ) -> None:
        if block < 1 or not shots:
            raise ValueError(f"AnyShots(block={block}, shots={shots}): need block ≥ 1 and a number of shots")
        n_way = min(n_way, len(corpus.classes))
        self.block = block
        self.samplers = [EpisodeSampler(corpus, n_way=n_way, k_shot=k, n_query=n_query, seed=seed) for k in shots]

    @property
    def key(self) -> tuple[object, ...]:
        return ("AnyShots", self.block, *(sampler.key for sampler in self.samplers))

    def sample(self, tasks: int = 1, *, first: int = 0) -> Episodes:
        """Episodes number `first` … `first + tasks - 1`."""
        number, place = divmod(first, self.block)
        if place + tasks > self.block:
            raise ValueError(
                f"AnyShots.sample(tasks={tasks}, first={first}): episodes {first} … {first + tasks - 1} have different "
                f"shots, which change every {self.block} episodes; draw batches that divide {self.block}"
            )
        return self.samplers[number % len(self.samplers)].sample(tasks, first=first)
