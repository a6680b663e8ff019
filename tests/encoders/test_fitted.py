"""What is fitted to a background: mean 0 and deviation 1, or a round scatter within classes; bad options."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Standardised, Whitened
from metalearn_lib.text import WordVectors


@pytest.fixture
def texts():
    words = [f"w{i}" for i in range(20)]
    vectors = WordVectors.from_array(words, np.random.default_rng(1).normal(size=(20, 4)))
    corpus = Corpus("small", [f"w{i} w{(i * 7) % 20}" for i in range(20)], [str(i % 4) for i in range(20)])
    return Averaged(vectors), corpus


def test_a_standardised_background_has_mean_0_and_deviation_1(texts):
    averaged, background = texts
    encoder = Standardised(averaged, background)
    vectors, raw = encoder.inputs(background), averaged.inputs(background)
    torch.testing.assert_close(vectors.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(vectors.std(0), torch.ones(4), atol=1e-5, rtol=0)
    expected = (averaged.embed(["w3 w5"]) - raw.mean(0)) / raw.std(0)
    torch.testing.assert_close(encoder.embed(["w3 w5"]), expected)
    assert not [p for p in encoder.parameters() if p.requires_grad]


def test_a_number_that_never_varies_is_only_centred(texts):
    same = Corpus("same", ["w1 w2 w3"] * 4, ["a", "a", "b", "b"])
    vectors = Standardised(texts[0], same).inputs(same)
    torch.testing.assert_close(vectors, torch.zeros_like(vectors), atol=1e-5, rtol=0)


def test_whitening_makes_the_scatter_within_classes_round(texts):
    """300 texts of one word each, in three classes whose members differ mostly along one direction."""
    random = np.random.default_rng(0)
    points = np.repeat([[0, 3, 0], [0, 0, 3], [0, 3, 3]], 100, axis=0) + random.normal(size=(300, 3)) * [5, 1, 0.2]
    words = [f"w{i}" for i in range(300)]
    corpus = Corpus("points", words, [str(i // 100) for i in range(300)])
    averaged = Averaged(WordVectors.from_array(words, points))
    encoder, unit = Whitened(averaged, corpus, shrink=1e-6), normalize(averaged.embed(words), dim=1)
    mapped = (unit - unit.mean(0)) @ encoder.get_buffer("matrix")
    deviations = mapped.view(3, 100, 3) - mapped.view(3, 100, 3).mean(1, keepdim=True)
    covariance = deviations.flatten(0, 1).T @ deviations.flatten(0, 1) / 300
    torch.testing.assert_close(covariance / covariance[0, 0], torch.eye(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(encoder.embed(words), normalize(mapped, dim=1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(encoder.get_buffer("mean"), unit.mean(0))
    torch.testing.assert_close(Whitened(averaged, corpus, shrink=1).get_buffer("matrix"), torch.eye(3))


def test_whitened_vectors_have_length_one_and_unknown_texts_stay_zero(texts):
    vectors = Whitened(*texts, shrink=0.2).embed([*texts[1].texts, "never seen"])
    torch.testing.assert_close(vectors[:-1].norm(dim=1), torch.ones(20))
    assert vectors[-1].abs().max() == 0


@pytest.mark.parametrize("shrink", [0, -0.1, 1.1])
def test_shrinkage_outside_its_range_is_refused(texts, shrink):
    with pytest.raises(ValueError, match="0 < shrink ≤ 1"):
        Whitened(*texts, shrink=shrink)
