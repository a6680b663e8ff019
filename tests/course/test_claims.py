from __future__ import annotations

import numpy as np
import pytest
import torch

from metalearn_lib.course import ClaimFailed, claim


class Comparison:  # known by its name, as evaluation's is
    def __init__(self, holds: bool, difference: float = 0.1) -> None:
        self.holds, self.difference, self.low, self.high = holds, difference, 0.05, 0.15

    def __bool__(self) -> bool:
        return self.holds

    def __repr__(self) -> str:
        return f"difference {self.difference:+.3f}"


@pytest.mark.parametrize(
    "condition", [True, np.bool_(True), np.array(True), torch.tensor(True), (np.ones(3) == 1).all(), Comparison(True)]
)
def test_a_claim_that_holds_prints_one_line(condition: object, capsys: pytest.CaptureFixture[str]) -> None:
    claim("one and one make two", condition, 2.0, [1, 1], "text", None)
    assert capsys.readouterr().out == "✓ one and one make two\n"


@pytest.mark.parametrize("condition", [False, np.bool_(False), torch.tensor(False), Comparison(False)])
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
    ],
)
def test_only_a_yes_or_no_is_a_condition(condition: object, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        claim("something", condition)


@pytest.mark.parametrize(
    "evidence",
    [float("nan"), np.float32("nan"), np.array([1.0, np.nan]), torch.tensor([float("nan")]), [0.1, float("nan")],
     {"loss": float("nan")}, Comparison(True, float("nan"))],
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
