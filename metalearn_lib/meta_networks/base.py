"""What every meta-network is: it reads a support set, writes the weights of a classifier, and that one answers.

Training weighs two losses: α × that of the support examples under the written weights (the task loss), and β × that of
the queries (the meta loss).   Chapter 05
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor, isfinite
from torch.nn.functional import cross_entropy, one_hot

from metalearn_lib.encoders import Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.learners import MetaLearner

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus

Written = dict[str, Tensor]  # weights by name, each [T, …]: one set of them for each task


class MetaNetwork(MetaLearner):
    """Writes the weights of a classifier for each task in one forward pass.   Chapter: 05

    A subclass says what it writes (`written`) and how written weights classify texts (`classify`). The loss is
    α L_task + β L_meta, with α = `task_weight` and β = `meta_weight`; at α = 1, β = 0 the writer only learns to fit
    support sets. Any number of ways and shots may follow; the order of the support set does not matter. Raises
    ValueError for weights that are negative, not finite, or both 0.

    >>> MetaNetwork(task_weight=0, meta_weight=0)
    Traceback (most recent call last):
    ValueError: MetaNetwork(task_weight=0, meta_weight=0): both must be finite and ≥ 0, one of them > 0, or nothing is
    learned
    """

    def __init__(self, *, task_weight: float = 0.0, meta_weight: float = 1.0) -> None:
        super().__init__()
        pair = (task_weight, meta_weight)
        if not all(0 <= weight < math.inf for weight in pair) or not any(pair):
            raise ValueError(
                f"{type(self).__name__}(task_weight={task_weight!r}, meta_weight={meta_weight!r}): both must be finite "
                "and ≥ 0, one of them > 0, or nothing is learned"
            )
        self.task_weight, self.meta_weight = map(float, pair)

    def written(self, episodes: Episodes) -> Written:
        """The weights of T classifiers, read from the support sets alone."""
        raise NotImplementedError

    def classify(self, written: Written, x: Tensor, pool: Corpus | None) -> Tensor:
        """Texts x [T, M] (positions in `pool`, or the inputs themselves) → logits [T, M, N] under written weights."""
        raise NotImplementedError

    def predict(self, episodes: Episodes) -> Tensor:
        return self.classify(self.written(episodes), episodes.query_x, episodes.pool)

    def meta_loss(self, episodes: Episodes) -> Tensor:
        """α × cross-entropy of the support set + β × cross-entropy of the queries, under the written weights."""
        written = self.written(episodes)
        loss = episodes.support_x.new_zeros((), dtype=next(self.parameters()).dtype)
        for weight, x, y in (
            (self.task_weight, episodes.support_x, episodes.support_y),
            (self.meta_weight, episodes.query_x, episodes.query_y),
        ):
            if weight:
                logits = self.classify(written, x, episodes.pool)
                loss = loss + weight * cross_entropy(logits.flatten(0, 1), y.flatten())
        return loss


class VectorWriter(MetaNetwork):
    """A meta-network over any encoder: reads support vectors, writes weights for query vectors.   Chapter: 05

    A subclass writes from support vectors [T, N·K, D] and their members [T, N·K, N] (one-hot labels), and turns query
    vectors [T, M, D] to logits. `losses` are α and β, the `task_weight` and `meta_weight` of `MetaNetwork`. Raises
    ValueError for a class without support example, labels beyond the ways, written weights that are not finite, and
    weights of another number of tasks.
    """

    def __init__(self, encoder: Encoder, **losses: float) -> None:
        super().__init__(**losses)
        self.encoder = encoder

    def write(self, support: Tensor, members: Tensor) -> Written:
        """Support vectors [T, N·K, D] and members [T, N·K, N] → weights."""
        raise NotImplementedError

    def logits(self, written: Written, x: Tensor) -> Tensor:
        """Vectors x [T, M, D] → logits [T, M, N]."""
        raise NotImplementedError

    def written(self, episodes: Episodes) -> Written:
        support = self.encoder(episodes.support_x, episodes.pool)
        members = members_of(episodes, self.name).to(support.dtype)
        return finite(self.write(support, members), self.name)

    def classify(self, written: Written, x: Tensor, pool: Corpus | None) -> Tensor:
        tasks = {len(weights) for weights in written.values()}
        if tasks != {len(x)}:
            raise ValueError(f"{self.name}: weights written for {max(tasks)} tasks cannot serve {len(x)}; write anew")
        return self.logits(written, self.encoder(x, pool))


def members_of(episodes: Episodes, who: str) -> Tensor:
    """One-hot support labels [T, N·K, N]; raises ValueError for a class without example or a label beyond the ways."""
    labels, n_way = episodes.support_y, episodes.n_way
    if labels.min() < 0 or labels.max() >= n_way:
        raise ValueError(f"{who}: label {int(labels.max())} in a task of {n_way} ways; labels go from 0 to {n_way - 1}")
    members = one_hot(labels, n_way)
    if not bool(members.any(1).all()):
        raise ValueError(f"{who}: a class of the {n_way} has no support example; each needs at least one")
    return members


def means(vectors: Tensor, members: Tensor) -> Tensor:
    """Class means [T, N, D] of vectors [T, M, D] with members [T, M, N]."""
    return members.transpose(1, 2) @ vectors / members.sum(1)[..., None]


def finite(written: Written, who: str) -> Written:
    """The same weights; raises ValueError where one is NaN or infinite."""
    for name, weights in written.items():
        if not bool(isfinite(weights).all()):
            raise ValueError(f"{who}: the written weights {name!r} hold NaN or infinity; lower lr, or check the inputs")
    return written
