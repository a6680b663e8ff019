"""Averages of word vectors: one sparse product, held against a loop over texts and words."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metalearn_lib import text
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged
from metalearn_lib.text import WordVectors

WORDS = ["the", "cat", "dog", "red", "green", "'", "."]
BACKGROUND = Corpus("background", ["the cat. the cat", "the red dog's", "green unheard"], ["x"] * 3)
OPTIONS = [
    {},
    {"weighting": "idf", "background": BACKGROUND},
    {"weighting": "sif", "background": BACKGROUND},
    {"weighting": "sif"},
]


@pytest.fixture(scope="module")
def vectors():
    return WordVectors.from_array(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 6)))


def by_loop(encoder, texts):
    """The mean, text by text and word by word."""
    out = torch.zeros(len(texts), encoder.dim, dtype=torch.float64)
    for row, words in enumerate(map(text.tokenize, texts)):
        total = 0.0
        for word, count in Counter(words).items():
            if number := encoder.vectors.stoi.get(word):
                share = encoder._weight(word, number) * (1 + math.log(count) if encoder.log_counts else count)
                out[row] += share * encoder.vectors.table[number].double()
                total += share
        out[row] /= total or 1
    return out.float()


@pytest.mark.parametrize("log_counts", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "idf", "sif", "sif by rank"])
@given(
    texts=st.lists(st.lists(st.sampled_from([*WORDS, "zyx", "QWV", '"', ";"]), min_size=1).map(" ".join), max_size=6)
)
@settings(max_examples=40, deadline=None)
def test_one_product_gives_what_a_loop_over_words_gives(vectors, options, log_counts, texts):
    encoder = Averaged(vectors, log_counts=log_counts, **options)
    found = encoder.prepare(texts)
    assert found.shape == (len(texts), 6) and found.dtype == torch.float32
    torch.testing.assert_close(found, by_loop(encoder, texts), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "idf", "sif", "sif by rank"])
def test_texts_without_a_known_word_are_zero_beside_others_and_alone(vectors, options):
    encoder = Averaged(vectors, **options)
    assert encoder.prepare(["zyx", "qwv ;"]).abs().max() == 0
    assert encoder.prepare(["zyx", "the cat", "qwv"])[[0, 2]].abs().max() == 0


def test_a_table_without_words_gives_zero_vectors():
    encoder = Averaged(WordVectors.from_array([], np.zeros((0, 3))))
    assert torch.equal(encoder.prepare(["the cat", "a dog"]), torch.zeros(2, 3))


def test_no_texts_no_vectors(vectors):
    assert Averaged(vectors).prepare([]).shape == (0, 6)


def test_real_posts_in_glove():
    from metalearn_lib import corpora

    posts = corpora.load("movie_sentiment").texts[:300]
    encoder = Averaged("glove", weighting="sif", log_counts=True)
    torch.testing.assert_close(encoder.prepare(posts), by_loop(encoder, posts), atol=1e-6, rtol=1e-6)
