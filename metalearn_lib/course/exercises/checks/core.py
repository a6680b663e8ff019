"""What all self-checks share: they call the learner's answer, and turn what went wrong into one short paragraph.

How a check is written. The mistakes that learners make are functions with the learner's signature, each written once,
beside the cause to name; the reference is one, too. The check is a generator that is given an `Answer`; it yields once
for each property that holds, and stops at the first that does not:

    @self_check(
        "4.1",
        reference=_medians,                        # a right answer: (support, labels, n_way) → [N, D]
        mistakes={"these are the means": _means},  # what each gives on the same inputs is told by its cause
        returns="[N, D]",
    )
    def median_prototypes(answer: Answer, cases: Cases) -> Iterator[Any]:
        if cases == "shown":
            yield answer.expect("3 examples a class, one of them far off,", support, labels, 2, hint=1)

`answer.expect` calls answer, reference and (once something differs) the mistakes on copies of the same inputs; the
first mistake that gives the same is named, so their order counts. Mistakes that resemble each other are one function
with options; what the decorator uses stands above it. A reference that returns a tuple is compared part by part, by
the names `parts`, and `yield from` then counts each part. "A mean and its interval" has its mistakes ready:
`interval`.

A property that no value shows (drawn at random, leaks, differentiable) is tested on `answer(…)` itself, by `expect…`
or `fail`; `suspects=answer.suspects(…)` asks the mistakes there. Every property that the task names has a shown case,
hidden cases are other instances of it. A test feeds each mistake to its check and demands its cause from a shown
case; what no value can tell (an error, another type, a changed argument) stands with its words in the tests.

Every chapter with exercises
"""

from __future__ import annotations

import copy
import random
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.course import records
from metalearn_lib.course.claims import MARK
from metalearn_lib.scores import Score

Cases = Literal["shown", "hidden"]
Function = Callable[..., Any]
Suspects = Mapping[str, Any] | Iterable[tuple[str, Any]]  # the cause to name, what its mistake gives
NOT_ANSWERED = "not answered yet: replace `raise NotImplementedError()` in the cell above by your answer, and run it"


class CheckFailed(AssertionError):
    """An answer lacks a property; the message says what was given, expected and found, and the likely cause."""

    def _render_traceback_(self) -> list[str]:
        return [f"CheckFailed: {self}"]  # what a notebook shows: the message, and no lines of the library


@dataclass(eq=False, repr=False)
class SelfCheck:
    """What a notebook calls: `name(answer, *, cases="shown")` prints one line, or raises `CheckFailed`.

    Random numbers are drawn from a fixed seed and the notebook's generators stay as they were. The outcome is
    recorded in the learner's workspace, where there is one.

    Raises: CheckFailed, or ValueError for `cases` other than "shown" and "hidden".
    """

    exercise: str
    properties: Callable[[Answer, Cases], Iterator[Any]]
    reference: Function | None = None  # a right answer
    mistakes: Mapping[str, Function] = field(default_factory=dict)  # by the cause to name
    returns: str = ""  # "[N, D]" for a tensor, "three numbers (mean, low, high)" for a tuple
    parts: Sequence[str] = ("",)  # the names of the parts of a tuple, "the mean"
    tolerance: float = 1e-4
    hint: int = 1  # for a result of another kind or shape

    def __post_init__(self) -> None:
        self.__name__, self.__doc__ = self.properties.__name__, self.properties.__doc__

    def __call__(self, answer: Any, *, cases: Cases = "shown") -> None:
        name = self.__name__
        if cases not in ("shown", "hidden"):
            raise ValueError(f"check.{name}(cases={cases!r}): use 'shown' or 'hidden'")
        state = random.getstate()
        failure: CheckFailed | None = None
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                random.seed(0)
                held = sum(1 for _ in self.properties(Answer(answer, self), cases))
        except CheckFailed as error:
            failure = CheckFailed(f"{name}: {error}.")
        finally:
            random.setstate(state)
        _record(self.exercise, passed=failure is None)
        if failure is not None:
            raise failure
        print(f"{MARK} {name}: {held} more, hidden" if cases == "hidden" else f"{MARK} {name}: {_hold(held)}")


def self_check(exercise: str, **about: Any) -> Callable[[Callable[[Answer, Cases], Iterator[Any]]], SelfCheck]:
    """Make a check of a generator of properties; `about` are the fields of `SelfCheck`."""
    return lambda properties: SelfCheck(exercise, properties, **about)


class Answer:
    """What the learner handed in. Calling it calls their function on copies, and sees to it that nothing odd happens.

    Raises `CheckFailed`: the answer is no function, is not written yet, raises, or changes what it was given.
    """

    def __init__(self, value: Any, check: SelfCheck | None = None) -> None:
        self.value, self.check = value, check

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

    def expect(
        self, given: str, *inputs: Any, hint: int | Sequence[int], tolerance: float | None = None, **options: Any
    ) -> Sequence[str]:
        """Fail unless the answer gives what the reference gives on these inputs; return the names of the parts.

        A tensor must have its shape, device and dtype as well. `hint`: of the values, or one for each part.
        """
        check = self.check
        if check is None or check.reference is None:
            raise TypeError(f"Answer.expect({given!r}): the check has no reference; give self_check one")
        got, right = self(*inputs, **options), check.reference(*copy.deepcopy(inputs), **copy.deepcopy(options))
        several = isinstance(right, tuple)
        row = isinstance(got, list | tuple) or getattr(got, "ndim", 0) == 1
        if several and not (row and len(got) == len(right)):
            fail(given, check.returns, describe(got), hint=check.hint)
        hints = [hint] * len(check.parts) if isinstance(hint, int) else hint
        for place, name in enumerate(check.parts):
            value, wanted = (got[place], right[place]) if several else (got, right)
            what = f"{given.removesuffix(',')}, for {name}," if name else given
            close: dict[str, Any] = {"given": what, "tolerance": tolerance or check.tolerance, "hint": hints[place]}
            close["suspects"] = ((c, made[place] if several else made) for c, made in self.suspects(*inputs, **options))
            if isinstance(wanted, Tensor):
                axes = "" if several else check.returns
                expect_tensor(value, tuple(wanted.shape), given=what, like=wanted, axes=axes, hint=check.hint)
                expect_close(value.detach(), wanted.detach(), **close)
            else:
                expect_number(value, wanted, **close)
        return check.parts

    def suspects(self, *inputs: Any, **options: Any) -> Iterator[tuple[str, Any]]:
        """What each mistake gives on these inputs, beside the cause to name; one that fails there is left out."""
        for cause, mistake in (self.check.mistakes if self.check else {}).items():
            try:
                made = mistake(*copy.deepcopy(inputs), **copy.deepcopy(options))
            except Exception:  # a mistake may well have no result here
                continue
            yield cause, made


def interval(
    pairs: Callable[..., Iterable[Any]],
    *,
    unit: str = "episodes",
    number: str = "T",
    take: str = "the differences",
    finish: Callable[..., Any] = lambda ends, *inputs: ends,
) -> tuple[Function, dict[str, Function]]:
    """Reference and mistakes of "the mean of paired differences, and the ends of its 95 % interval".

    `pairs` makes of the learner's inputs two rows of values [T], the first minus the second being the gain; `finish`
    makes of (mean, low, high) and the inputs what the learner returns.
    """

    def by(half_width: Callable[[Any, Any], float]) -> Function:
        def answer(*inputs: Any) -> Any:
            a, b = (np.asarray(row, dtype=np.float64) for row in pairs(*inputs))
            mean, half = float((a - b).mean()), float(half_width(a, b))
            return finish((mean, mean - half, mean + half), *inputs)

        return answer

    def student(a: Any, b: Any) -> float:
        gain = Score.of(a - b)
        return gain.high - gain.mean

    def welch(a: Any, b: Any) -> float:
        gain = Score.of(a).minus(Score.of(b))
        return gain.high - gain.difference

    def error(a: Any, b: Any) -> float:
        return float((a - b).std(ddof=1)) / len(a) ** 0.5

    widths = {
        f"the interval is not paired: take {take} first": welch,
        f"this is one standard deviation; the mean of {number} {unit} varies less, by √{number}": (
            lambda a, b: error(a, b) * len(a) ** 0.5
        ),
        f"1.96 belongs to many {unit}; for few take Student's t (Score does)": lambda a, b: 1.96 * error(a, b),
        f"the standard deviation is divided by {number}, not by √{number}": (
            lambda a, b: student(a, b) / len(a) ** 0.5
        ),
        "this is one standard error; 95 % needs more than two of them": error,
    }
    return by(student), {cause: by(width) for cause, width in widths.items()}


ENDS = ("the mean", "the low end", "the high end")


def fail(given: str, expected: str, got: str, *, cause: str = "", hint: int = 0) -> NoReturn:
    """Raise `CheckFailed`: with `given` I expected …, got …: cause; see hint."""
    message = f"{f'with {given} ' if given else ''}I expected {expected}, got {got}"
    message += f": {cause}" if cause else ""
    raise CheckFailed(message + (f"; see hint {hint}" if hint else ""))


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
    suspects: Suspects = (),
    hint: int = 0,
) -> None:
    """Fail at the first entry that differs. `suspects`: what comes out of typical mistakes, by the cause to name."""
    different = ~torch.isclose(got.double(), right.double(), rtol=tolerance, atol=tolerance)
    if not bool(different.any()):
        return
    place = tuple(different.nonzero()[0].tolist())
    where = f" at {list(place)}" if place else ""
    pairs = suspects.items() if isinstance(suspects, Mapping) else suspects
    cause = next((c for c, wrong in pairs if _near(got, wrong, tolerance)), "")
    fail(given, f"{number(right[place])}{where}", f"{number(got[place])}", cause=cause, hint=hint)


def expect_number(
    got: Any, right: float, *, given: str, tolerance: float = 1e-4, suspects: Suspects = (),
    hint: int = 0,
) -> None:  # fmt: skip
    """The same for a number (or a tensor of one number)."""
    if isinstance(got, Tensor) and got.ndim == 0:
        got = got.item()
    if isinstance(got, bool) or not hasattr(got, "__float__") or getattr(got, "ndim", False):
        fail(given, f"the number {number(right)}", describe(got), hint=hint)
    if float(got) != float(got):
        fail(given, f"{number(right)}", "NaN", cause="a division by zero, or the mean of nothing", hint=hint)
    value, wanted = (torch.tensor(float(x), dtype=torch.float64) for x in (got, right))
    expect_close(value, wanted, given=given, tolerance=tolerance, suspects=suspects, hint=hint)


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


def positions(part: Any, below: int, *, given: str, hint: int) -> np.ndarray:
    """Positions of texts, whole numbers in one row from 0 to `below` - 1, if that is what came."""
    try:
        array = np.asarray(part)
    except ValueError:  # rows of different lengths
        array = np.empty((0, 0))
    if array.dtype == bool:
        fail(given, "positions", "True and False", cause="np.flatnonzero makes positions of them", hint=hint)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        what = "words" if array.dtype.kind in "UO" else describe(part)
        cause = "give the positions of the texts, not the names of their classes" if what == "words" else ""
        fail(given, "whole numbers in one row", what, cause=cause, hint=hint)
    expect(not array.size or array.min() >= 0, given, "numbers from 0 on", f"{array.min(initial=0)}", hint=hint)
    outside = array.max(initial=0)
    expect(not array.size or outside < below, given, f"positions below {below}", f"{outside}", hint=hint)
    return array.astype(np.int64)


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


def _near(got: Tensor, wrong: Any, tolerance: float) -> bool:
    wrong = torch.as_tensor(wrong)
    return got.shape == wrong.shape and torch.allclose(got.double(), wrong.double(), rtol=tolerance, atol=tolerance)


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
