"""What a chapter shows of its replication."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metalearn_lib.course import claims, replicated, replication_note
from metalearn_lib.course.replication import shown
from metalearn_lib.course.replication.store import Replication, edition
from metalearn_lib.course.running.chapters import find
from metalearn_lib.scores import Score

GIVEN = {"maml": Score.of([0.5, 0.7, 0.9], name="m"), "floor": Score.of([0.4, 0.5, 0.6])}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_notebook: Any) -> Path:
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(tmp_path / "notebooks"))
    monkeypatch.setattr(shown, "stored_file", lambda: tmp_path / "replication.json")
    write_notebook("03_x", "x = 1")
    return tmp_path / "replication.json"


def store(path: Path, seeds: range, **changes: Any) -> None:
    stored = Replication.read(path)
    for seed in seeds:
        run = {"chapter": "03_x", "seed": seed, **edition(find(["03"])[0]), **changes}
        means = {"maml": 0.6 + seed / 100, "floor": 0.5 + seed / 100}
        said = [{"kind": "score", "name": "news", "means": means}]
        said += [
            {"kind": "measured", "text": t, "holds": seed != 1 or t == "a", "number": "", "slack": None} for t in "ab"
        ]
        stored.add(run, said)
    stored.write(path)


def test_scores_over_trainings_where_three_are_stored(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replicated(GIVEN, chapter="03", name="news") == GIVEN  # the same objects: a Score is equal to itself only
    store(path, range(2))
    assert replicated(GIVEN, chapter="03", name="news") == GIVEN
    assert "metalearn replicate 03" in capsys.readouterr().out
    store(path, range(2, 4))
    made = replicated(GIVEN, chapter="03", name="news")
    assert capsys.readouterr().out == "intervals over 4 trainings (seeds 0–3)\n"
    assert made["maml"].values.tolist() == pytest.approx([0.6, 0.61, 0.62, 0.63]) and made["maml"].name == "m"
    difference = made["maml"] > made["floor"]
    assert difference.paired and difference.high - difference.low < 1e-9  # seed by seed they differ by as much
    for other in ({"name": "tales"}, {"name": "news", "scores": {**GIVEN, "new": GIVEN["maml"]}}):
        assert replicated(**{"scores": GIVEN, "chapter": "03", **other}) == other.get("scores", GIVEN)  # type: ignore[arg-type]


def test_scores_over_the_trainings_of_this_run_are_called_so(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained, texts = Score.of([0.5, 0.6, 0.7], over="trainings"), Score.of([0.0, 1.0], over="texts")
    for given, said in (
        ({"maml": trained}, "over the trainings of this run: `"),
        ({"maml": trained, "floor": GIVEN["floor"]}, "over the trainings of this run (rows without training: over its"),
        ({"maml": trained, "floor": texts}, "of this run (rows without training: over its texts): `"),
        (GIVEN, "over the values of one training: `"),
        ({"floor": texts}, "over the texts of one training: `"),
    ):
        assert replicated(given, chapter="03", name="news") == given
        assert said in capsys.readouterr().out


@pytest.mark.parametrize("changed", ["library", "cells"])
def test_it_says_where_the_edition_is_an_older_one(
    path: Path, changed: str, write_notebook: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    store(path, range(3), **({"library": "older"} if changed == "library" else {}))
    if changed == "cells":
        write_notebook("03_x", "x = 2")
    replicated(GIVEN, chapter="03", name="news")
    assert capsys.readouterr().out == "intervals over 3 trainings (seeds 0–2), measured with an older edition\n"
    assert replication_note("03").endswith("held, measured with an older edition")


def test_the_note_counts_claims_and_seeds(path: Path) -> None:
    assert replication_note("03") == "measured claims: not tried on other seeds yet; `metalearn replicate 03` does it"
    store(path, range(4))
    assert replication_note("03") == (
        "measured claims: 1 of 2 hold on every one of the seeds 0–3; 87.5% of all that was claimed on them held"
    )
    path.write_text("{")
    for show in (lambda: replication_note("03"), lambda: replicated(GIVEN, chapter="03", name="news")):
        with pytest.raises(ValueError, match="cannot be read"):
            show()
    with pytest.raises(ValueError, match="unknown chapter '9'"):
        replication_note("9")


def test_means_are_noted_down_where_claims_are(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(claims.RECORD, str(tmp_path / "claims.jsonl"))
    nan = Score(GIVEN["maml"].values, float("nan"), 0, 0)
    replicated({**GIVEN, "nan": nan}, chapter="03", name="news")
    (line,) = (tmp_path / "claims.jsonl").read_text().splitlines()
    assert json.loads(line) == {"kind": "score", "name": "news", "means": pytest.approx({"maml": 0.7, "floor": 0.5})}
