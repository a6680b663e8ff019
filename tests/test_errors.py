"""One check of options for every door: the value, the rule and the way out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metalearn_lib.errors import check_options


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("steps", [1, 10**9, np.int64(3)], [0, -1, 2.5, 2.0, math.nan, True, "3", None]),
        ("lr", [1e-9, 1, np.float32(0.5)], [0, -0.1, math.inf, math.nan, True, "0.1", None]),
        ("clip", [0.1, 10, math.inf], [0, -1, math.nan, None]),
        ("weight_decay", [0, 0.1], [-0.1, math.inf, math.nan, None]),
        ("dropout", [0, 0.9], [1, -0.1, math.nan]),
        ("seed", [0, -3, np.int64(7)], [1.5, True, None, "0"]),
        ("patience", [None, 1], [0, -1, 1.5, True]),
    ],
)
def test_an_option_is_taken_or_refused_with_its_value(name: str, good: list[object], bad: list[object]) -> None:
    for value in good:
        check_options("train", **{name: value})
    for value in bad:
        with pytest.raises(ValueError, match=rf"^train\({name}=.*\): must be "):
            check_options("train", **{name: value})


def test_the_way_out_is_named() -> None:
    with pytest.raises(ValueError, match=r"train\(clip=0\): must be > 0, .*; math.inf clips none"):
        check_options("train", clip=0)
    with pytest.raises(
        ValueError, match=r"train\(patience=0\): must be a whole number ≥ 1, or None: no early stopping"
    ):
        check_options("train", patience=0)


def test_a_count_may_start_at_zero() -> None:
    check_options("FineTuned", least=0, steps=0)
    with pytest.raises(ValueError, match="whole number ≥ 0"):
        check_options("FineTuned", least=0, steps=-1)
