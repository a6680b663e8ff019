"""What all self-checks share: they call the learner's answer, and turn what went wrong into one short paragraph.

A check is a generator that is given an `Answer`. It yields once for each property that holds, and stops at the first
that does not, by `expect…` or `fail`. `self_check` makes of it what a notebook calls.   Every chapter with exercises
"""

from __future__ import annotations

import copy
import functools
import random
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.course import records
from metalearn_lib.course.claims import MARK

Cases = Literal["shown", "hidden"]
NOT_ANSWERED = "not answered yet: replace `raise NotImplementedError()` in the cell above by your answer, and run it"


class CheckFailed(AssertionError):
    """An answer lacks a property; the message says what was given, expected and found, and the likely cause."""

    def _render_traceback_(self) -> list[str]:
        return [f"CheckFailed: {self}"]  # what a notebook shows: the message, and no lines of the library


def fail(given: str, expected: str, got: str, *, cause: str = "", hint: int = 0) -> NoReturn:
    """Raise `CheckFailed`: with `given` I expected …, got …: cause; see hint."""
    message = f"{f'with {given} ' if given else ''}I expected {expected}, got {got}"
    message += f": {cause}" if cause else ""
    raise CheckFailed(message + (f"; see hint {hint}" if hint else ""))


class Answer:
    """What the learner handed in. Calling it calls their function on copies, and sees to it that nothing odd happens.

    Raises `CheckFailed`: the answer is no function, is not written yet, raises, or changes what it was given.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if self.value is None or self.value is Ellipsis:
            raise CheckFailed(NOT_ANSWERED)
        if not callable(self.value):
            fail("", "a function", describe(self.value), cause="hand in its name, without brackets after it")
        given, kept = copy.deepcopy((inputs, options)), (inputs, options)
        try:
            result = self.value(*given[0], **given[1])
        except NotImplementedError:
            raise CheckFailed(NOT_ANSWERED) from None
        except CheckFailed:
            raise
        except Exception as error:
            raise CheckFailed(f"your function raised {_told(error, self.value)}") from None
        before, after = ((*inputs, *named.values()) for inputs, named in (kept, given))
        for place, (old, new) in enumerate(zip(before, after, strict=True), 1):
            if _changed(old, new):
                raise CheckFailed(
                    f"your function changed its argument {place}, {describe(old)}: work on a copy (x = x + 1 makes a "
                    "new one, x += 1 does not)"
                )
        if result is None:
            raise CheckFailed(f"{NOT_ANSWERED} (your function returns None: is the `return` missing?)")
        return result


def self_check(exercise: str) -> Callable[[Callable[[Answer, Cases], Iterator[Any]]], Callable[..., None]]:
    """Make a check of a generator: `name(answer, *, cases="shown")` prints one line, or raises `CheckFailed`.

    Random numbers are drawn from a fixed seed and the notebook's generators stay as they were. The outcome is
    recorded in the learner's workspace, where there is one.

    Raises (the check that is made): CheckFailed, or ValueError for `cases` other than "shown" and "hidden".
    """

    def decorate(properties: Callable[[Answer, Cases], Iterator[Any]]) -> Callable[..., None]:
        name = properties.__name__

        @functools.wraps(properties)
        def check(answer: Any, *, cases: Cases = "shown") -> None:
            if cases not in ("shown", "hidden"):
                raise ValueError(f"check.{name}(cases={cases!r}): use 'shown' or 'hidden'")
            state = random.getstate()
            failure: CheckFailed | None = None
            try:
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(0)
                    random.seed(0)
                    held = sum(1 for _ in properties(Answer(answer), cases))
            except CheckFailed as error:
                failure = CheckFailed(f"{name}: {error}.")
            finally:
                random.setstate(state)
            _record(exercise, passed=failure is None)
            if failure is not None:
                raise failure
            print(f"{MARK} {name}: {held} more, hidden" if cases == "hidden" else f"{MARK} {name}: {_hold(held)}")

        check.__annotations__ = {"answer": "Any", "cases": "Cases", "return": "None"}
        del check.__wrapped__  # type: ignore[attr-defined]  # the signature to show is this one
        check.exercise = exercise  # type: ignore[attr-defined]
        return check

    return decorate


def expect_tensor(
    got: Any, shape: tuple[int, ...], *, given: str, like: Tensor | None = None, axes: str = "", hint: int = 0
) -> Tensor:
    """Return `got` if it is a finite tensor of this shape (and on the device of `like`); `axes`, as in "[M, N]"."""
    wanted = f"a tensor of shape {list(shape)}" + (f" ({axes})" if axes else "")
    if not isinstance(got, Tensor):
        cause = "torch.stack makes one tensor of a list of tensors" if isinstance(got, list | tuple) else ""
        fail(given, wanted, describe(got), cause=cause, hint=hint)
    if tuple(got.shape) != shape:
        turned = tuple(got.shape) == shape[:-2] + shape[:-3:-1]
        fail(given, wanted, f"shape {list(got.shape)}", cause="the last two are swapped" if turned else "", hint=hint)
    if like is not None and got.device != like.device:
        fail(given, f"a result on {like.device}", f"one on {got.device}", cause="make new tensors with device=x.device")
    if like is not None and like.is_floating_point() and got.dtype != like.dtype:
        fail(given, f"the dtype of the input, {like.dtype}", f"{got.dtype}", cause="make new tensors with x.dtype")
    if got.is_floating_point() and not bool(torch.isfinite(got).all()):
        what = "NaN" if bool(got.isnan().any()) else "infinity"
        fail(given, "finite numbers", what, cause="a division by zero, or the mean of nothing", hint=hint)
    return got


def expect_close(
    got: Tensor,
    right: Tensor,
    *,
    given: str,
    tolerance: float = 1e-4,
    suspects: Mapping[str, Tensor] | None = None,
    hint: int = 0,
) -> None:
    """Fail at the first entry that differs. `suspects`: what comes out of typical mistakes, by the cause to name."""
    different = ~torch.isclose(got.double(), right.double(), rtol=tolerance, atol=tolerance)
    if not bool(different.any()):
        return
    place = tuple(different.nonzero()[0].tolist())
    where = f" at {list(place)}" if place else ""
    cause = next((c for c, wrong in (suspects or {}).items() if _near(got, wrong, tolerance)), "")
    fail(given, f"{number(right[place])}{where}", f"{number(got[place])}", cause=cause, hint=hint)


def expect_number(
    got: Any, right: float, *, given: str, tolerance: float = 1e-4, suspects: Mapping[str, float] | None = None,
    hint: int = 0,
) -> None:  # fmt: skip
    """The same for a number (or a tensor of one number)."""
    if isinstance(got, Tensor) and got.ndim == 0:
        got = got.item()
    if isinstance(got, bool) or not hasattr(got, "__float__") or getattr(got, "ndim", False):
        fail(given, f"the number {number(right)}", describe(got), hint=hint)
    wrong = {cause: torch.tensor(float(value)) for cause, value in (suspects or {}).items()}
    close = {"given": given, "tolerance": tolerance, "hint": hint}
    if float(got) != float(got):
        fail(given, f"{number(right)}", "NaN", cause="a division by zero, or the mean of nothing", hint=hint)
    expect_close(torch.tensor(float(got)), torch.tensor(float(right)), suspects=wrong, **close)  # type: ignore[arg-type]


def expect_ends(
    got: Sequence[Any], centre: float, half: float, *, given: str, widths: Mapping[str, float], hint: int = 0
) -> Iterator[str]:
    """The low and the high end of an interval. `widths`: what typical mistakes make of `half`, by the cause to name."""
    for value, name, sign in zip(got, ("low end", "high end"), (-1, 1), strict=True):
        wrong = {cause: centre + sign * width for cause, width in widths.items()}
        expect_number(value, centre + sign * half, given=f"{given}, for the {name},", suspects=wrong, hint=hint)
        yield name


def expect(condition: bool, given: str, expected: str, got: str, *, cause: str = "", hint: int = 0) -> None:
    """Fail unless the condition holds."""
    if not condition:
        fail(given, expected, got, cause=cause, hint=hint)


def describe(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {list(value.shape)}"
    if callable(value):
        return f"the function {getattr(value, '__name__', type(value).__name__)}"
    kind = type(value).__name__
    article = "an" if kind[0] in "aeiou" else "a"
    if isinstance(value, list | tuple | dict | set):
        return f"{article} {kind} of {len(value)}"
    shown = repr(value)
    return f"{article} {kind}" + (f", {shown}" if len(shown) <= 40 else "")


def number(value: float | Tensor) -> str:
    """A number with three or four digits, as messages show it."""
    return f"{float(value):.4g}"


def _hold(count: int) -> str:
    return "1 property holds" if count == 1 else f"{count} properties hold"


def _near(got: Tensor, wrong: Tensor, tolerance: float) -> bool:
    same = got.shape == wrong.shape
    return same and torch.allclose(got.double(), wrong.double(), rtol=tolerance, atol=tolerance)


def _changed(old: Any, new: Any) -> bool:
    if isinstance(old, Tensor | np.ndarray):
        return old.shape != new.shape or not bool((old == new).all())
    if isinstance(old, list | tuple):
        return len(old) != len(new) or any(_changed(*pair) for pair in zip(old, new, strict=True))
    if isinstance(old, dict):
        return old.keys() != new.keys() or any(_changed(old[key], new[key]) for key in old)
    return isinstance(old, str | int | float) and bool(old != new)


def _told(error: Exception, answer: Any) -> str:
    """The kind and first line of an error, and the line of the learner's cell at which it happened."""
    first = (str(error).strip().splitlines() or ["without a message"])[0]
    code = getattr(answer, "__code__", None)
    lines = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    place = f", at `{lines[-1].line}`" if lines and lines[-1].line else ""
    return f"{type(error).__name__} ({first.rstrip('.')}){place}"


def _record(exercise: str, *, passed: bool) -> None:
    records.record("exercise", exercise, passed=passed)
