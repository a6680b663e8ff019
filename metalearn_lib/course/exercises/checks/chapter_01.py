"""Self-checks of chapter 01: perplexity, an episode sampler, a leak made on purpose, an honest choice."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from .core import ENDS, Answer, Cases, Function, expect, expect_seeded, interval, partition, positions, row, self_check


@self_check(
    "1.1",
    reference=lambda p: math.exp(-p.log().mean()),
    mistakes={
        "a product of so many probabilities is 0 to a computer; add logarithms": lambda p: p.prod() ** (-1 / len(p)),
        "the sign: a logarithm of a probability is negative": lambda p: p.log().mean().exp(),
        "take the mean of the logarithms, not their sum: divide by the tokens": lambda p: (-p.log().sum()).exp(),
        "this is the mean of 1/P; the mean belongs inside, over the logarithms": lambda p: (1 / p).mean(),
        "this is 1 over the mean probability; the mean is taken over logarithms": lambda p: 1 / p.mean(),
        "exp undoes the natural logarithm only, not log2": lambda p: (-p.log2().mean()).exp(),
        "exp is missing: this is the mean loss": lambda p: -p.log().mean(),
    },
)
def perplexity(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Perplexity of a text from the probabilities that a model gave to its tokens."""
    if cases == "shown":
        yield answer.expect("the probabilities 0.5 and 0.125", torch.tensor([0.5, 0.125]), hint=1)
        yield answer.expect("six tokens of probability 1/20", torch.full((6,), 0.05), hint=1)
        many = torch.full((20_000,), 1e-3, dtype=torch.float64)
        yield answer.expect("20,000 tokens of probability 0.001", many, hint=2)
        return
    yield answer.expect("nine tokens", torch.rand(9, dtype=torch.float64) / 2 + 0.01, hint=1)
    yield answer.expect("a model that is always sure and right", torch.ones(4), hint=1)


@self_check("1.2")
def draw_episode(answer: Answer, cases: Cases) -> Iterator[Any]:
    """One N-way K-shot episode with Q queries a class, drawn by hand."""
    n_way, k_shot, n_query = (3, 2, 4) if cases == "shown" else (5, 1, 3)
    enough = {"baking": 9, "cars": 12, "chess": 7, "space": 30, "tea": 8}
    if cases == "hidden":
        enough = {name: 4 + 3 * i for i, name in enumerate("abcdefg")}
    least = k_shot + n_query
    sizes = {**enough, "whales": least - 1}
    labels = [name for name, size in sizes.items() for _ in range(size)]
    random.shuffle(labels)
    given = f"{n_way} ways, {k_shot} shot{'s' * (k_shot > 1)} and {n_query} queries"

    def draw(seed: int) -> list[dict[Any, list[int]]]:
        wanted = "two dictionaries, (support, query), from a class to its positions"
        drawn = answer(labels, n_way, k_shot, n_query, random.Random(seed))
        got = row(drawn, 2, wanted, given=given, hint=1, kind=dict)
        return [{c: positions(part[c], len(labels), given=given, hint=1).tolist() for c in part} for part in got]

    episodes = [draw(seed) for seed in range(200)]
    for episode in episodes:
        for name, part, each in zip(("support", "query"), episode, (k_shot, n_query), strict=True):
            wish, cause = f"{n_way} classes in the {name} part", "draw classes without repeating one"
            expect(len(part) == n_way, given, wish, f"{len(part)}", cause=cause, hint=1)
            for label, texts in part.items():
                wish, has = f"classes of at least {least} texts", sizes.get(label, least)
                cause = "this class has too few texts and must not be drawn"
                expect(has >= least, given, wish, f"{label!r} with {has}", cause=cause, hint=1)
                wish = f"{each} positions of {label!r} in the {name} part"
                expect(len(texts) == each, given, wish, f"{len(texts)}", hint=2)
                others = [labels[i] for i in texts if labels[i] != label]
                cause = "positions count all texts, not the texts of a class"
                expect(not others, given, f"positions of {label!r} only", f"one of {others[:1]}", cause=cause, hint=1)
                once, cause = len({*texts}) == each, "rng.choices draws with replacement, rng.sample does not"
                expect(once, given, "different texts", "the same text twice in one part", cause=cause, hint=2)
    yield "N classes × K and Q texts of the right class, none twice"
    for support, query in episodes:
        same, cause = support.keys() == query.keys(), "draw the classes once"
        expect(same, given, "the same classes in support and query", "others", cause=cause, hint=1)
        shared = {i for texts in support.values() for i in texts} & {i for texts in query.values() for i in texts}
        cause = "draw K + Q texts of a class at once, then cut"
        expect(not shared, given, "no text in both parts", f"{len(shared)} shared", cause=cause, hint=2)
    yield "support and query are disjoint"
    expect_seeded(draw(7) == draw(7), "episode", "`rng`, not from the module random", hint=3)
    yield "same seed, same episode"
    often = Counter(label for support, _ in episodes for label in support)
    times, rarest = min((often[label], label) for label in enough)
    given, wish = f"{len(episodes)} episodes of {len(enough)} classes", "every class about equally often"
    cause, share = "draw classes, not texts: large classes must not come more often", n_way / len(enough)
    expect(times > 0.6 * share * len(episodes), given, wish, f"{rarest!r} {times} times", cause=cause, hint=1)
    yield "every class is drawn"
    asked = {i for _, query in episodes for texts in query.values() for i in texts}
    never = [i for i, label in enumerate(labels) if enough.get(label, 99) < 15 and i not in asked]
    wish, cause = "every text of a small class as a query", "the first texts of a class are always the support"
    expect(not never, given, f"{wish} now and then", f"{len(never)} of them never", cause=cause, hint=2)
    yield "every text can be a query"


@self_check("1.3")
def leaky_split(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A split made wrong on purpose: no text is in both parts, but every class is."""
    sizes, share = ((10, 6, 4), 0.5) if cases == "shown" else ((2, 50, 3, 7), 0.7)
    labels = np.repeat([f"class {c}" for c in range(len(sizes))], sizes).tolist()
    given = f"{len(labels)} texts of {len(sizes)} classes"

    def split(seed: int) -> list[list[int]]:
        got, again = answer(labels, share, random.Random(seed)), "cut one shuffled list"
        return partition(got, ("train", "test"), len(labels), given=given, hint=1, again=again)

    splits = [split(seed) for seed in range(20)]
    yield "no text twice"
    for parts in splits:
        one, other = ({labels[i] for i in part} for part in parts)
        cause = "shuffling all texts may leave a small class on one side; cut each class by itself"
        cause = cause if one & other else "this is an honest split by classes"
        wish, got = "every class in both parts, which is the leak", f"{len(one ^ other)} in one only"
        expect(one == other, given, wish, got, cause=cause, hint=2)
    yield "the guard finds every class on both sides"
    for train, _ in splits:
        there = Counter(labels[i] for i in train)
        for name, size in Counter(labels).items():
            near, got = abs(there[name] - share * size) <= 1, f"{there[name]} of the {size} texts of {name!r}"
            asked, wish = f"{given} and share {share}", f"{share:.0%} of each class in train"
            expect(near, asked, wish, got, cause="cut each class by itself", hint=2)
    yield "the share"
    drawn = any(parts != splits[0] for parts in splits)
    expect(drawn, "20 seeds", "different splits", "always the same", cause="shuffle with rng", hint=1)
    expect_seeded(split(0) == splits[0], "split", "`rng`, not from the module random", hint=1)
    yield "drawn at random"


def _best(scores: Mapping[float, np.ndarray]) -> float:
    return max(scores, key=lambda setting: scores[setting].mean())


def _reported(rows: Function) -> tuple[Function, dict[str, Function]]:
    """The setting that is best on `train`, and the gain between the two `rows` of (train, test, setting, base)."""
    return interval(
        lambda train, test, base: rows(train, test, _best(train), base),
        number="E",
        finish=lambda ends, train, *_: (_best(train), *ends),
    )


_gain, _slips = _reported(lambda train, test, chosen, base: (test[chosen], test[base]))


@self_check(
    "1.4",
    reference=_gain,
    mistakes={
        "it was chosen on the test episodes, which is the leak": lambda _, test, base: _gain(test, test, base),
        "that is the worst one": lambda train, test, base: _gain({s: -x for s, x in train.items()}, test, base),
        **_slips,
        "this is the gain on the groups that chose the setting": lambda train, _, base: _gain(train, train, base),
        "this is the accuracy; subtract that of `base`": _reported(lambda _, test, s, base: (test[s], 0 * test[s]))[0],
        "the sign: the chosen setting minus `base`": _reported(lambda _, test, s, base: (test[base], test[s]))[0],
    },
    returns="four values (setting, mean, low, high)",
    parts=("the setting", "the mean gain", *ENDS[1:]),
)
def honest_gain(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A setting chosen on the training groups, and its gain on new groups with a paired interval."""
    episodes, base = (10, 1.0) if cases == "shown" else (40, 1)
    levels = {0.0: (0.3, 0.3), 1.0: (0.5, 0.5), 1.5: (0.62, 0.56), 2.0: (0.6, 0.61), 3.0: (0.4, 0.58)}
    hard = torch.randn(2, episodes, dtype=torch.float64).numpy() * 0.1  # hard episodes are hard for all settings
    own = torch.randn(2, len(levels), episodes, dtype=torch.float64).numpy() * 0.02
    own -= own.mean(2, keepdims=True)
    train, test = (
        {s: level[part] + hard[part] + own[part, i] for i, (s, level) in enumerate(levels.items())} for part in (0, 1)
    )
    yield from answer.expect(f"five settings and {episodes} episodes", train, test, base, hint=(1, 1, 2, 2))
