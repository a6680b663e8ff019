from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from metalearn_lib.course import ClaimFailed, claim, claims, must_hold
from metalearn_lib.scores import Bound, Comparison, PerplexityRatio, Score, above, below, every, within


def compared(holds: bool, difference: float = 0.1) -> Comparison:
    return Comparison(difference, 0.05 if holds else -0.05, 0.15, paired=True)


class Believed:
    """No comparison, though it says so."""

    def __bool__(self) -> bool:
        return True


Believed.__name__ = "Comparison"


@pytest.mark.parametrize(
    "condition",
    [
        True,
        np.bool_(True),
        np.array(True),
        torch.tensor(True),
        (np.ones(3) == 1).all(),
        compared(True),
        PerplexityRatio(0.2, 0.1, 0.3, paired=True, share=False),
    ],
)
def test_a_claim_that_holds_prints_one_line(condition: object, capsys: pytest.CaptureFixture[str]) -> None:
    claim("one and one make two", condition, 2.0, [1, 1], "text", None)
    must_hold("so they must", condition, 2.0)
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"✓ one and one make two  \[.+\]", said[0]) and said[1:] == ["✓ so they must"]


@pytest.mark.parametrize("condition", [False, np.bool_(False), torch.tensor(False), compared(False)])
def test_a_claim_that_fails_shows_its_numbers(condition: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClaimFailed, match=r"(?s)claim failed: a beats b.*condition: .*evidence: 0\.25"):
        claim("a beats b", condition, 0.25)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ([1], "a list, not a yes or no"),
        ([], "a list, not a yes or no"),
        (1, "a int, not a yes or no"),
        (0.7, "a float"),
        (None, "a NoneType"),
        ("yes", "a str"),
        (np.array([True, False]), r"shape \(2,\); say .all\(\) or .any\(\)"),
        (torch.tensor([True]), r"shape \(1,\)"),
        (torch.tensor(1.0), "a Tensor, not a yes or no"),
        (lambda: True, "a function"),
        (Believed(), "a Comparison, not a yes or no"),
    ],
)
def test_only_a_yes_or_no_is_a_condition(condition: object, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        claim("something", condition)


@pytest.mark.parametrize(
    "evidence",
    [float("nan"), np.float32("nan"), np.array([1.0, np.nan]), torch.tensor([float("nan")]), [0.1, float("nan")],
     {"loss": float("nan")}, compared(True, float("nan")), Score(np.array([1.0]), 1.0, float("nan"), 1.0)],
)  # fmt: skip
def test_nan_proves_nothing(evidence: object) -> None:
    with pytest.raises(ClaimFailed, match="NaN"):
        claim("the loss is small", True, evidence)


def test_arrays_of_text_and_integers_are_evidence() -> None:
    claim("fine", True, np.array(["a"]), np.array([], dtype=float), torch.tensor(3), np.arange(3))


@pytest.mark.parametrize("text", ["", "  ", None, True])
def test_a_claim_says_something(text: object) -> None:
    with pytest.raises(TypeError, match="write one"):
        claim(text, True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "evidence", "shown"),
    [
        (compared(True), (), "[+10.0, 95 % +5.0 … +15.0]"),
        (PerplexityRatio(0.2, 0.1, 0.3, paired=True, share=False), (), "[ratio 0.82, 95 % 0.74 … 0.90]"),
        (above(torch.tensor(0.425), 0.4), (1.0,), "[0.425]"),
        (below(Score.of([0.5, 0.6, 0.7]), 0.9), (), "[60.0, 95 % 35.2 … 84.8]"),
        (
            within(Comparison(0.01, -0.00762, 0.0277, paired=True, share=False), -1, 1),
            (),
            "[0.010, 95 % −0.008 … 0.028]",
        ),
        (every([above(3, 1), above(2, 1)]), (), "[2]"),
        (True, (np.float32(0.25), 65432.1, "word", [1, 2]), "[0.25; 65,432]"),
        (True, (), ""),
    ],
)
def test_a_claim_shows_its_number(
    condition: object, evidence: tuple[object, ...], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    claim("it is so", condition, *evidence)
    assert capsys.readouterr().out == f"✓ it is so  {shown}".rstrip() + "\n"


@pytest.fixture
def chapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_seed", None)
    monkeypatch.setattr(claims, "headless", lambda: True)


@pytest.mark.usefixtures("chapter")
def test_on_another_seed_what_was_measured_is_told_and_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    claims.begin(7)
    claim("a beats b", compared(False))
    claim("the loss is small", True, float("nan"))
    assert capsys.readouterr().out.splitlines() == [
        "✗ did not hold here (seed 7): a beats b  [+10.0, 95 % −5.0 … +15.0]",
        "✗ did not hold here (seed 7): the loss is small  [nan]",
    ]
    with pytest.raises(ClaimFailed):
        must_hold("the parts are disjoint", False)


@pytest.mark.usefixtures("chapter")
def test_on_the_default_seed_it_stops_the_chapter_unless_a_reader_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    claims.begin(claims.DEFAULT_SEED)
    with pytest.raises(ClaimFailed):
        claim("a beats b", compared(False))
    monkeypatch.setattr(claims, "headless", lambda: False)
    claim("a beats b", compared(False))
    assert capsys.readouterr().out.startswith("✗ did not hold here (seed 0): a beats b")


@pytest.mark.usefixtures("chapter")
def test_what_did_not_hold_says_on_how_many_seeds_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(claims, "results_folder", lambda: tmp_path)
    claims.begin(7)
    row = {"sentence": "a beats b", "upheld": [0, 1, *range(3, 10)], "missed": [2]}
    texts = [json.dumps({"claims": rows}) for rows in ([row], [row, row], [{**row, "sentence": "b"}], [{}])]
    for text in ("", "{", "[]", "null", *texts):
        (tmp_path / "replication.json").write_text(text)
        claim("a beats b", compared(False))
        ending = "; it holds on 9 of 10 seeds" if text == texts[0] else ""
        assert capsys.readouterr().out == (
            f"✗ did not hold here (seed 7): a beats b  [+10.0, 95 % −5.0 … +15.0]{ending}\n"
        )


def test_every_claim_is_recorded_where_the_environment_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(claims.RECORD, str(tmp_path / "claims.jsonl"))
    claim("a beats b", compared(True))
    must_hold("a is a", True)
    lines = [json.loads(line) for line in (tmp_path / "claims.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["kind"], line["text"], line["holds"]) for line in lines] == [
        ("measured", "a beats b", True), ("logic", "a is a", True)
    ]  # fmt: skip
    claim("it is finite", Bound(1, 1, 1))
    last = (tmp_path / "claims.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(last)["slack"] is None  # JSON knows no infinity
    assert lines[0]["slack"] == 0.05 and lines[0]["number"] == "+10.0, 95 % +5.0 … +15.0"


def test_bounds() -> None:
    assert within(1.5, 1, 2) and not within(2, 1, 2) and not within(float("nan"), 1, 2)
    assert below(torch.tensor(3), np.float64(4)).slack == 1
    score = Score.of([0.5, 0.6, 0.7])
    assert above(score, 0.3) and not above(score, 0.5)  # the whole interval counts
    assert isinstance(within(score.minus(score), -0.1, 0.1), Bound)
    assert not every([above(3, 1), above(0.5, 1)])
    with pytest.raises(ValueError, match="no conditions"):
        every([])
