"""Reptile (Nichol et al., 2018): move the starting point to where ordinary training on each task ends.   Chapter 03"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from metalearn_lib.episodes import Episodes
from metalearn_lib.inner_loop import Tasks
from metalearn_lib.learners.maml import GradientLearner


class Reptile(GradientLearner):
    """θ ← θ + ε (φ − θ), where φ are the weights after `inner_steps` steps on a task (algorithm 2).   Chapter: 03

    As a loss to minimise: half the squared distance |θ − φ|² to the adapted weights, held fixed. It needs no split of a
    task: while training, support and query examples are learned from alike; with `use_queries=False` the support alone.
    """

    def __init__(self, model: nn.Module, *, use_queries: bool = True, **settings: Any) -> None:
        super().__init__(model, **settings)
        self.name, self.use_queries = "Reptile", use_queries

    def meta_loss(self, episodes: Episodes) -> Tensor:
        """Half the squared distance from the initial to the adapted weights, the mean of which moves the start."""
        tasks = self.tasks(episodes)
        if self.use_queries:
            tasks = _joined(tasks)
        _, moved = self.inner.displacement(tasks, self.rates())
        parameters = self.inner.network.initial()
        distance = torch.stack([step.square().sum() for step in moved.values()]).sum() / 2
        return self.handed_over(distance, list(parameters.values()), list(moved.values()))


def _joined(tasks: Tasks) -> Tasks:
    """All examples of a task as its support set; texts of different length are padded with 0, the padding of words."""
    support, query = tasks.support_x, tasks.query_x
    if support.dim() == 3 and not support.is_floating_point() and support.shape[2] != query.shape[2]:
        longest = max(support.shape[2], query.shape[2])
        support, query = (nn.functional.pad(x, (0, longest - x.shape[2])) for x in (support, query))
    x, y = torch.cat([support, query], 1), torch.cat([tasks.support_y, tasks.query_y], 1)
    return Tasks(x, y, query[:, :0], tasks.query_y[:, :0])
