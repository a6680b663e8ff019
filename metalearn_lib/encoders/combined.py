"""Encoders made of encoders: one that has learned enough, and several side by side.   Chapter 04"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from metalearn_lib.encoders.base import Encoder


class Frozen(Encoder):
    """A trained encoder that trains no more: each text of a corpus is encoded once and kept.   Chapter: 04

    From then on an episode costs a look-up. Dropout is off, whatever the mode.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder, self.dim = encoder.requires_grad_(False), encoder.dim

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        return self.encoder.embed(texts).cpu()

    def encode(self, prepared: Tensor) -> Tensor:
        return prepared


class Concatenated(Encoder):
    """Vectors of several frozen encoders, each scaled to length √weight and laid side by side.   Chapter: 04

    Their dot products are the weighted sums of the single ones: one kernel out of several views of a text.
    """

    def __init__(self, encoders: Sequence[Encoder], *, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        shares = [1.0] * len(encoders) if weights is None else [float(weight) for weight in weights]
        if not encoders or len(shares) != len(encoders) or min(shares) <= 0:
            raise ValueError(f"Concatenated: {len(encoders)} encoders, weights {weights}; need a positive one for each")
        self.encoders = torch.nn.ModuleList(Frozen(encoder) for encoder in encoders)
        self.weights, self.dim = shares, sum(encoder.dim for encoder in encoders)

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        views = zip(self.encoders, self.weights, strict=True)
        return torch.cat([normalize(encoder.prepare(texts), dim=1) * weight**0.5 for encoder, weight in views], dim=1)  # type: ignore[operator]

    def encode(self, prepared: Tensor) -> Tensor:
        return prepared
