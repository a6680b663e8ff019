"""A common mistake, a "meta-network" that only looks up a task id, and the test that catches it.   Chapter 05"""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.learners import Learner
from metalearn_lib.meta_networks.base import MetaNetwork, Written
from metalearn_lib.modules import evaluating


class TaskIdNetwork(MetaNetwork):
    """Writes the last layer from the *names* of a task's classes: the mistake, to be shown, never to be used.

    A class of `known` has a vector that training moves; a task with other classes is a new id, so these get vectors of
    known classes, others in each task. Training goes well, and nothing is read from the support set.   Chapter: 05
    """

    def __init__(self, encoder: Encoder, known: Corpus, *, hidden: int = 64) -> None:
        super().__init__()
        self.encoder, self.name = encoder, "task id"
        self.numbers = {label: number for number, label in enumerate(known.classes)}
        self.ids = nn.Embedding(len(self.numbers), hidden)
        self.tail = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, encoder.dim))
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())

    def written(self, episodes: Episodes) -> Written:
        if episodes.pool is None:
            raise ValueError("TaskIdNetwork needs the names of classes: these episodes were made from tensors")
        first = episodes.query_x[:, :: episodes.n_query].tolist()  # names come from outside, not from the support set
        names = [[episodes.pool.labels[i] for i in task] for task in first]
        ids = torch.tensor([[self._number(name, task) for name in task] for task in names], device=self.device)
        return {"classes": self.tail(self.ids(ids))}

    def _number(self, name: str, task: list[str]) -> int:
        return self.numbers.get(name, crc32(" ".join([name, *sorted(task)]).encode()) % len(self.numbers))

    def classify(self, written: Written, x: Tensor, pool: Corpus | None) -> Tensor:
        vectors = normalize(self.encoder(x, pool), dim=-1)
        return self.log_scale.exp() * vectors @ normalize(written["classes"], dim=-1).transpose(1, 2)


def swap_test(learner: Learner, episodes: Episodes) -> float:
    """The share of queries whose logits change when each task gets the support set of the next one.   Chapter: 05

    1 for a learner that reads its support set, 0 for one that does not. Raises ValueError for a single task, and for
    neighbouring tasks with the same support texts, where nothing need change.
    """
    if len(episodes) < 2:
        raise ValueError("swap_test: one task has no other whose support set it could get; give two or more")
    x, y = (part.roll(1, dims=0) for part in (episodes.support_x, episodes.support_y))
    same = (x.flatten(1) == episodes.support_x.flatten(1)).all(1)
    if bool(same.any()):
        raise ValueError(
            f"swap_test: task {int(same.nonzero()[0])} has the support texts of the one before; give other tasks"
        )
    with evaluating(learner):
        before, after = learner.predict(episodes), learner.predict(replace(episodes, support_x=x, support_y=y))
    return float((before - after).abs().amax(-1).gt(1e-6).double().mean())
