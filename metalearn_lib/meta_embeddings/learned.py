"""Meta-embeddings that are learned across tasks: linear, dynamic and contextual attention over sources.

Kiela, Wang and Cho (2018), "Dynamic meta-embeddings for improved sentence representations".   Chapter 06
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from metalearn_lib import text
from metalearn_lib.encoders import Encoder
from metalearn_lib.errors import check_options
from metalearn_lib.meta_embeddings.combining import aligned, directions
from metalearn_lib.optimise import seeded

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus

Kind = Literal["linear", "dynamic", "contextual"]


class MetaEmbedding(Encoder):
    """A text is the idf-weighted mean of its words' meta-embeddings Σ_i α_i P_i w_i, P_i and α learned.   Chapter: 06

    w_i is the word's vector in source i, P_i maps it to `dim` numbers (Kiela et al., 2018, eq. 1). The weights α of the
    sources that know the word add up to the number of sources; they are
    "linear": all equal (only the maps are learned);
    "dynamic": softmax over sources of a · P_i w_i + b_i, so each word has its own (DME, §3.1);
    "contextual": softmax of a · h_i + b_i, where h_i is the state at that word of one small bidirectional LSTM
    (`hidden` numbers each way) that reads the text's words in source i, so each occurrence has its own (CDME, §3.2).
    At the start the P_i are the blocks of the concatenation's `dim` first singular directions and all attention is
    equal: the encoder begins as the SVD combination, and learning can only be asked what it adds. The paper's text
    encoder is an LSTM; here it is a plain mean, so that nothing but the embedding is learned. `background` gives the
    idf (the meta-training texts). Of a text the first `max_length` known words are read; a text without any is zero.
    Raises ValueError for an unknown kind, bad sizes, or sources without a common word (see `aligned`).
    """

    def __init__(
        self,
        sources: Sequence[text.WordVectors],
        *,
        background: Corpus,
        kind: Kind = "dynamic",
        dim: int = 100,
        hidden: int = 2,
        max_length: int = 120,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kind not in ("linear", "dynamic", "contextual"):
            raise ValueError(f"MetaEmbedding(kind={kind!r}): use 'linear', 'dynamic' or 'contextual'")
        check_options("MetaEmbedding", hidden=hidden, max_length=max_length, dropout=dropout, seed=seed)
        words, tables = aligned(sources)
        basis = directions(torch.cat(tables, 1), dim)  # [Σ D_i, dim]
        self.kind, self.dim, self.max_length = kind, dim, max_length
        self.numbers = {word: row for row, word in enumerate(words, 1)}
        statistics = text.statistics(background)
        weights = torch.tensor([0.0, *map(statistics.idf, words)])
        self.register_buffer("weights", weights, persistent=False)  # [1 + V]; row 0 is padding
        for place, table in enumerate(tables):
            self.register_buffer(f"source{place}", torch.cat([torch.zeros(1, table.shape[1]), table]), persistent=False)
        known = torch.stack([table.any(1) for table in tables], 1)  # [V, n]
        self.register_buffer("known", torch.cat([torch.ones(1, len(tables)).bool(), known]), persistent=False)
        sizes = [table.shape[1] for table in tables]
        self.maps = nn.ParameterList(nn.Parameter(block.T.contiguous()) for block in basis.split(sizes))  # [dim, D_i]
        self.dropout = nn.Dropout(dropout)
        if kind == "contextual":
            with seeded(seed):
                self.lstm = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)
        if kind != "linear":
            self.score = nn.Parameter(torch.zeros(dim if kind == "dynamic" else 2 * hidden))
            self.offsets = nn.Parameter(torch.zeros(len(tables)))

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        ids = [[n for word in text.tokenize(t) if (n := self.numbers.get(word))] for t in texts]
        return text.pad(ids, max_length=self.max_length)

    def trimmed(self, prepared: Tensor) -> Tensor:
        return prepared[..., : max(1, int((prepared > 0).sum(-1).max()))]

    def encode(self, prepared: Tensor) -> Tensor:
        flat = prepared.flatten(0, -2)  # [B, L]
        words, places = flat.unique(return_inverse=True)
        weights = self.get_buffer("weights")[flat]
        if self.kind == "contextual":
            mapped = self._mapped(words)
            vectors = self._weighted(mapped[places], self._attention(mapped, words, flat, places))  # [B, L, dim]
            sums = (vectors * weights[..., None]).sum(1)
        else:  # the same sum with the maps last: each different word is weighed once, then each text is mapped
            rows = [self.get_buffer(f"source{i}")[words] for i in range(len(self.maps))]  # [U, D_i] each
            scores = torch.zeros(len(words), len(rows), device=weights.device)
            if self.kind == "dynamic":
                by_source = [row @ (self.score @ m) for row, m in zip(rows, self.maps, strict=True)]
                scores = torch.stack(by_source, 1) + self.offsets
            shares = self._shares(scores, words).split(1, dim=1)
            weighed = torch.cat([row * share for row, share in zip(rows, shares, strict=True)], 1)  # [U, Σ D_i]
            bags = weights.new_zeros(len(flat), len(words)).scatter_add_(1, places, weights)  # [B, U]
            sums = len(rows) * (bags @ weighed) @ torch.cat([*self.maps], 1).T
        means = sums / weights.sum(1, keepdim=True).clamp(min=1e-9)
        return self.dropout(means).reshape(*prepared.shape[:-1], self.dim)

    def attention(self, words: Sequence[str]) -> Tensor:
        """α of the sources for the words of one text, in their order, [L, n]; each row adds up to 1.

        Raises ValueError for a word that no source knows.
        """
        if unknown := [word for word in words if word not in self.numbers]:
            raise ValueError(f"attention: no source knows {unknown[0]!r}; leave such words out")
        flat = torch.tensor([[self.numbers[word] for word in words]], device=self.get_buffer("weights").device)
        ids, places = flat.unique(return_inverse=True)
        with torch.no_grad():
            weights = self._attention(self._mapped(ids), ids, flat, places)
        return weights[0] if self.kind == "contextual" else weights[places[0]]

    def table(self) -> text.WordVectors:
        """The meta-embedding of every word as a fixed table ("linear" and "dynamic" only), for word similarity."""
        if self.kind == "contextual":
            raise ValueError("table: contextual attention gives a word another vector in every text; use encode")
        words = torch.arange(1, len(self.numbers) + 1, device=self.get_buffer("weights").device)
        with torch.no_grad():
            mapped = self._mapped(words)
            vectors = self._weighted(mapped, self._attention(mapped, words, words[None], words[None] - 1))
        return text.WordVectors.from_array(list(self.numbers), vectors.numpy(force=True))

    def _mapped(self, words: Tensor) -> Tensor:
        """Rows [U] → P_i w_i, [U, n, dim]."""
        return torch.stack([self.get_buffer(f"source{i}")[words] @ m.T for i, m in enumerate(self.maps)], 1)

    def _weighted(self, mapped: Tensor, attention: Tensor) -> Tensor:
        return (mapped * attention[..., None]).sum(-2) * len(self.maps)

    def _attention(self, mapped: Tensor, words: Tensor, flat: Tensor, places: Tensor) -> Tensor:
        """α [U, n] of the different words, or with context [B, L, n] of their places in the texts."""
        if self.kind == "linear":
            scores = mapped.new_zeros(mapped.shape[:2])
        elif self.kind == "dynamic":
            scores = mapped @ self.score + self.offsets
        else:
            words, scores = flat, self._states(mapped[places], (flat > 0).sum(1)) @ self.score + self.offsets
        return self._shares(scores, words)

    def _shares(self, scores: Tensor, words: Tensor) -> Tensor:
        """Softmax over the sources that know the word."""
        return scores.masked_fill(~self.get_buffer("known")[words], -torch.inf).softmax(-1)

    def _states(self, mapped: Tensor, lengths: Tensor) -> Tensor:
        """Vectors [B, L, n, dim] of the words in each source → LSTM states [B, L, n, 2·hidden]."""
        texts, length, n, _ = mapped.shape
        rows = mapped.transpose(1, 2).flatten(0, 1)  # [B·n, L, dim]
        packed = nn.utils.rnn.pack_padded_sequence(
            rows, lengths.clamp(min=1).repeat_interleave(n).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=length)
        return states.reshape(texts, n, length, -1).transpose(1, 2)
