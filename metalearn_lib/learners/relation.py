"""Relation networks (Sung et al., 2018): the comparison itself is learned, by a small network on pairs.   Chapter 04"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, one_hot

from metalearn_lib.encoders import Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import check_options
from metalearn_lib.learners.base import MetaLearner
from metalearn_lib.learners.metric import prototypes


class Relation(MetaLearner):
    """A network scores each pair of a class (its mean embedding) and a query; trained by squared error (eq. 1-2).

    Chapter: 04

    Besides the concatenation of the two vectors the network sees their product and their absolute difference: on text,
    with few classes to train on, it does not find these comparisons by itself.
    """

    def __init__(self, encoder: Encoder, *, hidden: int = 64) -> None:
        super().__init__()
        check_options("Relation", hidden=hidden)
        self.encoder = encoder
        self.name = "relation"
        self.network = nn.Sequential(nn.Linear(4 * encoder.dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def predict(self, episodes: Episodes) -> Tensor:
        support = self.encoder(episodes.support_x, episodes.pool)  # [T, N·K, D]
        centres = prototypes(support, episodes.support_y, episodes.n_way)[:, None]  # [T, 1, N, D]
        query = self.encoder(episodes.query_x, episodes.pool)[:, :, None]  # [T, M, 1, D]
        centres, query = torch.broadcast_tensors(centres, query)
        pairs = torch.cat([centres, query, centres * query, (centres - query).abs()], dim=-1)  # [T, M, N, 4·D]
        scores: Tensor = self.network(pairs).squeeze(-1)
        return scores

    def meta_loss(self, episodes: Episodes) -> Tensor:
        """Squared error between the relation score in 0 … 1 and "same class" 1 or 0 (eq. 2)."""
        return mse_loss(self.predict(episodes).sigmoid(), one_hot(episodes.query_y, episodes.n_way).float())
