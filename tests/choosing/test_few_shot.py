"""The benchmark on a corpus of sixteen sentences: resuming, missing corpora, tables, published figures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from metalearn_lib.choosing import benchmark as benchmark
from metalearn_lib.choosing import recipes as benchmark_recipes
from metalearn_lib.choosing import speed as benchmark_speed
from metalearn_lib.choosing import table as benchmark_table
from metalearn_lib.choosing.settings import SETTINGS, AnyShots, Setting
from metalearn_lib.corpora import Corpus, CorpusError
from metalearn_lib.files import root

WORDS = {"sun": "rain", "song": "tune", "bank": "money", "soup": "bread", "bus": "train"}
FLOORS = list(benchmark.FLOORS)


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
    known = {"toy": Toy(splits=("01",), about="a toy", max_length=5), "lost": Toy(("gone",), "no files", 5)}
    for module in (benchmark, benchmark_table):
        monkeypatch.setattr(module, "SETTINGS", known)


def run(*words: str) -> tuple[int, str]:
    app = Typer(pretty_exceptions_enable=False)
    app.command()(benchmark.main)
    few = ["--no-speed", "--no-meta-step", "--episodes", "4"]
    result = CliRunner().invoke(app, [*few, *words], catch_exceptions=False)
    return result.exit_code, result.output


@pytest.mark.usefixtures("settings")
def test_what_is_measured_is_kept_and_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    words = ("--corpora", "toy,lost", "--learners", "tf-idf", "--out", str(tmp_path))
    code, _ = run(*words)
    stored = json.loads((tmp_path / "few_shot.json").read_text(encoding="utf-8"))
    assert code == 0
    assert [(r["learner"], r["shots"]) for r in stored["results"]] == [(n, k) for n in FLOORS for k in (1, 5)]
    assert all(r["mean"] > 90 and r["episodes"] == 4 for r in stored["results"])
    assert stored["results"][0]["over"] == {} and list(stored["results"][3]["over"]) == [FLOORS[0]]
    assert {"date", "versions", "cpu", "threads"} <= stored["about"].keys()
    assert str(root()) not in json.dumps(stored)

    monkeypatch.setattr(benchmark, "evaluate", None)
    assert run(*words)[0] == 0  # nothing is left to do
    with pytest.raises(TypeError):
        run(*words, "--force")
    monkeypatch.setattr(benchmark, "library_fingerprint", lambda: "other code")
    with pytest.raises(TypeError):
        run(*words)


@pytest.mark.usefixtures("settings")
def test_a_corpus_that_cannot_be_had_is_left_out_with_its_reason(tmp_path: Path, capsys):
    store = benchmark.Store(tmp_path / "few_shot.json", fingerprint="x")
    assert benchmark.measure_split(store, "lost", "gone", FLOORS, episodes=2) == "toy: not here; set METALEARN_MIRROR"
    assert store.rows == []


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("words", [("--corpora", "klingon"), ("--learners", "oracle"), ("--corpora", "")])
def test_unknown_names_are_refused(tmp_path: Path, words: tuple[str, str]):
    assert run(*words, "--out", str(tmp_path))[0] == 2
    assert not list(tmp_path.iterdir())


def test_a_damaged_store_is_refused(tmp_path: Path):
    (tmp_path / "few_shot.json").write_text("{")
    with pytest.raises(ValueError, match=r"few_shot\.json cannot be read"):
        benchmark.Store(tmp_path / "few_shot.json", fingerprint="x")


def test_two_benchmarks_at_once_keep_each_other_s_results(tmp_path: Path):
    one, two = (benchmark.Store(tmp_path / "few_shot.json", fingerprint="x") for _ in range(2))
    one.add(row("clinc150", "ridge", 1, 70.0))
    two.add(row("clinc150", "ridge", 5, 80.0))
    two.add(row("clinc150", "ridge", 5, 81.0))
    assert [(r["shots"], r["mean"]) for r in benchmark.Store(one.path, fingerprint="y").rows] == [(1, 70.0), (5, 81.0)]
    assert benchmark.Store(one.path, fingerprint="y").stale() == 2


def test_weights_of_a_blend_are_chosen_on_the_validation_classes():
    bench = benchmark_recipes.Bench(SETTINGS["banking77"], toy(), toy(), quick=True)

    def build(b):
        return [benchmark_recipes.TfidfCentroid(b.train), benchmark_recipes.TfidfCentroid(b.train, weighting="plain")]

    learner, note = bench.blend(build, (0.5, 2.0))
    assert learner.log_weights.exp().tolist() == pytest.approx([1.0, 0.5])
    assert note == "1 tf-idf centroid + 0.5 tf-idf centroid, plain; weights chosen on validation classes"


def test_leaving_groups_out_never_judges_members_on_their_own_classes():
    setting = Setting(splits=("x",), about="", max_length=5, intents=False, folds=("s", "b"))
    train, valid = toy().only(["sun", "song", "bank"]), toy().only(["soup", "bus"])
    judges = benchmark_recipes.Bench(setting, train, valid).judges()
    assert [bench.train.classes for bench, _ in judges] == [["song", "soup", "sun"], ["bank", "bus"]]
    assert [corpus.classes for _, corpus in judges] == [["bank", "bus"], ["song", "soup", "sun"]]


def test_any_shots_takes_as_many_classes_as_there_are():
    sampler = AnyShots(toy(), n_way=15, n_query=4, seed=0)
    assert [(e.n_way, e.k_shot) for e in (sampler.sample(2, first=first) for first in (0, 2, 8, 10))] == [
        (5, 1), (5, 2), (5, 5), (5, 1),
    ]  # fmt: skip


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
    benchmark_table.show(rows, Path("no speed measured"), console)
    shown = console.file.getvalue()
    assert "95.7 ± 1.0 / 98.1 ± 0.1" in shown
    assert "70.0 ± 0.5 / 70.0 ± 0.5*" in shown
    assert re.search(r"MGIMN, BERT \(published: MGIMN, table 2\)\s+│\s+– / 96.4", shown)
    assert re.search(r"best with MiniLM\s+│ 1\s+│ ≥ 95.5\s+│ 95.70\s+│ MiniLM blend\s+│ ✓", shown)
    assert re.search(r"best with MiniLM\s+│ 5\s+│ ≥ 99.0\s+│ 98.10\s+│ MiniLM blend\s+│ ✗", shown)
    assert "+6.0 (+5.5 … +6.5)" in shown and "+1.0 (+0.5 … +1.5)" in shown


def test_speed_table_knows_which_way_is_better():
    speed = [
        {"what": "sampling", "unit": "ms", "target": 0.04, "better": "lower", "median": 0.05},
        {"what": "matching", "unit": "episodes/s", "target": 10_000, "better": "higher", "median": 20_000.0},
    ]
    console = Console(width=120, file=StringIO())
    console.print(benchmark_table.speed_table({"speed": speed}))
    lines = console.file.getvalue().splitlines()
    assert next(line for line in lines if "sampling" in line).rstrip(" │").endswith("✗")
    assert next(line for line in lines if "20,000" in line).rstrip(" │").endswith("✓")


def test_timed_runs_are_repeated_after_a_warm_up():
    calls: list[int] = []
    assert len(benchmark_speed._times(lambda: calls.append(1))) == benchmark_speed.REPEATS >= 5
    assert len(calls) == benchmark_speed.REPEATS + 1


def test_every_published_figure_has_a_source_and_a_plausible_value():
    figures = benchmark_table.published()
    assert figures
    for figure in figures:
        assert figure["source"] and figure["method"] and figure["corpus"] in SETTINGS
        values = [figure[key] for key in ("one_shot", "five_shot") if key in figure]
        assert values and all(20 < value < 100 for value in values)


def test_comments_and_docstrings_do_not_change_the_fingerprint():
    plain, told = "def f(x):\n    return x", '"""Doc."""\ndef f(x):\n    """Doc."""\n    return x  # why'
    assert benchmark._code(plain) == benchmark._code(told) != benchmark._code(plain.replace("return x", "return -x"))


def test_the_command_reaches_the_benchmark() -> None:
    command = [sys.executable, "-m", "metalearn_lib.course.cli", "benchmark", "--learners", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unknown learner" in done.stdout
