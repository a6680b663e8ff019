"""Drawing episodes from a corpus, a whole batch at once.   Chapters 01, 03, 04

Examples are kept class by class, so a batch is drawn by arithmetic on positions; an episode depends on
(seed, number) alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import psutil
import torch
from torch import Tensor

from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes.batch import Episodes
from metalearn_lib.episodes.draws import choose, uniforms
from metalearn_lib.errors import check_options


class Sampler(Protocol):
    """Anything that draws numbered episodes."""

    @property
    def key(self) -> tuple[object, ...]: ...

    def sample(self, tasks: int = 1, *, first: int = 0) -> Episodes: ...


class TaskSampler:
    """What all samplers share. `groups` [G] are the positions of examples that belong together (a class, a domain).

    A subclass says which groups form a task (`tasks`), and may replace the class numbers by other targets.
    """

    def __init__(
        self,
        corpus: Corpus,
        groups: dict[str, np.ndarray],
        *,
        n_way: int,
        k_shot: int,
        n_query: int,
        seed: int,
        allow_overlap: bool = False,
    ) -> None:
        who = type(self).__name__
        check_options(who, n_way=n_way, k_shot=k_shot, n_query=n_query, seed=seed)
        needed = max(k_shot, n_query) if allow_overlap else k_shot + n_query
        small = [f"{name} ({len(group)})" for name, group in groups.items() if len(group) < needed]
        if small:
            raise ValueError(
                f"{who}(k_shot={k_shot}, n_query={n_query}): {len(small)} of {len(groups)} classes of {corpus.name!r} "
                f"have fewer than {needed} examples: {', '.join(small[:8])}{' …' if len(small) > 8 else ''}; "
                f"use fewer, or corpus.min_size({needed})"
            )
        self.n_way, self.k_shot, self.n_query, self.seed = map(int, (n_way, k_shot, n_query, seed))
        self.corpus, self.allow_overlap = corpus, allow_overlap
        self.sizes = np.array([len(group) for group in groups.values()])  # [G]
        self._starts = np.cumsum(self.sizes) - self.sizes
        self._members = np.concatenate(list(groups.values()))  # group by group
        self._groups = hashlib.sha256(self.sizes.tobytes() + self._members.tobytes()).hexdigest()[:16]

    @property
    def key(self) -> tuple[object, ...]:
        """Samplers with equal keys draw the same episodes: scores over them may be compared in pairs."""
        settings = (self.n_way, self.k_shot, self.n_query, self.seed, self.allow_overlap)
        return (type(self).__name__, self.corpus.identity, self._groups, *settings)

    def tasks(self, numbers: np.ndarray) -> np.ndarray:
        """Episode numbers [T] → the groups of each task [T, N]."""
        raise NotImplementedError

    def targets(self, positions: Tensor) -> Tensor:
        """Examples of T tasks [T, N·M], class by class → what is to be predicted: the class numbers 0 … N-1."""
        return torch.arange(self.n_way).repeat_interleave(positions.shape[1] // self.n_way).repeat(len(positions), 1)

    def sample(self, tasks: int = 1, *, first: int = 0) -> Episodes:
        """Draw episodes number `first` … `first + tasks - 1`; the same numbers always give the same episodes."""
        k, each = self.k_shot, self.k_shot + self.n_query
        numbers = numbers_of(tasks, first, examples=self.n_way * each)
        groups = self.tasks(numbers)  # [T, N]
        random = uniforms(self.seed, numbers, stream=1, size=groups.shape[1] * each).reshape(*groups.shape, each)
        parts = [random[..., :k], random[..., k:]] if self.allow_overlap else [random]
        drawn = np.concatenate([choose(part, self.sizes[groups]) for part in parts], axis=-1)  # [T, N, K + Q]
        members = torch.from_numpy(self._members[self._starts[groups][..., None] + drawn])
        support, query = members[..., :k].flatten(1), members[..., k:].flatten(1)
        return Episodes(support, self.targets(support), query, self.targets(query), self.n_way, k, self.corpus)


class EpisodeSampler(TaskSampler):
    """Draw N-way K-shot episodes with Q queries a class (Vinyals et al., 2016) from the classes of a corpus.

    Classes are drawn uniformly without replacement, then K + Q different examples of each. Raises ValueError when the
    corpus has fewer than `n_way` classes or a class fewer than K + Q examples. `allow_overlap=True` draws the
    queries without removing the support examples: a mistake to be shown, never to be used.   Chapter: 01

    >>> from metalearn_lib.corpora import Corpus
    >>> letters = Corpus("letters", texts=list("aAbBcC"), labels=["a", "a", "b", "b", "c", "c"])
    >>> EpisodeSampler(letters, n_way=2, k_shot=1, n_query=1, seed=0).sample(3).support_x.shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        n_way: int = 5,
        k_shot: int = 1,
        n_query: int = 15,
        seed: int = 0,
        allow_overlap: bool = False,
    ) -> None:
        groups = positions(corpus.labels)
        check_options("EpisodeSampler", n_way=n_way)
        if n_way < 2 or n_way > len(groups):
            raise ValueError(
                f"EpisodeSampler(n_way={n_way}): {corpus.name!r} has {len(groups)} classes; "
                f"use 2 ≤ n_way ≤ {len(groups)}"
            )
        settings = {"n_way": n_way, "k_shot": k_shot, "n_query": n_query, "seed": seed}
        super().__init__(corpus, groups, allow_overlap=allow_overlap, **settings)

    def on(self, corpus: Corpus, *, seed: int) -> EpisodeSampler:
        """Episodes of the same shape from another corpus."""
        return EpisodeSampler(corpus, n_way=self.n_way, k_shot=self.k_shot, n_query=self.n_query, seed=seed)

    def tasks(self, numbers: np.ndarray) -> np.ndarray:
        random = uniforms(self.seed, numbers, stream=0, size=self.n_way)
        return choose(random, np.full(len(numbers), len(self.sizes)))


def positions(keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Where each key occurs, keys sorted.

    >>> positions(["b", "a", "b"])["b"].tolist()
    [0, 2]
    """
    names, codes = np.unique(np.array(keys, dtype=object), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    return dict(zip(names.tolist(), np.split(order, np.cumsum(np.bincount(codes))[:-1]), strict=True))


def numbers_of(tasks: int, first: int, *, examples: int) -> np.ndarray:
    """The numbers [T] of the episodes asked for, of so many examples each; raises ValueError if memory is too small."""
    check_options("sample", tasks=tasks)
    check_options("sample", least=0, first=first)
    tasks, first = int(tasks), int(first)
    needed = 48 * tasks * examples  # bytes: uniforms, places drawn, positions and targets, some of them twice
    if needed > 2**28 and needed > (free := psutil.virtual_memory().available):
        raise ValueError(
            f"sample(tasks={tasks}): {tasks:,} tasks of {examples} examples need about {needed / 1e9:,.0f} GB, "
            f"{free / 1e9:.0f} GB are free; draw them in batches: sample(50, first=0), sample(50, first=50), …"
        )
    return np.arange(first, first + tasks)
