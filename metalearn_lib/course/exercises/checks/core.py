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

A property that no value shows (drawn at random, leaks, differentiable) is tested on `answer(…)` itself, by `expect…`,
`partition`, `answer.gradient` or `fail`; `answer.suspects(…)` asks the mistakes there. Every property that the task
names has a shown case, hidden cases are other instances of it. A test feeds each mistake to its check and demands its
cause from a shown case; what no value can tell (an error, another type) stands with its words in the tests.

Every chapter with exercises
"""

from __future__ import annotations

import copy
import random
import traceback
from collections import Counter
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
Suspects = Iterable[tuple[str, Any]]  # the cause to name, what its mistake gives
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
    nan_hint: int = 0  # for NaN in a tensor, where it is another

    def __post_init__(self) -> None:
        self.__name__, self.__doc__ = self.properties.__name__, self.properties.__doc__

    def __call__(self, answer: Any, *, cases: Cases = "shown") -> None:
        name = self.__name__
        if cases not in ("shown", "hidden"):
            raise ValueError(f"check.{name}(cases={cases!r}): use 'shown' or 'hidden'")
        state = random.getstate()
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                random.seed(0)
                held = sum(1 for _ in self.properties(Answer(answer, self), cases))
        except CheckFailed as error:
            records.record("exercise", self.exercise, passed=False)
            raise CheckFailed(f"{name}: {error}.") from None
        finally:
            random.setstate(state)
        records.record("exercise", self.exercise, passed=True)
        hold = "1 property holds" if held == 1 else f"{held} properties hold"
        print(f"{MARK} {name}: {f'{held} more, hidden' if cases == 'hidden' else hold}")


def self_check(exercise: str, **about: Any) -> Callable[[Callable[[Answer, Cases], Iterator[Any]]], SelfCheck]:
    """Make a check of a generator of properties; `about` are the fields of `SelfCheck`."""
    return lambda properties: SelfCheck(exercise, properties, **about)


@dataclass(eq=False)
class Answer:
    """What the learner handed in. Calling it calls their function on copies, and sees to it that nothing odd happens.

    Raises `CheckFailed`: the answer is no function, is not written yet, raises, or changes what it was given.
    """

    value: Any
    check: SelfCheck

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if self.value is None or self.value is Ellipsis:
            raise CheckFailed(NOT_ANSWERED)
        if not callable(self.value):
            fail("", "a function", describe(self.value), cause="hand in its name, without brackets after it")
        given, named = copy.deepcopy((inputs, options))
        try:
            result = self.value(*given, **named)
        except NotImplementedError:
            raise CheckFailed(NOT_ANSWERED) from None
        except Exception as error:
            raise CheckFailed(f"your function raised {_told(error, self.value)}") from None
        pairs = zip((*inputs, *options.values()), (*given, *named.values()), strict=True)
        for place, (old, new) in enumerate(pairs, 1):
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
        assert check.reference is not None, "give self_check a reference"
        got, right = self(*inputs, **options), check.reference(*copy.deepcopy(inputs), **copy.deepcopy(options))
        several = isinstance(right, tuple)
        if several:
            row(got, len(right), check.returns, given=given, hint=check.hint)
        hints = [hint] * len(check.parts) if isinstance(hint, int) else hint
        for place, name in enumerate(check.parts):
            value, wanted = (got[place], right[place]) if several else (got, right)
            value = _one_row(value, wanted)
            what = f"{given.removesuffix(',')}, for {name}," if name else given
            close: dict[str, Any] = {"given": what, "tolerance": tolerance or check.tolerance, "hint": hints[place]}
            close["suspects"] = ((c, made[place] if several else made) for c, made in self.suspects(*inputs, **options))
            if isinstance(wanted, Tensor):
                axes = "" if several else check.returns
                kind: dict[str, Any] = {"like": wanted, "axes": axes, "hint": check.hint, "nan_hint": check.nan_hint}
                expect_tensor(value, tuple(wanted.shape), given=what, **kind)
                expect_close(value.detach(), wanted.detach(), **close)
            else:
                expect_number(value, wanted, **close)
        return check.parts

    def gradient(self, source: Tensor, *inputs: Any, by: str, cause: str, part: Any = ...) -> Tensor:
        """The derivative of the result (or a part of it) for `source`, one of the inputs; fail if there is none."""
        self(*inputs)  # tells an error; its result belongs to copies
        result = self.value(*inputs)[part]
        slope = torch.autograd.grad(result.sum(), source, allow_unused=True)[0] if result.requires_grad else None
        if slope is None:
            fail("", f"a result that can be differentiated by {by}", "one without a graph", cause=cause, hint=1)
        return slope

    def suspects(self, *inputs: Any, **options: Any) -> Iterator[tuple[str, Any]]:
        """What each mistake gives on these inputs, beside the cause to name; one that fails there is left out."""
        for cause, mistake in self.check.mistakes.items():
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
    values: Callable[[Any], Any] = lambda row: row,
    finish: Callable[..., Any] = lambda ends, *inputs: ends,
) -> tuple[Function, dict[str, Function]]:
    """Reference and mistakes of "the mean of paired differences, and the ends of its 95 % interval".

    `pairs` makes of the learner's inputs two arrays, `values` of each a row [T], the first minus the second being the
    gain; `finish` makes of (mean, low, high) and the inputs what the learner returns.
    """

    def by(half_width: Callable[[Any, Any], float]) -> Function:
        def answer(*inputs: Any) -> Any:
            a, b = (values(np.asarray(array, dtype=np.float64)) for array in pairs(*inputs))
            mean, half = float((a - b).mean()), float(half_width(a, b))
            return finish((mean, mean - half, mean + half), *inputs)

        return answer

    def student(a: Any, b: Any) -> float:
        return Score.of(a - b).high - (a - b).mean()

    def welch(a: Any, b: Any) -> float:
        gain = Score.of(a).minus(Score.of(b))
        return gain.high - gain.difference

    def error(a: Any, b: Any) -> float:
        return (a - b).std(ddof=1) / len(a) ** 0.5

    divided = f"the standard deviation is divided by {number}, not by √{number}"
    widths = {
        f"the interval is not paired: take {take} first": welch,
        f"this is one standard deviation; the mean of {number} {unit} varies less, by √{number}": (
            lambda a, b: (a - b).std(ddof=1)
        ),
        f"1.96 belongs to many {unit}; for few take Student's t (Score does)": lambda a, b: 1.96 * error(a, b),
        divided: lambda a, b: student(a, b) / len(a) ** 0.5,
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
    got: Any, shape: tuple[int, ...], *, given: str, like: Tensor, axes: str = "", hint: int, nan_hint: int = 0
) -> Tensor:
    """Return `got` if it is a finite tensor of this shape, on the device of `like`; `axes`, as in "[M, N]"."""
    wanted = f"a tensor of shape {list(shape)}" + (f" ({axes})" if axes else "")
    if not isinstance(got, Tensor):
        cause = "torch.stack makes one tensor of a list of tensors" if isinstance(got, list | tuple) else ""
        fail(given, wanted, describe(got), cause=cause, hint=hint)
    if tuple(got.shape) != shape:
        turned = tuple(got.shape) == shape[:-2] + shape[:-3:-1]
        fail(given, wanted, f"shape {list(got.shape)}", cause="the last two are swapped" if turned else "", hint=hint)
    if got.device != like.device:
        fail(given, f"a result on {like.device}", f"one on {got.device}", cause="make new tensors with device=x.device")
    if like.is_floating_point() and got.dtype != like.dtype:
        fail(given, f"the dtype of the input, {like.dtype}", f"{got.dtype}", cause="make new tensors with x.dtype")
    if got.is_floating_point() and not bool(torch.isfinite(got).all()):
        what = "NaN" if bool(got.isnan().any()) else "infinity"
        cause = "a division by zero, 0 times infinity, or the mean of nothing"
        fail(given, "finite numbers", what, cause=cause, hint=nan_hint or hint)
    return got


def expect_close(
    got: Tensor, right: Tensor, *, given: str, tolerance: float = 1e-4, suspects: Suspects = (), hint: int = 0
) -> None:
    """Fail at the first entry that differs. `suspects`: what comes out of typical mistakes, by the cause to name."""

    def near(wrong: Tensor) -> Tensor:
        return torch.isclose(got.double(), wrong.double(), rtol=tolerance, atol=tolerance)

    if bool((same := near(right)).all()):
        return
    place = tuple((~same).nonzero()[0].tolist())
    where = f" at {list(place)}" if place else ""
    made = ((cause, torch.as_tensor(wrong)) for cause, wrong in suspects)
    cause = next((c for c, wrong in made if wrong.shape == got.shape and bool(near(wrong).all())), "")
    fail(given, f"{number(right[place])}{where}", f"{number(got[place])}", cause=cause, hint=hint)


def expect_number(got: Any, right: float, *, given: str, hint: int = 0, **close: Any) -> None:
    """The same for a number (or a tensor of one number)."""
    got = got.item() if isinstance(got, Tensor) and got.ndim == 0 else got
    if isinstance(got, bool) or not hasattr(got, "__float__") or getattr(got, "ndim", False):
        fail(given, f"the number {number(right)}", describe(got), hint=hint)
    if float(got) != float(got):
        fail(given, f"{number(right)}", "NaN", cause="a division by zero, or the mean of nothing", hint=hint)
    value, wanted = (torch.tensor(float(x), dtype=torch.float64) for x in (got, right))
    expect_close(value, wanted, given=given, hint=hint, **close)


def expect(condition: bool, given: str, expected: str, got: str, *, cause: str = "", hint: int = 0) -> None:
    """Fail unless the condition holds."""
    if not condition:
        fail(given, expected, got, cause=cause, hint=hint)


def expect_repeatable(
    draw: Function, labels: Sequence[str], what: str, generator: str, *, hint: int, seeds: Iterable[int] = range(5)
) -> None:
    """Fail unless `draw(labels, seed)` gives the same for the same seed, in this Python process and in others."""
    for seed in seeds:
        once, again = draw(labels, seed), draw(labels, seed)
        expect(
            once == again,
            "the same seed twice",
            f"the same {what}",
            "two different ones",
            cause=f"draw from {generator}",
            hint=hint,
        )
        cause = "the order of a set of words changes with the process: sort it, or use a dictionary"
        alike = all(draw(elsewhere(labels, process), seed) == once for process in range(4))
        expect(
            alike, "the same seed in another Python process", f"the same {what}", "another one", cause=cause, hint=hint
        )


class _Elsewhere(str):
    """A word as another Python process has it: its hash, and with it the order of a set of such words, is another."""

    process: int = 0

    def __hash__(self) -> int:
        return hash((self.process, str(self)))

    __eq__ = str.__eq__


def elsewhere(labels: Iterable[str], process: int) -> list[str]:
    """The same words with other hashes. `str` makes plain words of them, which a dictionary of plain words needs.

    >>> some = elsewhere(["tea", "chess"], process=1)
    >>> some == ["tea", "chess"], sorted(some), [type(str(word)) is str for word in some]
    (True, ['chess', 'tea'], [True, True])
    """
    words = [_Elsewhere(label) for label in labels]
    for word in words:
        word.process = process
    return list[str](words)


def row(got: Any, count: int, expected: str, *, given: str, hint: int, kind: type = object) -> Any:
    """The parts of a tuple, a list or a row of numbers, if so many came, and of this kind."""
    several = isinstance(got, list | tuple) or getattr(got, "ndim", 0) == 1
    if not several or len(got) != count or not all(isinstance(part, kind) for part in got):
        fail(given, expected, describe(got), hint=hint)
    return got


def partition(
    got: Any, names: Sequence[str], below: int, *, given: str, hint: int, again: str = "", left: str = ""
) -> list[list[int]]:
    """The sorted positions of the texts in each part, if they are all texts, each once; `again`, `left`: the causes."""
    wanted = f"{['no', 'one', 'two', 'three'][len(names)]} lists of positions, ({', '.join(names)})"
    lists = row(got, len(names), wanted, given=given, hint=1)
    parts = [sorted(positions(part, below, given=given, hint=hint).tolist()) for part in lists]
    counts = Counter(i for part in parts for i in part)
    twice, out = counts.total() - len(counts), below - len(counts)
    expect(not twice, given, "each text once", f"{twice} of them again", cause=again, hint=hint)
    expect(not out, given, "every text in one of the parts", f"{out} left out", cause=left, hint=hint)
    return parts


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
    lowest, highest = array.min(initial=0), array.max(initial=0)
    expect(lowest >= 0, given, "numbers from 0 on", f"{lowest}", hint=hint)
    expect(highest < below, given, f"positions below {below}", f"{highest}", hint=hint)
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


def _one_row(got: Any, like: Any) -> Any:
    """A row of numbers as a tensor, whether a list, a tuple, an array or a tensor came; anything else as it is."""
    if not isinstance(like, Tensor) or like.ndim != 1 or not isinstance(got, list | tuple | np.ndarray):
        return got
    if isinstance(got, np.ndarray):
        return torch.from_numpy(got).to(like.dtype) if got.dtype.kind == "f" else got
    numbers = [x for x in got if isinstance(x, Tensor | np.number | int | float) and getattr(x, "ndim", 0) == 0]
    if not numbers or len(numbers) < len(got):
        return got
    tensors = [x.detach() for x in numbers if isinstance(x, Tensor)]
    return torch.stack([torch.as_tensor(x, dtype=tensors[0].dtype if tensors else like.dtype) for x in numbers])


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
