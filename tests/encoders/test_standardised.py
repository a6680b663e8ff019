"""Standardised vectors: mean 0 and deviation 1 over the background, the same map everywhere else."""

import numpy as np
import pytest
import torch

from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Standardised
from metalearn_lib.text import WordVectors


@pytest.fixture
def averaged():
    words = ["play", "some", "jazz", "rain", "today", "pizza", "large"]
    return Averaged(WordVectors.from_array(words, np.random.default_rng(0).normal(size=(len(words), 6))))


@pytest.fixture
def background():
    return Corpus("background", ["play some jazz", "rain today", "large pizza", "some rain"], ["a", "b", "c", "b"])


def test_background_has_mean_0_and_deviation_1(averaged, background):
    encoder = Standardised(averaged, background)
    vectors, raw = encoder.inputs(background), averaged.inputs(background)
    torch.testing.assert_close(vectors.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(vectors.std(0), torch.ones(6), atol=1e-5, rtol=0)
    expected = (averaged.embed(["pizza today"]) - raw.mean(0)) / raw.std(0)
    torch.testing.assert_close(encoder.embed(["pizza today"]), expected)


def test_a_number_that_never_varies_is_only_centred(averaged):
    same = Corpus("same", ["play some jazz"] * 4, ["a", "a", "b", "b"])
    vectors = Standardised(averaged, same).inputs(same)
    torch.testing.assert_close(vectors, torch.zeros_like(vectors), atol=1e-5, rtol=0)


def test_nothing_trains(averaged, background):
    assert not [p for p in Standardised(averaged, background).parameters() if p.requires_grad]
