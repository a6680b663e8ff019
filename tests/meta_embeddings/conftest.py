"""Small sources with different words and dimensions, and a toy language in which contexts tell a word's meaning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from metalearn_lib.text import WordVectors


@pytest.fixture
def source() -> Callable[..., WordVectors]:
    """Random vectors for the given words."""

    def make(words: str, dim: int, seed: int = 0) -> WordVectors:
        return WordVectors.from_array(words.split(), np.random.default_rng(seed).normal(size=(len(words.split()), dim)))

    return make


@pytest.fixture(scope="session")
def toy() -> tuple[list[list[str]], WordVectors]:
    """Texts of 40 words in four topics, and vectors: a word's own vector is a fixed linear map of its topic's mean."""
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(40)]
    centres = random.normal(size=(4, 6)) * 2
    vectors = WordVectors.from_array(words, np.array([centres[i % 4] for i in range(40)]) + random.normal(size=(40, 6)))
    texts = []
    for _ in range(400):
        topic = int(random.integers(4))
        texts.append([f"w{4 * int(random.integers(10)) + topic}" for _ in range(8)])
    return texts, vectors
