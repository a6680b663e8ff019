"""The notebooks of the course, as they are stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from metalearn_lib.files import root
from tests.notebooks.rules import faults

NOTEBOOKS = sorted((root() / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_has_no_fault(path: Path) -> None:
    found = faults(path)
    assert not found, "\n" + "\n".join(f"{path.name}, {fault}" for fault in found)


def test_the_course_is_there() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {
        "00_start_here", "01_background", "02_meta_optimizers", "03_maml_and_reptile", "04_metric_based",
        "06_meta_embeddings", "08_distillation", "09_transfer", "glossary",
    }  # fmt: skip
