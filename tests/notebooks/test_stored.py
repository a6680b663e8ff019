"""The notebooks of the course, as they are stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from metalearn_lib.course.replication.store import Replication, seeds_text, stored_file
from metalearn_lib.course.running.chapters import Chapter
from metalearn_lib.course.running.fingerprint import cells_hash
from metalearn_lib.files import root
from tests.notebooks.rules import faults

NOTEBOOKS = sorted((root() / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_has_no_fault(path: Path) -> None:
    found = faults(path)
    assert not found, "\n" + "\n".join(f"{path.name}, {fault}" for fault in found)


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.stem[0].isdigit()], ids=lambda path: path.stem)
def test_what_is_stored_of_other_seeds_is_of_these_cells(path: Path) -> None:
    seeds = Replication.read(stored_file()).of(path.stem).seeds
    if not seeds:
        pytest.skip(f"{stored_file().name} holds nothing of {path.stem}; `metalearn replicate` measures it")
    now = cells_hash(Chapter(path))
    old = [row["seed"] for row in seeds if not now.startswith(row["cells"])]
    command = f"metalearn replicate {path.stem[:2]} --seeds {seeds_text(old).replace('–', '-').replace(' ', '')}"
    assert not old, f"{path.name} has changed since its claims were tried on other seeds; try them again: {command}"


def test_the_course_is_there() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {
        "00_start_here", "01_background", "02_meta_optimizers", "03_maml_and_reptile", "04_metric_based",
        "05_meta_networks", "06_meta_embeddings", "07_online_and_replay", "08_distillation", "09_transfer",
        "10_sequence_labels_and_relations", "11_translation", "glossary",
    }  # fmt: skip
