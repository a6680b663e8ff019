"""The two operations that metric learners share: class means and pairwise closeness.   Chapter 04"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import normalize, one_hot

Distance = Literal["squared_euclidean", "cosine"]


def prototypes(embeddings: Tensor, labels: Tensor, n_way: int) -> Tensor:
    """Class means: support embeddings [T, N·K, D] and labels [T, N·K] → centres [T, N, D].   Chapter: 04

    Snell et al. (2017), eq. 1. Raises ValueError if a class has no support example.

    >>> import torch
    >>> prototypes(torch.tensor([[[0.0], [2.0], [5.0], [7.0]]]), torch.tensor([[0, 0, 1, 1]]), n_way=2)
    tensor([[[1.],
             [6.]]])
    """
    members = one_hot(labels, n_way).to(embeddings.dtype)  # [T, N·K, N]
    counts = members.sum(1)  # [T, N]
    if not bool((counts > 0).all()):
        raise ValueError(f"prototypes: a class of the {n_way} has no support example; each needs at least one")
    return members.transpose(1, 2) @ embeddings / counts[..., None]


def pairwise(queries: Tensor, centres: Tensor, distance: Distance = "squared_euclidean") -> Tensor:
    """Distances between queries [T, M, D] and centres [T, N, D] → [T, M, N]; cosine distance is 1 - cosine.

    Chapter: 04
    """
    if distance == "cosine":
        return 1 - normalize(queries, dim=-1) @ normalize(centres, dim=-1).transpose(1, 2)
    if distance != "squared_euclidean":
        raise ValueError(f"distance {distance!r}: use 'squared_euclidean' or 'cosine'")
    # |q - c|² = |q|² - 2 q·c + |c|²: one matrix product instead of T·M·N·D differences.
    squares = queries.square().sum(-1)[..., None] + centres.square().sum(-1)[:, None]
    return (squares - 2 * queries @ centres.transpose(1, 2)).clamp(min=0)
