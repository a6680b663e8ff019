"""A claim is prose that code checks: one stable ✓ line, or an error with the numbers.   Every chapter."""

from __future__ import annotations

import math
from typing import Any

from metalearn_lib.scores import Comparison, Measured

MARK = "✓"


class ClaimFailed(AssertionError):
    """What a chapter says is not what its numbers say."""


def claim(text: str, condition: Any, *evidence: Any) -> None:
    """Print ``✓ text`` if the condition holds, otherwise raise with the condition and the evidence.

    ``condition`` is a bool, a NumPy bool, a tensor of one bool, or a comparison of two scores (``a > b``).
    Anything else is refused: a non-empty list, a score or a number is "true" without saying anything.
    NaN in the condition or in the evidence fails the claim: a comparison with NaN says nothing.

    Raises:
        ClaimFailed: the condition does not hold, or a number is NaN.
        TypeError: the condition is not a yes-or-no value, or the text is empty.

    Chapter: every chapter.

    >>> claim("two and two make four", 2 + 2 == 4)
    ✓ two and two make four
    """
    if not isinstance(text, str) or not text.strip():
        raise TypeError(f"claim(text={text!r}): the text is the sentence that is claimed; write one")
    holds = _as_bool(text, condition)
    nan = [value for value in (condition, *evidence) if _has_nan(value)]
    if holds and not nan:
        print(f"{MARK} {text}")
        return
    lines = [f"claim failed: {text}", f"  condition: {condition!r}"]
    lines += [f"  evidence: {value!r}" for value in evidence]
    if nan:
        lines.append("  a number is NaN: nothing can be claimed from it; look for an empty mean or a diverged loss")
    raise ClaimFailed("\n".join(lines))


def _as_bool(text: str, condition: Any) -> bool:
    if isinstance(condition, bool | Comparison):
        return bool(condition)
    kind = type(condition)
    dtype = str(getattr(condition, "dtype", "")).removeprefix("torch.")
    if dtype == "bool" and getattr(condition, "ndim", None) == 0:
        return bool(condition)
    hint = "compare first (a > b, torch.allclose(x, y), len(x) == 0)"
    if dtype == "bool":
        hint = f"it has shape {tuple(condition.shape)}; say .all() or .any()"
    raise TypeError(f"claim({text!r}): the condition is a {kind.__name__}, not a yes or no; {hint}")


def _has_nan(value: Any) -> bool:
    if isinstance(value, bool | str | bytes):
        return False
    if isinstance(value, list | tuple | set):
        return any(_has_nan(item) for item in value)
    if isinstance(value, dict):
        return any(_has_nan(item) for item in value.values())
    if isinstance(value, Comparison | Measured):
        return any(_has_nan(getattr(value, part, 0.0)) for part in ("mean", "difference", "low", "high"))
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return bool((value != value).any()) if value.shape else bool(value != value)
    return isinstance(value, float) and math.isnan(value)
