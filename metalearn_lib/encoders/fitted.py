"""Frozen vectors, recentred and scaled by what a background corpus shows: meta-learning in closed form.

Chapters 03, 04
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from metalearn_lib.encoders.base import Encoder
from metalearn_lib.encoders.combined import Frozen
from metalearn_lib.episodes import positions

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus


class Standardised(Frozen):
    """(x − m) / s for the vectors x of a frozen encoder; mean m and deviation s of each number over `background`.

    `background`: the meta-training texts. A number that never varies there is only centred.   Chapter: 03
    """

    def __init__(self, encoder: Encoder, background: Corpus) -> None:
        super().__init__(encoder)
        vectors = self.encoder.embed(background)
        deviation = vectors.std(0)
        self.register_buffer("mean", vectors.mean(0))
        self.register_buffer("deviation", torch.where(deviation > 0, deviation, torch.ones_like(deviation)))

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        mean, deviation = (self.get_buffer(name).cpu() for name in ("mean", "deviation"))
        return (super()._prepare(texts) - mean) / deviation


class Whitened(Frozen):
    """Unit vectors x of a frozen encoder, mapped to A (x - m) and scaled to length 1 again.

    From the labelled texts of `background` (the meta-training classes): m is their mean, C the covariance of their
    deviations from their own class mean, and A = ((1 - s) C + s tr(C)/D I)^(-1/2), s = `shrink`. Directions in which
    texts of one class differ anyway are shrunk, as in within-class covariance normalisation (Hatch et al., 2006).
    `shrink=1` leaves only the centring. A text of unknown words stays the zero vector.   Chapter: 04
    """

    def __init__(self, encoder: Encoder, background: Corpus, *, shrink: float = 0.1) -> None:
        if not 0 < shrink <= 1:
            raise ValueError(f"Whitened(shrink={shrink}): need 0 < shrink ≤ 1; at 0 the covariance may have no inverse")
        super().__init__(encoder)
        vectors = normalize(self.encoder.embed(background), dim=1).double()
        mean, matrix = _fit(vectors, background.labels, shrink)
        self.register_buffer("mean", mean.float())
        self.register_buffer("matrix", matrix.float())

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        vectors = normalize(super()._prepare(texts), dim=1)
        known = (vectors != 0).any(1, keepdim=True)
        mean, matrix = (self.get_buffer(name).cpu() for name in ("mean", "matrix"))
        return normalize((vectors - mean) @ matrix, dim=1) * known


def _fit(vectors: Tensor, labels: Sequence[str], shrink: float) -> tuple[Tensor, Tensor]:
    """Vectors [n, D] and labels → mean [D] and symmetric matrix [D, D]."""
    deviations = vectors.clone()
    for members in positions(labels).values():
        deviations[members] -= vectors[members].mean(0)
    covariance = deviations.T @ deviations / len(vectors)
    dim = len(covariance)
    average = covariance.trace() / dim
    shrunk = (1 - shrink) * covariance + shrink * average * torch.eye(dim, dtype=vectors.dtype)
    values, basis = torch.linalg.eigh(shrunk / average)
    return vectors.mean(0), basis @ torch.diag(values.clamp(min=1e-6).rsqrt()) @ basis.T
