"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

if "PYTEST_XDIST_WORKER" in os.environ:  # several test processes that each take every core slow each other down
    os.environ.setdefault("OMP_NUM_THREADS", "1")

PARAMETERS = 'profile = "quick"\ndevice = "auto"\nseed = 0'
Write = Callable[..., Path]


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
