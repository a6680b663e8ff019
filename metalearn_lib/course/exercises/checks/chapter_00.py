"""Self-checks of chapter 00: the size of an episode, a split by classes, a leak made on purpose, a study planned."""

from __future__ import annotations

import math
import random
import string
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from metalearn_lib.scores import Score

from .core import Answer, Cases, Function, expect, expect_seeded, fail, partition, positions, row, self_check


@self_check(
    "0.1",
    reference=lambda n, k, q: (n * k, n * q, 1 / n),
    mistakes={
        "this is one class, and the episode has N of them": lambda n, k, q: (k, q, 1 / n),
        "the two sets are swapped": lambda n, k, q: (n * q, n * k, 1 / n),
        "the queries are counted in": lambda n, k, q: (n * (k + q), n * q, 1 / n),
        "the support texts are counted in": lambda n, k, q: (n * k, n * (k + q), 1 / n),
        "Q is a number for each class": lambda n, k, q: (n * k, n + q, 1 / n),
        "a guess is one of N classes, whatever K is": lambda n, k, q: (n * k, n * q, 1 / (n * k)),
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
    labels = [f"class {c}" for c, size in zip(string.ascii_uppercase, sizes, strict=False) for _ in range(size)]
    random.shuffle(labels)
    given = f"{len(labels)} texts of {len(sizes)} classes"
    names = ("train", "valid", "test")

    def split(seed: int) -> list[list[int]]:
        left = "the classes left over belong to test"
        return partition(answer(labels, n_train, n_valid, seed), names, len(labels), given=given, hint=2, left=left)

    drawn = [split(seed) for seed in range(40)]
    yield "every text once"
    classes = [[{labels[i] for i in part} for part in parts] for parts in drawn]
    for parts in classes:
        shared = sum(map(len, parts)) - len(set.union(*parts))
        cause = "you cut a list of texts; draw the classes, and let each text follow its class"
        expect(not shared, given, "no class in two parts", f"{shared} such classes", cause=cause, hint=1)
    yield "no class in two parts"
    wanted = [n_train, n_valid, len(sizes) - n_train - n_valid]
    for parts in classes:
        counts = [len(part) for part in parts]
        cause = "the order is train, valid, test" if sorted(counts) == sorted(wanted) else ""
        asked = f"{given}, n_train={n_train} and n_valid={n_valid}"
        expect(counts == wanted, asked, f"{wanted} classes", f"{counts}", cause=cause, hint=1)
    yield "as many classes as ordered"
    expect_seeded(split(7) == drawn[7], "split", "a generator made of `seed`", hint=3)
    yield "same seed, same split"
    for name, there in zip(names, zip(*classes, strict=True), strict=True):
        seen, wish = len(set.union(*there)), f"every class in {name} now and then"
        cause = "the classes are not drawn: always the same ones come first"
        expect(seen == len(sizes), "40 seeds", wish, f"only {seen} of them", cause=cause, hint=3)
    yield "drawn at random"


@self_check("0.3")
def leaky_episode(answer: Answer, cases: Cases) -> Iterator[Any]:
    """An episode made wrong on purpose: queries drawn as if the support texts were still in the pool."""
    sizes, n, k, q = ((8, 8, 8, 8, 8), 3, 2, 3) if cases == "shown" else ((6, 30, 12, 5, 9, 7), 4, 1, 4)
    labels = np.repeat(np.arange(len(sizes)), sizes)[torch.randperm(sum(sizes)).numpy()]  # the class of each text
    names = np.array([f"class {c}" for c in labels])
    given = f"{n} ways, {k} shot{'s' * (k > 1)} and {q} queries"
    many = f"200 episodes of {given}"

    def draw(seed: int) -> list[np.ndarray]:
        parts = {"support": n * k, "support_y": n * k, "query": n * q, "query_y": n * q}
        got = answer(names, n_way=n, k_shot=k, n_query=q, seed=seed)
        row(got, 4, f"four arrays ({', '.join(parts)})", given=given, hint=1)
        arrays = [positions(part, len(labels), given=given, hint=2) for part in got]
        for array, (name, size) in zip(arrays, parts.items(), strict=True):
            expect(len(array) == size, given, f"{size} numbers in {name}", f"{len(array)}", hint=1)
        return arrays

    support, support_y, query, query_y = (np.stack(part) for part in zip(*map(draw, range(200)), strict=True))
    for name, rows, each in (("support", support_y, k), ("query", query_y, q)):
        for y in rows:
            counts, wish = np.bincount(y, minlength=n).tolist(), f"{name} labels 0 … {n - 1}, {each} of each"
            expect(counts == [each] * n, given, wish, f"{y.tolist()}", hint=1)
    of_class = []  # of each episode, the classes behind the numbers
    for s, s_y, t, t_y in zip(labels[support], support_y, labels[query], query_y, strict=True):
        behind = [{*s[s_y == c], *t[t_y == c]} for c in range(n)]
        sound = all(len(found) == 1 for found in behind) and len(set.union(*behind)) == n
        wish, cause = "a class of its own behind each number", "choose the classes once, for support and queries"
        expect(sound, given, f"{wish}, the same in both sets", "others", cause=cause, hint=1)
        of_class.append([found.pop() for found in behind])
    yield "shape and classes: sound as ever"
    for name, part in (("support", support), ("query", query)):
        twice, cause = (np.diff(np.sort(part)) == 0).any(), "only one law may break: keep replace=False in both draws"
        expect(not twice, given, f"different texts within the {name} set", "one text twice", cause=cause, hint=2)
    yield "no text twice within a set"
    shared = [len(np.intersect1d(*both)) for both in zip(support, query, strict=True)]
    total, expected = sum(shared), float((k * q / np.array(sizes)[of_class]).sum())
    cause = "the queries are to be drawn from all texts of the class alike"
    if not total:
        cause = "nothing leaks: the queries must be drawn from all texts of the class, by a draw of their own"
        fail(many, "some texts in support and query", "none", cause=cause, hint=1)
    elif min(shared) >= n * min(k, q):
        cause = "every support text comes back each time: they are copied, or a second generator has the same seed"
    elif len({*shared}) == 1:
        cause = "the same number in each episode: do not choose which texts leak, draw"
    near = abs(total - expected) < 5 * math.sqrt(expected)
    expect(near, many, f"about {expected:.0f} shared texts", f"{total}", cause=cause, hint=2)
    for name, part in (("support", support), ("query", query)):
        seen, wish = len(np.unique(part)), f"most of the {len(labels)} texts in a {name} set"
        cause = "texts are not drawn: always the same ones of a class come"
        expect(seen > len(labels) / 2, many, wish, f"{seen} of them", cause=cause, hint=1)
    yield "it leaks by chance, as often as two draws do"
    same = all(np.array_equal(a, b) for a, b in zip(draw(7), draw(7), strict=True))
    expect_seeded(same, "episode", "a generator made of `seed`", hint=2)
    yield "same seed, same episode"


def _std(values: np.ndarray) -> float:
    return float(values.std(ddof=1))


def _differences(a: np.ndarray, b: np.ndarray) -> float:
    return _std(a - b)


def _planned(
    deviation: Function = _differences, *, z: float = 1.96, power: int = 2, turn: Function = math.ceil, least: int = 2
) -> Function:
    """The number of episodes of a study, planned from the deviation of the values in a pilot."""
    return lambda a, b, half_width: max(least, turn((z * float(deviation(a, b)) / half_width) ** power))


_needed = _planned()


@self_check(
    "0.4",
    reference=_needed,
    mistakes={
        "a part of an episode cannot be drawn: round up": _planned(turn=float),
        "rounded down, the interval is a little too wide": _planned(turn=math.floor),
        "one episode has no interval: never below 2": _planned(least=0),
        "paired: the deviation of the differences counts": _planned(lambda a, b: math.hypot(_std(a), _std(b))),
        "1.96 is missing: this is one standard error": _planned(z=1),
        "the width falls with √n: square": _planned(power=1),
        "half_width is half of the interval, not all of it": _planned(z=2 * 1.96),
        "divide by n − 1 in the deviation: ddof=1": _planned(lambda a, b: (a - b).std()),
        "the deviation of one method alone": _planned(lambda a, b: _std(a)),
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
