"""Ridge regression head (Bertinetto et al., 2019): a linear classifier solved in closed form in each task.

Chapter 04
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from metalearn_lib.encoders import Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.learners.base import MetaLearner


def ridge_weights(support: Tensor, targets: Tensor, penalty: Tensor) -> Tensor:
    """W = Xᵀ (X Xᵀ + λ I)⁻¹ Y: support [T, M, D], targets [T, M, N] → weights [T, D, N].   Chapter: 04

    Bertinetto et al. (2019), eq. 6: the dual form inverts M × M (M support examples), not D × D.
    """
    gram = support @ support.transpose(1, 2)  # [T, M, M]
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return support.transpose(1, 2) @ torch.linalg.solve(gram + penalty * eye, targets)


class Ridge(MetaLearner):
    """Solve ridge regression on the support set, apply it to the queries; λ, scale and offset are meta-learned.

    Chapter: 04
    """

    def __init__(self, encoder: Encoder, *, penalty: float = 1.0) -> None:
        super().__init__()
        if penalty <= 0:
            raise ValueError(f"Ridge(penalty={penalty}): must be > 0, or the system has no unique solution")
        self.encoder = encoder
        self.name = "ridge"
        self.log_penalty = nn.Parameter(torch.tensor(float(penalty)).log())
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())
        self.offset = nn.Parameter(torch.zeros(()))

    def predict(self, episodes: Episodes) -> Tensor:
        support = self.encoder(episodes.support_x, episodes.pool)  # [T, N·K, D]
        query = self.encoder(episodes.query_x, episodes.pool)  # [T, N·Q, D]
        return self.solve(support, query, episodes)

    def solve(self, support: Tensor, query: Tensor, episodes: Episodes) -> Tensor:
        """Support [T, N·K, D] and query [T, N·Q, D] vectors → logits [T, N·Q, N]."""
        targets = one_hot(episodes.support_y, episodes.n_way).to(support.dtype)
        weights = ridge_weights(support, targets, self.log_penalty.exp())  # [T, D, N]
        return self.log_scale.exp() * (query @ weights) + self.offset
