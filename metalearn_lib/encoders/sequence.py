"""Trained encoders over frozen word vectors: convolution (Kim, 2014), LSTM, self-attention.   Chapters 04, 09"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad as pad_tensor

from metalearn_lib import text
from metalearn_lib.encoders.base import Encoder
from metalearn_lib.errors import check_options


class _Sequence(Encoder):
    """Texts → word numbers [n, L], of which the first `max_length` count; words without a vector are left out."""

    padding = 0

    def __init__(self, vectors: text.WordVectors | str, max_length: int, dropout: float) -> None:
        super().__init__()
        check_options(type(self).__name__, max_length=max_length, dropout=dropout)
        self.vectors, self.max_length = text.load_vectors(vectors), max_length
        self.dropout = nn.Dropout(dropout)
        # Not persistent: 80 MB of frozen GloVe have no place in a checkpoint.
        self.register_buffer("table", self.vectors.table, persistent=False)

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        ids = [[i for i in self.vectors.encode(text.tokenize(t)) if i] for t in texts]
        return text.pad(ids, max_length=self.max_length)

    def encode(self, prepared: Tensor) -> Tensor:
        flat = prepared.flatten(0, -2)  # [B, L]
        words = self.dropout(self.get_buffer("table")[flat])  # [B, L, E]
        vectors = self._vectors(words, flat > 0) * (flat > 0).any(1, keepdim=True)
        return vectors.reshape(*prepared.shape[:-1], self.dim)

    def _vectors(self, words: Tensor, mask: Tensor) -> Tensor:
        """Word vectors [B, L, E], mask [B, L] true on words → text vectors [B, D]."""
        raise NotImplementedError


class Convolutional(_Sequence):
    """Convolutions of several widths over the words, each max-pooled over the text (Kim, 2014).   Chapter: 04"""

    def __init__(
        self,
        vectors: text.WordVectors | str = "glove",
        *,
        widths: Sequence[int] = (1, 2, 3),
        channels: int = 100,
        max_length: int = 120,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(vectors, max_length, dropout)
        if not widths or min(widths) < 1 or channels < 1:
            raise ValueError(
                f"Convolutional(widths={tuple(widths)}, channels={channels}): need widths ≥ 1 and channels ≥ 1"
            )
        self.convolutions = nn.ModuleList(nn.Conv1d(self.vectors.dim, channels, width) for width in widths)
        self.dim = channels * len(widths)

    def _vectors(self, words: Tensor, mask: Tensor) -> Tensor:
        pooled = []
        for convolution in self.convolutions:
            width = convolution.kernel_size[0]  # type: ignore[index]
            # As many zeros behind the text as the filter is wide: every word starts a window, padding none.
            features = convolution(pad_tensor(words.transpose(1, 2), (0, int(width) - 1))).relu()  # [B, C, L]
            pooled.append((features * mask[:, None]).amax(2))
        return torch.cat(pooled, dim=1)


class Recurrent(_Sequence):
    """A bidirectional LSTM; the text is the maximum over its states (Conneau et al., 2017).   Chapter: 04"""

    def __init__(
        self,
        vectors: text.WordVectors | str = "glove",
        *,
        hidden: int = 64,
        max_length: int = 60,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(vectors, max_length, dropout)
        check_options("Recurrent", hidden=hidden)
        self.lstm = nn.LSTM(self.vectors.dim, hidden, batch_first=True, bidirectional=True)
        self.dim = 2 * hidden

    def _vectors(self, words: Tensor, mask: Tensor) -> Tensor:
        lengths = mask.sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, padding_value=-1.0)
        return states.amax(1)


class SelfAttention(_Sequence):
    """One layer of multi-head self-attention over words and positions, averaged over the text.   Chapter: 04

    Written out in plain operations: torch's fused attention has no second derivative on a CPU, and MAML needs one.
    """

    def __init__(
        self,
        vectors: text.WordVectors | str = "glove",
        *,
        dim: int = 128,
        heads: int = 4,
        max_length: int = 60,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(vectors, max_length, dropout)
        check_options("SelfAttention", dim=dim, heads=heads)
        if dim % heads:
            raise ValueError(f"SelfAttention(dim={dim}, heads={heads}): dim must be a multiple of heads")
        self.heads, self.dim = heads, dim
        self.enter = nn.Linear(self.vectors.dim, dim)
        self.positions = nn.Parameter(torch.randn(max_length, dim) * 0.02)
        self.to_qkv = nn.Linear(dim, 3 * dim)
        self.mix = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)

    def _vectors(self, words: Tensor, mask: Tensor) -> Tensor:
        x = self.enter(words) + self.positions[: words.shape[1]]  # [B, L, D]
        split = (x.shape[0], x.shape[1], 3, self.heads, self.dim // self.heads)
        q, k, v = self.to_qkv(x).reshape(split).permute(2, 0, 3, 1, 4)  # each [B, H, L, D/H]
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        # Not -inf, which would give NaN for a text of no known word.
        weights = scores.masked_fill(~mask[:, None, None], -1e9).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).reshape(x.shape)
        x = self.norm(x + self.mix(mixed)) * mask[..., None]
        return x.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
