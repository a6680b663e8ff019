"""A row is stale when something changed that it depends on, and only then: edits in a copy of the library."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from metalearn_lib.choosing import RECIPES, SETTINGS, fingerprint
from metalearn_lib.choosing.fingerprint import Library
from metalearn_lib.choosing.recipes import skips
from metalearn_lib.files import root

RIDGE, TFIDF, MINILM = NAMES = ("ridge", "tf-idf centroid, plain", "MiniLM centroid")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the library's source."""
    without = shutil.ignore_patterns("__pycache__", "course", "plots")
    return Path(shutil.copytree(root() / "metalearn_lib", tmp_path / "metalearn_lib", ignore=without))


def edit(file: Path, name: str, statement: str) -> None:
    """Write a statement at the start of a function or class, or without a name at the end of the file."""
    lines = file.read_text(encoding="utf-8").splitlines()
    (place,) = [
        (node.body[0].lineno - 1, node.body[0].col_offset)
        for node in ast.parse("\n".join(lines)).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
    ] or [(len(lines), 0)]
    lines.insert(place[0], " " * place[1] + statement)
    file.write_text("\n".join(lines), encoding="utf-8")


def replace(file: Path, old: str, new: str) -> None:
    source = file.read_text(encoding="utf-8")
    assert old in source
    file.write_text(source.replace(old, new), encoding="utf-8")


def stale(folder: Path, corpus: str = "newsgroups") -> tuple[str, ...]:
    library = Library(folder)
    return tuple(name for name in NAMES if library.fingerprint(name, corpus) != fingerprint(name, corpus))


def test_every_row_has_its_own_and_every_reading_the_same(folder: Path) -> None:
    rows = [(name, corpus) for name in RECIPES for corpus, setting in SETTINGS.items() if not skips(name, setting)]
    marks = {row: fingerprint(*row) for row in rows}
    floors = len(SETTINGS)  # each of the two floors says how far it is from the other, so they depend on the same
    assert len(set(marks.values())) == len(rows) - floors
    library = Library(folder)
    assert {row: library.fingerprint(*row) for row in reversed(rows)} == marks


@pytest.mark.parametrize(
    ("file", "name", "statement"),
    [
        ("learners/ridge.py", "Ridge", '"""Told better."""'),
        ("learners/ridge.py", "ridge_weights", "# why"),
        ("learners/ridge.py", "", "import math"),
        ("learners/baselines.py", "LogisticRegression", "edited = 1"),  # in a file that all rows reach
        ("learners/maml.py", "MAML", "edited = 1"),
        ("distillation/costs.py", "costs", "edited = 1"),
        ("choosing/table.py", "show", "edited = 1"),
        ("choosing/store.py", "Store", "edited = 1"),
        ("choosing/recipes.py", "_cnn", "edited = 1"),
        ("progress.py", "progress_bar", "edited = 1"),
    ],
)
def test_edits_that_a_row_cannot_reach_leave_it_fresh(folder: Path, file: str, name: str, statement: str) -> None:
    edit(folder / file, name, statement)
    assert stale(folder) == ()


@pytest.mark.parametrize(
    ("file", "name", "expected"),
    [
        ("learners/ridge.py", "Ridge", (RIDGE,)),
        ("learners/ridge.py", "ridge_weights", (RIDGE,)),
        ("learners/ridge.py", "", (RIDGE,)),  # what a module does when it is imported
        ("learners/baselines.py", "TfidfCentroid", NAMES),  # a floor: every row says how far it is above it
        ("learners/baselines.py", "Centroid", (MINILM,)),
        ("encoders/averaged.py", "Averaged", (RIDGE,)),
        ("encoders/transformer.py", "Transformer", (MINILM,)),
        ("training/loop.py", "meta_train", (RIDGE,)),
        ("choosing/shots.py", "AnyShots", (RIDGE,)),
        ("choosing/recipes.py", "_mapped", (RIDGE,)),
        ("choosing/settings.py", "Setting", NAMES),
        ("choosing/measure.py", "scores", NAMES),
        ("episodes/sampling.py", "EpisodeSampler", NAMES),
        ("evaluation.py", "evaluate", NAMES),
    ],
)
def test_edits_that_a_row_can_reach_make_it_stale(
    folder: Path, file: str, name: str, expected: tuple[str, ...]
) -> None:
    edit(folder / file, name, "assert True")
    assert stale(folder) == expected


def test_an_entry_of_a_table_is_that_of_its_own_rows(folder: Path) -> None:
    replace(folder / "choosing/recipes.py", "learners.Ridge(_mapped(b, normalise=True))", "learners.Ridge(_mapped(b))")
    replace(folder / "choosing/settings.py", "max_length=20", "max_length=21")
    assert stale(folder, "newsgroups") == (RIDGE,)
    assert stale(folder, "clinc150") == NAMES


def test_the_catalog_counts_where_it_says_what_is_read(folder: Path) -> None:
    catalog = folder / "corpora/catalog.toml"
    replace(catalog, 'title = "', 'title = "The ')
    replace(catalog, "wordsim353.tsv", "other.tsv")
    assert stale(folder) == ()
    replace(
        catalog, '"model.safetensors", size = 90868376, sha256 = "53aa', '"model.safetensors", size = 9, sha256 = "00'
    )
    assert stale(folder) == (MINILM,)
    replace(catalog, '"rec.autos", ', "")
    assert stale(folder) == NAMES
    assert stale(folder, "clinc150") == (MINILM,)


def test_a_file_that_moves_leaves_its_rows_fresh(folder: Path) -> None:
    (folder / "learners/ridge.py").rename(folder / "learners/closed_form.py")
    for file in (folder / "learners").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        file.write_text(source.replace("learners.ridge ", "learners.closed_form "), encoding="utf-8")
    assert not stale(folder)
    edit(folder / "learners/closed_form.py", "Ridge", "assert True")
    assert stale(folder) == (RIDGE,)
