"""Measured numbers with their intervals, and what may be said when two of them are compared.   Chapters 01, 04, 12"""

from __future__ import annotations

import math
from dataclasses import dataclass

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

    def __str__(self) -> str:
        kind = "paired" if self.paired else "unpaired"
        if not self.share:
            return f"{self.difference:+.3g}, 95 % interval {self.low:+.3g} … {self.high:+.3g}, {kind}"
        return (
            f"{100 * self.difference:+.1f} points, 95 % interval {100 * self.low:+.1f} … {100 * self.high:+.1f}, {kind}"
        )


@dataclass(frozen=True, eq=False)
class Score:
    """Per-episode values [E], their mean and its 95 % interval (Student's t over episodes).

    The interval speaks of the episodes drawn from these classes, not of other classes, seeds or corpora. `a > b` is a
    `Comparison`: true only when the 95 % interval of the difference lies above zero, paired if both scores come from
    the same episodes. `not a > b` therefore says "not shown to be better", not "worse". Of errors (`share=False`) the
    lower is the better one: `a < b`.

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

    @classmethod
    def of(cls, values: object, *, name: str = "", key: tuple[object, ...] | None = None, share: bool = True) -> Score:
        """Score of per-episode values; raises ValueError for fewer than two or for NaN."""
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1 or len(array) < 2 or not np.isfinite(array).all():
            raise ValueError(f"Score.of: need at least two finite values in one dimension, got shape {array.shape}")
        mean, half = float(array.mean()), _half_width(array)
        return cls(array, mean, mean - half, mean + half, name, key, share)

    def minus(self, other: Score, *, margin: float = 0.0) -> Comparison:
        """The difference `self - other`: paired over the same episodes, otherwise by Welch's interval."""
        difference = self.mean - other.mean
        paired = self.key is not None and self.key == other.key and len(self.values) == len(other.values)
        if paired:
            half = _half_width(self.values - other.values)
        else:
            squares = [s.values.var(ddof=1) / len(s.values) for s in (self, other)]
            spread = sum(squares)
            freedom = (
                spread**2 / sum(v**2 / (len(s.values) - 1) for v, s in zip(squares, (self, other), strict=True))
                if spread
                else 1.0
            )
            half = _t(freedom) * math.sqrt(spread)
        return Comparison(difference, difference - half, difference + half, paired, margin, self.share)

    def __gt__(self, other: Score) -> Comparison:
        return self.minus(other)

    def __lt__(self, other: Score) -> Comparison:
        return other.minus(self)

    def beats(self, other: Score, *, by: float = 0.0) -> Comparison:
        """True when the 95 % interval of the difference lies above `by` (0.05 is 5 points)."""
        return self.minus(other, margin=by)

    def __str__(self) -> str:
        if not self.share:
            return f"{self.mean:.3g} ± {(self.high - self.low) / 2:.2g}"
        return f"{100 * self.mean:.1f} ± {50 * (self.high - self.low):.1f} %"

    def __repr__(self) -> str:
        return f"Score({self})"


def _half_width(values: np.ndarray) -> float:
    return _t(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))


def _t(freedom: float) -> float:
    """97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
