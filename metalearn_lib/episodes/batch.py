"""A batch of small tasks, each with a support set to learn from and a query set to be tested on.   Chapters 01, 03"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metalearn_lib.corpora import Corpus


@dataclass(frozen=True, eq=False)
class Episodes:
    """A batch of T tasks, each with N classes, K support and Q query examples a class (class-major order).

    support_x [T, N·K] and query_x [T, N·Q] are positions in `pool`, or, where `pool` is None, the inputs themselves
    [T, ·, …]. support_y and query_y [T, ·] are classes 0 … N-1 (or, in a regression, real numbers; then N is 1).
    """

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor
    n_way: int
    k_shot: int
    pool: Corpus | None = None

    def __len__(self) -> int:
        return len(self.support_x)

    @property
    def n_query(self) -> int:
        return self.query_y.shape[1] // self.n_way

    @property
    def classes(self) -> list[list[str]]:
        """Names of the N classes of each task."""
        first = self.support_x[:, :: self.k_shot].tolist()
        return [[self._pool.labels[i] for i in task] for task in first]

    def support_texts(self, task: int = 0) -> list[str]:
        """The N·K support texts of one task."""
        return [self._pool.texts[i] for i in self.support_x[task].tolist()]

    def query_texts(self, task: int = 0) -> list[str]:
        """The N·Q query texts of one task."""
        return [self._pool.texts[i] for i in self.query_x[task].tolist()]

    def to(self, device: torch.device) -> Episodes:
        """The same episodes on another device."""
        moved = {k: getattr(self, k).to(device) for k in ("support_x", "support_y", "query_x", "query_y")}
        return replace(self, **moved)

    @property
    def _pool(self) -> Corpus:
        if self.pool is None:
            raise ValueError("these episodes were made from tensors, not from a corpus: they have no texts or names")
        return self.pool
