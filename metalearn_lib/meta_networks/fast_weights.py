"""Attention writes weights: a matrix that is programmed by keys and values, by Hebb's rule or the delta rule.

Schlag et al. (2021) show that linear attention is a fast-weight programmer (Schmidhuber, 1992): what attention looks up
in a list of pairs, a matrix that was written by outer products gives at once.   Chapter 05
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from metalearn_lib.encoders import Encoder
from metalearn_lib.errors import check_options
from metalearn_lib.meta_networks.base import VectorWriter, Written


def hebb(keys: Tensor, values: Tensor) -> Tensor:
    """W = Σ_i v_i k_iᵀ: keys [T, M, D] and values [T, M, N] → weights [T, N, D] (Schlag et al., 2021).   Chapter: 05"""
    return values.transpose(1, 2) @ keys


def linear_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Σ_i (q·k_i) v_i, attention without softmax: queries [T, Q, D] → [T, Q, N]; the same as W q of `hebb`.

    Chapter: 05

    >>> q, k, v = torch.randn(1, 3, 4), torch.randn(1, 6, 4), torch.randn(1, 6, 2)
    >>> torch.allclose(linear_attention(q, k, v), q @ hebb(k, v).transpose(1, 2), atol=1e-5)
    True
    """
    return queries @ keys.transpose(1, 2) @ values


def delta_rule(keys: Tensor, values: Tensor, rate: Tensor | float, *, passes: int = 1) -> Tensor:
    """W ← W + η (v_i - W k_i) k_iᵀ, one example after the other, from W = 0: [T, M, ·] → weights [T, N, D].

    Widrow and Hoff (1960); as a programmer of fast weights Schlag et al. (2021). What W says already is
    not written again. With unit keys, 0 < η < 2 and many passes it converges to the least-norm least squares solution
    (the limit of ridge regression as λ → 0), if keys are independent. The order of the examples matters.   Chapter: 05
    """
    check_options("delta_rule", passes=passes)
    weights = keys.new_zeros(len(keys), values.shape[-1], keys.shape[-1])
    for _ in range(passes):
        for key, value in zip(keys.unbind(1), values.unbind(1), strict=True):
            error = value - (weights @ key[..., None]).squeeze(-1)  # [T, N]
            weights = weights + rate * error[..., None] * key[:, None]
    return weights


class FastWeights(VectorWriter):
    """Class weights that the support set programs: keys are unit vectors, values one-hot labels.   Chapter: 05

    `rule`: "hebb" adds v kᵀ up; "delta" corrects the error of W, example after example, `passes` times, at a learned
    rate. The delta rule reads examples in the order of their first number: the order they come in does not count.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        rule: Literal["hebb", "delta"] = "hebb",
        passes: int = 1,
        **losses: float,
    ) -> None:
        super().__init__(encoder, **losses)
        check_options("FastWeights", passes=passes)
        if rule not in ("hebb", "delta"):
            raise ValueError(f"FastWeights(rule={rule!r}): use 'hebb' or 'delta'")
        self.rule, self.passes = rule, passes
        self.name = "Hebb's rule" if rule == "hebb" else "delta rule"
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())
        self.rate = nn.Parameter(torch.zeros(())) if rule == "delta" else None  # η = its sigmoid, 0.5 at the start

    def write(self, support: Tensor, members: Tensor) -> Written:
        keys, values = normalize(support, dim=-1), members / members.sum(1, keepdim=True)
        if self.rate is None:
            return {"classes": hebb(keys, values)}
        order = keys[..., 0].argsort(dim=1, stable=True)[..., None]  # by content: given order does not count
        keys, values = keys.take_along_dim(order, 1), members.take_along_dim(order, 1)
        return {"classes": delta_rule(keys, values, self.rate.sigmoid(), passes=self.passes)}

    def logits(self, written: Written, x: Tensor) -> Tensor:
        return self.log_scale.exp() * normalize(x, dim=-1) @ written["classes"].transpose(1, 2)
