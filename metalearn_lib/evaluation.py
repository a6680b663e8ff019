"""One evaluation for every learner: accuracy or macro-F1 per episode, 95 % intervals, paired comparison.

An accuracy over few-shot episodes means little without its interval, and a difference between two learners is best
seen on the same episodes: what is hard for one is hard for the other, so the noise cancels.   Chapters 01, 04, 12
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from metalearn_lib.episodes import Episodes
    from metalearn_lib.learners.base import Learner

Metric = Literal["accuracy", "macro_f1"]


class Sampler(Protocol):
    """Anything that draws numbered episodes."""

    @property
    def key(self) -> tuple[object, ...]: ...

    def sample(self, tasks: int = 1, *, first: int = 0) -> Episodes: ...


@dataclass(frozen=True)
class Comparison:
    """A difference of two means and its 95 % interval; true when the whole interval lies above `margin`.

    `paired` tells whether both were measured on the same episodes.
    """

    difference: float
    low: float
    high: float
    paired: bool
    margin: float = 0.0

    def __bool__(self) -> bool:
        return self.low > self.margin

    def __str__(self) -> str:
        kind = "paired" if self.paired else "unpaired"
        return (
            f"{100 * self.difference:+.1f} points, 95 % interval {100 * self.low:+.1f} … {100 * self.high:+.1f}, {kind}"
        )


@dataclass(frozen=True, eq=False)
class Score:
    """Per-episode values [E], their mean and its 95 % interval (Student's t over episodes).

    The interval speaks of the episodes drawn from these classes, not of other classes, seeds or corpora. `a > b` is a
    `Comparison`: true only when the 95 % interval of the difference lies above zero, paired if both scores come from
    the same episodes. `not a > b` therefore says "not shown to be better", not "worse".

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

    @classmethod
    def of(cls, values: object, *, name: str = "", key: tuple[object, ...] | None = None) -> Score:
        """Score of per-episode values; raises ValueError for fewer than two or for NaN."""
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1 or len(array) < 2 or not np.isfinite(array).all():
            raise ValueError(f"Score.of: need at least two finite values in one dimension, got shape {array.shape}")
        mean, half = float(array.mean()), _half_width(array)
        return cls(array, mean, mean - half, mean + half, name, key)

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
        return Comparison(difference, difference - half, difference + half, paired, margin)

    def __gt__(self, other: Score) -> Comparison:
        return self.minus(other)

    def __lt__(self, other: Score) -> Comparison:
        return other.minus(self)

    def beats(self, other: Score, *, by: float = 0.0) -> Comparison:
        """True when the 95 % interval of the difference lies above `by` (0.05 is 5 points)."""
        return self.minus(other, margin=by)

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} ± {50 * (self.high - self.low):.1f} %"

    def __repr__(self) -> str:
        return f"Score({self})"


def evaluate(
    learner: Learner,
    sampler: Sampler,
    *,
    episodes: int = 1000,
    batch: int = 50,
    first: int = 0,
    metric: Metric = "accuracy",
    progress: bool = False,
) -> Score:
    """Adapt to the support set of each episode, predict its queries, and score.   Chapter: 04

    Draws episodes number `first` … `first + episodes - 1` in batches; no gradient is kept and the learner's
    training mode is restored. Raises ValueError if a prediction is not finite.
    """
    from metalearn_lib.training import progress_bar

    if metric not in ("accuracy", "macro_f1"):
        raise ValueError(f"evaluate(metric={metric!r}): use 'accuracy' or 'macro_f1'")
    if episodes < 2 or batch < 1:
        raise ValueError(f"evaluate(episodes={episodes}, batch={batch}): need episodes ≥ 2 and batch ≥ 1")
    was_training = learner.training
    learner.eval()
    values: list[Tensor] = []
    try:
        with torch.no_grad():
            for start in progress_bar(range(0, episodes, batch), f"evaluate {learner.name}", show=progress):
                tasks = sampler.sample(min(batch, episodes - start), first=first + start).to(learner.device)
                logits = learner.predict(tasks)
                if not torch.isfinite(logits).all():
                    raise ValueError(
                        f"evaluate: {learner.name} predicted NaN or infinity in episodes {first + start} …; "
                        "check its inputs"
                    )
                values.append(_score(logits.argmax(-1), tasks.query_y, tasks.n_way, metric).cpu())
    finally:
        learner.train(was_training)
    return Score.of(torch.cat(values).numpy(), name=learner.name, key=(*sampler.key, first, metric))


def _score(predicted: Tensor, truth: Tensor, n_way: int, metric: Metric) -> Tensor:
    """Predicted and true classes [T, M] → a value per episode [T]."""
    if metric == "accuracy":
        return (predicted == truth).double().mean(1)
    ways = torch.arange(n_way, device=truth.device)
    p, t = predicted[..., None] == ways, truth[..., None] == ways  # [T, M, N]
    hits = (p & t).sum(1).double()
    return (2 * hits / (p.sum(1) + t.sum(1)).clamp(min=1)).mean(1)


def _half_width(values: np.ndarray) -> float:
    return _t(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))


def _t(freedom: float) -> float:
    """97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
