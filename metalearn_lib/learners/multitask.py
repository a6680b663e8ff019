"""Multi-task pre-training and fine-tuning: the honest baseline of gradient-based meta-learning.   Chapter 03

One model is trained on all tasks at once, as if there were one task; only then is it fine-tuned to the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metalearn_lib.episodes import Episodes
from metalearn_lib.inner_loop import task_losses
from metalearn_lib.learners.maml import GradientLearner

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus


class MultiTask(GradientLearner):
    """Train on the examples of all tasks jointly, then fine-tune by gradient descent on the support set.   Chapter: 03

    Without `classes` the targets of different tasks mean the same (a rating, positive or negative): one head learns
    them all, and fine-tuning starts from it. With `classes`, the names of all training classes, one output for each of
    them is trained on top of the shared layers; a new task starts with these layers and a last layer of zeros.
    `test_steps=0` uses the joint model as it is. Raises ValueError for a class that is not among `classes`.
    """

    def __init__(self, model: nn.Module, *, classes: Sequence[str] | None = None, **settings: Any) -> None:
        super().__init__(model, **settings)
        self.name = "joint training"
        self.classes = list(classes) if classes is not None else None
        self._numbers: WeakKeyDictionary[Corpus, Tensor] = WeakKeyDictionary()
        if self.classes is not None:
            prefix, head = self.inner.network.top[-1]
            if not isinstance(head, nn.Linear) or head.bias is None:
                raise ValueError(f"MultiTask(classes=…): {type(model).__name__} must end in a Linear layer with a bias")
            self.prefix, self.joint = prefix, nn.Linear(head.in_features, len(self.classes))
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def meta_loss(self, episodes: Episodes) -> Tensor:
        """Mean loss of the un-adapted model over all support and query examples, without regard to tasks."""
        tasks = self.tasks(episodes)
        weights: dict[str, Tensor] = {}
        targets = [tasks.support_y, tasks.query_y]
        if self.classes is not None:
            weights = {f"{self.prefix}{name}": p for name, p in self.joint.named_parameters()}
            numbers = self._classes_of(episodes)
            targets = [numbers[x] for x in (episodes.support_x, episodes.query_x)]
        losses = [
            task_losses(functional_call(self.model, weights, (x.flatten(0, 1),)), y.flatten())
            for x, y in zip((tasks.support_x, tasks.query_x), targets, strict=True)
        ]
        share = tasks.support_y.shape[1] / (tasks.support_y.shape[1] + tasks.query_y.shape[1])
        return share * losses[0] + (1 - share) * losses[1]

    def _classes_of(self, episodes: Episodes) -> Tensor:
        """The place in `classes` of every example of the episodes' corpus [n]."""
        pool = episodes.pool
        if pool is None or self.classes is None:
            raise ValueError(
                "MultiTask(classes=…) needs episodes with class names, drawn from a corpus, not from tensors"
            )
        if pool not in self._numbers:
            places = {name: i for i, name in enumerate(self.classes)}
            if unknown := sorted(set(pool.labels) - set(places)):
                raise ValueError(f"MultiTask: {pool.name!r} has classes that were not given: {', '.join(unknown[:5])}; "
                                 "pass classes=train.classes")  # fmt: skip
            self._numbers[pool] = torch.tensor([places[label] for label in pool.labels])
        return self._numbers[pool].to(self.device)
