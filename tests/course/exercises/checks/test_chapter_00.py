"""Each check passes the right answers, and says of typical wrong ones what is wrong."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from metalearn_lib import EpisodeSampler, Score
from metalearn_lib.corpora import Corpus
from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.checks import CheckFailed
from metalearn_lib.files import root
from tests.course.exercises.checks.solutions import solved
from tests.notebooks.stored_notebook import StoredNotebook

NOTEBOOK = StoredNotebook(root() / "notebooks" / "00_start_here.ipynb")


def solution(number: str) -> Any:
    return solved(NOTEBOOK, number, math=math, np=np)


def numbered(labels: Sequence[str]) -> Corpus:
    return Corpus("numbered", [f"text {i}" for i in range(len(labels))], list(labels))


def library_split(labels: list[str], n_train: int, n_valid: int, seed: int) -> Any:
    rest = len({*labels}) - n_train - n_valid
    parts = numbered(labels).split_classes(seed=seed, sizes=[n_train, n_valid, rest])
    return tuple([int(text.removeprefix("text ")) for text in part.texts] for part in parts)


def split_by_hand(labels: list[str], n_train: int, n_valid: int, seed: int) -> Any:
    names = sorted({*labels})
    random.Random(seed).shuffle(names)
    places = {name: (k >= n_train) + (k >= n_train + n_valid) for k, name in enumerate(names)}
    parts: list[list[int]] = [[], [], []]
    for position, name in enumerate(labels):
        parts[places[name]].append(position)
    return [torch.tensor(part) for part in parts]


def library_leak(labels: np.ndarray, *, n_way: int, k_shot: int, n_query: int, seed: int) -> Any:
    shape = {"n_way": n_way, "k_shot": k_shot, "n_query": n_query}
    drawn = EpisodeSampler(numbered(labels.tolist()), **shape, seed=seed, allow_overlap=True).sample()
    return [part[0] for part in (drawn.support_x, drawn.support_y, drawn.query_x, drawn.query_y)]


def by_student(a: np.ndarray, b: np.ndarray, half_width: float) -> int:
    """The same from what the library calls the interval: its half-width over a great many episodes like these."""
    score = Score.of(np.tile([-1.0, 1.0], 50_000))  # deviation 1, so many that t is 1.96
    z = round((score.high - score.mean) * math.sqrt(100_000), 3)
    return max(2, math.ceil((z / half_width) ** 2 * float(np.var(a - b, ddof=1))))


RIGHT: list[tuple[str, Any]] = [
    *[(e.checks[0], solution(e.number)) for e in exercises(NOTEBOOK.raw["cells"]) if e.checks],
    ("episode_size", lambda n, k, q: [torch.tensor(n * k), np.int64(q * n), 1.0 / n]),
    ("disjoint_split", library_split),
    ("disjoint_split", split_by_hand),
    ("leaky_episode", library_leak),
    ("episodes_needed", by_student),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{n}: {a.__name__}" for n, a in RIGHT])
def test_a_right_answer_passes(passes: Any, name: str, answer: Any) -> None:
    passes(name, answer)


def names_of(labels: list[str], seed: int) -> Any:
    return np.random.default_rng(seed).permutation(np.unique(labels))


def by_names(order: Callable[[list[str], int], Any], *, turn: Sequence[int] = (0, 1, 2)) -> Any:
    """A split that cuts the names in this `order`, and gives the parts in another."""

    def answer(labels: list[str], n_train: int, n_valid: int, seed: int) -> Any:
        names = list(order(labels, seed))
        cuts = names[:n_train], names[n_train : n_train + n_valid], names[n_train + n_valid :]
        return [[i for i, name in enumerate(labels) if name in cuts[k]] for k in turn]

    return answer


def by_texts(labels: list[str], n_train: int, n_valid: int, seed: int) -> Any:
    every = np.random.default_rng(seed).permutation(len(labels))
    return np.split(every, [len(labels) // 2, 3 * len(labels) // 4])


def changed_split(change: Callable[[list[str], list[Any]], Any]) -> Any:
    def answer(labels: list[str], n_train: int, n_valid: int, seed: int) -> Any:
        return change(labels, list(by_names(names_of)(labels, n_train, n_valid, seed)))

    return answer


def leak(queries: Callable[[Any, np.ndarray, np.ndarray, int, int], Any]) -> Any:
    """An episode whose queries are drawn by `queries(random, members, support, n_query, seed)`."""

    def answer(labels: np.ndarray, *, n_way: int, k_shot: int, n_query: int, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        support: list[int] = []
        query: list[int] = []
        for name in rng.choice(np.unique(labels), size=n_way, replace=False):
            members = np.flatnonzero(labels == name)
            drawn = rng.choice(members, size=k_shot, replace=False)
            support.extend(drawn)
            query.extend(queries(rng, members, drawn, n_query, seed))
        y = np.arange(n_way)
        return np.array(support), np.repeat(y, k_shot), np.array(query), np.repeat(y, n_query)

    return answer


def honest(rng: Any, members: np.ndarray, support: np.ndarray, n_query: int, _: int) -> Any:
    return rng.choice(np.setdiff1d(members, support), size=n_query, replace=False)


def copied(rng: Any, members: np.ndarray, support: np.ndarray, n_query: int, seed: int) -> Any:
    return [*support, *honest(rng, members, support, n_query, seed)][:n_query]


def half_honest(rng: Any, members: np.ndarray, support: np.ndarray, n_query: int, seed: int) -> Any:
    return rng.choice(members, size=n_query, replace=False) if seed % 2 else honest(rng, members, support, n_query, 0)


def one_leaks(rng: Any, members: np.ndarray, support: np.ndarray, n_query: int, seed: int) -> Any:
    return [support[0], *honest(rng, members, support, n_query - 1, seed)]


def own_classes(labels: np.ndarray, *, n_way: int, k_shot: int, n_query: int, seed: int) -> Any:
    shape = {"n_way": n_way, "k_shot": k_shot, "n_query": n_query}
    first, second = (solution("0.3")(labels, **shape, seed=s) for s in (seed, seed + 1000))
    return *first[:2], *second[2:]


def two_generators(labels: np.ndarray, *, n_way: int, k_shot: int, n_query: int, seed: int) -> Any:
    parts: list[np.ndarray] = []
    for each in (k_shot, n_query):
        rng = np.random.default_rng(seed)
        members = [np.flatnonzero(labels == name) for name in rng.choice(np.unique(labels), size=n_way, replace=False)]
        parts += [np.concatenate([rng.permutation(m)[:each] for m in members]), np.repeat(np.arange(n_way), each)]
    return parts


def changed_leak(change: Callable[[list[Any]], Any]) -> Any:
    return lambda labels, **options: change(list(solution("0.3")(labels, **options)))


def unseeded(labels: np.ndarray, **options: Any) -> Any:
    return solution("0.3")(labels, **{**options, "seed": random.randrange(10**6)})


def planned(deviation: Callable[[Any, Any], Any], *, z: float = 1.96, power: float = 2, turn: Any = math.ceil) -> Any:
    return lambda a, b, h: max(2, turn((z * float(deviation(a, b)) / h) ** power))


def s_d(a: Any, b: Any) -> Any:
    return (a - b).std(ddof=1)


def unanswered(*_: Any, **__: Any) -> Any:
    raise NotImplementedError


SIZE, SPLIT, LEAK, NEEDED = "episode_size", "disjoint_split", "leaky_episode", "episodes_needed"
WRONG: list[tuple[str, Any, str]] = [
    (SIZE, lambda n, k, q: (k, q, 1 / n), "I expected 5, got 1: this is one class, and the episode has N of them"),
    (SIZE, lambda n, k, q: (n * k, q, 1 / n), "for the queries, I expected 75, got 15: this is one class"),
    (SIZE, lambda n, k, q: (n * q, n * k, 1 / n), "the two sets are swapped; see hint 1"),
    (SIZE, lambda n, k, q: (n * (k + q), n * q, 1 / n), "the queries are counted in"),
    (SIZE, lambda n, k, q: (n * k, n * (k + q), 1 / n), "the support texts are counted in"),
    (SIZE, lambda n, k, q: (n * k, n * q, 1 / (n * k)), "how many examples each has does not matter; see hint 2"),
    (SIZE, lambda n, k, q: (n * k, n * q, 100 / n), "I expected 0.2, got 20: these are points"),
    (SIZE, lambda n, k, q: (n * k, n * q, n), "this is the number of classes, not a share"),
    (SIZE, lambda n, k, q: (n * k, n * q, 1 // n), "// throws the fraction away"),
    (SIZE, lambda n, k, q: n * (k + q), "three numbers (support, query, chance), got an int, 80; see hint 1"),
    (SPLIT, by_texts, "you cut a list of texts; draw the classes, and let each text follow its class; see hint 1"),
    (SPLIT, by_names(lambda labels, _: sorted({*labels})), "the classes are not drawn: always the same ones"),
    (SPLIT, by_names(lambda labels, _: names_of(labels, random.randrange(999))), "the same seed twice I expected"),
    (SPLIT, by_names(names_of, turn=(2, 1, 0)), "[3, 1, 2] classes, got [2, 1, 3]: the order is train, valid, test"),
    (SPLIT, by_names(names_of, turn=(0, 1)), "three lists of positions, (train, valid, test), got a list of 2"),
    (SPLIT, by_names(names_of, turn=(0, 1, 1)), "I expected each text once, got"),
    (SPLIT, lambda *a: [*library_split(*a)[:2], []], "the classes left over belong to test; see hint 2"),
    (SPLIT, changed_split(lambda y, parts: [[y[i] for i in p] for p in parts]), "not the names of their classes"),
    (SPLIT, changed_split(lambda y, parts: [np.isin(range(len(y)), p) for p in parts]), "np.flatnonzero makes"),
    (SPLIT, changed_split(lambda y, parts: [[p, [0]] for p in parts]), "whole numbers in one row"),
    (SPLIT, changed_split(lambda y, parts: [[i - 1 for i in p] for p in parts]), "numbers from 0 on, got -1"),
    (LEAK, leak(honest), "some texts in support and query, got none: nothing leaks"),
    (LEAK, leak(lambda rng, m, s, q, _: rng.choice(m, size=q)), "different texts within the query set"),
    (LEAK, leak(copied), "every support text comes back each time: they are copied, or a second"),
    (LEAK, leak(one_leaks), "the same number in each episode"),
    (LEAK, leak(lambda rng, m, s, q, seed: m[:q]), "most of the 40 texts in a query set, got 15 of them"),
    (LEAK, leak(half_honest), "the queries are to be drawn from all texts of the class alike; see hint 2"),
    (LEAK, two_generators, "or a second generator has the same seed; see hint 2"),
    (LEAK, own_classes, "choose the classes once, for support and queries; see hint 1"),
    (LEAK, unseeded, "the same seed twice I expected the same episode, got two different ones"),
    (LEAK, changed_leak(lambda parts: parts[::2]), "four arrays (support, support_y, query, query_y), got a list of 2"),
    (LEAK, changed_leak(lambda p: [*p[:3], p[3][:-1]]), "9 numbers in query_y, got 8"),
    (LEAK, changed_leak(lambda p: [p[0], p[1] + 1, *p[2:]]), "support labels 0 … 2, 2 of each"),
    (LEAK, changed_leak(lambda p: [p[0] + 40, *p[1:]]), "positions below 40"),
    (NEEDED, planned(lambda a, b: np.hypot(a.std(ddof=1), b.std(ddof=1))), "the interval is to be paired"),
    (NEEDED, planned(lambda a, b: a.std(ddof=1)), "the deviation of one method alone"),
    (NEEDED, planned(s_d, z=1), "1.96 is missing: this is one standard error; see hint 2"),
    (NEEDED, planned(s_d, power=1), "the width falls with √n: square"),
    (NEEDED, planned(s_d, turn=math.floor), "rounded down"),
    (NEEDED, planned(s_d, turn=float), "a part of an episode cannot be drawn: round up"),
    (NEEDED, planned(s_d, z=2 * 1.96), "half_width is half of the interval"),
    (NEEDED, planned(lambda a, b: (a - b).std()), "divide by n − 1 in the deviation: ddof=1"),
    (NEEDED, planned(lambda a, b: (a - b).var(ddof=1)), "the variance, squared once more"),
    (NEEDED, planned(s_d, z=2.0226909), "Student's t is for the pilot's few episodes"),
    (NEEDED, lambda a, b, h: planned(s_d)(a, b, h) - len(a), "do not take the pilot off"),
    *[(name, unanswered, f"{name}: not answered yet") for name in (SIZE, SPLIT, LEAK, NEEDED)],
    *[(name, lambda *_, **__: None, "is the `return` missing?") for name in (SIZE, SPLIT, LEAK, NEEDED)],
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "says"), WRONG, ids=[f"{n}: {s[:40]}" for n, _, s in WRONG])
def test_a_wrong_answer_is_told_what_is_wrong(is_told: Any, name: str, answer: Any, says: str) -> None:
    is_told(NOTEBOOK, name, answer, says)


def test_the_hidden_cases_catch_what_the_shown_ones_do_not() -> None:
    def no_floor(a: np.ndarray, b: np.ndarray, half_width: float) -> int:
        return math.ceil((1.96 * float(s_d(a, b)) / half_width) ** 2)

    check.episodes_needed(no_floor)
    with pytest.raises(CheckFailed, match=r"half-width of 0\.5 I expected 2, got 1"):
        check.episodes_needed(no_floor, cases="hidden")

    table = {(5, 1, 15): (5, 75, 0.2), (10, 5, 4): (50, 40, 0.1)}
    check.episode_size(lambda *shape: table[shape])
    with pytest.raises(CheckFailed, match="KeyError"):
        check.episode_size(lambda *shape: table[shape], cases="hidden")


def test_exercise_1_quotes_the_message_that_its_wrong_answer_gets() -> None:
    with pytest.raises(CheckFailed) as failure:
        check.episode_size(lambda n_way, k_shot, n_query: (k_shot, n_query, 1 / n_way))
    (task,) = [cell.source for cell in NOTEBOOK.cells if cell.source.startswith("### Exercise 0.1")]
    assert f"\n> {failure.value}\n" in task
