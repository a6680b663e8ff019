"""Embedding distillation: matched by gradient, solved in closed form."""

from __future__ import annotations

import pytest
import torch

from metalearn_lib import encoders
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation import latent_average, match, solved_average
from metalearn_lib.encoders import WordAverage
from metalearn_lib.text import WordVectors


@pytest.fixture
def teacher(words: WordVectors) -> encoders.Averaged:
    other = torch.randn(len(words.words), 4, generator=torch.Generator().manual_seed(7))
    return encoders.Averaged(WordVectors.from_array(words.words, other.numpy()))


def far_off(vectors: torch.Tensor, wanted: torch.Tensor) -> float:
    """Mean of 1 − cosine."""
    return float((1 - torch.nn.functional.cosine_similarity(vectors, wanted)).mean())


def test_matching_turns_the_student_towards_its_teacher(
    texts: Corpus, words: WordVectors, teacher: encoders.Averaged
) -> None:
    student = WordAverage(words)
    matched = match(student, teacher, texts, epochs=150)
    wanted = teacher.embed(texts.texts)
    assert far_off(matched.embed(texts.texts), wanted) < 0.05
    assert matched.dim == teacher.dim and matched.encoder is student


def test_matching_is_the_same_for_the_same_seed(texts: Corpus, words: WordVectors, teacher: encoders.Averaged) -> None:
    a, b, c = (match(WordAverage(words), teacher, texts, epochs=1, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(a.embed(texts.texts), b.embed(texts.texts))
    assert not torch.equal(a.embed(texts.texts), c.embed(texts.texts))


def test_the_solution_is_the_ridge_regression_written_out(
    texts: Corpus, words: WordVectors, teacher: encoders.Averaged
) -> None:
    solved = solved_average(teacher, texts, words, dim=4, penalty=0.5)
    student = WordAverage(words, background=texts).double()
    prepared = student.prepare(texts.texts)
    shares = torch.zeros(len(texts), len(words.table), dtype=torch.float64)
    shares.scatter_add_(1, prepared, student.shares(prepared).detach())
    wanted = teacher.embed(texts.texts).double()
    lam = 0.5 * (shares**2).sum(1).mean()
    primal = torch.linalg.solve(
        shares.T @ shares + lam * torch.eye(shares.shape[1], dtype=torch.float64), shares.T @ (wanted - wanted.mean(0))
    )
    ours = solved.projection(solved.encoder.embed(texts.texts)).double()
    assert torch.allclose(ours, shares @ primal + wanted.mean(0), atol=1e-4)


def test_a_teacher_that_is_an_average_is_found_again(texts: Corpus, words: WordVectors) -> None:
    teacher = encoders.Averaged(words, weighting="idf", background=texts)
    solved = solved_average(teacher, texts, words, dim=16, penalty=1e-6)
    assert far_off(solved.embed(texts.texts), teacher.embed(texts.texts)) < 1e-3


def test_without_a_teacher_the_vectors_are_the_main_directions_of_the_shares(texts: Corpus, words: WordVectors) -> None:
    latent = latent_average(texts, words, dim=3)
    student = WordAverage(words, background=texts)
    prepared = student.prepare(texts.texts)
    shares = torch.zeros(len(texts), len(words.table)).scatter_add_(1, prepared, student.shares(prepared).detach())
    left, sizes, _ = torch.linalg.svd(shares - shares.mean(0), full_matrices=False)
    wanted = torch.nn.functional.normalize(left[:, :3] * sizes[:3], dim=1)
    vectors = latent.embed(texts.texts)
    assert torch.allclose(vectors @ vectors.T, wanted @ wanted.T, atol=1e-4)
    with pytest.raises(ValueError, match=r"latent_average\(dim=0\): need 1 ≤ dim ≤ "):
        latent_average(texts, words, dim=0)
