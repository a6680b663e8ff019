"""Prototypical networks (Snell et al., 2017): a class is the mean of its embedded support examples.   Chapter 04"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metalearn_lib.encoders import Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.learners.base import MetaLearner
from metalearn_lib.learners.metric import Distance, pairwise, prototypes


class Prototypical(MetaLearner):
    """Query logits are minus the distance to each class mean (Snell et al., 2017, eq. 1-2).   Chapter: 04

    "squared_euclidean" is the paper's choice; "cosine" comes with a learned scale, since cosines alone (-1 … 1) keep
    the softmax almost flat.
    """

    def __init__(self, encoder: Encoder, *, distance: Distance = "squared_euclidean") -> None:
        super().__init__()
        self.encoder, self.distance = encoder, distance
        self.name = "prototypes"
        self.log_scale = nn.Parameter(torch.tensor(10.0).log()) if distance == "cosine" else None

    def predict(self, episodes: Episodes) -> Tensor:
        support = self.encoder(episodes.support_x, episodes.pool)  # [T, N·K, D]
        centres = prototypes(support, episodes.support_y, episodes.n_way)  # [T, N, D]
        logits = -pairwise(self.encoder(episodes.query_x, episodes.pool), centres, self.distance)  # [T, N·Q, N]
        return logits if self.log_scale is None else logits * self.log_scale.exp()
