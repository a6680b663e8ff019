from __future__ import annotations

import numpy as np
import pytest
import torch

from metalearn_lib.course import ClaimFailed, claim
from metalearn_lib.scores import Comparison, PerplexityRatio, Score


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
    assert capsys.readouterr().out == "✓ one and one make two\n"


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
