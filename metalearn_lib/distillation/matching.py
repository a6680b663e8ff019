"""The teacher's vectors as targets: hidden states matched through a learned projection, or solved for.   Chapter 08

Matching: FitNets (Romero et al., 2015). Static students of sentence encoders: Model2Vec (Tulkens and van Dongen,
2024) starts from single words; here the word vectors are solved for, so that their average in real texts is right.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from metalearn_lib import text
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation.soft_targets import check_pool
from metalearn_lib.encoders import Encoder, WordAverage
from metalearn_lib.encoders.base import OnTop
from metalearn_lib.errors import check_options
from metalearn_lib.optimise import descend, in_training
from metalearn_lib.progress import progress_bar


class Matched(OnTop):
    """A student encoder and a linear map [D'] → [D] with offset into its teacher's space.   Chapter: 08"""

    def __init__(self, encoder: Encoder, dim: int) -> None:
        super().__init__(encoder)
        self.dim = dim
        self.projection = nn.Linear(encoder.dim, dim)

    def encode(self, prepared: Tensor) -> Tensor:
        vectors: Tensor = nn.functional.normalize(self.projection(self.encoder.encode(prepared)), dim=-1)
        return vectors


def match(
    student: Encoder,
    teacher: Encoder,
    pool: Corpus,
    *,
    epochs: int,
    rate: float = 1e-2,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = True,
) -> Matched:
    """Train the student, and a projection, so that its vectors point where the teacher's do; no label is used.

    The loss is 1 − cosine of the vectors of whole texts, so that the two may have different tokenisers. Returns the
    student in its teacher's space: the teacher's own head fits on it. Raises ValueError for an empty pool or options
    out of range, or TrainingDiverged.   Chapter: 08
    """
    check_options("match", epochs=epochs, rate=rate, batch_size=batch_size, seed=seed)
    check_pool(pool, "match")
    wanted = teacher.embed(pool)
    prepared = student.inputs(pool)
    generator = torch.Generator().manual_seed(seed)
    with in_training(student, seed=seed):
        matched = Matched(student, teacher.dim).to(prepared.device)

        def loss(rows: Tensor) -> Tensor:
            vectors = matched.encode(matched.trimmed(prepared[rows]))
            return (1 - cosine_similarity(vectors, wanted[rows], dim=-1)).mean()

        optimizer = torch.optim.Adam(matched.parameters(), lr=rate, fused=True)  # faster on a table of words
        for _ in progress_bar(range(epochs), "match", show=progress):
            batches = torch.randperm(len(pool), generator=generator).split(batch_size)
            list(descend(loss, batches, optimizer, who="match"))
    return matched.eval()


def solved_average(
    teacher: Encoder,
    pool: Corpus,
    words: text.WordVectors,
    *,
    dim: int = 128,
    penalty: float = 0.3,
    max_length: int = 300,
) -> Matched:
    """A static student in closed form: word vectors whose idf-weighted average comes nearest to the teacher's vectors.

    Of `words` only the list counts. With A [n, V] the shares of the words in the n texts of the pool, and T [n, D] the
    teacher's vectors, centred and reduced to their `dim` main directions, the word vectors are
    W = Aᵀ (A Aᵀ + λ I)⁻¹ T, the ridge solution, λ = `penalty` times the mean of A Aᵀ's diagonal; the projection leads
    back into the teacher's space. Memory: n · V numbers. Raises ValueError for an empty pool, dim or penalty.

    Chapter: 08
    """
    check_pool(pool, "solved_average")
    if not 1 <= dim <= min(teacher.dim, len(pool)) or penalty <= 0:
        raise ValueError(
            f"solved_average(dim={dim}, penalty={penalty}): need 1 ≤ dim ≤ {min(teacher.dim, len(pool))} (the "
            "teacher's numbers, and the texts of the pool) and penalty > 0"
        )
    student = _empty_average(words, pool, dim, max_length)
    wanted = teacher.embed(pool).cpu()
    mean = wanted.mean(0)
    directions = torch.linalg.svd(wanted - mean, full_matrices=False).Vh[:dim]  # [dim, D]
    with torch.no_grad():
        shares = _shares_of_words(student, pool)  # [n, V]
        gram = shares @ shares.T
        ridge = gram + penalty * gram.diagonal().mean() * torch.eye(len(gram))
        student.table.weight.copy_(shares.T @ torch.linalg.solve(ridge, (wanted - mean) @ directions.T))
        student.table.weight[0] = 0
        matched = Matched(student, teacher.dim)
        matched.projection.weight.copy_(directions.T)
        matched.projection.bias.copy_(mean)
    return matched.eval()


def latent_average(pool: Corpus, words: text.WordVectors, *, dim: int = 128, max_length: int = 300) -> Matched:
    """`solved_average` without a teacher: word vectors from a singular value decomposition of the same share matrix.

    Latent semantic analysis (Deerwester et al., 1990): with A [n, V] the shares of the words in the texts, centred, the
    word vectors are its `dim` main directions. What they bring to a classifier, the texts bring alone: the control of
    every vector that a teacher had a hand in. Raises ValueError for an empty pool or a dim that it cannot have.

    Chapter: 08
    """
    check_pool(pool, "latent_average")
    most = min(len(pool), len(words.words))
    if not 1 <= dim <= most:
        raise ValueError(f"latent_average(dim={dim}): need 1 ≤ dim ≤ {most} (the texts of the pool, and the words)")
    student = _empty_average(words, pool, dim, max_length)
    with torch.no_grad():
        shares = _shares_of_words(student, pool)
        mean = shares.mean(0)
        directions = _main_directions(shares - mean, dim)  # [dim, V]
        student.table.weight.copy_(directions.T)
        student.table.weight[0] = 0
        latent = Matched(student, dim)
        latent.projection.weight.copy_(torch.eye(dim))
        latent.projection.bias.copy_(-directions @ mean)
    return latent.eval()


def _main_directions(rows: Tensor, dim: int) -> Tensor:
    """The first right singular vectors [dim, V] of rows [n, V]; 0 where the rows do not vary in so many directions.

    From the small side of the matrix: with n far below V, ten times as fast as a singular value decomposition.
    """
    rows = rows.double()
    values, left = torch.linalg.eigh(rows @ rows.T)  # ascending [n], [n, n]
    values, left = values.flip(0)[:dim], left.flip(1)[:, :dim]
    known = values > 1e-12 * values[0]
    return ((left.T @ rows) * (known / values.clamp(min=1e-300).sqrt())[:, None]).float()


def _empty_average(words: text.WordVectors, pool: Corpus, dim: int, max_length: int) -> WordAverage:
    empty = text.WordVectors(words.words, torch.zeros(len(words.words) + 1, dim))
    return WordAverage(empty, background=pool, max_length=max_length)


def _shares_of_words(student: WordAverage, pool: Corpus) -> Tensor:
    """Shares [n, V] of the words in the texts; the first column is for what is no word."""
    prepared = student.inputs(pool)
    shares = torch.zeros(len(pool), len(student.table.weight))
    return shares.scatter_add_(1, prepared, student.shares(prepared))
