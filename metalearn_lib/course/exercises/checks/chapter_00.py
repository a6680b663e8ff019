"""Self-checks of chapter 00: the size of an episode, a split by classes, a leak made on purpose, a study planned."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from metalearn_lib.scores import Score

from .core import Answer, Cases, Function, describe, expect, fail, self_check


@self_check(
    "0.1",
    reference=lambda n, k, q: (n * k, n * q, 1 / n),
    mistakes={
        "this is one class, and the episode has N of them": lambda n, k, q: (k, q, 1 / n),
        "the two sets are swapped": lambda n, k, q: (n * q, n * k, 1 / n),
        "the queries are counted in": lambda n, k, q: (n * (k + q), n * q, 1 / n),
        "the support texts are counted in": lambda n, k, q: (n * k, n * (k + q), 1 / n),
        "Q is a number for each class": lambda n, k, q: (n * k, n + q, 1 / n),
        "a guess is one of N classes; how many examples each has does not matter": (
            lambda n, k, q: (n * k, n * q, 1 / (n * k))
        ),
        "this is the number of classes, not a share": lambda n, k, q: (n * k, n * q, n),
        "these are points; accuracies of this course are shares": lambda n, k, q: (n * k, n * q, 100 / n),
        "// throws the fraction away, / keeps it": lambda n, k, q: (n * k, n * q, 1 // n),
    },
    returns="three numbers (support, query, chance)",
    parts=("the support texts", "the queries", "chance"),
)
def episode_size(answer: Answer, cases: Cases) -> Iterator[Any]:
    """How many support texts and queries an episode has, and what guessing gets."""
    for n, k, q in [(5, 1, 15), (10, 5, 4)] if cases == "shown" else [(2, 7, 1), (64, 1, 3)]:
        given = f"{n} ways, {k} shot{'s' * (k > 1)} and {q} quer{'ies' if q > 1 else 'y'} a class"
        yield answer.expect(given, n, k, q, hint=(1, 1, 2))


@self_check("0.2")
def disjoint_split(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Positions of all texts in three parts that share no class."""
    sizes = (9, 1, 7, 30, 8, 3) if cases == "shown" else (2, 50, 3, 7, 7, 1, 12, 4, 20)
    n_train, n_valid = (3, 1) if cases == "shown" else (2, 4)
    labels = [f"class {chr(ord('A') + c)}" for c, size in enumerate(sizes) for _ in range(size)]
    random.shuffle(labels)
    given = f"{len(labels)} texts of {len(sizes)} classes"
    wanted = (n_train, n_valid, len(sizes) - n_train - n_valid)
    drawn = [_parts(answer(labels, n_train, n_valid, seed), given) for seed in range(40)]
    for parts in drawn:
        every = [i for part in parts for i in part]
        expect(
            len(every) == len({*every}), given, "each text once", f"{len(every) - len({*every})} of them again", hint=2
        )
        expect(
            {*every} == {*range(len(labels))}, given, "every text in one of the parts",
            f"{len({*range(len(labels))} - {*every})} left out", cause="the classes left over belong to test", hint=2,
        )  # fmt: skip
    yield "every text once"
    names = [[{labels[i] for i in part} for part in parts] for parts in drawn]
    for train, valid, test in names:
        shared = (train & valid) | (train & test) | (valid & test)
        expect(
            not shared, given, "no class in two parts", f"{len(shared)} such classes",
            cause="you cut a list of texts; draw the classes, and let each text follow its class", hint=1,
        )  # fmt: skip
    yield "no class in two parts"
    for found in names:
        counts = tuple(len(part) for part in found)
        swapped = sorted(counts) == sorted(wanted)
        expect(
            counts == wanted, f"{given}, n_train={n_train} and n_valid={n_valid}", f"{list(wanted)} classes",
            f"{list(counts)}", cause="the order is train, valid, test" if swapped else "", hint=1,
        )  # fmt: skip
    yield "as many classes as ordered"
    again = _parts(answer(labels, n_train, n_valid, 7), given)
    cause = "draw from a generator made of `seed`; a set has no fixed order, sort it"
    same = [*map(sorted, again)] == [*map(sorted, drawn[7])]
    expect(same, "the same seed twice", "the same split", "two different ones", cause=cause, hint=3)
    yield "same seed, same split"
    for place, part in enumerate(("train", "valid", "test")):
        seen = set.union(*(found[place] for found in names))
        expect(
            len(seen) == len(sizes), "40 seeds", f"every class in {part} now and then", f"only {len(seen)} of them",
            cause="the classes are not drawn: always the same ones come first", hint=3,
        )  # fmt: skip
    yield "drawn at random"


@self_check("0.3")
def leaky_episode(answer: Answer, cases: Cases) -> Iterator[Any]:
    """An episode made wrong on purpose: queries drawn as if the support texts were still in the pool."""
    sizes, n, k, q = ((8, 8, 8, 8, 8), 3, 2, 3) if cases == "shown" else ((6, 30, 12, 5, 9, 7), 4, 1, 4)
    labels = np.array([f"class {chr(ord('A') + c)}" for c, size in enumerate(sizes) for _ in range(size)])
    labels = labels[torch.randperm(len(labels)).numpy()]
    given = f"{n} ways, {k} shot{'s' * (k > 1)} and {q} queries"
    shape = {"n_way": n, "k_shot": k, "n_query": q}
    episodes = [_episode(answer(labels, **shape, seed=seed), n, k, q, given) for seed in range(200)]
    outside = max(int(part.max()) for support, _, query, _ in episodes for part in (support, query))
    expect(outside < len(labels), given, f"positions below {len(labels)}", f"{outside}", hint=1)
    expected = 0.0
    for support, support_y, query, query_y in episodes:
        for name, y, each in (("support", support_y, k), ("query", query_y, q)):
            counts = np.bincount(y, minlength=n).tolist()
            expect(counts == [each] * n, given, f"{name} labels 0 … {n - 1}, {each} of each", f"{y.tolist()}", hint=1)
        both = [{*labels[support[support_y == c]], *labels[query[query_y == c]]} for c in range(n)]
        expect(
            all(len(found) == 1 for found in both) and len(set.union(*both)) == n, given,
            "a class of its own behind each number, the same in both sets", "others",
            cause="choose the classes once, for support and queries", hint=1,
        )  # fmt: skip
        expected += sum(k * q / np.count_nonzero(labels == found.pop()) for found in both)
    yield "shape and classes: sound as ever"
    for support, _, query, _ in episodes:
        for name, part in (("support", support), ("query", query)):
            expect(
                len({*part.tolist()}) == len(part), given, f"different texts within the {name} set", "one text twice",
                cause="only one law may break: keep replace=False in both draws", hint=2,
            )  # fmt: skip
    yield "no text twice within a set"
    shared = [len(np.intersect1d(support, query)) for support, _, query, _ in episodes]
    total = sum(shared)
    if not total:
        cause = "nothing leaks: the queries must be drawn from all texts of the class, by a draw of their own"
        fail(f"200 episodes of {given}", "some texts in support and query", "none", cause=cause, hint=1)
    cause = "the queries are to be drawn from all texts of the class alike"
    if min(shared) >= n * min(k, q):
        cause = "every support text comes back each time: they are copied, or a second generator has the same seed"
    elif len({*shared}) == 1:
        cause = "the same number in each episode: do not choose which texts leak, draw"
    expect(
        abs(total - expected) < 5 * math.sqrt(expected), f"200 episodes of {given}",
        f"about {expected:.0f} shared texts", f"{total}", cause=cause, hint=2,
    )  # fmt: skip
    for name, place in (("support", 0), ("query", 2)):
        seen = {i for episode in episodes for i in episode[place].tolist()}
        expect(
            len(seen) > len(labels) / 2, f"200 episodes of {given}", f"most of the {len(labels)} texts in a {name} set",
            f"{len(seen)} of them", cause="texts are not drawn: always the same ones of a class come", hint=1,
        )  # fmt: skip
    yield "it leaks by chance, as often as two draws do"
    first, again = (_episode(answer(labels, **shape, seed=7), n, k, q, given) for _ in range(2))
    same = all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    cause = "draw from a generator made of `seed`"
    expect(same, "the same seed twice", "the same episode", "two different ones", cause=cause, hint=2)
    yield "same seed, same episode"


def _planned(
    deviation: Function, *, z: float = 1.96, power: float = 2, turn: Function = math.ceil, least: int = 2
) -> Function:
    """The number of episodes of a study, planned from the deviation of the values in a pilot."""
    return lambda a, b, half_width: max(least, turn((z * float(deviation(a, b)) / half_width) ** power))


def _paired(a: np.ndarray, b: np.ndarray) -> float:
    return float((a - b).std(ddof=1))


_needed = _planned(_paired)


@self_check(
    "0.4",
    reference=_needed,
    mistakes={
        "a part of an episode cannot be drawn: round up": _planned(_paired, turn=float),
        "rounded down, the interval is a little too wide": _planned(_paired, turn=math.floor),
        "one episode has no interval: never below 2": _planned(_paired, least=0),
        "the interval is to be paired: the deviation of the differences counts": _planned(
            lambda a, b: math.hypot(a.std(ddof=1), b.std(ddof=1))
        ),
        "1.96 is missing: this is one standard error": _planned(_paired, z=1),
        "the width falls with √n: square": _planned(_paired, power=1),
        "half_width is half of the interval, not all of it": _planned(_paired, z=2 * 1.96),
        "divide by n − 1 in the deviation: ddof=1": _planned(lambda a, b: (a - b).std()),
        "the deviation of one method alone": _planned(lambda a, b: a.std(ddof=1)),
        "Student's t is for the pilot's few episodes; the study will have many: 1.96": _planned(
            lambda a, b: (Score.of(a - b).high - (a - b).mean()) * len(a) ** 0.5, z=1
        ),
        "the variance, squared once more": _planned(lambda a, b: (a - b).var(ddof=1)),
        "the new study stands alone: do not take the pilot off": lambda a, b, h: _needed(a, b, h) - len(a),
    },
    tolerance=1e-6,
)
def episodes_needed(answer: Answer, cases: Cases) -> Iterator[Any]:
    """How many episodes give the paired interval of a difference the half-width that is wanted."""
    pilot = 40 if cases == "shown" else 12
    hard = 0.08 * torch.randn(pilot, dtype=torch.float64).numpy()
    own = 0.05 * torch.randn(2, pilot, dtype=torch.float64).numpy()
    a, b = 0.55 + hard + own[0], 0.5 + hard + own[1]
    for one, other, half_width in (
        [(a, b, 0.01), (b, a, 0.005), (a, b, 0.2)] if cases == "shown" else [(a, b, 0.002), (b, a, 0.5), (a, a, 0.01)]
    ):
        given = f"a pilot of {pilot} episodes and a half-width of {half_width}"
        yield answer.expect("a method and itself" if one is other else given, one, other, half_width, hint=2)


def _parts(got: Any, given: str) -> list[list[int]]:
    """Three lists of positions, if that is what came."""
    if not isinstance(got, list | tuple) or len(got) != 3:
        fail(given, "three lists of positions, (train, valid, test)", describe(got), hint=1)
    return [_positions(part, given).tolist() for part in got]


def _episode(got: Any, n: int, k: int, q: int, given: str) -> Sequence[np.ndarray]:
    """Four arrays of the right lengths, if that is what came."""
    if not isinstance(got, list | tuple) or len(got) != 4:
        fail(given, "four arrays (support, support_y, query, query_y)", describe(got), hint=1)
    arrays = [_positions(part, given) for part in got]
    for array, name, size in zip(arrays, ("support", "support_y", "query", "query_y"), (k, k, q, q), strict=True):
        expect(len(array) == n * size, given, f"{n * size} numbers in {name}", f"{len(array)}", hint=1)
    return arrays


def _positions(part: Any, given: str) -> np.ndarray:
    try:
        array = np.asarray(part)
    except ValueError:  # rows of different lengths
        array = np.empty((0, 0))
    if array.dtype == bool:
        fail(given, "positions", "True and False", cause="np.flatnonzero makes positions of them", hint=2)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        what = "words" if array.dtype.kind in "UO" else describe(part)
        cause = "give the positions of the texts, not the names of their classes" if what == "words" else ""
        fail(given, "whole numbers in one row", what, cause=cause, hint=2)
    expect(not array.size or array.min() >= 0, given, "numbers from 0 on", f"{array.min(initial=0)}", hint=2)
    return array.astype(np.int64)
