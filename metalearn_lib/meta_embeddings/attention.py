"""A network that reads the contexts of a new word and writes its vector, trained across words.

After HiCE (Hu et al., 2019): attention inside each context, attention over the contexts. A word is a task.   Chapter 06
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from metalearn_lib.errors import check_options
from metalearn_lib.meta_embeddings.new_words import ALaCarte, WordContexts
from metalearn_lib.optimise import descend, in_training, seeded
from metalearn_lib.progress import progress_bar


class ContextAttention(nn.Module):
    """v = A (Σ_k β_k Σ_j α_kj x_kj) + f(…): words weighed inside a context, contexts weighed against each other.

    x_kj is the vector of word j in context k. α is a softmax over the words of a context, of a learned function of the
    word and its place; β a softmax over contexts of how well they agree with their mean, c_k · M c̄ (HiCE uses a
    Transformer's self-attention in both places). A and f, a two-layer perceptron, write the vector. At the start α and
    β are equal, f is zero and A is that of `start`: the network begins as à la carte. Contexts without a word get no
    weight; if all are empty the vector is zero. The control, `attend=False`: all but A stays as at the start, and only
    A trains.   Chapter: 06
    """

    def __init__(
        self,
        start: ALaCarte,
        *,
        window: int = 10,
        hidden: int = 64,
        dropout: float = 0.2,
        attend: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_options("ContextAttention", hidden=hidden, window=window, dropout=dropout, seed=seed)
        dim = start.vectors.dim
        self.vectors, self.attend = start.vectors, attend
        with seeded(seed):
            self.read = nn.Linear(dim, hidden)
            self.score = nn.Parameter(torch.zeros(hidden))
            self.places = nn.Parameter(torch.zeros(2 * window))
            self.agree = nn.Parameter(torch.zeros(dim, dim))
            self.matrix = nn.Parameter(start.matrix.clone())
            self.correct = nn.Sequential(
                nn.Linear(dim, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, dim, bias=False)
            )  # fmt: skip
            nn.init.zeros_(self.correct[3].weight)  # type: ignore[arg-type]
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(attend or name == "matrix")
        self.register_buffer("table", start.vectors.table, persistent=False)

    def forward(self, contexts: Tensor) -> Tensor:
        """Contexts [B, K, L] → vectors [B, D]; ValueError if L is not 2·window."""
        if contexts.ndim != 3 or contexts.shape[-1] != len(self.places):
            raise ValueError(
                f"ContextAttention: contexts of shape {tuple(contexts.shape)}; need [B, K, {len(self.places)}], the "
                "windows of `collect` with the same window"
            )
        _, beta, means = self._weighed(contexts)
        word = (beta[..., None] * means).sum(1)
        vectors: Tensor = word @ self.matrix.T
        if self.attend:
            vectors = vectors + self.correct(word) * (contexts > 0).any(-1).any(-1)[:, None]
        return vectors

    def weights(self, contexts: Tensor) -> tuple[Tensor, Tensor]:
        """Attention over words α [B, K, L] and over contexts β [B, K]; zero on what is empty."""
        return self._weighed(contexts)[:2]

    def _weighed(self, contexts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """α, β and the weighed means of the contexts Σ_j α_kj x_kj, [B, K, D]."""
        used = contexts > 0
        some = used.any(-1)  # [B, K]
        x = self.get_buffer("table")[contexts]
        if not self.attend:
            alpha, beta = (part / part.sum(-1, keepdim=True).clamp(min=1) for part in (used, some))
            return alpha, beta, (alpha[..., None] * x).sum(2)
        scores = self.places.expand(used.shape).masked_fill(~used, -1e9)
        scores = scores.masked_scatter(used, scores[used] + self.read(x[used]).tanh() @ self.score)
        alpha = scores.softmax(-1) * used  # [B, K, L]
        means = (alpha[..., None] * x).sum(2)
        centre = means.sum(1, keepdim=True) / some.sum(1).clamp(min=1)[:, None, None]
        beta = ((means @ self.agree) * centre).sum(-1).masked_fill(~some, -1e9).softmax(-1) * some
        return alpha, beta, means


def fit_attention(
    model: ContextAttention,
    train: WordContexts,
    *,
    steps: int = 800,
    tasks: int = 64,
    max_shots: int = 6,
    scale: float = 10.0,
    lr: float = 1e-3,
    seed: int = 0,
    progress: bool = True,
) -> list[float]:
    """Meta-train over words: each step draws `tasks` words, each with the same 1 … `max_shots` contexts.   Chapter: 06

    The loss asks for the right word among those of the step: cross-entropy of `scale` · cosine(v̂_i, v_j). (With 1 -
    cosine alone the network learns what all words share, and ranks worse than at the start.) Returns the losses.
    Raises ValueError for sizes below 1 (`tasks` below 2) or more tasks than words, or TrainingDiverged.
    """
    check_options("fit_attention", steps=steps, tasks=tasks, max_shots=max_shots, lr=lr, seed=seed)
    if not 2 <= tasks <= len(train):
        raise ValueError(f"fit_attention(tasks={tasks}): need 2 ≤ tasks ≤ {len(train)}, the number of words")
    targets = normalize(train.targets, dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def loss(step: int) -> Tensor:
        contexts, rows = _draw(train, seed * 1_000_003 + step, tasks=tasks, shots=1 + step % max_shots)
        cosines = normalize(model(contexts), dim=1) @ targets[rows].T  # [B, B]
        return cross_entropy(scale * cosines, torch.arange(tasks))

    with in_training(model, seed=seed):
        bar = progress_bar(range(steps), "meta-train over words", show=progress)
        return list(descend(loss, bar, optimizer, who="fit_attention"))


def _draw(words: WordContexts, seed: int, *, tasks: int, shots: int) -> tuple[Tensor, Tensor]:
    """Contexts [B, K, L] and rows [B] of different words; words with fewer than K contexts repeat some."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(words), generator=generator)[:tasks]
    counts = words.counts[rows][:, None]
    order = torch.rand(tasks, words.contexts.shape[1], generator=generator)
    order = order.masked_fill(torch.arange(order.shape[1]) >= counts, -1).argsort(1, descending=True)
    return words.contexts[rows[:, None], order.gather(1, torch.arange(shots) % counts)], rows
