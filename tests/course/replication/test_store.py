from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metalearn_lib.course.replication.store import Replication, upheld_share
from metalearn_lib.course.running.chapters import UsageError

CHAPTER = "03_x"


def run(seed: int, chapter: str = CHAPTER, cells: str = "c", library: str = "l") -> dict[str, Any]:
    return {"chapter": chapter, "seed": seed, "cells": cells, "library": library, "error": None}


def said(text: str, holds: bool = True, slack: float | None = 0.1, kind: str = "measured") -> dict[str, Any]:
    return {"kind": kind, "text": text, "holds": holds, "number": "" if slack is None else f"{slack}", "slack": slack}


def scores(**means: float) -> dict[str, Any]:
    return {"kind": "score", "name": "a table", "means": means}


def test_a_seed_takes_the_place_of_its_older_self_and_keeps_the_rest() -> None:
    stored = Replication()
    stored.add(run(0), [said("a"), said("gone"), scores(maml=0.5)])
    stored.add(run(1), [said("a", False, -0.2), said("b", slack=None)])
    stored.add(run(0, "04_y"), [said("a")])
    stored.add(run(0), [said("a", slack=0.3), scores(maml=0.6)])
    of_x = stored.of(CHAPTER)
    assert [(row["sentence"], row["upheld"], row["missed"], row["margin"]) for row in of_x.claims] == [
        ("a", [0], [1], -0.2), ("b", [1], [], None)
    ]  # fmt: skip
    assert of_x.claims[0]["margins"] == {"0": 0.3, "1": -0.2} and of_x.scores[0]["means"] == {"0": 0.6}
    assert [row["seed"] for row in of_x.seeds] == [0, 1] and len(stored.claims) == 3
    assert upheld_share(of_x.claims) == pytest.approx(2 / 3)


def test_other_cells_begin_a_chapter_anew_and_another_library_does_not() -> None:
    stored = Replication()
    for seed in range(3):
        stored.add(run(seed), [said("a"), scores(maml=0.5)])
    stored.add(run(0, "04_y"), [said("a")])
    stored.add(run(5, library="newer"), [said("a")])
    assert [row["seed"] for row in stored.of(CHAPTER).seeds] == [0, 1, 2, 5]
    stored.add(run(5, cells="other"), [said("b")])
    assert [row["seed"] for row in stored.of(CHAPTER).seeds] == [5] and not stored.scores
    assert [(row["chapter"], row["sentence"]) for row in stored.claims] == [(CHAPTER, "b"), ("04_y", "a")]


def test_a_sentence_claimed_twice_holds_where_it_held_each_time() -> None:
    stored = Replication()
    stored.add(run(0), [said("a", slack=None), said("a", False, -0.1), said("a", slack=0.2), said("l", kind="logic")])
    (row,) = stored.claims
    assert row["missed"] == [0] and row["upheld"] == [] and row["margin"] == -0.1


def test_the_file_is_the_same_in_whatever_order_seeds_come_and_as_it_was_read(tmp_path: Path) -> None:
    lines = {seed: [said("a"), said(f"on {seed}"), scores(b=0.1, a=seed)] for seed in range(11)}
    files = []
    for number, order in enumerate((range(11), reversed(range(11)))):
        stored = Replication()
        for seed in order:
            stored.add(run(seed), lines[seed])
        files.append(tmp_path / f"{number}.json")
        stored.write(files[-1])
    assert files[0].read_bytes() == files[1].read_bytes()
    again = Replication.read(files[0])
    again.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == files[0].read_bytes()
    assert list(json.loads(files[0].read_text())["scores"][0]["means"]) == [str(seed) for seed in range(11)]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"seeds": []}', '{"seeds": 1, "claims": [], "scores": []}',
                                  '{"seeds": [{"seed": 1}], "claims": [], "scores": []}', "<<<<<<< HEAD"])  # fmt: skip
def test_what_is_no_replication_is_refused(text: str, tmp_path: Path) -> None:
    assert not Replication.read(tmp_path / "none.json").seeds
    path = tmp_path / "replication.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"replication\.json cannot be read"):
        Replication.read(path)
