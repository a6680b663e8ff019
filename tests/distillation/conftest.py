"""A student of the two topics (`texts`, `words`)."""

from __future__ import annotations

import pytest

from metalearn_lib.classification import Classifier
from metalearn_lib.encoders import WordAverage
from metalearn_lib.text import WordVectors


@pytest.fixture
def student(words: WordVectors) -> Classifier:
    return Classifier(WordAverage(words), ["space", "sport"])
