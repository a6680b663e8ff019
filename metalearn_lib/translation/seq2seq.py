"""A small sequence-to-sequence model: a GRU reads, a GRU with attention writes, in pieces of words.   Chapter 11

Encoder and decoder: Cho et al. (2014); global attention: Luong et al. (2015), eq. 5 and 7; pieces: byte-level byte pair
encoding (Sennrich et al., 2016), of which no text of any script falls outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from metalearn_lib.corpora.translations import Pair
from metalearn_lib.errors import check_options
from metalearn_lib.fingerprint import digest
from metalearn_lib.modules import evaluating
from metalearn_lib.optimise import seeded
from metalearn_lib.translation.starts import Example

PAD, BEGIN, END = 0, 1, 2
_CERTAIN = 30.0  # the logit of padding where nothing is left to write: its loss, and so its gradient, is 0


class PieceCodec:
    """Between texts and numbers of pieces; a text has at most `length` pieces with its end, longer ones are cut.

    The pieces are learned from `texts`: those of the training part of the training languages, and English.
    `pieces`: how many there are, bytes included (256 and three marks at least). Same texts, same pieces.   Chapter: 11
    """

    def __init__(self, texts: Iterable[str], *, pieces: int = 1500, length: int = 20) -> None:
        from tokenizers import ByteLevelBPETokenizer

        check_options("PieceCodec", length=length)
        check_options("PieceCodec", least=259, pieces=pieces)
        self.length = length
        self._tokenizer = ByteLevelBPETokenizer(add_prefix_space=True)
        self._tokenizer.train_from_iterator(
            texts, pieces, min_frequency=2, special_tokens=["<pad>", "<s>", "</s>"], show_progress=False
        )

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    @property
    def identity(self) -> str:
        """A hash of all that its numbers mean: a model's weights are good for codecs of the same identity alone."""
        return digest([self.length, self._tokenizer.to_str()])[:16]

    def encode(self, text: str) -> list[int]:
        """The pieces of a text and its end, `length` at most."""
        return [*self._tokenizer.encode(text).ids[: self.length - 1], END]

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of pieces up to the end."""
        written = [int(number) for number in numbers]
        written = written[: written.index(END)] if END in written else written
        return str(self._tokenizer.decode([number for number in written if number > END])).strip()

    def sources(self, texts: Sequence[str]) -> Tensor:
        """Texts as numbers [n, length], filled with `PAD`."""
        return torch.tensor([self._filled(self.encode(text)) for text in texts])

    def example(self, pair: Pair) -> Example:
        """A row for each position: the source's piece and the target's last one [length, 2], and the next [length]."""
        target = self.encode(pair.target)
        given = self._filled([BEGIN, *target[:-1]])
        return torch.stack([self.sources([pair.source])[0], torch.tensor(given)], 1), torch.tensor(self._filled(target))

    def examples(self, pairs: Iterable[Pair]) -> list[Example]:
        """The examples of all pairs."""
        return [self.example(pair) for pair in pairs]

    def _filled(self, numbers: list[int]) -> list[int]:
        return numbers + [PAD] * (self.length - len(numbers))


class Seq2Seq(nn.Module):
    """Rows of pairs [B·length, 2] → logits of the next piece [B·length, V]; rows of one pair lie together.

    Shared embeddings of `dim` numbers, also as output. Same `seed`, same weights.   Chapter: 11
    """

    examples_apart = True  # those of different pairs: nothing here looks at a batch as a whole

    def __init__(self, pieces: int, length: int, *, dim: int = 96, seed: int = 0) -> None:
        super().__init__()
        check_options("Seq2Seq", least=3, pieces=pieces)
        check_options("Seq2Seq", least=2, length=length, dim=dim)
        if dim % 2:
            raise ValueError(f"Seq2Seq(dim={dim}): must be even; each direction of the encoder has half of it")
        self.length = length
        with seeded(seed):
            self.embedding = nn.Embedding(pieces, dim)
            nn.init.normal_(self.embedding.weight, std=dim**-0.5)
            self.reader = nn.GRU(dim, dim // 2, batch_first=True, bidirectional=True)
            self.writer = nn.GRU(dim, dim, batch_first=True)
            self.attention = nn.Linear(dim, dim, bias=False)
            self.combined = nn.Linear(2 * dim, dim)
            self.bias = nn.Parameter(torch.zeros(pieces))

    def forward(self, rows: Tensor) -> Tensor:
        """Rows [B·length, 2] → logits [B·length, V]; where the target is over, `PAD` is certain."""
        source, given = rows.unflatten(0, (-1, self.length)).unbind(-1)  # (B, L) each
        logits, _ = self.written(given, self.read(source), source)
        over = torch.zeros_like(self.bias).index_fill(0, torch.tensor([PAD], device=rows.device), _CERTAIN)
        return torch.where((given == PAD)[..., None], over, logits).flatten(0, 1)

    def read(self, source: Tensor) -> Tensor:
        """Source pieces [B, L] → states [B, L, D]."""
        states: Tensor = self.reader(self._embedded(source))[0]
        return states

    def written(
        self, given: Tensor, states: Tensor, source: Tensor, before: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Pieces so far [B, M], the reader's states and pieces → logits [B, M, V], and the writer's state [1, B, D].

        `before` is the writer's state before them; at the beginning the mean of the reader's.
        """
        there = (source != PAD)[..., None]
        if before is None:
            before = ((states * there).sum(1) / there.sum(1)).unsqueeze(0)
        written, state = self.writer(self._embedded(given), before.contiguous())  # (B, M, D)
        scores = self.attention(written) @ states.mT  # (B, M, L): Luong et al., eq. 8, "general"
        weights = scores.masked_fill(~there.mT, -torch.inf).softmax(-1)  # eq. 7
        mixed = torch.tanh(self.combined(torch.cat([weights @ states, written], -1)))  # eq. 5
        return mixed @ self.embedding.weight.T + self.bias, state

    def _embedded(self, pieces: Tensor) -> Tensor:
        vectors: Tensor = self.embedding(pieces) * self.embedding.embedding_dim**0.5
        return vectors


class Writer:
    """A sequence-to-sequence model as a translator: the most probable piece, one after another.   Chapter: 11"""

    def __init__(self, codec: PieceCodec, model: Seq2Seq, *, name: str = "seq2seq", batch: int = 256) -> None:
        check_options("Writer", batch=batch)
        self.codec, self.model, self.name, self.batch = codec, model, name, batch

    def translate(self, texts: Sequence[str]) -> list[str]:
        parts = [texts[start : start + self.batch] for start in range(0, len(texts), self.batch)]
        return [text for part in parts for text in self._translated(part)]

    def _translated(self, texts: Sequence[str]) -> list[str]:
        with evaluating(self.model):
            source = self.codec.sources(texts).to(self.model.bias.device)
            states, state = self.model.read(source), None
            pieces = [torch.full((len(texts), 1), BEGIN, device=source.device)]
            over = torch.zeros(len(texts), 1, dtype=torch.bool, device=source.device)
            while len(pieces) <= self.codec.length and not over.all():
                logits, state = self.model.written(pieces[-1], states, source, state)
                logits[..., [PAD, BEGIN]] = -torch.inf
                pieces.append(logits.argmax(-1).masked_fill(over, END))
                over = over | (pieces[-1] == END)
        return [self.codec.decode(row) for row in torch.cat(pieces[1:], 1).tolist()]
