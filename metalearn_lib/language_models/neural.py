"""Neural language models: an embedding, a causal body (RNN, LSTM or Transformer), and the embedding again as output.

RNN: Mikolov et al. (2010). LSTM: Hochreiter and Schmidhuber (1997), as a language model Zaremba et al. (2014).
Transformer: Vaswani et al. (2017), normalised first as in Radford et al. (2019).
Tied output: Press and Wolf (2017).   Chapter: 01
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metalearn_lib.errors import check_options
from metalearn_lib.language_models.scoring import NEVER_PREDICTED, Sentence, check
from metalearn_lib.modules import evaluating
from metalearn_lib.optimise import History, descend, in_training, seeded, weights_of
from metalearn_lib.progress import progress_bar
from metalearn_lib.text import BEGIN, END, Vocabulary

KINDS = ("rnn", "lstm", "transformer")
_IGNORED = -100


class NeuralLanguageModel(nn.Module):
    """Next-token model of one `kind`: "rnn", "lstm" or "transformer"; call it on ids [B, L] for logits [B, L, V].

    `dim` is the width of embedding and body, `heads` must divide it (Transformer). Same `seed`, same weights.
    Raises ValueError for an unknown kind, sizes below 1, or a vocabulary without words, `<bos>` and `<eos>`.

    >>> from metalearn_lib.text import Vocabulary
    >>> vocabulary = Vocabulary.build([["once", "upon"]], sentence_marks=True)
    >>> NeuralLanguageModel("lstm", vocabulary, dim=8)(torch.tensor([[2, 4]])).shape[:2]
    torch.Size([1, 2])

    Chapter: 01
    """

    def __init__(
        self,
        kind: str,
        vocabulary: Vocabulary,
        *,
        dim: int = 128,
        layers: int = 1,
        heads: int = 4,
        dropout: float = 0.3,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check(vocabulary, "NeuralLanguageModel")
        if kind not in KINDS:
            raise ValueError(f"NeuralLanguageModel(kind={kind!r}): unknown; use one of {', '.join(KINDS)}")
        check_options("NeuralLanguageModel", dim=dim, layers=layers, heads=heads, dropout=dropout, seed=seed)
        if kind == "transformer" and (dim % heads or dim % 2):
            raise ValueError(f"NeuralLanguageModel(dim={dim}, heads={heads}): dim must be even and a multiple of heads")
        self.kind, self.vocabulary, self.heads = kind, vocabulary, heads
        with seeded(seed):
            self.embedding = nn.Embedding(len(vocabulary), dim)
            nn.init.normal_(self.embedding.weight, std=dim**-0.5)
            self.bias = nn.Parameter(torch.zeros(len(vocabulary)))
            self.dropout = nn.Dropout(dropout)
            self.body: nn.Module
            if kind == "transformer":
                self.body = nn.Sequential(*[_Block(dim, heads, dropout) for _ in range(layers)], nn.LayerNorm(dim))
            else:
                self.body = (nn.RNN if kind == "rnn" else nn.LSTM)(dim, dim, layers, batch_first=True)
        self.never: Tensor  # added to the bias, so that the marks cost no pass over all logits
        self.register_buffer("never", torch.zeros(len(vocabulary)), persistent=False)
        self.never[[vocabulary.stoi[token] for token in NEVER_PREDICTED]] = -torch.inf

    def forward(self, ids: Tensor) -> Tensor:
        """Ids [B, L] → logits [B, L, V]; position i sees ids 0 … i only."""
        return self.logits(self.states(ids))

    def states(self, ids: Tensor) -> Tensor:
        """Ids [B, L] → hidden states [B, L, D]."""
        x = self.embedding(ids) * self.embedding.embedding_dim**0.5  # (B, L, D), unit variance
        if self.kind == "transformer":
            states: Tensor = self.body(self.dropout(x + _positions(x)))
        else:
            states = self.body(self.dropout(x))[0]
        out: Tensor = self.dropout(states)
        return out

    def logits(self, states: Tensor) -> Tensor:
        """Hidden states [..., D] → logits [..., V], by the tied embedding; −∞ for `<bos>` and `<pad>`."""
        return F.linear(states, self.embedding.weight, self.bias + self.never)

    def next_log_probabilities(self, history: Sentence) -> Tensor:
        """Log-probability of every vocabulary entry as the next token, [V]; −∞ for `<bos>` and `<pad>`."""
        ids = torch.tensor([[self.vocabulary.stoi[BEGIN], *self.vocabulary.encode(list(history))]])
        with evaluating(self):
            return self.forward(ids.to(self.bias.device))[0, -1].log_softmax(0).cpu()

    def log_probabilities(self, sentences: Sequence[Sentence]) -> list[Tensor]:
        """Log-probability of each token of each sentence and of its end, one [length + 1] tensor a sentence."""
        scored: dict[int, Tensor] = {}
        with evaluating(self):
            for rows, x, y in _batches(self.vocabulary, sentences, tokens_per_batch=2048):
                x, y = x.to(self.bias.device), y.to(self.bias.device)
                losses = F.cross_entropy(
                    self.forward(x).transpose(1, 2), y, reduction="none", ignore_index=_IGNORED
                )  # (B, L)
                for row, loss, target in zip(rows, losses, y, strict=True):
                    scored[row] = -loss[target != _IGNORED].cpu()
        return [scored[row] for row in range(len(sentences))]


def fit(
    model: NeuralLanguageModel,
    sentences: Sequence[Sentence],
    *,
    valid: Sequence[Sentence] | None = None,
    epochs: int = 10,
    lr: float = 3e-3,
    tokens_per_batch: int = 1024,
    weight_decay: float = 0.0,
    seed: int = 0,
    progress: bool = True,
) -> list[float]:
    """Train by Adam on next-token cross-entropy, the rate falling to 0; returns the loss per token of each epoch.

    With `valid`, that is the loss on the validation sentences, and the model keeps the weights of its best epoch.
    Same seed, same result on the same machine; the model is left in evaluation mode, and the global random state as it
    was, also after an error. Raises ValueError, or TrainingDiverged.

    Chapter: 01
    """
    if not any(len(sentence) for sentence in sentences):
        raise ValueError("fit: the text is empty; give at least one sentence with one token")
    check_options("fit", epochs=epochs, lr=lr, tokens_per_batch=tokens_per_batch, weight_decay=weight_decay, seed=seed)
    device = model.bias.device
    batches = list(_batches(model.vocabulary, sentences, tokens_per_batch=tokens_per_batch))
    tokens = [int((y != _IGNORED).sum()) for _, _, y in batches]
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    steps, history, epoch_losses = epochs * len(batches), History(lower_is_better=True), list[float]()
    warmup, best = max(1, steps // 20), weights_of(model) if valid else {}

    def schedule(step: int) -> float:
        return min((step + 1) / warmup, 0.5 + 0.5 * math.cos(math.pi * step / steps))

    def loss(number: int) -> Tensor:
        _, x, y = batches[number]
        states = model.states(x.to(device))[(y != _IGNORED).to(device)]  # (tokens, D): no softmax over padding
        return F.cross_entropy(model.logits(states), y[y != _IGNORED].to(device))

    with in_training(model, seed=seed):
        for _ in progress_bar(range(epochs), f"training {model.kind}", show=progress):
            order, before = torch.randperm(len(batches)).tolist(), len(history.losses)
            history.losses += descend(
                loss, order, optimizer, who=f"fit of the {model.kind}", clip=1.0, schedule=schedule, first=before
            )
            counts = [tokens[number] for number in order]
            total = sum(loss * count for loss, count in zip(history.losses[before:], counts, strict=True))
            epoch_losses.append(total / sum(counts))
            if valid and history.validated(-float(torch.cat(model.log_probabilities(valid)).double().mean())):
                best = weights_of(model)
    if valid:
        model.load_state_dict(best)
    return history.valid_scores if valid else epoch_losses


class _Block(nn.Module):
    """Causal self-attention, then a two-layer perceptron, each normalised first and added to its input."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        b, length, dim = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, H, L, D/H)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, length, dim)
        x = x + self.dropout(self.out(mixed))
        out: Tensor = x + self.dropout(self.mlp(self.norm2(x)))
        return out


def _positions(x: Tensor) -> Tensor:
    """Sinusoidal positions [L, D] (Vaswani et al., 2017, §3.5): no longest sentence to fix beforehand."""
    length, dim = x.shape[1:]
    rate = torch.exp(torch.arange(0, dim, 2, device=x.device) * (-math.log(10_000.0) / dim))  # (D/2)
    angle = torch.arange(length, device=x.device)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def _batches(
    vocabulary: Vocabulary, sentences: Sequence[Sentence], *, tokens_per_batch: int
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Yield (rows, inputs [B, L], targets [B, L]) with sentences of like length together, so that little is padding."""
    begin, end = vocabulary.stoi[BEGIN], vocabulary.stoi[END]
    encoded = [list(vocabulary.encode(list(sentence))) for sentence in sentences]
    rows: list[int] = []
    order = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))
    for position, row in enumerate(order):
        rows.append(row)
        longest = len(encoded[order[position + 1]]) + 1 if position + 1 < len(order) else math.inf
        if (len(rows) + 1) * longest > tokens_per_batch:
            x = nn.utils.rnn.pad_sequence(
                [torch.tensor([begin, *encoded[r]]) for r in rows], batch_first=True, padding_value=1
            )
            y = nn.utils.rnn.pad_sequence(
                [torch.tensor([*encoded[r], end]) for r in rows], batch_first=True, padding_value=_IGNORED
            )
            yield rows, x, y
            rows = []
