"""Frozen vectors whose numbers have mean 0 and variance 1: what gradient descent likes to start from.   Chapter 03"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from metalearn_lib.encoders.base import Encoder
from metalearn_lib.encoders.combined import Frozen

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
