"""Encoders made of encoders: one that has learned enough, and several side by side.   Chapter 04"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from metalearn_lib.encoders.base import Encoder
from metalearn_lib.modules import untrained


class Frozen(Encoder):
    """A trained encoder that trains no more: each text of a corpus is encoded once and kept.   Chapter: 04

    From then on an episode costs a look-up. Dropout is off, whatever the mode. The encoder it is given stays as
    trainable as it was; where its weights change after all (more training, a checkpoint that is loaded), texts are
    encoded anew. Not noticed: a change of its settings, and of weights that lie on another device or were replaced
    (`load_state_dict(…, assign=True)`).
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder, self.dim = untrained(encoder), encoder.dim
        self._tensors: list[Any] = []
        # Fused optimizers change weights behind autograd's back: where the owner may train, the weights are added up.
        self._watched: bool = any(p.requires_grad for p in encoder.parameters()) or any(
            isinstance(part, Frozen) and part._watched for part in encoder.modules()
        )

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        return self.encoder.embed(texts).cpu()

    def _state(self) -> object:
        device = super()._state()
        if self._tensors[:1] != [device]:
            self._tensors = [device, *self.parameters(), *self.buffers()]  # once: a Transformer has hundreds
        tensors: list[Tensor] = self._tensors[1:]
        sums = [t.sum(dtype=torch.float64) for t in tensors if isinstance(t, nn.Parameter)] if self._watched else []
        return device, [(t.data_ptr(), t._version) for t in tensors], torch.stack(sums).tolist() if sums else []


class Concatenated(Encoder):
    """Vectors of several frozen encoders, each scaled to length √weight and laid side by side.   Chapter: 04

    Their dot products are the weighted sums of the single ones: one kernel out of several views of a text.
    """

    def __init__(self, encoders: Sequence[Encoder], *, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        shares = [1.0] * len(encoders) if weights is None else [float(weight) for weight in weights]
        if not encoders or len(shares) != len(encoders) or min(shares) <= 0:
            raise ValueError(f"Concatenated: {len(encoders)} encoders, weights {weights}; need a positive one for each")
        self.encoders = nn.ModuleList(Frozen(encoder) for encoder in encoders)
        self.weights, self.dim = shares, sum(encoder.dim for encoder in encoders)

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        views = zip(self.encoders, self.weights, strict=True)
        return torch.cat([normalize(encoder.prepare(texts), dim=1) * weight**0.5 for encoder, weight in views], dim=1)  # type: ignore[operator]

    def _state(self) -> object:
        return super()._state(), [encoder._state() for encoder in self.encoders]  # type: ignore[operator]
