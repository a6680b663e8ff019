"""The recorded rows are of this code: none is stale, a command has nothing to do, and a few are measured again.

Which rows are measured again hangs on the code, so that other changes look at other rows.
"""

from __future__ import annotations

from typing import Any

import pytest

from metalearn_lib import corpora
from metalearn_lib.choosing import RECIPES, SETTINGS, Bench, Store, fingerprint, measure, measure_split
from metalearn_lib.choosing.across import ACROSS, EPISODES, LEARNERS, SHAPE
from metalearn_lib.choosing.measure import TaskShape
from metalearn_lib.choosing.recipes import SLOW
from metalearn_lib.files import results_folder
from metalearn_lib.fingerprint import digest

# A second or two on corpora of packages: nothing is trained, and no Transformer reads.
CHEAP = ("GloVe centroid", "nearest neighbour", "GloVe whitened centroid", "tf-idf centroid, log")
CORPORA = ("newsgroups", "news46")
SAMPLE = 3
STORE = Store(results_folder() / "few_shot.json")


def test_no_recorded_row_is_stale() -> None:
    rows = {(row["learner"], row["corpus"]) for row in STORE.rows if row["fingerprint"] != _now(row)}
    assert not rows, f"measured with other code; measure again with `metalearn benchmark`: {sorted(rows)}"


def test_every_row_is_of_a_recipe_a_corpus_and_a_number_of_episodes_that_the_benchmark_has() -> None:
    for row in STORE.rows:
        across = row["corpus"] in ACROSS
        assert row["learner"] in (LEARNERS if across else RECIPES)
        assert across or row["corpus"] in SETTINGS
        assert not row["quick"]
        assert row["episodes"] == (EPISODES if across else min(1000, SLOW.get(row["learner"], 1000)))


def test_the_benchmark_has_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """`metalearn benchmark` on a checkout as it is: no corpus is read and no learner is made."""
    monkeypatch.setattr(corpora, "load", None)
    for name, source in (SETTINGS | ACROSS).items():
        across = name in ACROSS
        for split in source.splits:
            reason = measure_split(
                STORE, name, split, list(LEARNERS if across else RECIPES), source=source,
                shape=SHAPE if across else TaskShape(), recipes=LEARNERS if across else RECIPES,
                episodes=EPISODES if across else 1000, say=pytest.fail,
            )  # fmt: skip
            assert reason is None


def sample() -> list[dict[str, Any]]:
    """Rows of different learners, in an order that every change of their code shuffles."""
    rows = [row for row in STORE.rows if row["learner"] in CHEAP and row["corpus"] in CORPORA and row["ways"] == 5]
    code = digest(sorted({_now(row) for row in rows}))
    rows.sort(key=lambda row: digest([code, row["corpus"], row["split"], row["learner"], row["shots"]]))
    first = {row["learner"]: row for row in reversed(rows)}
    return sorted(first.values(), key=rows.index)[:SAMPLE]


def test_what_is_recorded_is_measured_again() -> None:
    rows = sample()
    if missing := [row["corpus"] for row in rows if not corpora.is_present(row["corpus"])]:
        pytest.skip(f"{missing[0]} is not here: metalearn data make")
    for row in rows:
        train, valid, test = SETTINGS[row["corpus"]].parts(row["corpus"], row["split"])
        made = RECIPES[row["learner"]](Bench(train, valid))
        assert not isinstance(made, tuple)
        k_shot = row["shots"]
        again = measure.scores(
            made, test, row["episodes"], ways=row["ways"], queries=row["queries"], shots=[k_shot]
        )[k_shot]  # fmt: skip
        assert 100 * again.mean == pytest.approx(row["mean"], abs=0.01), row
        assert 50 * (again.high - again.low) == pytest.approx(row["half_width"], abs=0.01), row


def test_the_sample_hangs_on_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = set[str]()
    for edit in range(12):
        monkeypatch.setitem(globals(), "_now", lambda row, edit=edit: f"{edit}{row['learner']}")
        drawn |= {digest([row["corpus"], row["split"], row["learner"], row["shots"]]) for row in sample()}
    assert len(drawn) > 2 * SAMPLE


def _now(row: dict[str, Any]) -> str:
    return fingerprint(row["learner"], row["corpus"])
