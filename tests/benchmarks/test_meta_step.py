"""The meta-step's benchmark on tiny models: everyone computes the same, and what is written can be shown."""

from __future__ import annotations

import copy
import json
import tomllib
from dataclasses import replace
from io import StringIO
from itertools import count
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode
from typer import Typer
from typer.testing import CliRunner

from metalearn_lib.course.doctor import pins
from metalearn_lib.files import root
from metalearn_lib.plots.style import title_of
from tests.benchmarks import speed
from tests.benchmarks.meta_step import __main__ as command
from tests.benchmarks.meta_step import contestants as everyone
from tests.benchmarks.meta_step import peers, timing
from tests.benchmarks.meta_step.contestants import ENGINES, TOLERANCE, contestants, differences
from tests.benchmarks.meta_step.figure import figure
from tests.benchmarks.meta_step.measure import timed
from tests.benchmarks.meta_step.peers import PEERS, copy_and_sgd, loop_by_hand
from tests.benchmarks.meta_step.problems import (
    ANIL,
    FIRST,
    FULL,
    METHODS,
    MODELS,
    QUICK,
    REPTILE,
    SECOND,
    Problem,
    multiply_adds,
    problem,
)
from tests.benchmarks.meta_step.table import AUTO, auto_table, meta_step_tables, of, select, targets_table

PEERS_MISSING = ["higher", "torchopt", "iteryne"]
SPEED = [
    {"what": "sampling", "unit": "ms", "target": 0.04, "better": "lower", "median": 0.05},
    {"what": "matching", "unit": "episodes/s", "target": 10_000, "better": "higher", "median": 20_000.0},
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MODELS)
def test_everyone_computes_the_same_meta_gradient(model: str, method: str):
    apart = differences(model, method, QUICK)
    engines = set(ENGINES) - ({"dual"} if model == "CNN" else set())
    assert engines <= apart.keys() and "loop by hand" in apart
    assert ("copy and SGD" in apart) == (method == REPTILE)
    if not peers.missing():
        assert {"higher", "iteryne", "torchopt, vmap"} <= apart.keys()
        assert ("torchopt" in apart) == (method in (SECOND, ANIL))
    assert max(apart.values()) <= TOLERANCE


def test_whoever_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch):
    first = (None, lambda given, _: loop_by_hand(given, FIRST))
    monkeypatch.setattr(everyone.peers, "PEERS", {"loop by hand": PEERS["loop by hand"], "hasty": first})
    with pytest.raises(RuntimeError, match=r"hasty is .* from the loop by hand \(MLP, 2nd order\)"):
        differences("MLP", SECOND, QUICK)


@pytest.mark.parametrize("model", MODELS)
def test_the_reference_agrees_with_finite_differences(model: str):
    given = problem(model, QUICK, tasks=2, steps=2, dtype=torch.float64)
    ours = loop_by_hand(given, SECOND)()
    for name, p in given.model.named_parameters():
        index, old = (0,) * p.dim(), p.detach().clone()
        found = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                p.copy_(old)
                p[index] += step
            found.append(query_loss(given))
        with torch.no_grad():
            p.copy_(old)
        assert float(ours[name][index]) == pytest.approx((found[0] - found[1]) / 2e-6, abs=1e-7)
    assert any(not torch.allclose(ours[name], g) for name, g in loop_by_hand(given, FIRST)().items())


def query_loss(given: Problem) -> float:
    """The mean query loss after plain SGD on a copy: nothing of the code under test but the model."""
    losses = []
    for support_x, support_y, query_x, query_y in zip(*given.tasks, strict=True):
        model = copy.deepcopy(given.model)
        optimizer = torch.optim.SGD(model.parameters(), lr=given.rate)
        for _ in range(given.steps):
            optimizer.zero_grad()
            cross_entropy(model(support_x), support_y).backward()
            optimizer.step()
        losses.append(cross_entropy(model(query_x), query_y).item())
    return fmean(losses)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_problem_on_every_call_and_nobody_s_random_numbers_are_touched(model: str):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, two = (problem(model, QUICK, tasks=2, steps=1) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(one.tasks, two.tasks, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MODELS)
def test_multiply_adds_are_those_that_torch_counts_or_the_least_of_them(model: str, method: str):
    given = problem(model, QUICK, tasks=2, steps=3)
    with FlopCounterMode(display=False) as counter:
        loop_by_hand(given, method)()
    needed, counted = 2 * multiply_adds(model, method, QUICK, tasks=2, steps=3), counter.get_total_flops()
    most = needed if method in (FIRST, REPTILE) else 1.5 * needed  # autograd takes more than are needed
    assert needed <= counted <= most


def test_without_the_peers_the_rest_is_measured_and_the_table_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, measured: dict
):
    monkeypatch.setattr(peers, "PACKAGES", ("no_such_package",))
    assert peers.missing() == ["no_such_package"]
    monkeypatch.setattr(peers, "missing", lambda: PEERS_MISSING)
    here, failed = contestants(problem("MLP", QUICK, tasks=1, steps=1), REPTILE)
    assert list(here) == [*ENGINES, "copy and SGD", "loop by hand"] and not failed
    own = [row for row in measured["rows"] if row["ours"] or PEERS[row["by"]][0] is None]
    shown = show(
        measured
        | {"missing": PEERS_MISSING, "rows": [row | {"fastest_peer": row["by"] == "loop by hand"} for row in own]}
    )
    assert "higher, torchopt, iteryne" in shown and "--editable '.[peers]'" in " ".join(shown.split())
    for name in ("higher", "torchopt", "torchopt, vmap", "iteryne"):
        assert next(line for line in shown.splitlines() if f" {name} " in line).count("not installed") >= 1
    assert copy_and_sgd(problem("MLP", QUICK, tasks=1, steps=1), SECOND) is None


def test_a_peer_that_fails_is_left_out_and_its_row_says_so(monkeypatch: pytest.MonkeyPatch, measured: dict):
    def broken(given: Problem, method: str) -> None:
        raise ImportError("no longer installs\nand more")

    def breaks(given: Problem, method: str):
        return (lambda: 1 / 0) if method == REPTILE else None

    monkeypatch.setattr(peers, "missing", list)
    known = {"loop by hand": PEERS["loop by hand"], "old": ("old", broken), "odd": ("odd", breaks)}
    monkeypatch.setattr(everyone.peers, "PEERS", known)
    here, failed = contestants(problem("MLP", QUICK, tasks=1, steps=1), REPTILE)
    assert list(here) == [*ENGINES, "loop by hand"]
    assert failed == {"old": "ImportError: no longer installs", "odd": "ZeroDivisionError: division by zero"}
    assert differences("MLP", REPTILE, QUICK).keys() == here.keys()
    assert contestants(problem("MLP", QUICK, tasks=1, steps=1), SECOND)[1].keys() == {"old"}
    noted: list[dict] = []
    rows = list(timed(replace(QUICK, seconds=0.0), noted, lambda what: None))
    assert {row["by"] for row in rows} == {*ENGINES, "loop by hand"}
    assert [row["by"] for row in noted if (row["model"], row["method"]) == ("CNN", REPTILE)] == ["old", "odd"]
    lines = show(measured | {"failed": noted}).splitlines()
    assert next(line for line in lines if "│ old " in line).count("failed") == 8
    assert next(line for line in lines if "│ odd " in line).count("failed") == 2
    assert "ImportError: no longer installs" in " ".join(" ".join(lines).split())
    monkeypatch.setattr(everyone.peers, "PEERS", {"loop by hand": (None, broken)})
    with pytest.raises(ImportError):  # without the reference there is nothing to compare with
        contestants(problem("MLP", QUICK, tasks=1, steps=1), SECOND)


def test_the_peers_are_pinned_within_their_ranges():
    project = tomllib.loads((root() / "pyproject.toml").read_text())["project"]
    tested, wanted = pins(root() / "constraints.txt"), project["optional-dependencies"]["peers"]
    assert [Requirement(line).name for line in wanted] == list(peers.PACKAGES)
    for line in wanted:
        requirement = Requirement(line)
        assert requirement.specifier.contains(tested[canonicalize_name(requirement.name)])


def test_contestants_take_turns_and_the_calmest_rounds_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timing, "_ROUND_SECONDS", 0.0)
    monkeypatch.setattr(timing, "_SAMPLE_SECONDS", 0.0)
    busy = iter([1.0, 0.9, 1.0, 0.01, 1.0, 0.5, 1.0, 0.02, 1.0, 0.03])  # before and after each round
    monkeypatch.setattr(timing, "_others_share", lambda own: next(busy))
    calls: list[str] = []
    names = ("one", "two", "three")
    runs = {n: lambda n=n: calls.append(n) for n in names}
    times, share = timing.alternate(runs, rounds=3, seconds=100, patience=3)
    assert {name: len(seconds) for name, seconds in times.items()} == dict.fromkeys(names, 3)
    assert share == pytest.approx(0.02)  # five rounds were taken, the three calm ones count
    turns = [calls[i : i + 3] for i in range(3, len(calls), 3)]
    assert len(turns) == 5 and all(sorted(turn) == sorted(names) for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1


def test_a_machine_that_is_never_calm_ends_the_patience(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timing, "_ROUND_SECONDS", 0.0)
    monkeypatch.setattr(timing, "_others_share", lambda own: 0.5)
    times, share = timing.alternate({"only": lambda: None}, rounds=2, seconds=100, patience=2)
    assert len(times["only"]) == 2 and share == 0.5


@pytest.mark.parametrize("busy", [0.0, 0.5])
def test_a_case_that_takes_long_gets_fewer_rounds_but_five(monkeypatch: pytest.MonkeyPatch, busy: float):
    monkeypatch.setattr(timing, "_ROUND_SECONDS", 0.0)
    monkeypatch.setattr(timing, "_others_share", lambda own: busy)
    clock = count()
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    times, _ = timing.alternate({"only": lambda: None}, rounds=15, seconds=2, patience=7)
    assert len(times["only"]) == 5


def test_quartiles_and_that_our_own_work_is_not_that_of_others():
    assert timing.quartiles([2.0]) == (2.0, 2.0, 2.0)
    assert timing.quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (3.0, 2.0, 4.0)
    own = timing.psutil.Process()
    timing._others_share(own)
    assert 0 <= timing._others_share(own) <= 1


def show(measured: dict) -> str:
    console = Console(width=150, file=StringIO())
    for table in meta_step_tables(measured):
        console.print(table)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A whole quick run of the command, once for all tests that look at what it wrote."""
    folder, app = tmp_path_factory.mktemp("benchmark"), Typer(pretty_exceptions_enable=False)
    app.command()(command.main)
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "measure", lambda path, about, repeats: {"speed": SPEED})
        result = CliRunner().invoke(app, ["--quick", "--out", str(folder)], catch_exceptions=False)
    assert result.exit_code == 0 and "meta-step: figures to reach" in result.output and "sampling" in result.output
    assert torch.get_num_threads() == threads
    assert sorted(path.name for path in folder.iterdir()) == ["meta_step.json", "meta_step.png"]
    assert (folder / "meta_step.png").read_bytes().startswith(b"\x89PNG")
    return json.loads((folder / "meta_step.json").read_text(encoding="utf-8"))


def test_what_is_written_has_every_case(measured: dict):
    rows = measured["rows"]
    assert {"date", "versions", "cpu", "protocol"} <= measured["about"].keys()
    assert measured["about"]["threads"] == [1] and measured["failed"] == [] and str(root()) not in json.dumps(measured)
    assert {(r["model"], r["method"], r["tasks"], r["steps"]) for r in rows} == {
        *((model, method, tasks, 2) for model in MODELS for method in METHODS for tasks in (1, 2)),
        ("MLP", SECOND, 2, 1),
    }
    for row in rows:
        assert row["difference"] <= TOLERANCE and row["ms"][0] > 0 and row["gemm_ms"] > 0 and row["threads"] == 1
        assert not row["fastest_peer"] or row["over_peers"] == [1.0, 1.0, 1.0]
    for case in {(r["model"], r["method"], r["tasks"], r["steps"]) for r in rows}:
        here = select(rows, **dict(zip(("model", "method", "tasks", "steps"), case, strict=True)))
        assert sum(r["auto"] for r in here) == 1 == sum(r["fastest_peer"] for r in here)
        assert of(here, AUTO)["ours"]
    if Path("/proc/self/status").exists():
        assert [(row["by"], row["tasks"]) for row in measured["memory"]] == [("loop", 1)]
        assert measured["memory"][0]["mb"] >= 0


def test_tables_and_figure_are_made_from_what_is_written(measured: dict):
    shown = show(measured)
    assert "loop by hand" in shown and "copy and SGD" in shown and "megabytes" in shown
    assert {row["by"] for row in measured["rows"]} >= set(ENGINES)
    drawn = figure(measured)
    assert len(drawn.axes) == 4 and title_of(drawn).startswith("The meta-step of second order: ")
    assert all(axes.get_xlabel() and axes.get_title() for axes in drawn.axes)


def test_figures_to_reach_know_which_way_is_better(measured: dict):
    rows = [
        row | {"over_peers": [6.0, 5.0, 7.0] if row["by"] == "dual" else [1.1, 1.0, 1.2], "share_of_gemm": 0.6}
        for row in measured["rows"]
    ]
    memory = [{"by": "loop", "ours": True, "tasks": tasks, "mb": mb} for tasks, mb in ((1, 10.0), (32, 20.0))]
    two = [row | {"threads": 2, "share_of_gemm": 0.45, "over_peers": [0.9, 0.8, 1.0]} for row in rows]
    for row in select(rows, model="MLP", method=FIRST, tasks=1, auto=True):
        row["over_peers"] = [0.7, 0.6, 0.8]
    gemm = {"1": [50.0, 60.0], "2": [90.0, 99.0]}
    both = measured | {"rows": rows + two, "memory": memory, "gemm_gflops": gemm}
    lines = show(both).splitlines()
    assert targets_table(both).row_count == 2 * (9 + 3 + 1) + 1

    def verdict(*words: str) -> str:
        return next(line.rstrip(" │")[-1] for line in lines if all(word in line for word in words))

    assert verdict("1 thread,", "MLP, 2nd order: dual  ") == "✓" and verdict("2 threads,", "2nd order: dual  ") == "✗"
    assert verdict("1 thread,", "2nd order: batched") == "✗" == verdict("memory of the loop")
    assert [verdict(f"{n}, MLP, 2nd order: dual, share") for n in ("1 thread", "2 threads")] == ["✗", "✗"]
    assert verdict("1 thread, worst of 17 cases: MLP, first order, 1 task, 2 steps") == "✗"
    good = show(both | {"rows": [row | {"share_of_gemm": 0.7, "over_peers": [9.0, 9.0, 9.0]} for row in rows + two]})
    assert good.count("✗") == 1 and good.count("✓") == 26
    assert len(figure(both).axes) == 4 and "0.9 to 6.0 times as fast" in title_of(figure(both))


def test_what_auto_gains_is_shown_for_few_tasks_and_many_and_each_number_of_threads(measured: dict):
    two = [row | {"threads": 2, "over_peers": [0.25, 0.2, 0.3]} for row in measured["rows"]]
    both = measured | {"rows": measured["rows"] + two}
    table = auto_table(both)
    headers = [str(column.header) for column in table.columns[2:]]
    assert headers == [f"{t}\n{n}" for t in ("1 thread", "2 threads") for n in ("1 task", "2 tasks")]
    assert table.row_count == 8
    last = list(table.columns[-1].cells)
    assert last[:4] == ["×0.25 dual"] * 4 and last[4:] == [
        f"×0.25 {engine}" for engine in ("loop", "loop", "batched", "loop")
    ]


def test_memory_that_the_system_does_not_tell_is_left_open(measured: dict):
    unknown = [{"by": "loop", "ours": True, "tasks": tasks, "mb": None} for tasks in (1, 2)]
    assert "?" in show(measured | {"memory": unknown})
    assert len(figure(measured | {"memory": unknown}).axes) == 4


def test_the_full_setting_is_the_protocol():
    assert (FULL.ways, FULL.shots, FULL.queries, FULL.tasks, FULL.steps) == (5, 5, 15, 8, 5)
    assert (FULL.dim, FULL.hidden, FULL.words, FULL.channels) == (300, 128, 32, 50) and FULL.rounds >= 15
    assert "meta-gradient of 5-way 5-shot tasks" in FULL.protocol()
    assert "MLP 300-64-5" in replace(FULL, hidden=64).protocol()


def test_speed_table_knows_which_way_is_better():
    console = Console(width=120, file=StringIO())
    console.print(speed.speed_table({"speed": SPEED}))
    lines = console.file.getvalue().splitlines()
    assert next(line for line in lines if "sampling" in line).rstrip(" │").endswith("✗")
    assert next(line for line in lines if "20,000" in line).rstrip(" │").endswith("✓")


def test_timed_runs_are_repeated_after_a_warm_up():
    calls: list[int] = []
    assert len(speed._times(lambda: calls.append(1), 5)) == 5 <= speed.REPEATS
    assert len(calls) == 6
