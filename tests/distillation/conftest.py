"""A small world for distillation: texts of two topics, word vectors of their words, a teacher that knows them."""

from __future__ import annotations

import random

import pytest
import torch

from metalearn_lib.classification import Classifier
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import WordAverage
from metalearn_lib.text import WordVectors

TOPICS = {"space": ["orbit", "moon", "rocket", "mars"], "sport": ["goal", "team", "match", "coach"]}
FILLERS = ["the", "of", "and", "was"]


@pytest.fixture
def texts() -> Corpus:
    """60 texts, each with one word of its topic among fillers."""
    rng = random.Random(0)
    labels = ["space", "sport"] * 30
    lines = [" ".join([rng.choice(TOPICS[label]), *rng.sample(FILLERS, 3), str(n)]) for n, label in enumerate(labels)]
    return Corpus("two topics", lines, labels)


@pytest.fixture
def words() -> WordVectors:
    every = [*TOPICS["space"], *TOPICS["sport"], *FILLERS]
    vectors = torch.randn(len(every), 16, generator=torch.Generator().manual_seed(0))
    return WordVectors.from_array(every, vectors.numpy())


@pytest.fixture
def student(words: WordVectors) -> Classifier:
    return Classifier(WordAverage(words), ["space", "sport"])
