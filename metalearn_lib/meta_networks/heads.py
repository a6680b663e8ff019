"""Heads: a support set → a code for each class. What comes out does not depend on the order of what goes in.

Chapter 05
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from metalearn_lib.errors import check_options
from metalearn_lib.meta_networks.base import means


class Head(nn.Module):
    """Encodes a task: unit support vectors [T, N·K, D] and members [T, N·K, N] → class codes [T, N, dim].

    Chapter: 05
    """

    dim: int

    def forward(self, support: Tensor, members: Tensor) -> Tensor:
        raise NotImplementedError


class DeepSets(Head):
    """code_c = [s_c, mean of all s], where s_c is the mean of φ(x) over class c and φ = relu(A x + a).   Chapter: 05

    Every function of a set can be written as ρ(Σ φ(x)) (Zaheer et al., 2017, theorem 2); the tail is ρ. The second half
    is the same for all classes: what the task is like. `hidden` numbers each.

    >>> head = DeepSets(4, hidden=8)
    >>> head(torch.ones(1, 6, 4), torch.eye(3).repeat(2, 1)[None]).shape
    torch.Size([1, 3, 16])
    """

    def __init__(self, dim: int, *, hidden: int = 64) -> None:
        super().__init__()
        check_options("DeepSets", dim=dim, hidden=hidden)
        self.dim = 2 * hidden
        self.phi = nn.Linear(dim, hidden)

    def forward(self, support: Tensor, members: Tensor) -> Tensor:
        per_class = means(self.phi(support * support.shape[-1] ** 0.5).relu(), members)  # [T, N, hidden]
        return torch.cat([per_class, per_class.mean(1, keepdim=True).expand_as(per_class)], dim=-1)


class SetAttention(Head):
    """Class means that attend to one another: code = V-mixture of the means, next to the mean itself.   Chapter: 05

    A class is seen beside its rivals, so what sets them apart can be stressed (Ye et al., 2020, section 3.2, the
    transformer as set-to-set function). One attention of `hidden` numbers; codes have 2 · hidden.
    """

    def __init__(self, dim: int, *, hidden: int = 64) -> None:
        super().__init__()
        check_options("SetAttention", dim=dim, hidden=hidden)
        self.dim = 2 * hidden
        self.project = nn.Linear(dim, 4 * hidden)  # query, key, value and the mean's own code, in one product

    def forward(self, support: Tensor, members: Tensor) -> Tensor:
        classes = spread(means(support, members))  # [T, N, D]
        query, key, value, own = self.project(classes).chunk(4, dim=-1)
        attention = query @ key.transpose(1, 2) / key.shape[-1] ** 0.5  # [T, N, N]
        return torch.cat([own, attention.softmax(-1) @ value], dim=-1).relu()


def spread(vectors: Tensor) -> Tensor:
    """Vectors of length about 1 [..., D], scaled so that a number is about 1: what layers are initialised for."""
    return normalize(vectors, dim=-1) * vectors.shape[-1] ** 0.5
