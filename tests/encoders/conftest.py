"""Eight words with random vectors, and four texts, the last of unknown words."""

import numpy as np
import pytest

from metalearn_lib.corpora import Corpus
from metalearn_lib.text import WordVectors


@pytest.fixture(scope="module")
def vectors():
    words = ["red", "green", "blue", "cat", "dog", "runs", "sleeps", "fast"]
    return WordVectors.from_array(words, np.random.default_rng(0).normal(size=(8, 6)))


@pytest.fixture(scope="module")
def corpus():
    texts = ["red cat runs", "green dog sleeps", "blue cat runs fast red dog sleeps green", "zyx qwv"]
    return Corpus("colours", texts, ["a", "a", "b", "b"])
