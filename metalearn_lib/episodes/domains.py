"""Tasks whose targets keep their meaning: a domain (a movie) = a task; sinusoids for meta-regression.   Chapter 03"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes.batch import Episodes
from metalearn_lib.episodes.draws import choose, uniforms
from metalearn_lib.episodes.sampling import TaskSampler, numbers_of, positions
from metalearn_lib.errors import check_options


class _OneDomainATask(TaskSampler):
    """Draws a domain for each episode; its groups lie side by side."""

    def tasks(self, numbers: np.ndarray) -> np.ndarray:
        domains = np.full(len(numbers), len(self.sizes) // self.n_way)
        chosen = choose(uniforms(self.seed, numbers, stream=0, size=1), domains)  # [T, 1]
        return chosen * self.n_way + np.arange(self.n_way)


class DomainSampler(_OneDomainATask):
    """Draw binary (or other) tasks from one domain each, with K + Q different examples of every label.   Chapter: 03

    Every task has all labels of the corpus as its classes, in sorted order (negative 0, positive 1). Raises ValueError
    when domains have too few examples of a label, unless `skip_small=True` leaves those out.
    """

    def __init__(
        self, corpus: Corpus, *, k_shot: int = 5, n_query: int = 5, seed: int = 0, skip_small: bool = False
    ) -> None:
        check_options("DomainSampler", k_shot=k_shot, n_query=n_query)
        domains, labels = _domains(corpus), corpus.classes
        if len(labels) < 2:
            raise ValueError(f"DomainSampler: {corpus.name!r} has one label, {labels}; a task needs two")
        groups = positions([f"{domain}, {label}" for domain, label in zip(domains, corpus.labels, strict=True)])
        sizes = {d: min(len(groups.get(f"{d}, {y}", ())) for y in labels) for d in sorted(set(domains))}
        small = [f"{domain} ({size})" for domain, size in sizes.items() if size < k_shot + n_query]
        if len(small) == len(sizes) or (small and not skip_small):
            raise ValueError(
                f"DomainSampler(k_shot={k_shot}, n_query={n_query}): {len(small)} of {len(sizes)} domains of "
                f"{corpus.name!r} have fewer than {k_shot + n_query} examples of each label: {', '.join(small[:5])} …; "
                "use fewer, or skip_small=True"
            )
        self.domains = [domain for domain, size in sizes.items() if size >= k_shot + n_query]
        chosen = {key: groups[key] for key in (f"{d}, {y}" for d in self.domains for y in labels)}
        super().__init__(corpus, chosen, n_way=len(labels), k_shot=k_shot, n_query=n_query, seed=seed)


class RegressionSampler(_OneDomainATask):
    """Draw regression tasks from one domain each; the target of a text is its human rating, float [T, K].

    Chapter: 03
    """

    def __init__(self, corpus: Corpus, *, k_shot: int = 10, n_query: int = 10, seed: int = 0) -> None:
        if corpus.ratings is None:
            raise ValueError(
                f"RegressionSampler: {corpus.name!r} has no ratings; use one that has, such as 'sentiment_domains'"
            )
        self._ratings = torch.tensor(list(corpus.ratings), dtype=torch.float32)
        groups = positions(_domains(corpus))
        self.domains = list(groups)
        super().__init__(corpus, groups, n_way=1, k_shot=k_shot, n_query=n_query, seed=seed)

    def targets(self, positions: Tensor) -> Tensor:
        return self._ratings[positions]


class SinusoidSampler:
    """Draw meta-regression tasks y = a sin(x + b), 0.1 ≤ a ≤ 5, 0 ≤ b ≤ π, −5 ≤ x ≤ 5 (Finn et al., 2017, section 5.1).

    Inputs are tensors [T, K, 1], targets [T, K]. `waves(tasks)` gives the amplitudes and phases behind the same
    tasks.   Chapter: 03

    >>> SinusoidSampler(k_shot=10).sample(4).support_x.shape
    torch.Size([4, 10, 1])
    """

    def __init__(self, *, k_shot: int = 10, n_query: int = 10, seed: int = 0) -> None:
        check_options("SinusoidSampler", k_shot=k_shot, n_query=n_query, seed=seed)
        self.k_shot, self.n_query, self.seed = map(int, (k_shot, n_query, seed))

    @property
    def key(self) -> tuple[object, ...]:
        return (type(self).__name__, self.k_shot, self.n_query, self.seed)

    def waves(self, tasks: int = 1, *, first: int = 0) -> tuple[Tensor, Tensor]:
        """Amplitudes [T, 1] and phases [T, 1] of tasks number `first` …"""
        numbers = numbers_of(tasks, first, examples=self.k_shot + self.n_query)
        drawn = torch.from_numpy(uniforms(self.seed, numbers, stream=0, size=2)).float()
        return 0.1 + 4.9 * drawn[:, :1], torch.pi * drawn[:, 1:]

    def sample(self, tasks: int = 1, *, first: int = 0) -> Episodes:
        """Tasks number `first` … `first + tasks - 1`; the same numbers always give the same tasks."""
        amplitude, phase = self.waves(tasks, first=first)
        k, size = self.k_shot, self.k_shot + self.n_query
        numbers = numbers_of(tasks, first, examples=size)
        x = 10 * torch.from_numpy(uniforms(self.seed, numbers, stream=1, size=size)).float() - 5
        y = amplitude * torch.sin(x + phase)
        return Episodes(x[:, :k, None], y[:, :k], x[:, k:, None], y[:, k:], 1, k)


def _domains(corpus: Corpus) -> list[str]:
    if corpus.domains is None:
        raise ValueError(f"{corpus.name!r} has no domains; use a corpus with domains, such as 'movie_sentiment'")
    return list(corpus.domains)
