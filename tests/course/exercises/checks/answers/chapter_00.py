"""Answers to the exercises of chapter 00."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from metalearn_lib import EpisodeSampler
from metalearn_lib.corpora import Corpus


def numbered(labels: Sequence[str]) -> Corpus:
    return Corpus("numbered", [f"text {i}" for i in range(len(labels))], list(labels))


def library_split(labels: list[str], n_train: int, n_valid: int, seed: int) -> Any:
    rest = len({*labels}) - n_train - n_valid
    parts = numbered(labels).split_classes(seed=seed, sizes=[n_train, n_valid, rest])
    return tuple([int(text.removeprefix("text ")) for text in part.texts] for part in parts)


def library_leak(labels: np.ndarray, *, n_way: int, k_shot: int, n_query: int, seed: int) -> Any:
    shape = {"n_way": n_way, "k_shot": k_shot, "n_query": n_query}
    drawn = EpisodeSampler(numbered(labels.tolist()), **shape, seed=seed, allow_overlap=True).sample()
    return [part[0] for part in (drawn.support_x, drawn.support_y, drawn.query_x, drawn.query_y)]


def names_of(labels: list[str], seed: int) -> Any:
    return np.random.default_rng(seed).permutation(np.unique(labels))


def by_names(order: Callable[[list[str], int], Any], *, turn: Sequence[int] = (0, 1, 2)) -> Any:
    """A split that cuts the names in this `order`, and gives the parts in another."""

    def answer(labels: list[str], n_train: int, n_valid: int, seed: int) -> Any:
        names = list(order(labels, seed))
        cuts = names[:n_train], names[n_train : n_train + n_valid], names[n_train + n_valid :]
        return [[i for i, name in enumerate(labels) if name in cuts[k]] for k in turn]

    return answer


def cut(slices: Callable[[int, int], Sequence[slice]]) -> Any:
    """A split that cuts the shuffled names at other places."""

    def answer(labels: list[str], n_train: int, n_valid: int, seed: int) -> Any:
        names = names_of(labels, seed)
        return [np.flatnonzero(np.isin(labels, names[part])) for part in slices(n_train, n_valid)]

    return answer


def drawn_again(labels: list[str], n_train: int, n_valid: int, seed: int) -> Any:
    """Valid drawn from all classes again."""
    rng, names = np.random.default_rng(seed), np.unique(labels)
    train, valid = (rng.choice(names, size=size, replace=False) for size in (n_train, n_valid))
    test = np.setdiff1d(names, [*train, *valid])
    return [np.flatnonzero(np.isin(labels, part)) for part in (train, valid, test)]


def one_of_each(labels: list[str], n_train: int, n_valid: int, seed: int) -> Any:
    """One text of each class."""
    parts = by_names(names_of)(labels, n_train, n_valid, seed)
    return [[labels.index(name) for name in {labels[i] for i in part}] for part in parts]


def changed_split(change: Callable[[list[str], list[Any]], Any]) -> Any:
    return lambda labels, *sizes_and_seed: change(labels, by_names(names_of)(labels, *sizes_and_seed))


def leak(queries: Callable[[Any, np.ndarray, np.ndarray, int], Any]) -> Any:
    """An episode whose queries are drawn by `queries(random, members, support, n_query)`."""

    def answer(labels: np.ndarray, *, n_way: int, k_shot: int, n_query: int, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        support: list[int] = []
        query: list[int] = []
        for name in rng.choice(np.unique(labels), size=n_way, replace=False):
            members = np.flatnonzero(labels == name)
            drawn = rng.choice(members, size=k_shot, replace=False)
            support.extend(drawn)
            query.extend(queries(rng, members, drawn, n_query))
        y = np.arange(n_way)
        return np.array(support), np.repeat(y, k_shot), np.array(query), np.repeat(y, n_query)

    return answer


def honest(rng: Any, members: np.ndarray, support: np.ndarray, n_query: int) -> Any:
    return rng.choice(np.setdiff1d(members, support), size=n_query, replace=False)


def from_all(rng: Any, members: np.ndarray, support: np.ndarray, n_query: int) -> Any:
    return rng.choice(members, size=n_query, replace=False)


def own_classes(labels: np.ndarray, *, n_way: int, k_shot: int, n_query: int, seed: int) -> Any:
    shape = {"n_way": n_way, "k_shot": k_shot, "n_query": n_query}
    first, second = (leak(from_all)(labels, **shape, seed=s) for s in (seed, seed + 1000))
    return *first[:2], *second[2:]


def changed_leak(change: Callable[[list[Any]], Any]) -> Any:
    return lambda labels, **options: change(list(leak(from_all)(labels, **options)))


def generators(make: Callable[[Any, int, int], tuple[Any, Any]]) -> Any:
    """An episode drawn by two generators; `make` gets the first one, the seed and the number of the class."""

    def answer(labels: np.ndarray, *, n_way: int, k_shot: int, n_query: int, seed: int) -> Any:
        rng, support, query = np.random.default_rng(seed), [], []
        for c, name in enumerate(rng.choice(np.unique(labels), size=n_way, replace=False)):
            members = np.flatnonzero(labels == name)
            first, second = make(rng, seed, c)
            support.extend(first.choice(members, size=k_shot, replace=False))
            query.extend(second.choice(members, size=n_query, replace=False))
        y = np.arange(n_way)
        return np.array(support), np.repeat(y, k_shot), np.array(query), np.repeat(y, n_query)

    return answer


def twins(labels: np.ndarray, *, n_way: int, k_shot: int, n_query: int, seed: int, classes: bool = True) -> Any:
    """Support and queries by two generators of the same seed, one after the other; `classes`: both draw them."""
    parts = []
    for size in (k_shot, n_query):
        rng = np.random.default_rng(seed)
        chosen = np.random.default_rng(seed).choice(np.unique(labels), size=n_way, replace=False)
        if classes:
            rng.choice(np.unique(labels), size=n_way, replace=False)
        drawn = [rng.choice(np.flatnonzero(labels == name), size=size, replace=False) for name in chosen]
        parts += [np.concatenate(drawn), np.repeat(np.arange(n_way), size)]
    return parts


def python_twins(labels: np.ndarray, *, n_way: int, k_shot: int, n_query: int, seed: int) -> Any:
    chosen = random.Random(seed).sample(sorted({*labels.tolist()}), n_way)
    parts = []
    for size, rng in ((k_shot, random.Random(seed)), (n_query, random.Random(seed))):
        drawn = [rng.sample(np.flatnonzero(labels == name).tolist(), size) for name in chosen]
        parts += [np.concatenate(drawn), np.repeat(np.arange(n_way), size)]
    return parts


rng_of = np.random.default_rng
MADE_ONCE, TWICE = "one generator for the whole episode, made once; see hint 2", "take one, made once; see hint 2"


def unseeded(labels: np.ndarray, **options: Any) -> Any:
    return leak(from_all)(labels, **{**options, "seed": random.randrange(10**6)})


def float_plan(a: np.ndarray, b: np.ndarray, half_width: float) -> Any:
    return max(2, np.ceil((1.96 * (a - b).std(ddof=1) / half_width) ** 2))


def episodes_of(deviation: float, half_width: float) -> int:
    return max(2, math.ceil((1.96 * deviation / half_width) ** 2))


def without_a_least(a: np.ndarray, b: np.ndarray, half_width: float) -> Any:
    return int(np.ceil((1.96 * (a - b).std(ddof=1) / half_width) ** 2))


def watched(predict: Any, draw: Any, n_episodes: int, *, number: Callable[[int], int] = lambda i: i) -> Any:
    """Accuracies in an array that grows, as tensors or arrays: `number` is that of the episode drawn in turn i."""
    seen = np.empty(0)
    rows = []
    for i in range(n_episodes):
        support, support_y, query, query_y = draw(number(i))
        seen = np.append(seen, (predict(support, support_y, query) == query_y).mean())
        if len(seen) > 1:
            rows.append((seen.mean(), 1.96 * seen.std(ddof=1) / math.sqrt(len(seen))))
    return tuple(torch.tensor(rows).T)


def loop_by(call: Callable[..., Any]) -> Any:
    """A loop that calls the learner otherwise: `call(predict, support, support_y, query, query_y)`."""

    def answer(predict: Any, draw: Any, n_episodes: int) -> Any:
        seen = [(call(predict, *parts) == parts[3]).mean() for parts in map(draw, range(n_episodes))]
        firsts = [np.array(seen[:n]) for n in range(2, n_episodes + 1)]
        return [v.mean() for v in firsts], [1.96 * v.std(ddof=1) / len(v) ** 0.5 for v in firsts]

    return answer


def changed_loop(change: Callable[[Any], Any]) -> Any:
    return lambda predict, draw, n_episodes: change(watched(predict, draw, n_episodes))


SPLIT, LEAK, PLAN, LOOP = "disjoint_split", "leaky_episode", "episodes_needed", "evaluation_loop"
RIGHT = [
    ("episode_size", lambda n, k, q: [torch.tensor(n * k), np.int64(q * n), 1.0 / n]),
    (SPLIT, library_split),
    (SPLIT, by_names(lambda labels, seed: np.random.default_rng(seed).permutation(sorted({*labels})))),
    (SPLIT, by_names(lambda labels, seed: random.Random(seed).sample(list(dict.fromkeys(labels)), len({*labels})))),
    (LEAK, library_leak),
    (LEAK, generators(lambda rng, seed, c: (rng, rng_of(1000 * seed + c)))),
    (PLAN, lambda *pilot: np.int64(float_plan(*pilot))),
    (PLAN, lambda *pilot: torch.tensor(int(float_plan(*pilot)))),
    (LOOP, changed_loop(list)),
    (LOOP, changed_loop(torch.stack)),
    (LOOP, changed_loop(np.array)),
    (LOOP, changed_loop(lambda rows: [rows[0].tolist(), rows[1].numpy()])),
]
WRONG = [
    (SPLIT, changed_split(lambda y, parts: np.array_split(np.arange(len(y)), 3)), "you cut a list of texts; draw the"),
    (SPLIT, by_names(lambda labels, _: sorted({*labels})), "the classes are not drawn by `seed`: always the same ones"),
    (SPLIT, by_names(lambda labels, _: names_of(labels, random.randrange(999))), "the same seed twice I expected"),
    (
        SPLIT,
        by_names(lambda labels, seed: np.random.default_rng(seed).permutation(list(set(labels)))),
        "the order of a set of words changes with the process: sort it",
    ),
    (SPLIT, by_names(names_of, turn=(2, 1, 0)), "[3, 1, 2] classes, got [2, 1, 3]: the order is train, valid, test"),
    (SPLIT, by_names(names_of, turn=(0, 1)), "three lists of positions, (train, valid, test), got a list of 2"),
    (SPLIT, by_names(names_of, turn=(0, 1, 1)), "I expected each text once, got"),
    (SPLIT, cut(lambda n, m: (slice(0, n), slice(n, m), slice(n + m, None))), "valid is empty: the slice names[a:b]"),
    (SPLIT, cut(lambda n, m: (slice(0, n), slice(n, n + m), slice(n + m, n + m + 2))), "left over belong to test"),
    (SPLIT, cut(lambda n, m: (slice(0, n), slice(0, m), slice(n + m, None))), "the classes once, and cut that list in"),
    (SPLIT, drawn_again, "shuffle the classes once, and cut that list in three"),
    (SPLIT, one_of_each, "a class brings all its texts, not some"),
    (SPLIT, lambda *a: [*library_split(*a)[:2], []], "classes left over belong to test; see hint 2"),
    (SPLIT, by_names(lambda y, seed: np.roll(sorted({*y}), seed)), "turned round in a ring, not shuffled"),
    (SPLIT, lambda y, n, m, seed: library_split(y, 3, 1, seed), "are those of `n_train` and `n_valid`, not fixed ones"),
    (SPLIT, by_names(lambda y, _: names_of(y, 0)), "the classes are not drawn by `seed`"),
    (SPLIT, changed_split(lambda y, parts: [[y[i] for i in p] for p in parts]), "not the names of their classes"),
    (SPLIT, changed_split(lambda y, parts: [np.isin(range(len(y)), p) for p in parts]), "np.flatnonzero makes"),
    (SPLIT, changed_split(lambda y, parts: [[p, [0]] for p in parts]), "whole numbers in one row"),
    (SPLIT, changed_split(lambda y, parts: [[i - 1 for i in p] for p in parts]), "numbers from 0 on, got -1"),
    (LEAK, leak(honest), "some texts in support and query, got none: nothing leaks"),
    (LEAK, leak(lambda rng, m, s, q: rng.choice(m, size=q)), "different texts within the query set"),
    (
        LEAK,
        leak(lambda rng, m, s, q: [*s, *honest(rng, m, s, q)][:q]),
        "every support text comes back each time: they are",
    ),
    (LEAK, leak(lambda rng, m, s, q: [s[0], *honest(rng, m, s, q - 1)]), "the same number in each episode"),
    (LEAK, leak(lambda rng, m, s, q: m[:q]), "most of the 40 texts in a query set, got 15 of them"),
    (LEAK, leak(lambda rng, *a: (honest, from_all)[rng.integers(2)](rng, *a)), "from all texts of the class alike;"),
    (LEAK, generators(lambda _, seed, c: (rng_of(seed), rng_of(seed + 1))), MADE_ONCE),
    (LEAK, generators(lambda rng, seed, c: (rng, rng_of(seed))), MADE_ONCE),
    (LEAK, generators(lambda rng, seed, c: (rng, rng_of(seed + 1))), MADE_ONCE),
    (LEAK, generators(lambda rng, seed, c: (rng_of(seed), rng)), MADE_ONCE),
    (LEAK, twins, TWICE),
    (LEAK, lambda *labels, **shape: twins(*labels, **shape, classes=False), TWICE),
    (LEAK, python_twins, TWICE),
    (LEAK, own_classes, "choose the classes once, for support and queries; see hint 1"),
    (LEAK, unseeded, "the same seed twice I expected the same episode, got two different ones"),
    (LEAK, changed_leak(lambda parts: parts[::2]), "four arrays (support, support_y, query, query_y), got a list of 2"),
    (LEAK, changed_leak(lambda p: [*p[:3], p[3][:-1]]), "9 numbers in query_y, got 8"),
    (LEAK, changed_leak(lambda p: [p[0], p[1] + 1, *p[2:]]), "support labels 0 … 2, 2 of each"),
    (LEAK, changed_leak(lambda p: [p[0] + 40, *p[1:]]), "positions below 40"),
    (PLAN, lambda a, b, h: max(2, round(float((1.96 * (a - b).std(ddof=1) / h) ** 2))), "round up; see hint 2"),
    (PLAN, lambda a, b, h: episodes_of((a - b).std(ddof=1), 100 * h), "far too few: the deviation is"),
    (PLAN, lambda a, b, h: episodes_of(a.std(ddof=1) - b.std(ddof=1), h), "far too few: the deviation is"),
    (PLAN, float_plan, "I expected a whole number that range() takes, got a float64, np.float64("),
    (PLAN, without_a_least, "one episode has no interval: never below 2"),
    (LOOP, lambda *given: watched(*given, number=lambda _: 0), "got the numbers [0]: episode number i is draw(i)"),
    (LOOP, lambda *given: watched(*given, number=lambda i: i + 1), "the episodes 0 … 8, each drawn once"),
    (LOOP, lambda predict, draw, n: watched(predict, draw, n - 1), "each drawn once, got 8 episodes"),
    (
        LOOP,
        lambda predict, *given: watched(lambda s, s_y, _: np.resize(predict(s, s_y, s), 12), *given),
        "judge the learner on the queries, not on the support texts",
    ),
    (LOOP, loop_by(lambda predict, s, s_y, q, q_y: predict(q, q_y, q)), "it must not see `query_y`; see hint 1"),
    (LOOP, loop_by(lambda predict, s, s_y, q, q_y: predict(s, q_y, q)), "it must not see `query_y`; see hint 1"),
    (LOOP, loop_by(lambda predict, s, s_y, q, q_y: predict(q, s, s_y)), "it must not see `query_y`; see hint 1"),
    (LOOP, changed_loop(lambda rows: rows[0]), "two lists (running means, half-widths), got a tensor of shape [8]"),
    (LOOP, changed_loop(lambda rows: [float(rows[0][-1])] * 2), "parts that are no rows of numbers"),
    (LOOP, changed_loop(lambda rows: [[0.0, *part] for part in rows]), "the first is after two episodes: one has no"),
    (LOOP, changed_loop(lambda rows: [part[-1:] for part in rows]), "8 running means, after 2, 3, … 9 episodes, got 1"),
]
HIDDEN = [
    (
        "episode_size",
        lambda *shape: {(5, 1, 15): (5, 75, 0.2), (10, 5, 4): (50, 40, 0.1), (3, 2, 6): (6, 18, 1 / 3)}[shape],
        "KeyError",
    )
]
