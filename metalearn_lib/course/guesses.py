"""The reader's own number, written down before the next cell measures it.   Every chapter ("your turn")"""

from __future__ import annotations

from typing import Any

from metalearn_lib.scores import Comparison, Measured, short


def guess(yours: float | None, measured: Any, *, unit: str = "") -> None:
    """Print what was measured, and by how much the number that the reader wrote down before was off.

    `yours` is in the unit that is printed, None where she wrote nothing; `measured` is a number, or a score or
    comparison (shares in points). For a cell tagged `nbval-ignore-output`. Raises TypeError for a guess that is no
    number.   Chapter: every chapter

    >>> guess(70, 63.4, unit="%")
    measured: 63.4 %; your guess: 70 %, too high by 6.6
    >>> guess(None, 63.4, unit="%")
    measured: 63.4 %; your guess: none written
    """
    if isinstance(measured, Measured | Comparison):
        value = measured.mean if isinstance(measured, Measured) else measured.difference
        value *= 100 if measured.share else 1
    else:
        value = float(measured)
    unit = f" {unit}" if unit else ""
    if yours is None:
        print(f"measured: {short(value)}{unit}; your guess: none written")
        return
    if isinstance(yours, bool) or not isinstance(yours, int | float):
        raise TypeError(f"guess: {yours!r} is no number; write one such as 70, or None")
    off = yours - value
    verdict = "right" if short(yours) == short(value) else f"too {'high' if off > 0 else 'low'} by {short(abs(off))}"
    print(f"measured: {short(value)}{unit}; your guess: {short(yours)}{unit}, {verdict}")
