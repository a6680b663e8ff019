"""Whitening: the scatter within classes becomes round, in the vectors it was fitted to; bad options."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Whitened
from metalearn_lib.encoders.whitened import _fit
from metalearn_lib.text import WordVectors


@pytest.fixture
def labelled():
    """300 vectors in three classes whose members differ mostly along one direction."""
    random = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], 100)
    centres = {"a": [0, 3, 0], "b": [0, 0, 3], "c": [0, 3, 3]}
    vectors = np.array([centres[y] for y in labels]) + random.normal(size=(300, 3)) * [5, 1, 0.2]
    return torch.tensor(vectors), labels.tolist()


def test_the_scatter_within_classes_becomes_round(labelled):
    vectors, labels = labelled
    mean, matrix = _fit(vectors, labels, shrink=1e-6)
    mapped = (vectors - mean) @ matrix
    deviations = torch.cat([mapped[i : i + 100] - mapped[i : i + 100].mean(0) for i in (0, 100, 200)])
    covariance = deviations.T @ deviations / 300
    torch.testing.assert_close(covariance / covariance[0, 0], torch.eye(3, dtype=torch.float64), atol=1e-3, rtol=0)


def test_only_centring_is_left_at_full_shrinkage(labelled):
    vectors, labels = labelled
    mean, matrix = _fit(vectors, labels, shrink=1)
    torch.testing.assert_close(mean, vectors.mean(0))
    torch.testing.assert_close(matrix, torch.eye(3, dtype=torch.float64))


@pytest.fixture
def texts():
    words = [f"w{i}" for i in range(20)]
    vectors = WordVectors.from_array(words, np.random.default_rng(1).normal(size=(20, 4)))
    corpus = Corpus("small", [f"w{i} w{(i * 7) % 20}" for i in range(20)], [str(i % 4) for i in range(20)])
    return Averaged(vectors), corpus


def test_vectors_have_length_one_and_unknown_texts_stay_zero(texts):
    frozen, corpus = texts
    vectors = Whitened(frozen, corpus, shrink=0.2).embed([*corpus.texts, "never seen"])
    torch.testing.assert_close(vectors[:-1].norm(dim=1), torch.ones(20))
    assert vectors[-1].abs().max() == 0


def test_the_map_is_the_formula(texts):
    frozen, corpus = texts
    encoder = Whitened(frozen, corpus, shrink=0.5)
    unit = normalize(frozen.embed(corpus.texts), dim=1)
    expected = normalize((unit - unit.mean(0)) @ encoder.get_buffer("matrix"), dim=1)
    torch.testing.assert_close(encoder(torch.arange(20), corpus), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shrink", [0, -0.1, 1.1])
def test_shrinkage_outside_its_range_is_refused(texts, shrink):
    with pytest.raises(ValueError, match="0 < shrink ≤ 1"):
        Whitened(*texts, shrink=shrink)
