"""Self-checks of chapter 00: the size of an episode, a split, a leak made on purpose, a study planned, and its loop."""

from __future__ import annotations

import itertools
import math
import operator
import random
import string
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from metalearn_lib.scores import Score

from .core import (
    Answer,
    Cases,
    Function,
    describe,
    expect,
    expect_close,
    expect_repeatable,
    fail,
    partition,
    positions,
    row,
    self_check,
)


@self_check(
    "0.1",
    reference=lambda n, k, q: (n * k, n * q, 1 / n),
    mistakes={
        "this is one class, and the episode has N of them": lambda n, k, q: (k, q, 1 / n),
        "the two sets are swapped": lambda n, k, q: (n * q, n * k, 1 / n),
        "the queries are counted in": lambda n, k, q: (n * (k + q), n * q, 1 / n),
        "the support texts are counted in": lambda n, k, q: (n * k, n * (k + q), 1 / n),
        "q is a number for each class": lambda n, k, q: (n * k, n + q, 1 / n),
        "a guess is one of N classes, whatever K is": lambda n, k, q: (n * k, n * q, 1 / (n * k)),
        "this is the number of classes, not a share": lambda n, k, q: (n * k, n * q, n),
        "these are points; accuracies of this course are shares": lambda n, k, q: (n * k, n * q, 100 / n),
        "a share such as 1/3 or 1/64 is no short decimal: do not round": lambda n, k, q: (
            n * k,
            n * q,
            round(1 / n, 2),
        ),
        "rounded to three decimals": lambda n, k, q: (n * k, n * q, round(1 / n, 3)),
        "rounded to one decimal": lambda n, k, q: (n * k, n * q, round(1 / n, 1)),
        "// throws the fraction away, / keeps it": lambda n, k, q: (n * k, n * q, 1 // n),
    },
    returns="three numbers (support, query, chance)",
    parts=("the support texts", "the queries", "chance"),
)
def episode_size(answer: Answer, cases: Cases) -> Iterator[Any]:
    """How many support texts and queries an episode has, and what guessing gets."""
    for n, k, q in [(5, 1, 15), (10, 5, 4), (3, 2, 6)] if cases == "shown" else [(2, 7, 1), (64, 1, 3)]:
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

    def split(labels: Sequence[str], seed: int, train: int = n_train, valid: int = n_valid) -> list[list[int]]:
        got = answer(labels, train, valid, seed)
        causes = {"again": "shuffle the classes once, and cut that list in three", "left": _left_out(labels, got)}
        return partition(got, names, len(labels), given=given, hint=2, **causes)

    drawn = [split(labels, seed) for seed in range(40)]
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
    cause = "the numbers of classes are those of `n_train` and `n_valid`, not fixed ones"
    for train, valid in ((n_train, n_valid + 1), (1, 1)):
        counts = [len({labels[i] for i in part}) for part in split(labels, 0, train, valid)]
        asked, wanted = f"{given}, n_train={train} and n_valid={valid}", [train, valid, len(sizes) - train - valid]
        expect(counts == wanted, asked, f"{wanted} classes", f"{counts}", cause=cause, hint=1)
    yield "as many classes as ordered"
    expect_repeatable(split, labels, "split", "a generator made of `seed`", hint=3)
    yield "same seed, same split"
    for name, there in zip(names, zip(*classes, strict=True), strict=True):
        seen, wish = len(set.union(*there)), f"every class in {name} now and then"
        cause = "the classes are not drawn by `seed`: always the same ones come first"
        expect(seen == len(sizes), "40 seeds", wish, f"only {seen} of them", cause=cause, hint=3)
    different = len({tuple(tuple(sorted(part)) for part in parts) for parts in classes})
    wish, cause = f"more than {2 * len(sizes)} different splits", "the classes are turned round in a ring, not shuffled"
    expect(different > 2 * len(sizes), "40 seeds", wish, f"{different}", cause=cause, hint=3)
    yield "drawn at random"


def _left_out(labels: Sequence[str], got: Any) -> str:
    """Why texts are missing in three parts, as far as their classes tell."""
    try:
        train, valid, test = ({labels[i] for i in part} for part in got)
    except (TypeError, ValueError, IndexError):  # no three rows of positions: told elsewhere
        return ""
    if not valid:
        return "valid is empty: the slice names[a:b] ends before place b, and b is n_train + n_valid"
    if train | valid | test == {*labels}:
        return "a class brings all its texts, not some"
    return "all texts of the classes left over belong to test"


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
    else:
        _independent(labels, support, query, n, given=many)
    near = abs(total - expected) < 5 * math.sqrt(expected)
    expect(near, many, f"about {expected:.0f} shared texts", f"{total}", cause=cause, hint=2)
    for name, part in (("support", support), ("query", query)):
        seen, wish = len(np.unique(part)), f"most of the {len(labels)} texts in a {name} set"
        cause = "texts are not drawn: always the same ones of a class come"
        expect(seen > len(labels) / 2, many, wish, f"{seen} of them", cause=cause, hint=1)
    yield "it leaks by chance, as often as two draws do"
    same = all(np.array_equal(a, b) for a, b in zip(draw(7), draw(7), strict=True))
    cause = "draw from a generator made of `seed`; a set has no fixed order, sort it"
    expect(same, "the same seed twice", "the same episode", "two different ones", cause=cause, hint=2)
    yield "same seed, same episode"


def _independent(labels: np.ndarray, support: np.ndarray, query: np.ndarray, n_way: int, *, given: str) -> None:
    """Fail if one draw of an episode tells something of another: then a generator was made twice.

    `support` [episodes, N·K] and `query` [episodes, N·q] are positions. A draw is a text's quarter of its class.
    """
    before = np.array([(labels[:i] == label).sum() for i, label in enumerate(labels)])  # texts of its class before it
    quarter = 4 * before // np.bincount(labels)[labels]
    drawn = {name: quarter[part].reshape(len(part), n_way, -1) for name, part in (("s", support), ("q", query))}
    classes = labels[support].reshape(len(support), n_way, -1)[:, :, 0]  # [episodes, N]
    for a, b in itertools.combinations(range(n_way), 2):
        for part in drawn.values():
            cause = "of every class the texts at the same places come: one generator for the whole episode, made once"
            if any(_depend(part[:, a, i], part[:, b, i]) for i in range(part.shape[2])):
                fail(given, "draws of each class of their own", "the same draw for each", cause=cause, hint=2)
    rows = {name: part.reshape(len(part), -1) for name, part in (*drawn.items(), ("c", classes))}
    for one, other in itertools.combinations(rows, 2):
        if any(_depend(x, y) for x, y in itertools.product(rows[one].T, rows[other].T)):
            cause = "a second generator with the same seed repeats the numbers of the first: take one, made once"
            fail(given, "draws that know nothing of each other", "one that follows another", cause=cause, hint=2)


def _depend(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two rows of small whole numbers depend on each other: χ², ten deviations above its mean."""
    table = np.zeros((x.max() + 1, y.max() + 1))
    np.add.at(table, (x, y), 1)
    table = table[table.any(1)][:, table.any(0)]
    chance = np.outer(table.sum(1), table.sum(0)) / len(x)
    free = (table.shape[0] - 1) * (table.shape[1] - 1)
    return float(((table - chance) ** 2 / chance).sum()) > free + 10 * math.sqrt(2 * free)


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
        "rounded down here, the interval is a little too wide: round up": _planned(turn=math.floor),
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
        "take 1.96, not 2": _planned(z=2),
        "1.645 is for 90 %, 1.96 for 95 %": _planned(z=1.645),
        "the sign of a difference counts: no abs": _planned(lambda a, b: _std(np.abs(a - b))),
        "square first, then round up": lambda a, b, h: max(2, math.ceil(1.96 * _differences(a, b) / h) ** 2),
        "half_width is a share, as the accuracies are: no factor 100": _planned(z=196),
        "far too few: the deviation is `(a - b).std(ddof=1)`, a share like half_width": lambda a, b, h: 2,
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
    asked = [(a, b, 0.01), (b, a, 0.005), (a, b, 0.2), (a, a, 0.01)]
    for one, other, half_width in asked if cases == "shown" else [(a, b, 0.003), (b, a, 0.5), (b, b, 0.003)]:
        given = f"a pilot of {pilot} episodes and a half-width of {half_width}"
        given = "a method and itself" if one is other else given
        yield answer.expect(given, one, other, half_width, hint=2)
        needed = answer(one, other, half_width)
        try:
            operator.index(needed)
        except TypeError:
            cause = "it has the right value, but is no whole number: int(…) makes one"
            fail(given, "a whole number that range() takes", f"{describe(needed)}", cause=cause, hint=2)


def _nearest(support: np.ndarray, labels: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The label of the nearest support number: a learner for the texts of exercise 0.5, which are numbers."""
    return labels[np.abs(query[:, None] - support).argmin(1)]


def _error(values: np.ndarray) -> float:
    return _std(values) / len(values) ** 0.5


def _pooled(accuracies: np.ndarray, n_query: int, ddof: int) -> float:
    """The standard deviation of single queries, right or wrong, of all episodes thrown together."""
    mean, total = float(accuracies.mean()), n_query * len(accuracies)
    return (mean * (1 - mean) * total / (total - ddof)) ** 0.5


def _watched(
    *,
    half_width: Callable[..., float] = lambda values, n_query, every: 1.96 * _error(values),
    mean: Function = np.mean,
    points: float = 1,
) -> Function:
    """Running means and half-widths, times `points`.

    `half_width` gets the accuracies so far, the number of queries of an episode, and the accuracies of all episodes.
    """

    def loop(predict: Function, draw: Function, n_episodes: int) -> Any:
        drawn = [draw(i) for i in range(n_episodes)]
        right = points * np.array([(predict(*parts[:3]) == parts[3]).mean() for parts in drawn])
        seen = [right[:n] for n in range(2, len(right) + 1)]
        n_query = len(drawn[0][3])
        return [float(mean(v)) for v in seen], [half_width(v, n_query, right) for v in seen]

    return loop


@self_check(
    "0.5",
    reference=_watched(),
    mistakes={
        "these are points; accuracies of this course are shares": _watched(points=100),
        "this is the error rate: count what is right": _watched(mean=lambda values: 1 - np.mean(values)),
        "these are the accuracies one by one: take the mean of all so far": _watched(mean=lambda values: values[-1]),
        "this is their sum": _watched(mean=np.sum),
        "1.96 is missing: this is one standard error": _watched(half_width=lambda values, *_: _error(values)),
        "the mean of n episodes varies less: divide by √n": _watched(half_width=lambda values, *_: 1.96 * _std(values)),
        "divide by n − 1 in the deviation: ddof=1": _watched(
            half_width=lambda values, *_: 1.96 * values.std() / len(values) ** 0.5
        ),
        "divide by √n, not by n": _watched(half_width=lambda values, *_: 1.96 * _std(values) / len(values)),
        "this is the whole width": _watched(half_width=lambda values, *_: 2 * 1.96 * _error(values)),
        "the unit is the episode, not the query": _watched(
            half_width=lambda v, n, _: 1.96 * _pooled(v, n, 0) / (n * len(v)) ** 0.5
        ),
        "the unit is the episode: s is the deviation of the accuracies, not of single queries": _watched(
            half_width=lambda v, n, _: 1.96 * _pooled(v, n, 1) / (n * len(v)) ** 0.5
        ),
        "divide the deviation of the accuracies by √n, not that of single queries": _watched(
            half_width=lambda v, n, _: 1.96 * _pooled(v, n, 1) / len(v) ** 0.5
        ),
        "the deviation is that of the accuracies so far, not of all": _watched(
            half_width=lambda values, _, every: 1.96 * _std(every) / len(values) ** 0.5
        ),
        "n grows: divide by the root of the number so far": _watched(
            half_width=lambda values, _, every: 1.96 * _std(values) / len(every) ** 0.5
        ),
        "Student's t belongs to few episodes; the task asks for 1.96": _watched(
            half_width=lambda values, *_: Score.of(values).high - values.mean()
        ),
        "the running means come first": lambda *inputs: _watched()(*inputs)[::-1],
        "n counts the episodes, not their queries": _watched(half_width=lambda v, n, _: 1.96 * _error(v) / n**0.5),
    },
    returns="two lists (running means, half-widths)",
)
def evaluation_loop(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Episode after episode: predict, judge on the queries, and watch the mean and its interval settle."""
    n_way, n_query, episodes = (3, 4, 9) if cases == "shown" else (2, 7, 23)
    given = f"{episodes} episodes of {n_way} ways"
    assert answer.check.reference is not None
    generator = np.random.default_rng(3 if cases == "shown" else 4)
    centres = generator.normal(size=(episodes + 2, n_way, 1)) * 1.5
    support, query = (centres + generator.normal(size=(episodes + 2, n_way, n)) for n in (2, n_query))
    y = [np.repeat(np.arange(n_way), n) for n in (2, n_query)]
    asked: list[int] = []
    faults: list[str] = []

    def draw(i: int) -> tuple[np.ndarray, ...]:
        asked.append(operator.index(i))
        return support[i].ravel(), y[0].copy(), query[i].ravel(), y[1].copy()

    def predict(texts: Any, labels: Any, judged: Any) -> np.ndarray:
        """The nearest support number, unless the learner is given something else than it should get."""
        if any(np.array_equal(texts, part.ravel()) for part in query) or np.array_equal(labels, y[1]):
            faults.append("the learner gets the support texts, their labels and the queries; it must not see `query_y`")
        elif any(np.array_equal(judged, part.ravel()) for part in support):
            faults.append("judge the learner on the queries, not on the support texts")
        else:
            return _nearest(texts, labels, judged)
        return np.zeros(len(y[1]) if np.array_equal(judged, y[0]) else len(judged), dtype=int)

    def loop(function: Function) -> list[np.ndarray]:
        asked.clear()
        got = function(predict, draw, episodes)
        if faults:
            fail(given, "predict(support, support_y, query)", "another call of it", cause=faults[0], hint=1)
        got = list(got) if getattr(got, "ndim", 0) == 2 else got  # an array or a tensor of two rows
        parts = row(got, 2, answer.check.returns, given=given, hint=1)
        try:
            return [np.array([float(number) for number in part]) for part in parts]
        except (TypeError, ValueError):  # no numbers, or no row of them
            return fail(given, answer.check.returns, "parts that are no rows of numbers", hint=1)

    got = loop(answer)
    if sorted(asked) != list(range(episodes)):
        seen = f"{len(asked)} episodes" if len(asked) != episodes else f"the numbers {sorted({*asked})}"
        cause = "episode number i is draw(i), called once in each turn of the loop"
        fail(given, f"the episodes 0 … {episodes - 1}, each drawn once", seen, cause=cause, hint=1)
    yield "each episode once"
    right, wrong = loop(answer.check.reference), {c: loop(m) for c, m in answer.check.mistakes.items()}
    for place, (name, hint) in enumerate({"running means": 2, "half-widths": 3}.items()):
        cause = "the first is after two episodes: one has no interval" if len(got[place]) == episodes else ""
        wish = f"{episodes - 1} {name}, after 2, 3, … {episodes} episodes"
        expect(len(got[place]) == episodes - 1, given, wish, f"{len(got[place])}", cause=cause, hint=hint)
        expect_close(
            torch.from_numpy(got[place]),
            torch.from_numpy(right[place]),
            given=f"{given}, for the {name},",
            suspects=((cause, torch.from_numpy(made[place])) for cause, made in wrong.items()),
            hint=hint,
        )
        yield name
