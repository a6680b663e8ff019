"""`>` is no order: what sorts is refused, what compares is not; the best; perplexities and correlations are scores."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

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


def one_training(mean: float, *, key: str = "test", name: str = "", n: int = 3) -> Score:
    return Score.of(mean + np.linspace(-0.1, 0.1, n), name=name, key=(key,))


def over(*means: float, seeds: list[int] | None = None, **options: Any) -> Score:
    return Score.over_trainings([one_training(mean, **options) for mean in means], seeds=seeds)


def test_the_interval_over_trainings_is_that_of_their_means() -> None:
    trained = over(0.5, 0.6, 0.7, name="ours")
    assert trained.values.tolist() == pytest.approx([0.5, 0.6, 0.7]) and trained.mean == pytest.approx(0.6)
    assert trained.high - trained.mean == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)  # Student's t, 2 degrees
    assert (trained.name, trained.over, trained.share, MIDDLE.over) == ("ours", "trainings", True, "")
    errors = [Score.of([v, v + 1], key=("test",), share=False) for v in (1, 2)]
    assert Score.over_trainings(errors).share is False


def test_trainings_of_the_same_seeds_are_compared_in_pairs() -> None:
    a, b = over(0.50, 0.60, 0.71), over(0.48, 0.58, 0.68)
    assert (
        a > b
        and (a > b).paired
        and (a > b).high == pytest.approx(0.07 / 3 + 4.3027 * np.std([2, 2, 3], ddof=1) / 100 / 3**0.5, rel=1e-4)
    )
    elsewhere = over(0.48, 0.58, 0.68, seeds=[7, 8, 9])
    assert not (a > elsewhere) and not (a > elsewhere).paired
    assert not (a > over(0.48, 0.58)).paired
    assert a.beats(b, by=0.005) and not a.beats(b, by=0.02)


def test_better_and_worse_know_the_direction() -> None:
    low, high = (Score.of([v, v + 0.1, v], share=False, key=("same",)) for v in (0.1, 0.5))
    assert low.beats(high) and high.worse_than(low) and not high.beats(low) and not low.worse_than(high)
    assert high.worse_than(low).difference == pytest.approx(0.4) and not high.worse_than(low, by=0.5)
    right, wrong = (Score.of([v, v - 0.1, v], key=("same",)) for v in (0.9, 0.3))
    assert right.beats(wrong, by=0.5) and wrong.worse_than(right) and not wrong.beats(right)
    clear, confused = (
        Perplexity.of(np.array([v, v, v + 1.0]), np.array([9.0, 8, 9]), outcomes=9, key="same") for v in (2.0, 30.0)
    )
    assert clear.beats(confused) and confused.worse_than(clear) and clear.beats(confused).brief.startswith("ratio 0.")


def test_an_untrained_floor_counts_as_one_number() -> None:
    trained, floor = over(0.5, 0.6, 0.7), one_training(0.3)
    for difference, sign in ((trained.minus(floor), 1), (floor.minus(trained), -1)):
        assert difference.difference == pytest.approx(sign * 0.3) and difference.paired
        assert difference.high - difference.difference == pytest.approx(trained.high - trained.mean)
    assert (
        trained > floor
        and not trained > one_training(0.4)
        and not one_training(0.4) > trained
        and one_training(0.9) > trained
    )


@pytest.mark.parametrize(
    "other", [one_training(0.3, key="else"), one_training(0.3, n=4), MIDDLE, over(0.3, 0.3, key="else")]
)
def test_trainings_and_another_test_are_not_compared(other: Score) -> None:
    for ask in (lambda: over(0.5, 0.6) > other, lambda: other > over(0.5, 0.6)):
        with pytest.raises(ValueError, match=r"not tested on the same episodes.*same sampler and number of episodes"):
            ask()


@pytest.mark.parametrize(
    ("scores", "seeds", "message"),
    [
        ([], None, "0 scores"),
        ([one_training(0.5)], None, "two trainings or more"),
        ([one_training(0.5), one_training(0.6)], [0], "each with a seed of its own"),
        ([one_training(0.5), one_training(0.6)], [1, 1], "each with a seed of its own"),
        ([one_training(0.5), one_training(0.6, key="else")], None, "not of the same test episodes"),
        ([one_training(0.5), one_training(0.6, n=4)], None, "not of the same test episodes"),
        ([LOW, MIDDLE], None, "not of the same test episodes"),  # who knows: they have no key
        ([over(0.5, 0.6), over(0.5, 0.6)], None, "not of the same test episodes"),
        ([one_training(0.5, name="a"), one_training(0.6, name="b")], None, "scores of 'a' and 'b'"),
    ],
)
def test_what_is_no_set_of_trainings_is_refused(scores: list[Score], seeds: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Score.over_trainings(scores, seeds=seeds)


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
