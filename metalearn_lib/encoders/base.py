"""What every encoder is: `prepare` turns texts into tensors once, `encode` turns those into vectors, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from metalearn_lib.corpora import Corpus
from metalearn_lib.errors import check_options
from metalearn_lib.modules import evaluating
from metalearn_lib.text import check_texts


class Encoder(nn.Module):
    """Maps texts to vectors of `dim` numbers.

    Subclasses write `_prepare(texts)` → [n, …] and, unless that gives the vectors themselves, `encode(prepared)`
    [..., …] → [..., D]. What `_prepare` returns is kept for a corpus, so it may not depend on what trains (`Frozen`
    notices changes). A text without a single known word becomes the zero vector; an empty text is refused.
    """

    dim: int
    padding: int | None = None  # the number that fills shorter texts up; None: prepared inputs have no padding

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_where", torch.empty(0), persistent=False)
        self._prepared: WeakKeyDictionary[Corpus, tuple[object, Tensor]] = WeakKeyDictionary()

    def forward(self, x: Tensor, pool: Corpus | None = None) -> Tensor:
        """Positions x [...] in `pool`, or without a pool prepared inputs [..., …] → vectors [..., D]."""
        return self.encode(x if pool is None else self.trimmed(self.inputs(pool)[x]))

    def inputs(self, pool: Corpus) -> Tensor:
        """Prepared inputs [n, …] of a whole corpus, made once per corpus object and device."""
        state = self._state()
        if pool not in self._prepared or self._prepared[pool][0] != state:
            self._prepared[pool] = state, self.prepare(pool.texts).to(self.get_buffer("_where").device)
        return self._prepared[pool][1]

    def prepare(self, texts: Sequence[str]) -> Tensor:
        """Texts → prepared inputs [n, …]; raises ValueError for an empty text or vectors that are not finite."""
        check_texts(texts, type(self).__name__)
        prepared = self._prepare(texts)
        if prepared.is_floating_point() and not torch.isfinite(prepared).all():
            bad = int((~torch.isfinite(prepared.flatten(1)).all(1)).nonzero()[0])
            raise ValueError(
                f"{type(self).__name__}: the vector of text {bad} ({texts[bad][:40]!r}) holds NaN or infinity"
            )
        return prepared

    def embed(self, texts: Sequence[str] | Corpus, *, batch: int = 256) -> Tensor:
        """Vectors [n, D] of texts, without gradients or dropout; what is prepared for a corpus is kept."""
        with evaluating(self):
            if isinstance(texts, Corpus):
                prepared = self.inputs(texts)
            else:
                prepared = self.prepare(texts).to(self.get_buffer("_where").device)
            return torch.cat([self.encode(self.trimmed(part)) for part in prepared.split(batch)])

    def trimmed(self, prepared: Tensor) -> Tensor:
        """Prepared inputs without the padding that all of these texts have; the vectors stay the same."""
        if self.padding is None:
            return prepared
        return prepared[..., : max(1, int((prepared != self.padding).sum(-1).max()))]

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        raise NotImplementedError

    def _state(self) -> object:
        """What prepared inputs depend on besides the texts: where it changes, they are made anew."""
        return self.get_buffer("_where").device

    def encode(self, prepared: Tensor) -> Tensor:
        """Prepared inputs → vectors [..., D]; differentiable in the encoder's parameters."""
        return prepared


class Identity(Encoder):
    """Ready vectors [..., D] pass unchanged: for episodes that are made of tensors, not of texts.   Chapter: 03"""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        raise ValueError("Identity encodes vectors, not texts; use an encoder of texts, such as encoders.Averaged()")


class OnTop(Encoder):
    """An encoder that changes the vectors of another: texts are prepared as the other one prepares them."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def inputs(self, pool: Corpus) -> Tensor:
        return self.encoder.inputs(pool)

    def trimmed(self, prepared: Tensor) -> Tensor:
        return self.encoder.trimmed(prepared)

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        return self.encoder.prepare(texts)


class Projected(OnTop):
    """A linear map on top of another encoder; where the sizes agree x + D x with D = 0 at the start.   Chapter: 04

    The least that can be meta-trained on frozen features: D·D' weights. `dropout` leaves out inputs at random during
    training: with as many weights as there are training texts, much of it (0.7) is what carries over to new classes.
    `normalise` scales the result to length 1.
    """

    def __init__(
        self, encoder: Encoder, *, dim: int | None = None, dropout: float = 0.0, normalise: bool = False
    ) -> None:
        super().__init__(encoder)
        self.normalise = normalise
        self.dim = encoder.dim if dim is None else dim
        check_options("Projected", dim=self.dim, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.map = nn.Linear(encoder.dim, self.dim, bias=False)
        self.residual = self.dim == encoder.dim
        if self.residual:
            nn.init.zeros_(self.map.weight)

    def encode(self, prepared: Tensor) -> Tensor:
        x = self.dropout(self.encoder.encode(prepared))
        vectors: Tensor = x + self.map(x) if self.residual else self.map(x)
        return nn.functional.normalize(vectors, dim=-1) if self.normalise else vectors
