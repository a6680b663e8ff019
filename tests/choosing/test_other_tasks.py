"""Rows of tags and translations: what is pooled, what is kept apart, and what the stored files hold."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from metalearn_lib.choosing.other_tasks import CHRF, HEADS, RIGHT, SPANS, Cell, other_rows, other_tables


def tags(corpus: str, task: str, learner: str, decoder: str, *values: float) -> dict[str, object]:
    return {"corpus": corpus, "task": task, "shots": 5, "learner": learner, "decoder": decoder, "values": values}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    stored = [
        tags("snips", "PlayMusic", "dictionary", "BIO", 10, 20),
        tags("snips", "RateBook", "dictionary", "BIO", 30, 40),
        tags("address", "5 types", "dictionary", "BIO", 50, 60),
        tags("address", "all types", "dictionary", "BIO", 70, 80),
        tags("roles", "be.01", "nearest noun", "", 90, 90),
        tags("fewrel wiki", "split 0", "names", "", 60, 62),
    ]
    (tmp_path / "tagging.json").write_text(json.dumps({"results": stored}))
    return tmp_path


def test_domains_are_pooled_and_sets_of_types_are_not(folder: Path) -> None:
    rows = other_rows(folder)
    means = {cell: round(100 * score.mean, 1) for cell, score in rows.items()}
    assert means == {
        Cell(SPANS, "snips", 5, "dictionary, BIO"): 25.0,
        Cell(SPANS, "address, 5 types", 5, "dictionary, BIO"): 55.0,
        Cell(SPANS, "address, all types", 5, "dictionary, BIO"): 75.0,
        Cell(HEADS, "roles", 5, "nearest noun"): 90.0,
        Cell(RIGHT, "fewrel wiki", 5, "names"): 61.0,
    }
    assert len(rows[Cell(SPANS, "snips", 5, "dictionary, BIO")].values) == 4


def test_a_network_that_was_adapted_read_500_pairs(tmp_path: Path) -> None:
    rows = ("long", "long, 500", "long, 500 of es", "mixed", "copy", "memory")
    written = [{"language": "es", "row": row, "chrf": [20, 30]} for row in rows]
    (tmp_path / "translation.json").write_text(json.dumps({"editing": [], "requests": [], "writing": written}))
    found = {(cell.learner, cell.examples) for cell in other_rows(tmp_path)}
    assert found == {("long", 0), ("copy", 0), ("long", 500), ("long of es", 500), ("mixed", 500), ("memory", 500)}


def test_a_table_for_each_corpus_names_its_metric(folder: Path) -> None:
    console = Console(width=100, file=StringIO())
    tables = list(other_tables(other_rows(folder)))
    for table in tables:
        console.print(table)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert len(tables) == 5
    assert "snips: span F1 in %, by examples" in printed and "25.0 ± 20.5" in printed
    assert "roles: F1 of head words in %" in printed and "90.0 ± 0.0" in printed


def test_a_damaged_file_is_named_and_a_missing_one_passed_over(tmp_path: Path) -> None:
    assert other_rows(tmp_path) == {}
    (tmp_path / "translation.json").write_text(json.dumps({"editing": [{"pair": "es>gl"}]}))
    with pytest.raises(ValueError, match=r"translation\.json cannot be read .*measure it again"):
        other_rows(tmp_path)


def test_what_is_stored_has_all_metrics() -> None:
    rows = other_rows()
    assert {cell.metric for cell in rows} == {SPANS, HEADS, RIGHT, CHRF}
    assert all(0 <= score.mean <= 1 for score in rows.values())
    floors = {cell.learner for cell in rows if cell.metric == CHRF}
    assert {"copy"} <= floors
    assert any(cell.corpus == "snips" and cell.learner.startswith("dictionary") for cell in rows)
