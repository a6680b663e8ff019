"""A row is stale when something changed that it depends on, and only then: edits in a copy of the library."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from metalearn_lib.choosing import RECIPES, SETTINGS, fingerprint
from metalearn_lib.choosing.across import ACROSS, LEARNERS
from metalearn_lib.choosing.fingerprint import _HERE as HERE
from metalearn_lib.files import root
from metalearn_lib.fingerprint import Library

RIDGE, TFIDF, MINILM, BLEND = NAMES = ("ridge", "tf-idf centroid, plain", "MiniLM centroid", "recommended")
TWO = "clinc150→hwu64"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the library's source."""
    without = shutil.ignore_patterns("__pycache__", "course", "plots")
    return Path(shutil.copytree(root() / "metalearn_lib", tmp_path / "metalearn_lib", ignore=without))


def replace(file: Path, old: str, new: str) -> None:
    source = file.read_text(encoding="utf-8")
    assert old in source
    file.write_text(source.replace(old, new), encoding="utf-8")


def stale(folder: Path, corpus: str = "newsgroups", *, edited: str | None = None) -> tuple[str, ...]:
    """The learners whose rows are stale; where one file is edited, the others need not be read again."""
    library = Library(folder.parent)
    before = {name: fingerprint(name, corpus) for name in NAMES}
    if edited is not None:
        read = {name: source for name, source in HERE._modules.items() if source is not None}
        library._modules.update({name: s for name, s in read.items() if s.path != root() / "metalearn_lib" / edited})
    return tuple(name for name in NAMES if fingerprint(name, corpus, library) != before[name])


def test_every_row_has_its_own_wherever_the_checkout_lies(folder: Path) -> None:
    rows = [(name, corpus) for name in RECIPES for corpus in SETTINGS]
    rows += [(name, corpus) for name in LEARNERS for corpus in (*ACROSS, "reuters", "mine.jsonl@1", "mine.jsonl@2")]
    marks = {row: fingerprint(*row) for row in rows}
    floors = len(
        {corpus for _, corpus in rows}
    )  # each of the two floors says how far it is from the other, so they depend on the same
    assert len(set(marks.values())) == len(rows) - floors
    library = Library(folder.parent)
    assert {row: fingerprint(*row, library) for row in reversed(rows)} == marks


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("learners/ridge.py", "class Ridge(", "# why\nclass Ridge(", ()),
        ("learners/ridge.py", '"""Ridge regression', '"""The ridge regression', ()),
        ("learners/maml.py", "class MAML(", "edited = 1\nclass MAML(", ()),
        ("distillation/costs.py", "def ", "edited = 1\ndef ", ()),
        ("choosing/table.py", "def show(", "edited = 1\ndef show(", ()),
        ("choosing/store.py", "class Store:", "edited = 1\nclass Store:", ()),
        ("choosing/views.py", "max_length=length(bench)", "max_length=9 + length(bench)", (BLEND,)),  # the CNN
        ("choosing/views.py", "shrink=1.0", "shrink=0.9", ()),  # of a pretrained encoder
        ("choosing/recommendation.py", "COVERED = 0.5", "COVERED = 0.6", (BLEND,)),
        ("choosing/search.py", "FEW_CLASSES = 10", "FEW_CLASSES = 11", (BLEND,)),
        ("choosing/across.py", "in_both=110", "in_both=111", ()),
        ("choosing/sources.py", "LEAST, MOST = 20", "LEAST, MOST = 21", ()),
        ("choosing/measure.py", 'Transformer("minilm", windows=windows)', 'Transformer("minilm")', (MINILM,)),
        ("choosing/measure.py", "round(built, 1)", "round(built, 2)", ()),
        ("progress.py", "def ", "edited = 1\ndef ", ()),
        ("learners/ridge.py", "def ridge_weights", "edited = 1\ndef ridge_weights", (RIDGE,)),
        ("encoders/transformer.py", "class Transformer(", "edited = 1\nclass Transformer(", (MINILM,)),
        ("choosing/recipes.py", "encoders.Projected(bench.once(_word_average)",
         "encoders.Projected(_word_average(bench)", (RIDGE,)),
        ("choosing/recipes.py", "Ridge(_mapped(b, normalise=True))", "Ridge(_mapped(b))", (RIDGE,)),
        ("training/loop.py", "def meta_train(", "edited = 1\ndef meta_train(", (RIDGE, BLEND)),
        ("choosing/shots.py", "if block < 1", "if block < 2", (RIDGE, BLEND)),
        ("learners/baselines.py", "class TfidfCentroid", "edited = 1\nclass TfidfCentroid", NAMES),  # a floor
        ("encoders/averaged.py", "class Averaged(", "edited = 1\nclass Averaged(", NAMES),
        ("choosing/measure.py", "n_query=queries, seed=0", "n_query=queries, seed=1", NAMES),
        ("choosing/settings.py", "at_most(self.at_most, seed=0)", "at_most(self.at_most, seed=1)", NAMES),
        ("choosing/settings.py", 'splits=("0", "1", "2")', 'splits=("0", "1")', ()),  # of another corpus
        ("choosing/settings.py", "windows=4", "windows=3", NAMES),
        ("episodes/sampling.py", "class EpisodeSampler", "edited = 1\nclass EpisodeSampler", NAMES),
        ("evaluation.py", "def evaluate(", "edited = 1\ndef evaluate(", NAMES),
        ("corpora/catalog.toml", 'title = "', 'title = "The ', ()),
        ("corpora/catalog.toml", "wordsim353.tsv", "other.tsv", ()),
        ("corpora/catalog.toml", 'size = 90868376, sha256 = "53aa', 'size = 9, sha256 = "00', (MINILM,)),
        ("corpora/catalog.toml", '"rec.autos", ', "", NAMES),
    ],
)  # fmt: skip
def test_an_edit_makes_those_rows_stale_that_can_reach_it(
    folder: Path, file: str, old: str, new: str, expected: tuple[str, ...]
) -> None:
    replace(folder / file, old, new)
    assert stale(folder, edited=file) == expected


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("choosing/across.py", "in_both=110", "in_both=111", (TWO,)),
        ("choosing/across.py", "in_both=5", "in_both=6", ()),
        ("choosing/sources.py", "LEAST, MOST = 20", "LEAST, MOST = 21", ("reuters", "mine.jsonl@1")),
        ("corpora/catalog.toml", 'sha256 = "ae5573aa', 'sha256 = "00', (TWO,)),  # CLINC150
        ("corpora/catalog.toml", 'sha256 = "a4c337fc', 'sha256 = "00', (TWO,)),  # HWU64
        ("corpora/splits.py", "0.2 * n", "0.3 * n", (TWO, "reuters", "mine.jsonl@1")),
    ],
)
def test_rows_of_two_corpora_of_drawn_splits_and_of_own_files_know_what_they_are_made_of(
    folder: Path, file: str, old: str, new: str, expected: tuple[str, ...]
) -> None:
    replace(folder / file, old, new)
    assert tuple(name for name in (TWO, "reuters", "mine.jsonl@1") if stale(folder, name, edited=file)) == expected


def test_a_file_that_moves_leaves_its_rows_fresh(folder: Path) -> None:
    (folder / "learners/ridge.py").rename(folder / "learners/closed_form.py")
    for file in ("__init__", "signatures"):
        replace(folder / f"learners/{file}.py", "learners.ridge ", "learners.closed_form ")
    assert not stale(folder)
    replace(folder / "learners/closed_form.py", "def ridge_weights", "edited = 1\ndef ridge_weights")
    assert stale(folder) == (RIDGE,)
