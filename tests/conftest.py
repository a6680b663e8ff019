"""Fixtures for all tests."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus
    from metalearn_lib.text import WordVectors

if "PYTEST_XDIST_WORKER" in os.environ:  # several test processes that each take every core slow each other down
    os.environ.setdefault("OMP_NUM_THREADS", "1")

PARAMETERS = 'profile = "quick"\ndevice = "auto"\nseed = 0'
Write = Callable[..., Path]
TOPICS = {"space": ["orbit", "moon", "rocket", "mars"], "sport": ["goal", "team", "match", "coach"]}
FILLERS = ["the", "of", "and", "was"]


@pytest.fixture
def write_notebook(tmp_path: Path) -> Write:
    """Write a small notebook, ``write_notebook("00_one", "code", …)``, into a course folder; return its path."""

    def write(name: str, *sources: str, parameters: str | None = PARAMETERS) -> Path:
        cells = [new_markdown_cell("# A chapter")]
        if parameters is not None:
            cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        cells += [new_code_cell(source) for source in sources]
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(new_notebook(cells=cells), path)
        return path

    return write


@pytest.fixture
def texts() -> Corpus:
    """60 texts, each with one word of its topic among fillers."""
    from metalearn_lib.corpora import Corpus

    rng = random.Random(0)
    labels = ["space", "sport"] * 30
    lines = [" ".join([rng.choice(TOPICS[label]), *rng.sample(FILLERS, 3), str(n)]) for n, label in enumerate(labels)]
    return Corpus("two topics", lines, labels)


@pytest.fixture
def words() -> WordVectors:
    """Random vectors of their words."""
    import torch  # here: the number of threads is chosen above, before torch is imported

    from metalearn_lib.text import WordVectors

    every = [*TOPICS["space"], *TOPICS["sport"], *FILLERS]
    vectors = torch.randn(len(every), 16, generator=torch.Generator().manual_seed(0))
    return WordVectors.from_array(every, vectors.numpy())
