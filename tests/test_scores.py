"""`>` is no order: what sorts is refused, what compares is not; the best; perplexities and correlations are scores."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable

import numpy as np
import pytest

from metalearn_lib import plots
from metalearn_lib.scores import Comparison, Correlation, Perplexity, PerplexityRatio, Score, best


def score(mean: float, *, share: bool = True) -> Score:
    return Score.of([mean - 0.01, mean, mean + 0.01], share=share)


LOW, MIDDLE, HIGH = score(0.2), score(0.5), score(0.8)


def surprise(*losses: float, outcomes: int = 10, key: str = "text") -> Perplexity:
    return Perplexity.of(np.array(losses), np.full(len(losses), 5), outcomes=outcomes, key=key)


def rho(value: float) -> Correlation:
    noise = np.random.default_rng(0).normal(size=50) * 0.01
    return Correlation(value, value - 0.02, value + 0.02, value + noise, 9, 9, ("pairs",))


KINDS = {
    "shares": (LOW, HIGH),
    "errors": (score(0.2, share=False), score(0.8, share=False)),
    "perplexities": (surprise(5, 6, 7, 8), surprise(15, 16, 17, 18)),
    "correlations": (rho(0.1), rho(0.6)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "order",
    [
        lambda a, b: max(a, b),
        lambda a, b: min([a, b]),
        lambda a, b: max(s for s in (a, b)),
        lambda a, b: max(*(a, b)),
        lambda a, b: max([a, b], default=a),
        lambda a, b: sorted([a, b]),
        lambda a, b: sorted([("x", a), ("x", b)]),
        lambda a, b: [a, b].sort(),
        lambda a, b: sorted([a, b], key=lambda s: s, reverse=True),
    ],
)
def test_what_sorts_is_refused(kind: str, order: Callable[..., object]) -> None:
    for pair in (KINDS[kind], KINDS[kind][::-1]):
        with pytest.raises(
            TypeError, match=r"(max|min|sorted|sort) of scores: .*best\(scores\), or key=lambda s: s.mean"
        ):
            order(*pair)


@pytest.mark.parametrize("kind", KINDS)
def test_what_compares_is_not(kind: str) -> None:
    low, high = KINDS[kind]
    assert high > low and low < high and not low > high
    assert all(high > s for s in (low, low)) and len([low < s for s in (low, high)]) == 2 and (lambda: high > low)()
    assert [s for s in (low, high) if s > low] == [high] and {True: high > low}[True]
    assert max([high > low, low > high], key=bool) and min(3, 4) == 3 and sorted([2, 1])
    assert max([low, high], key=lambda s: s.mean) is high and sorted([high, low], key=lambda s: s.mean)[0] is low
    assert operator.gt(high, low) and list(map(operator.lt, [low], [high]))
    assert functools.reduce(lambda a, b: a if a > b else b, [low, high, low]) is high
    assert print(f"{bool(high > low)}") is None
    for _ in range(100):  # until the interpreter has specialised the comparison
        if max(1, 2) and not high > low:
            raise AssertionError


def test_a_score_is_compared_with_a_score() -> None:
    for other in (0.5, np.float64(0.5), "a", rho(0.5)):
        with pytest.raises(TypeError, match="not supported between"):
            _ = other < LOW
        with pytest.raises(TypeError, match="not supported between"):
            _ = other > LOW


def test_the_best_has_the_best_mean() -> None:
    named = {"middle": MIDDLE, "high": HIGH, "low": LOW}
    assert best(named) == "high" and best(named, lower=True) == "low"
    assert best(named.values()) is HIGH and best([LOW, MIDDLE], lower=False) is MIDDLE
    assert best([surprise(9, 9), surprise(5, 5)]).value == pytest.approx(math.e)
    assert best({"a": score(3, share=False), "b": score(2, share=False)}) == "b"
    assert best({"a": rho(0.1), "b": rho(0.2)}) == "b"
    assert best({"first": HIGH, "second": HIGH}) == "first"
    with pytest.raises(ValueError, match="no scores"):
        best([])


def test_a_ratio_of_perplexities_is_a_comparison() -> None:
    low, high = KINDS["perplexities"]
    ratio = low < high
    assert isinstance(ratio, Comparison) and isinstance(ratio, PerplexityRatio) and ratio
    assert ratio.ratio == pytest.approx(low.value / high.value) and ratio.difference == pytest.approx(2)
    assert str(high > low) == str(ratio) and "ratio 0.135" in str(ratio)
    assert not high < low and (high < low).ratio == pytest.approx(high.value / low.value)
    for other in (surprise(5, 6, 7, 8, outcomes=11), surprise(5, 6, 7, 8, key="other")):
        with pytest.raises(ValueError, match=r"compared|different texts"):
            _ = low < other


@pytest.mark.parametrize("kind", KINDS)
def test_any_score_can_be_drawn(kind: str) -> None:
    low, high = KINDS[kind]
    axes = plots.compare({"low": low, "high": high}, floor="low", title="t").axes[0]
    factor = 100 if kind == "shares" else 1
    assert {factor * low.mean, factor * high.mean} <= {x for line in axes.lines for x in line.get_xdata()}


def test_panels_of_other_kinds_have_axes_of_their_own() -> None:
    figure = plots.compare({"rho": {"a": rho(0.1)}, "accuracy": {"a": HIGH}}, title="t")
    assert figure.axes[0].get_xlim()[1] < 1 < 70 < figure.axes[1].get_xlim()[1]
    with pytest.raises(ValueError, match="a panel of its own"):
        plots.compare({"a": rho(0.1), "b": HIGH}, title="t")
