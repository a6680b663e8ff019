"""Errors that more than one room raises, and one check of the options that many functions share."""

from __future__ import annotations

import math
from numbers import Integral, Real


class TrainingDiverged(RuntimeError):
    """The loss became NaN or infinite."""


class InnerLoopDiverged(TrainingDiverged):
    """The loss of an inner loop became NaN or infinite."""


def check_options(who: str, *, least: int = 1, **options: object) -> None:
    """Refuse options out of range; raises ValueError with value, rule and way out.

    A name means the same everywhere: `lr`, `rate` and `rates` are finite and > 0, `clip` is > 0, `weight_decay`,
    `hyper_lr` and `teacher_rate` are finite and ≥ 0, `dropout` is a share below 1, `seed` a whole number, `patience` a
    count or None. Any other name is a count: a whole number, not less than `least`.

    >>> check_options("fit", epochs=2, rates=0.1, patience=None)
    >>> check_options("fit", epochs=2.5, rates=0.1)
    Traceback (most recent call last):
    ValueError: fit(epochs=2.5): must be a whole number ≥ 1
    """
    for name, value in options.items():
        if rule := _broken_rule(name, value, least):
            raise ValueError(f"{who}({name}={value!r}): must be {rule}")


def _broken_rule(name: str, value: object, least: int) -> str | None:
    """What the option must be, where it is not."""
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if name in ("lr", "rate", "rates"):
        return None if 0 < number < math.inf else "a finite number > 0; at 0 nothing is learned"
    if name == "clip":
        return None if number > 0 else "> 0, the largest norm of a gradient; math.inf clips none"
    if name in ("weight_decay", "teacher_rate", "hyper_lr"):
        return None if 0 <= number < math.inf else "a finite number ≥ 0; 0 is none"
    if name == "dropout":
        return None if 0 <= number < 1 else "a share, 0 ≤ dropout < 1; 0 leaves out nothing"
    if name == "seed":
        return None if whole else "a whole number"
    if name == "patience":
        return None if value is None or (whole and number >= 1) else "a whole number ≥ 1, or None: no early stopping"
    return None if whole and number >= least else f"a whole number ≥ {least}"
