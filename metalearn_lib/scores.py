"""Measured numbers with their intervals, and what may be said when two of them are compared.   Chapters 01, 04, 12"""

from __future__ import annotations

import dis
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar, overload

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """A difference of two means and its 95 % interval; true when the whole interval lies above `margin`.

    `paired` tells whether both were measured on the same episodes; `share`, whether they are shares, shown in points.
    """

    difference: float
    low: float
    high: float
    paired: bool
    margin: float = 0.0
    share: bool = True

    def __bool__(self) -> bool:
        return self.low > self.margin

    @property
    def slack(self) -> float:
        """By how much it holds, in its own unit: how far the interval stays above the margin; below 0 it fails."""
        return self.low - self.margin

    @property
    def brief(self) -> str:
        """The difference and its interval, in points or as they are: "+3.4, 95 % +2.1 … +4.6"."""
        return _with_interval(self.difference, self.low, self.high, share=self.share, sign="+")

    def __str__(self) -> str:
        kind = "paired" if self.paired else "unpaired"
        if not self.share:
            return f"{self.difference:+.3g}, 95 % interval {self.low:+.3g} … {self.high:+.3g}, {kind}"
        return (
            f"{100 * self.difference:+.1f} points, 95 % interval {100 * self.low:+.1f} … {100 * self.high:+.1f}, {kind}"
        )


@dataclass(frozen=True)
class PerplexityRatio(Comparison):
    """A difference of two log-perplexities; true where the lower one is lower with the whole 95 % interval."""

    @property
    def ratio(self) -> float:
        """The perplexity that is claimed to be lower, divided by the other one."""
        return math.exp(-self.difference)

    @property
    def brief(self) -> str:
        return "ratio " + _with_interval(self.ratio, math.exp(-self.high), math.exp(-self.low))

    def __str__(self) -> str:
        return f"ratio {self.ratio:.3f}, 95 % interval {math.exp(-self.high):.3f} … {math.exp(-self.low):.3f}"


@dataclass(frozen=True)
class Bound:
    """A number and where it is claimed to lie; true when it lies there, of a `Measured` with its whole 95 % interval.

    Made by `above`, `below` and `within`.
    """

    value: float
    low: float  # of its interval; the number itself where it has none
    high: float
    over: float = -math.inf
    under: float = math.inf
    share: bool = False

    def __bool__(self) -> bool:
        return self.over < self.low and self.high < self.under

    @property
    def slack(self) -> float:
        """How far the number, or the end of its interval, is from the nearer bound; below 0 it fails."""
        return min(self.low - self.over, self.under - self.high)

    @property
    def brief(self) -> str:
        """The number, and its interval where it has one."""
        return _with_interval(self.value, self.low, self.high, share=self.share)

    def __str__(self) -> str:
        where = [f"above {self.over:g}"] * (self.over > -math.inf) + [f"below {self.under:g}"] * (self.under < math.inf)
        return f"{self.brief} (claimed: {' and '.join(where)})"


def above(number: Any, bound: Any) -> Bound:
    """That a number lies above a bound; of a score its whole 95 % interval.

    A number is an int, a float, a NumPy or torch scalar, or a `Measured`; a bound is one of the first three.

    >>> bool(above(0.42, 0.4)), above(0.42, 0.4).brief, round(above(0.42, 0.4).slack, 2)
    (True, '0.42', 0.02)
    """
    return within(number, bound, math.inf)


def below(number: Any, bound: Any) -> Bound:
    """That a number lies below a bound; of a score its whole 95 % interval."""
    return within(number, -math.inf, bound)


def within(number: Any, over: Any, under: Any) -> Bound:
    """That a number lies between two bounds; of a score its whole 95 % interval, of a difference of scores, too.

    >>> bool(within(3, 1, 2))
    False
    """
    over, under = float(over), float(under)
    if isinstance(number, Measured):
        return Bound(number.mean, number.low, number.high, over, under, number.share)
    if isinstance(number, Comparison):
        return Bound(number.difference, number.low, number.high, over, under, number.share)
    value = float(number)
    return Bound(value, value, value, over, under)


def every(conditions: Iterable[Comparison | Bound]) -> Comparison | Bound:
    """All of them hold: the one that holds by least, or fails by most, stands for all; so it shows and decides.

    Give conditions of one unit, such as the same comparison on three splits. Raises ValueError for none.

    >>> every(above(number, 1) for number in (3, 2, 4)).brief
    '2'
    """
    found = list(conditions)
    if not found:
        raise ValueError("every: no conditions; of nothing everything is true")
    return min(found, key=lambda condition: condition.slack)


class Measured:
    """A number with its 95 % interval. `a > b` is a `Comparison`: true when the difference is significantly above 0.

    That is no order: two scores may each be "not better" than the other. So max, min and sorted, which would return
    something arbitrary, are refused where they can be told from `a > b`; use `best`, or `key=lambda s: s.mean`.
    """

    mean: float
    low: float
    high: float
    share: bool

    @property
    def value(self) -> float:
        """The number itself; of a `Score` it is a mean."""
        return self.mean

    @property
    def lower_is_better(self) -> bool:
        return not self.share

    def minus(self, other: Self) -> Comparison:
        """The difference `self - other` with its 95 % interval."""
        raise NotImplementedError

    def beats(self, other: Self, *, by: float = 0.0) -> Comparison:
        """True when this is better than the other with the whole 95 % interval, by more than `by` (0.05: 5 points).

        Of shares the higher is better, of errors, losses and perplexities the lower.
        """
        better, worse = (other, self) if self.lower_is_better else (self, other)
        return replace(better.minus(worse), margin=by)

    def worse_than(self, other: Self, *, by: float = 0.0) -> Comparison:
        """True when the other beats this one.

        >>> small, large = (Score.of(values, share=False) for values in ([0.1, 0.2, 0.1], [0.9, 0.8, 0.9]))
        >>> bool(large.worse_than(small)), bool(small.worse_than(large)), large.worse_than(small).brief
        (True, False, '+0.73, 95 % +0.60 … +0.86')
        """
        return other.beats(self, by=by)

    def __gt__(self, other: Self) -> Comparison:
        _refuse_order(sys._getframe(1))
        return self.minus(other) if type(other) is type(self) else NotImplemented

    def __lt__(self, other: Self) -> Comparison:
        _refuse_order(sys._getframe(1))
        return other.minus(self) if type(other) is type(self) else NotImplemented


_Measured = TypeVar("_Measured", bound=Measured)


@overload
def best(scores: Mapping[str, Measured], *, lower: bool | None = None) -> str: ...
@overload
def best(scores: Iterable[_Measured], *, lower: bool | None = None) -> _Measured: ...
def best(scores: Any, *, lower: bool | None = None) -> Any:
    """The name of the best mean in {name: score}, or of several scores the best one; the first of equals.

    `lower` tells whether a lower mean is better; by default it is for errors and perplexities. The best mean need not
    be significantly better than the next: ask with `>`. Raises ValueError where there are no scores.

    >>> coin, die = Score.of([0.5, 0.4, 0.6, 0.5]), Score.of([0.1, 0.2, 0.1, 0.2])
    >>> best({"coin": coin, "die": die}), best([die, coin]) is coin
    ('coin', True)
    """
    named = dict(scores if isinstance(scores, Mapping) else enumerate(scores))
    if not named:
        raise ValueError("best: no scores; give {name: score}, or a list of scores")
    if lower is None:
        lower = next(iter(named.values())).lower_is_better
    winner = (min if lower else max)(named, key=lambda name: named[name].mean)
    return winner if isinstance(scores, Mapping) else named[winner]


@dataclass(frozen=True, eq=False)
class Score(Measured):
    """Per-episode values [E], their mean and its 95 % interval (Student's t over episodes).

    The interval speaks of the episodes drawn from these classes, not of other classes, seeds or corpora. `over` says
    what the values are of, where it is known: "episodes" (`evaluate`), "texts", "trainings" (`Score.over_trainings`).
    `a > b` is a `Comparison`: true only when the 95 % interval of the difference lies above zero, paired if both scores
    come from the same episodes. `not a > b` therefore says "not shown to be better", not "worse". Of errors
    (`share=False`) the lower is the better one: ask `a.beats(b)` or `a.worse_than(b)`, which know the direction.

    >>> coin, die = Score.of([0.5, 0.4, 0.6, 0.5]), Score.of([0.1, 0.2, 0.1, 0.2])
    >>> bool(coin > die), bool(die > coin)
    (True, False)
    """

    values: np.ndarray
    mean: float
    low: float
    high: float
    name: str = ""
    key: tuple[object, ...] | None = None
    share: bool = True
    over: str = ""

    @classmethod
    def of(
        cls,
        values: object,
        *,
        name: str = "",
        key: tuple[object, ...] | None = None,
        share: bool = True,
        over: str = "",
    ) -> Score:
        """Score of per-episode values; raises ValueError for fewer than two or for NaN."""
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1 or len(array) < 2 or not np.isfinite(array).all():
            raise ValueError(f"Score.of: need at least two finite values in one dimension, got shape {array.shape}")
        mean, half = float(array.mean()), _half_width(array)
        return cls(array, mean, mean - half, mean + half, name, key, share, over)

    @classmethod
    def over_trainings(cls, scores: Sequence[Score], *, seeds: Sequence[int] | None = None) -> Score:
        """One learner, trained several times and tested on the same episodes: its mean and interval over trainings.

        `values` [R] are the means of the R trainings. The interval (Student's t with R - 1 degrees of freedom, so that
        three trainings that differ little still have a wide one) contains the luck of training: initial weights, order
        and choice of the training episodes. It does not contain the luck of the test: episodes and classes are the
        same for all. `seeds` names the trainings, by default 0 … R - 1: scores over the same seeds are compared in
        pairs. Raises ValueError for fewer than two scores, and for scores of other episodes or of two learners.

        >>> first, again = (Score.of(v, key=("test",)) for v in ([0.4, 0.5, 0.6], [0.5, 0.5, 0.8]))
        >>> print(Score.over_trainings([first, again]))
        55.0 ± 63.5 %
        """
        seeds = range(len(scores)) if seeds is None else seeds
        if len(scores) < 2 or len(set(seeds)) != len(scores):
            raise ValueError(
                f"over_trainings: {len(scores)} scores with the seeds {list(seeds)}; give two trainings or more, each "
                "with a seed of its own"
            )
        one = scores[0]
        if one.key is None or any(s.over == "trainings" or s._tested_on != one._tested_on for s in scores):
            raise ValueError(
                "over_trainings: the scores are not of the same test episodes (other keys, or other numbers of "
                "values); evaluate every training with the same sampler and number of episodes"
            )
        if names := sorted({s.name for s in scores} - {one.name}):
            raise ValueError(
                f"over_trainings: scores of {one.name!r} and {names[0]!r}; give the trainings of one learner, or one "
                "name to all: dataclasses.replace(score, name=…)"
            )
        key = (*one._tested_on, tuple(seeds))
        return cls.of([s.mean for s in scores], name=one.name, key=key, share=one.share, over="trainings")

    def minus(self, other: Score) -> Comparison:
        """The difference `self - other`: paired over the same episodes, otherwise by Welch's interval.

        Over trainings: paired over the same seeds, otherwise by Welch's interval. A score over trainings and one over
        episodes, such as an untrained floor's: the floor counts as one number, its mean on the same episodes, and the
        interval is that over trainings. Raises ValueError where the test episodes of trainings and the other differ.
        """
        difference = self.mean - other.mean
        paired = self.key is not None and self.key == other.key and len(self.values) == len(other.values)
        trained = [s for s in (self, other) if s.over == "trainings"]
        if trained and self._tested_on != other._tested_on:
            raise ValueError(
                f"{self.name or 'a score'} and {other.name or 'a score'} were not tested on the same episodes, and an "
                "interval over trainings does not contain the luck of the test; evaluate both with the same sampler "
                "and number of episodes"
            )
        if len(trained) == 1:
            half, paired = _half_width(trained[0].values), True
        elif paired:
            half = _half_width(self.values - other.values)
        else:
            a, b = (s.values.var(ddof=1) / len(s.values) for s in (self, other))
            terms = a**2 / (len(self.values) - 1) + b**2 / (len(other.values) - 1)
            half = _t((a + b) ** 2 / terms if terms else 1.0) * math.sqrt(a + b)
        return Comparison(difference, difference - half, difference + half, paired, share=self.share)

    def __str__(self) -> str:
        if not self.share:
            return f"{self.mean:.3g} ± {(self.high - self.low) / 2:.2g}"
        return f"{100 * self.mean:.1f} ± {50 * (self.high - self.low):.1f} %"

    def __repr__(self) -> str:
        return f"Score({self})"

    @property
    def _tested_on(self) -> tuple[object, ...]:
        """The key of the test and its number of episodes, whatever the interval is over."""
        return self.key[:2] if self.over == "trainings" and self.key else (self.key, len(self.values))


@dataclass(frozen=True, eq=False)
class Perplexity(Measured):
    """A perplexity with its 95 % bootstrap interval; `a < b` compares two models on the same text, pairwise."""

    mean: float
    low: float
    high: float
    outcomes: int
    """Number of tokens the model chooses among: perplexities over different numbers are not comparable."""
    losses: np.ndarray = field(repr=False)
    """Negative log-likelihood of each resampled unit, in nats."""
    tokens: np.ndarray = field(repr=False)
    """Predicted tokens of each resampled unit, ends of sentences included."""
    key: str = field(repr=False)
    """A hash of the sentences and of the units that they belong to."""
    share = False

    @classmethod
    def of(cls, losses: np.ndarray, tokens: np.ndarray, *, outcomes: int, key: str) -> Perplexity:
        """From the losses and tokens of each unit [U]; the interval is NaN where there is a single one."""
        low, high = np.exp(_bootstrapped(losses, tokens))
        return cls(float(np.exp(losses.sum() / tokens.sum())), float(low), float(high), outcomes, losses, tokens, key)

    def minus(self, other: Perplexity) -> PerplexityRatio:
        """The difference in log-perplexity, unit by unit.

        Raises ValueError where the two are not comparable: other vocabulary, other text.
        """
        if self.outcomes != other.outcomes:
            raise ValueError(
                f"perplexities over {self.outcomes:,} and {other.outcomes:,} possible tokens cannot be compared: "
                "the smaller choice looks better whatever the model; score both models with one vocabulary"
            )
        if self.key != other.key:
            raise ValueError(
                f"the two perplexities are of different texts ({self.tokens.sum():,} and {other.tokens.sum():,} "
                f"tokens in {len(self.tokens):,} and {len(other.tokens):,} units); "
                "score both models on the same sentences"
            )
        low, high = _bootstrapped(self.losses - other.losses, self.tokens)
        difference = math.log(self.value / other.value)
        return PerplexityRatio(difference, float(low), float(high), paired=True, share=False)

    def __str__(self) -> str:
        return f"{self.value:.1f} (95 % interval {self.low:.1f} to {self.high:.1f})"


@dataclass(frozen=True, eq=False)
class Correlation(Measured):
    """Spearman's ρ over the pairs, its 95 % interval, and ρ in each resample of the pairs [B].

    Two correlations over the same pairs share their resamples, so `a > b` is a paired comparison. `covered` of `total`
    pairs have a vector for both words.
    """

    mean: float
    low: float
    high: float
    resamples: np.ndarray
    covered: int
    total: int
    key: tuple[object, ...]
    share = False
    lower_is_better = False

    def minus(self, other: Correlation) -> Comparison:
        """The difference `self - other` with its paired bootstrap interval; ValueError if the pairs differ."""
        if self.key != other.key:
            raise ValueError(f"cannot compare correlations over different pairs: {self.key[:2]} and {other.key[:2]}")
        low, high = np.quantile(self.resamples - other.resamples, [0.025, 0.975])
        return Comparison(self.value - other.value, float(low), float(high), paired=True, share=False)

    def __str__(self) -> str:
        missing = f", {self.total - self.covered} of {self.total} pairs unknown" if self.covered < self.total else ""
        return f"{self.value:.3f} ({self.low:.3f} … {self.high:.3f}){missing}"


def _with_interval(value: float, low: float, high: float, *, share: bool = False, sign: str = "") -> str:
    """Shares in points with one decimal; other numbers with as many as the width of their interval calls for."""
    if share:
        value, low, high = 100 * value, 100 * low, 100 * high
    if not low < high:
        return (f"{value:.1f}" if share else short(value)).replace("-", "−")
    decimals = 1 if share else max(0, 1 - math.floor(math.log10(high - low)))
    shown, *ends = (f"{number:{sign},.{decimals}f}".replace("-", "−") for number in (value, low, high))
    return f"{shown}, 95 % {' … '.join(ends)}"


def short(number: float) -> str:
    """A number as people write it: three digits that count, whole thousands.

    >>> short(0.12345), short(12.0), short(65432.1)
    ('0.123', '12', '65,432')
    """
    return (f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}").replace("-", "−")


def _refuse_order(caller: Any) -> None:
    """Raise TypeError where max, min, sorted or list.sort asks, not a comparison written in Python.

    `a > b` is a COMPARE_OP of the caller; under a builtin the caller is in the middle of a call, and loads the name of
    the builtin there. Where either is unclear (another interpreter, operator.gt), the comparison is allowed.
    """
    code, names = caller.f_code, {"max", "min", "sorted", "sort"}
    if names.isdisjoint(code.co_names) or "CALL" not in dis.opname[code.co_code[caller.f_lasti]]:
        return
    steps = list(dis.get_instructions(code, show_caches=True))
    begin, end = _place(steps[caller.f_lasti // 2])
    for step in steps:
        first, last = _place(step)
        if step.argval in names and begin <= first and last <= end:
            raise TypeError(
                f"{step.argval} of scores: `>` means significantly better, which is no order; use best(scores), or "
                "key=lambda s: s.mean"
            )


def _place(step: dis.Instruction) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where in the source an instruction begins and ends: (line, column) each."""
    line, last_line, column, last_column = (number or 0 for number in step.positions or [0] * 4)
    return (line, column), (last_line, last_column)


def _bootstrapped(losses: np.ndarray, tokens: np.ndarray, resamples: int = 2000) -> np.ndarray:
    """2.5 and 97.5 % quantiles of the mean loss per token in bootstrap samples of the units; NaN for a single unit."""
    if len(tokens) < 2:
        return np.array([np.nan, np.nan])
    draws = np.random.default_rng(0).multinomial(len(tokens), np.full(len(tokens), 1 / len(tokens)), size=resamples)
    return np.asarray(np.quantile((draws @ losses) / (draws @ tokens), [0.025, 0.975]))


def _half_width(values: np.ndarray) -> float:
    return _t(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))


def _t(freedom: float) -> float:
    """97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
