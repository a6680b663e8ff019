"""A claim is prose that code checks: one stable ✓ line with its number, or the truth about it.   Every chapter.

Two verbs. `must_hold` is for what holds by logic on any seed: equal to the library, disjoint, a shape. `claim` is for
what was measured: on another seed it may come out otherwise, and then the chapter says so and goes on.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from metalearn_lib.files import results_folder
from metalearn_lib.progress import headless
from metalearn_lib.scores import Bound, Comparison, Measured, short

MARK, MISSED = "✓", "✗"
DEFAULT_SEED = 0  # the one on which a measured claim must hold
RECORD = "METALEARN_CLAIMS"  # names a file to which every claim adds a line: what `metalearn run` reports
REPLICATION = "replication.json"  # of data/results/: on which seeds a sentence was upheld

_seed: int | None = None  # of the chapter that runs; None outside of one


class ClaimFailed(AssertionError):
    """What a chapter says is not what its numbers say."""


def begin(seed: int) -> None:
    """A chapter begins with this seed; called by `setup`."""
    global _seed
    _seed = seed


def claim(text: str, condition: Any, *evidence: Any) -> None:
    """Print ``✓ text  [number]`` if what was measured upholds the text.

    ``condition`` is a comparison of two scores (``a > b``), a number within bounds (``above``, ``below``, ``within``),
    the weakest of several (``every``), or a bool, a NumPy bool or a tensor of one bool. The bracket shows the
    condition's number and 95 % interval, or the numbers among the evidence; nbval does not compare it. Anything else is
    refused: a non-empty list, a score or a number is "true" without saying anything. NaN proves nothing.

    Where it does not hold: on the default seed, in a chapter that nobody watches, raise; on another seed, and in a
    reader's own JupyterLab, print ``✗ did not hold here (seed 7): text  [number]`` and go on; where `metalearn
    replicate` has stored the sentence, the line ends with ``; it holds on 9 of 10 seeds``.

    Raises:
        ClaimFailed: the condition does not hold, or a number is NaN.
        TypeError: the condition is not a yes-or-no value, or the text is empty.

    Chapter: every chapter.

    >>> claim("two and two make four", 2 + 2 == 4)
    ✓ two and two make four
    >>> from metalearn_lib import within
    >>> claim("a coin lands on its head about half the time", within(0.53, 0.4, 0.6))
    ✓ a coin lands on its head about half the time  [0.53]
    """
    holds, nan = _judged("claim", text, condition, evidence)
    number = _brief(condition, evidence)
    _note("measured", text, holds, number, condition)
    if holds:
        print(f"{MARK} {text}{number}")
    elif _seed is not None and (_seed != DEFAULT_SEED or not headless()):
        print(f"{MISSED} did not hold here (seed {_seed}): {text}{number}{_replicated(text)}")
    else:
        raise _failure(text, condition, evidence, nan)


def must_hold(text: str, condition: Any, *evidence: Any) -> None:
    """Print ``✓ text`` if what holds by logic, whatever was drawn, does hold; raise on any seed where it does not.

    Conditions and errors are those of `claim`.   Chapter: every chapter.

    >>> must_hold("two and two make four", 2 + 2 == 4)
    ✓ two and two make four
    """
    holds, nan = _judged("must_hold", text, condition, evidence)
    _note("logic", text, holds, "", condition)
    if not holds:
        raise _failure(text, condition, evidence, nan)
    print(f"{MARK} {text}")


def record(**line: Any) -> None:
    """Add a line to the file that the environment names, if it does."""
    if os.environ.get(RECORD):
        with Path(os.environ[RECORD]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _judged(verb: str, text: str, condition: Any, evidence: tuple[Any, ...]) -> tuple[bool, bool]:
    """Whether the condition holds, and whether something is NaN (then it does not)."""
    if not isinstance(text, str) or not text.strip():
        raise TypeError(f"{verb}(text={text!r}): the text is the sentence that is claimed; write one")
    holds = _as_bool(verb, text, condition)
    nan = any(map(_has_nan, (condition, *evidence)))
    return holds and not nan, nan


def _failure(text: str, condition: Any, evidence: tuple[Any, ...], nan: bool) -> ClaimFailed:
    shown = str(condition) if isinstance(condition, Comparison | Bound) else repr(condition)
    lines = [f"claim failed: {text}", f"  condition: {shown}"]
    lines += [f"  evidence: {value!r}" for value in evidence]
    if nan:
        lines.append("  a number is NaN: nothing can be claimed from it; look for an empty mean or a diverged loss")
    return ClaimFailed("\n".join(lines))


def _brief(condition: Any, evidence: tuple[Any, ...]) -> str:
    """``  [+3.4, 95 % +2.1 … +4.6]``: the condition's number, or where it has none those of the evidence."""
    if isinstance(condition, Comparison | Bound):
        return f"  [{condition.brief}]"
    numbers = [number for value in evidence if (number := _number(value))]
    return f"  [{'; '.join(numbers)}]" if numbers else ""


def _number(value: Any) -> str:
    """A single number with its interval, if it has one; nothing for what is no number."""
    if isinstance(value, Comparison | Bound):
        return value.brief
    if isinstance(value, Measured):
        return Bound(value.mean, value.low, value.high, share=value.share).brief
    if isinstance(value, bool | str | bytes) or getattr(value, "ndim", 0) != 0:
        return ""
    try:
        return short(float(value))
    except (TypeError, ValueError):
        return ""


def _note(kind: str, text: str, holds: bool, number: str, condition: Any) -> None:
    slack = condition.slack if isinstance(condition, Comparison | Bound) else math.nan
    record(kind=kind, text=text, holds=holds, number=number.strip(" []"), slack=slack if math.isfinite(slack) else None)


def _replicated(text: str) -> str:
    """``; it holds on 9 of 10 seeds``; nothing where the sentence is not stored, or by more than one chapter."""
    try:
        stored = json.loads((results_folder() / REPLICATION).read_text(encoding="utf-8"))
        ((upheld, missed),) = [(r["upheld"], r["missed"]) for r in stored["claims"] if r["sentence"] == text]
        return f"; it holds on {len(upheld)} of {len(upheld) + len(missed)} seeds"
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _as_bool(verb: str, text: str, condition: Any) -> bool:
    if isinstance(condition, bool | Comparison | Bound):
        return bool(condition)
    kind = type(condition)
    dtype = str(getattr(condition, "dtype", "")).removeprefix("torch.")
    if dtype == "bool" and getattr(condition, "ndim", None) == 0:
        return bool(condition)
    hint = "compare first (a > b, torch.allclose(x, y), len(x) == 0)"
    if dtype == "bool":
        hint = f"it has shape {tuple(condition.shape)}; say .all() or .any()"
    raise TypeError(f"{verb}({text!r}): the condition is a {kind.__name__}, not a yes or no; {hint}")


def _has_nan(value: Any) -> bool:
    if isinstance(value, bool | str | bytes):
        return False
    if isinstance(value, list | tuple | set):
        return any(_has_nan(item) for item in value)
    if isinstance(value, dict):
        return any(_has_nan(item) for item in value.values())
    if isinstance(value, Comparison | Measured | Bound):
        return any(_has_nan(getattr(value, part, 0.0)) for part in ("mean", "value", "difference", "low", "high"))
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return bool((value != value).any()) if value.shape else bool(value != value)
    return isinstance(value, float) and math.isnan(value)
