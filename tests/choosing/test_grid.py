"""The grid on a toy corpus: resuming, missing corpora, recipes' parts, tables, published figures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from metalearn_lib.choosing import FLOORS, SETTINGS, Bench, Setting, Store, measure, sources, table
from metalearn_lib.choosing.__main__ import main
from metalearn_lib.choosing.bench import trained
from metalearn_lib.choosing.recipes import NAMED
from metalearn_lib.choosing.store import VERSION
from metalearn_lib.corpora import Corpus, CorpusError
from metalearn_lib.encoders import Averaged, Projected
from metalearn_lib.files import root
from metalearn_lib.learners import Prototypical
from metalearn_lib.text import WordVectors

WORDS = {"sun": "rain", "song": "tune", "bank": "money", "soup": "bread", "bus": "train"}


def toy() -> Corpus:
    pairs = [(f"{a} {b} word{i} {a}", a) for a, b in WORDS.items() for i in range(22)]
    return Corpus("toy", [text for text, _ in pairs], [label for _, label in pairs])


@dataclass(frozen=True)
class Toy(Setting):
    """Every part holds all classes: what is tested here is the book-keeping."""

    def parts(self, name: str, split: str) -> tuple[Corpus, Corpus, Corpus]:
        if split == "gone":
            raise CorpusError("toy: not here; set METALEARN_MIRROR")
        return toy(), toy(), toy()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "toy", Toy(splits=("01",), about="a toy"))
    monkeypatch.setitem(SETTINGS, "lost", Toy(("gone",), "no files"))


def run(*words: str) -> tuple[int, str]:
    app = Typer(pretty_exceptions_enable=False)
    app.command()(main)
    result = CliRunner().invoke(app, ["--episodes", "4", *words], catch_exceptions=False)
    return result.exit_code, result.output


def stored(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "few_shot.json").read_text(encoding="utf-8"))


@pytest.mark.usefixtures("settings")
def test_what_is_measured_is_kept_and_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--corpora", "toy,lost", "--learners", "tf-idf", "--out", str(tmp_path))
    code, shown = run(*words)
    results = stored(tmp_path)["results"]
    assert "news46" not in shown  # no table without a line
    assert code == 0 and "lost left out: toy: not here; set METALEARN_MIRROR" in shown
    assert [(r["learner"], r["shots"]) for r in results] == [(n, k) for n in FLOORS for k in (1, 5)]
    assert all(r["mean"] > 90 and r["episodes"] == 4 for r in results)
    assert results[0]["over"] == {} and list(results[3]["over"]) == [FLOORS[0]]
    assert {"date", "protocol", "versions", "cpu", "threads"} <= stored(tmp_path)["about"].keys()
    assert str(root()) not in json.dumps(stored(tmp_path))

    monkeypatch.setattr(measure, "evaluate", None)
    assert run(*words)[0] == 0  # nothing is left to do
    for more in (["--force"], ["--learners", "nearest"]):
        with pytest.raises(TypeError):
            run(*words, *more)
    for other in results:
        other["fingerprint"] = "other code"
    (tmp_path / "few_shot.json").write_text(json.dumps({"version": VERSION, "about": {}, "results": results}))
    with pytest.raises(TypeError):
        run(*words)


@pytest.mark.parametrize("words", [("--corpora", "klingon"), ("--learners", "oracle"), ("--corpora", "")])
def test_unknown_names_are_refused(tmp_path: Path, words: tuple[str, str]) -> None:
    assert run(*words, "--out", str(tmp_path))[0] == 2
    assert not list(tmp_path.iterdir())


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    for damaged in ("{", "[]", '{"about": {}, "results": [{}]}'):
        (tmp_path / "few_shot.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"few_shot\.json cannot be read"):
            Store(tmp_path / "few_shot.json")
    code, shown = run("--corpora", "clinc150", "--out", str(tmp_path))
    assert code == 2 and "delete it to start again" in shown


def test_an_older_file_is_read_and_written_anew_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "few_shot.json"
    older = row("clinc150", "ridge", 1, 70.0, note="kept", fingerprint="x")
    del older["ways"], older["queries"]
    path.write_text(json.dumps({"about": {}, "results": [older]}))
    store = Store(path)
    assert [(r["ways"], r["queries"], r["shots"], r["note"]) for r in store.rows] == [(5, 15, 1, "kept")]
    store.add(row("clinc150", "ridge", 1, 60.0, ways=10))
    assert stored(tmp_path)["version"] == VERSION
    assert [(r["ways"], r["mean"]) for r in Store(path).rows] == [(5, 70.0), (10, 60.0)]
    path.write_text(path.read_text().replace(f'"version": {VERSION}', f'"version": {VERSION + 1}'))
    with pytest.raises(ValueError, match=r"is of version 3, this library reads 1 to 2: take"):
        Store(path)


def test_two_runs_at_once_keep_each_other_s_results_and_what_a_person_wrote_about_them(tmp_path: Path) -> None:
    path = tmp_path / "few_shot.json"
    one, two = Store(path), Store(path)
    one.add(row("clinc150", "ridge", 1, 70.0))
    path.write_text(path.read_text().replace('"about": {', '"about": {"remark": "by hand",'))
    two.add(row("clinc150", "ridge", 5, 80.0))
    two.add(row("clinc150", "ridge", 5, 81.0))
    assert [(r["shots"], r["mean"]) for r in Store(path).rows] == [(1, 70.0), (5, 81.0)]
    assert stored(tmp_path)["about"]["remark"] == "by hand"
    assert Store(path).stale() == 0
    path.write_text(re.sub('"fingerprint": "', '"fingerprint": "other', path.read_text()))
    assert Store(path).stale() == 2


def test_parts_that_recipes_share_are_made_once_and_leave_torch_s_generator_alone(
    texts: Corpus, words: WordVectors
) -> None:
    bench, made = Bench(texts, texts.only(texts.classes), quick=True), list[Bench]()
    before = torch.get_rng_state()

    def make(b: Bench) -> Prototypical:
        made.append(b)
        return trained(b, lambda: Prototypical(Projected(Averaged(words))))

    first = bench.once(make)
    assert bench.once(make) is first and made == [bench]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    again = make(bench)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def row(corpus: str, learner: str, shots: int, mean: float, split: str = "01", **more: object) -> dict[str, object]:
    cell = {"corpus": corpus, "split": split, "learner": learner, "ways": 5, "queries": 15, "shots": shots}
    return cell | {"episodes": 1000, "mean": mean, "half_width": 0.5, "over": {}} | more


def shown(rows: list[dict[str, object]]) -> str:
    console = Console(width=150, file=StringIO())
    table.show(rows, console)
    return console.file.getvalue()


def test_tables_show_means_over_splits_and_which_rows_have_fewer_episodes() -> None:
    rows = [
        row("clinc150", "recommended, MiniLM", k, mean, split)
        for k, split, mean in ((1, "01", 95.0), (1, "02", 96.4), (5, "01", 98.0), (5, "02", 98.2))
    ]
    rows += [row("clinc150", "logistic regression", k, 70.0, episodes=300) for k in (1, 5)]
    printed = shown(rows)
    assert "95.7 ± 1.0 / 98.1 ± 0.1" in printed
    assert "70.0 ± 0.5 / 70.0 ± 0.5*" in printed
    assert re.search(r"recommended, MiniLM │ 1\s+│ ≥ 95.5\s+│ 95.70\s+│ ✓", printed)
    assert re.search(r"recommended, MiniLM │ 5\s+│ ≥ 99.0\s+│ 98.10\s+│ ✗", printed)
    assert "MGIMN, BERT-Tiny" in printed and "other split" not in printed  # this corpus's published figures alone


def test_six_corpora_stand_in_two_tables_of_150_characters() -> None:
    printed = shown([row(corpus, FLOORS[0], k, 70.0) for corpus in SETTINGS for k in (1, 5)])
    heads = [line for line in printed.split("\n") if line.startswith("┃ learner")]
    assert [[name for name in SETTINGS if name in head] for head in heads] == [
        ["clinc150", "banking77", "hwu64", "liu"], ["newsgroups", "news46"]
    ]  # fmt: skip
    assert "…" not in printed and printed.count("70.0 ± 0.5 / 70.0 ± 0.5") == 6
    assert re.search(r"other\s+│?.*\n?.*split, easier", printed)


def test_learners_that_are_told_the_names_of_the_classes_stand_apart() -> None:
    lines = shown([row("clinc150", name, 1, 70.0) for name in (NAMED[0], FLOORS[0], "GloVe centroid")]).split("\n")
    first = [
        next(i for i, line in enumerate(lines) if name in line) for name in (FLOORS[0], "GloVe centroid", NAMED[0])
    ]
    assert first[1] == first[0] + 1 and first[2] == first[1] + 2
    assert lines[first[2] - 1].startswith("├")


def test_tasks_of_another_shape_stand_in_a_table_of_their_own_beside_published_figures_of_that_shape() -> None:
    rows = [row("clinc150", FLOORS[0], 5, mean, ways=ways) for ways, mean in ((5, 90.0), (10, 80.0))]
    rows += [row("clinc150→hwu64", FLOORS[0], k, 75.0, queries=5) for k in (2, 10)]
    printed = shown(rows)
    assert "10-way accuracy in %, 5 shots, 15 queries" in printed
    assert "5-way accuracy in %, 2 / 10 shots, 5 queries a class" in printed
    ours = {"5-way accuracy in %, 5 shots": "96.4", "10-way accuracy in %": "94.0", "2 / 10 shots": "91.7 / 95.8"}
    for title, best in ours.items():
        assert best in printed[printed.index(title) :].split("learner")[1]
    assert "within 1 of" not in printed[printed.index("10-way") : printed.index("2 / 10")]


def test_a_recommendation_that_is_shown_to_be_below_a_floor_is_flagged() -> None:
    def rows(high: float) -> list[dict[str, object]]:
        over = {FLOORS[0]: [6.0, 5.5, 6.5], FLOORS[1]: [-0.5, -1.5, high]}
        good = {floor: [1.0, 0.5, 1.5] for floor in FLOORS}
        return [
            row("liu", "recommended", 1, 76.0, "01", over=good),
            row("liu", "recommended", 1, 76.0, "02", over=over),
        ]

    for high, sign in ((0.5, "✓"), (-0.1, "✗")):
        line = next(line for line in shown(rows(high)).split("\n") if "… " in line and "liu" in line)
        assert "02" in line and FLOORS[1] in line and f"-0.5 (-1.5 … {high:+.1f})" in line and sign in line


def test_every_published_figure_says_where_it_stands_and_what_it_is_of() -> None:
    figures = table.published()
    assert figures
    lines = [tuple(str(figure[name]) for name in ("corpus", "paper", "method", "encoder")) for figure in figures]
    assert len(set(lines)) == len(lines)
    for figure in figures:
        texts = {figure[name] for name in ("corpus", "paper", "table", "method", "encoder", "split")}
        assert all(texts) and isinstance(figure["remark"], str)
        assert set(figure) == {
            "corpus", "paper", "table", "method", "encoder", "split", "protocol", "remark", "values"
        }  # fmt: skip
        assert set(figure["corpus"].split("→")) <= set(sources.catalog_names())
        assert set(figure["protocol"]) == {"episodes", "queries", "seeds"}
        assert figure["values"]
        for value in figure["values"]:
            assert set(value) == {"ways", "shots", "accuracy"} and 20 < value["accuracy"] < 100


def test_figures_of_other_splits_and_encoders_are_not_mixed() -> None:
    lea = {(f["method"], f["encoder"]): f for f in table.published() if f["paper"] == "LEA"}
    assert all(f["remark"] == "other split, easier" and "at random" in f["split"] for f in lea.values())
    values = {
        encoder: [v["accuracy"] for v in lea["LEA", encoder]["values"]] for encoder in ("fastText", "BERT, frozen")
    }
    assert values == {"fastText": [54.07, 60.18], "BERT, frozen": [53.47, 65.88]}


def test_the_command_reaches_the_benchmark() -> None:
    command = [sys.executable, "-m", "metalearn_lib.course.cli", "benchmark", "--learners", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unknown learner" in done.stdout
