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

from metalearn_lib.choosing import FLOORS, SETTINGS, Bench, Setting, Store, measure, table
from metalearn_lib.choosing.__main__ import main
from metalearn_lib.choosing.bench import blend, judges, trained
from metalearn_lib.corpora import Corpus, CorpusError
from metalearn_lib.encoders import Averaged, Projected
from metalearn_lib.files import root
from metalearn_lib.learners import Prototypical, TfidfCentroid
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
    monkeypatch.setitem(SETTINGS, "toy", Toy(splits=("01",), about="a toy", max_length=5))
    monkeypatch.setitem(SETTINGS, "lost", Toy(("gone",), "no files", 5))


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
    (tmp_path / "few_shot.json").write_text(json.dumps({"about": {}, "results": results}))
    with pytest.raises(TypeError):
        run(*words)


@pytest.mark.parametrize("words", [("--corpora", "klingon"), ("--learners", "oracle"), ("--corpora", "")])
def test_unknown_names_are_refused(tmp_path: Path, words: tuple[str, str]) -> None:
    assert run(*words, "--out", str(tmp_path))[0] == 2
    assert not list(tmp_path.iterdir())


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "few_shot.json").write_text("{")
    with pytest.raises(ValueError, match=r"few_shot\.json cannot be read"):
        Store(tmp_path / "few_shot.json")


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
    bench, made = Bench(SETTINGS["banking77"], texts, texts.only(texts.classes), quick=True), list[Bench]()
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


def test_weights_of_a_blend_are_chosen_on_the_validation_classes() -> None:
    bench = Bench(SETTINGS["banking77"], toy(), toy(), quick=True)
    weightings = ("log", "plain")
    learner, note = blend(bench, lambda b: [TfidfCentroid(b.train, weighting=w) for w in weightings], (0.5, 2.0))
    assert learner.log_weights.exp().tolist() == pytest.approx([1.0, 0.5])
    assert note == "1 tf-idf centroid + 0.5 tf-idf centroid, plain; weights chosen on validation classes"


def test_leaving_groups_out_never_judges_members_on_their_own_classes() -> None:
    setting = Setting(splits=("x",), about="", max_length=5, intents=False, folds=("s", "b"))
    train, valid = toy().only(["sun", "song", "bank"]), toy().only(["soup", "bus"])
    pairs = judges(Bench(setting, train, valid))
    assert [bench.train.classes for bench, _ in pairs] == [["song", "soup", "sun"], ["bank", "bus"]]
    assert [corpus.classes for _, corpus in pairs] == [["bank", "bus"], ["song", "soup", "sun"]]


def row(corpus: str, learner: str, shots: int, mean: float, split: str = "01", **more: object) -> dict[str, object]:
    base = {"corpus": corpus, "split": split, "learner": learner, "shots": shots, "mean": mean, "half_width": 0.5}
    return base | {"episodes": 1000, "over": {}} | more


def test_tables_show_means_over_splits_published_figures_and_what_falls_short():
    rows = [
        row("clinc150", "MiniLM blend", k, mean, split)
        for k, split, mean in ((1, "01", 95.0), (1, "02", 96.4), (5, "01", 98.0), (5, "02", 98.2))
    ]
    rows += [row("clinc150", "logistic regression", k, 70.0, episodes=300) for k in (1, 5)]
    over = {FLOORS[0]: [6.0, 5.5, 6.5], FLOORS[1]: [1.0, 0.5, 1.5]}
    rows += [row("news46", "blend without Transformer", 1, 76.0, over=over)]
    console = Console(width=200, file=StringIO())
    table.show(rows, console)
    shown = console.file.getvalue()
    assert "95.7 ± 1.0 / 98.1 ± 0.1" in shown
    assert "70.0 ± 0.5 / 70.0 ± 0.5*" in shown
    assert re.search(r"MGIMN, BERT \(published: MGIMN, table 2\)\s+│\s+– / 96.4", shown)
    assert re.search(r"best with MiniLM\s+│ 1\s+│ ≥ 95.5\s+│ 95.70\s+│ MiniLM blend\s+│ ✓", shown)
    assert re.search(r"best with MiniLM\s+│ 5\s+│ ≥ 99.0\s+│ 98.10\s+│ MiniLM blend\s+│ ✗", shown)
    assert "+6.0 (+5.5 … +6.5)" in shown and "+1.0 (+0.5 … +1.5)" in shown


def test_every_published_figure_has_a_source_and_a_plausible_value():
    figures = table.published()
    assert figures
    for figure in figures:
        assert figure["source"] and figure["method"] and figure["corpus"] in SETTINGS
        values = [figure[key] for key in ("one_shot", "five_shot") if key in figure]
        assert values and all(20 < value < 100 for value in values)


def test_the_command_reaches_the_benchmark() -> None:
    command = [sys.executable, "-m", "metalearn_lib.course.cli", "benchmark", "--learners", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unknown learner" in done.stdout
