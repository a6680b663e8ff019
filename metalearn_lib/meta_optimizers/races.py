"""How many steps an optimizer needs for what another one reaches, with an interval over the problems.   Chapter 02"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class StepsNeeded:
    """The first step that is low enough, and the ends of its 95 % interval; None: not within `watched` steps."""

    step: int | None
    low: int | None
    high: int | None
    watched: int

    def __str__(self) -> str:
        step, low, high = (f"> {self.watched}" if n is None else str(n) for n in (self.step, self.low, self.high))
        return f"{step} ({low} … {high})"

    @property
    def at_most(self) -> int:
        """The upper end of the interval; one more than the steps watched where it was not reached."""
        return self.watched + 1 if self.high is None else self.high

    @property
    def at_least(self) -> int:
        """The lower end of the interval; one more than the steps watched where it was not reached."""
        return self.watched + 1 if self.low is None else self.low


def steps_needed(curve: Tensor, reference: Tensor, *, at: int, draws: int = 2000, seed: int = 0) -> StepsNeeded:
    """The first step where the mean of `curve` [T, S] is not above the mean of `reference` [T, S'] at step `at`.

    Both are losses of the same T problems, before the first step and after each. The interval is a bootstrap over the
    problems: those that are drawn count in both means. It contains no luck of training, where the curve is that of a
    learned optimizer. Raises ValueError for curves of other problems, or a step that the reference does not have.
    Chapter: 02

    >>> falling = torch.tensor([[3.0, 2.0, 1.0], [5.0, 4.0, 3.0]])
    >>> print(steps_needed(falling, falling, at=2))
    2 (2 … 2)
    """
    if curve.ndim != 2 or reference.ndim != 2 or len(curve) != len(reference) or len(curve) < 2:
        raise ValueError(
            f"steps_needed: curves {tuple(curve.shape)} and {tuple(reference.shape)}; need [T, steps] of the same "
            "T ≥ 2 problems"
        )
    if not 0 <= at < reference.shape[1]:
        raise ValueError(f"steps_needed(at={at}): the reference has steps 0 … {reference.shape[1] - 1}")
    number, watched = len(curve), curve.shape[1] - 1
    resampled = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=draws)
    weights = torch.cat([torch.ones(1, number), torch.from_numpy(resampled)]).to(curve) / number
    reached = weights @ curve <= (weights @ reference[:, at : at + 1].to(curve)) * (1 + 1e-6)  # [draws + 1, S]
    first = torch.where(reached.any(1), reached.int().argmax(1), watched + 1).tolist()
    step, low, high = (
        None if found > watched else found
        for found in (first[0], *(round(float(q)) for q in np.quantile(first[1:], [0.025, 0.975])))
    )
    return StepsNeeded(step, low, high, watched)
