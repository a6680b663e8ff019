"""What the script of streams stored is whole, and its pieces work on streams of random vectors."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks import online
from tests.benchmarks.online import LEARNERS, LEFT_OUT, SIZES, STREAMS, TRAININGS
from tests.online.toy import stream

STORED = json.loads(online.PATH.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", STREAMS)
def test_every_learner_went_through_every_order(name: str):
    wanted = {*LEARNERS, *(SIZES if name == "news46" else ())} - LEFT_OUT[name]
    rows = [row for row in STORED["streams"] if row["stream"] == name]
    orders = {(row["learner"], row["order"]) for row in rows}
    assert orders == {(learner, order) for learner in wanted for order in range(STREAMS[name])}
    assert len(rows) == len(orders) and all(0 <= row["accuracy"] <= 1 for row in rows)


@pytest.mark.parametrize("name", STREAMS)
def test_no_rate_was_chosen_on_the_edge_of_its_grid(name: str):
    for row in STORED["settings"]:
        grid = LEARNERS[row["learner"]][2] if row["stream"] == name else {}
        for option in {*grid} & {"lr", "beta", "gamma", "replayed", "passes"}:
            assert min(grid[option]) < row[option] < max(grid[option]), (row, option)


def test_all_trainings_are_there():
    for split in (0, 1):
        made = {(r["training"], r["representation"]) for r in STORED["oml"] if r["pool"] == f"news46, split {split}"}
        assert made == {(seed, name) for seed in range(TRAININGS) for name in ("frozen", "joint", "OML")}
    starts = {(row["training"], row["start"]) for row in STORED["curves"]}
    assert starts == {
        (seed, start) for seed in range(TRAININGS) for start in {row["start"] for row in STORED["curves"]}
    }


def test_a_rate_that_diverges_counts_as_nothing():
    made = stream()
    options = {"lr": 0.1, "replayed": 10}
    assert online.measured("replay 200", options, made, 0).average > 0.3
    assert online.measured("replay 200", {**options, "lr": 1e30}, made, 0).average == 0
