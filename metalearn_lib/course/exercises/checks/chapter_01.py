"""Self-checks of chapter 01: perplexity, an episode sampler, a leak made on purpose, an honest choice."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from metalearn_lib.scores import Score

from .core import Answer, Cases, describe, expect, expect_ends, expect_number, fail, self_check


@self_check("1.1")
def perplexity(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Perplexity of a text from the probabilities that a model gave to its tokens."""

    def compare(given: str, p: torch.Tensor) -> None:
        logs = p.log()
        suspects = {
            "the sign: a logarithm of a probability is negative": math.exp(logs.mean()),
            "divide by the number of tokens: take the mean of the logarithms, not their sum": math.exp(-logs.sum()),
            "this is the mean of 1/P; the mean belongs inside, over the logarithms": float((1 / p).mean()),
            "this is 1 over the mean probability; the mean is taken over logarithms": float(1 / p.mean()),
            "exp undoes the natural logarithm only, not log2": math.exp(-logs.mean() / math.log(2)),
            "exp is missing: this is the mean loss": float(-logs.mean()),
        }
        expect_number(answer(p), math.exp(-logs.mean()), given=given, suspects=suspects, hint=1)

    if cases == "shown":
        compare("the probabilities 0.5 and 0.125", torch.tensor([0.5, 0.125]))
        yield "two tokens"
        compare("six tokens of probability 1/20", torch.full((6,), 0.05))
        yield "a model without a clue"
        expect_number(answer(torch.ones(4)), 1.0, given="a model that is always sure and right", hint=1)
        yield "certainty"
        return
    compare("nine tokens", torch.rand(9, dtype=torch.float64) / 2 + 0.01)
    yield "nine"
    cause = "a product of so many probabilities is 0 to a computer; add logarithms"
    many = torch.full((20_000,), 1e-3, dtype=torch.float64)
    try:
        got = float(answer(many))
    except (TypeError, ValueError):
        got = math.nan
    right = math.isclose(got, 1000, rel_tol=1e-4)
    expect(right, "20,000 tokens of probability 0.001", "1000", f"{got:.4g}", cause=cause, hint=2)
    yield "a long text"


@self_check("1.2")
def draw_episode(answer: Answer, cases: Cases) -> Iterator[Any]:
    """One N-way K-shot episode with Q queries a class, drawn by hand."""
    n_way, k_shot, n_query = (3, 2, 4) if cases == "shown" else (5, 1, 3)
    sizes = {"baking": 9, "cars": 12, "chess": 7, "space": 30, "tea": 8} if cases == "shown" else {}
    sizes = sizes or {name: 4 + 3 * i for i, name in enumerate("abcdefg")} | {"too small": n_query}
    labels = [name for name, size in sizes.items() for _ in range(size)]
    random.shuffle(labels)
    given = f"{n_way} ways, {k_shot} shot{'s' * (k_shot > 1)} and {n_query} queries"
    episodes = [_drawn(answer(labels, n_way, k_shot, n_query, random.Random(seed)), given) for seed in range(200)]
    for support, query in episodes:
        for name, part, each in (("support", support, k_shot), ("query", query, n_query)):
            ways = f"{n_way} classes in the {name} part"
            expect(len(part) == n_way, given, ways, f"{len(part)}", cause="draw classes without repeating one", hint=1)
            for label, positions in part.items():
                expect(
                    len(positions) == each,
                    given,
                    f"{each} positions of {label!r} in the {name} part",
                    f"{len(positions)}",
                    cause="this class has too few texts and must not be drawn" if label == "too small" else "",
                    hint=2,
                )
                foreign = [labels[i] for i in positions if labels[i] != label]
                expect(
                    not foreign, given, f"positions of {label!r} only", f"one of {foreign[:1]}",
                    cause="positions count all texts, not the texts of a class", hint=1,
                )  # fmt: skip
                expect(
                    len(set(positions)) == each, given, "different texts", "the same text twice in one part",
                    cause="rng.choices draws with replacement, rng.sample does not", hint=2,
                )  # fmt: skip
    yield "N classes × K and Q texts of the right class, none twice"
    for support, query in episodes:
        same = support.keys() == query.keys()
        expect(same, given, "the same classes in support and query", "others", cause="draw the classes once", hint=1)
        shared = {i for p in support.values() for i in p} & {i for p in query.values() for i in p}
        expect(
            not shared, given, "no text in both parts", f"{len(shared)} shared",
            cause="draw K + Q texts of a class at once, then cut", hint=2,
        )  # fmt: skip
    yield "support and query are disjoint"
    first, again = (_drawn(answer(labels, n_way, k_shot, n_query, random.Random(7)), given) for _ in range(2))
    expect(
        first == again, "the same seed twice", "the same episode", "two different ones",
        cause="draw from `rng`, not from the module random; a set has no fixed order, sort it", hint=3,
    )  # fmt: skip
    yield "same seed, same episode"
    often = Counter(label for support, _ in episodes for label in support)
    enough = [label for label, size in sizes.items() if size >= k_shot + n_query]
    expect(
        all(often[label] > 0.6 * len(episodes) * n_way / len(enough) for label in enough),
        f"{len(episodes)} episodes of {len(enough)} classes",
        "every class about equally often",
        f"{min(enough, key=lambda label: often[label])!r} {min(often[label] for label in enough)} times",
        cause="draw classes, not texts: large classes must not come more often",
        hint=1,
    )
    yield "every class is drawn"
    used = {i for _, query in episodes for positions in query.values() for i in positions}
    expect(
        all(i in used for i, label in enumerate(labels) if label in enough and sizes[label] < 15),
        f"{len(episodes)} episodes", "every text of a small class as a query now and then", "some never",
        cause="the first texts of a class are always the support", hint=2,
    )  # fmt: skip
    yield "every text can be a query"


@self_check("1.3")
def leaky_split(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A split made wrong on purpose: no text is in both parts, but every class is."""
    sizes = (10, 6, 4) if cases == "shown" else (2, 50, 3, 7)
    share = 0.5 if cases == "shown" else 0.7
    labels = [f"class {c}" for c, size in enumerate(sizes) for _ in range(size)]
    given = f"{len(labels)} texts of {len(sizes)} classes"
    for seed in range(20):
        got = answer(labels, share, random.Random(seed))
        if not isinstance(got, list | tuple) or len(got) != 2:
            fail(given, "two lists of positions, (train, test)", describe(got), hint=1)
        train, test = ([int(i) for i in part] for part in got)
        twice = len(train) + len(test) - len({*train, *test})
        expect(not twice, given, "each text once", f"{twice} of them again", cause="cut one shuffled list", hint=1)
        missing = len(labels) - len(train) - len(test)
        expect(missing == 0, given, "every text in one of the parts", f"{missing} left out", hint=1)
        where = [{labels[i] for i in part} for part in (train, test)]
        expect(
            where[0] == where[1], given, "every class in both parts, which is the leak",
            f"{len(where[0] ^ where[1])} in one only",
            cause="this is an honest split by classes" if not where[0] & where[1] else
            "shuffling all texts may leave a small class on one side; cut each class by itself", hint=2,
        )  # fmt: skip
        for name, size in zip(dict.fromkeys(labels), sizes, strict=True):
            there = sum(labels[i] == name for i in train)
            expect(
                abs(there - share * size) <= 1, f"{given} and share {share}", f"{share:.0%} of each class in train",
                f"{there} of the {size} texts of {name!r}", cause="cut each class by itself", hint=2,
            )  # fmt: skip
    yield "no text twice"
    yield "the guard finds every class on both sides"
    yield "the share"
    splits = {tuple(sorted(answer(labels, share, random.Random(seed))[0])) for seed in range(10)}
    expect(len(splits) > 1, "ten seeds", "different splits", "always the same", cause="shuffle with rng", hint=1)
    yield "drawn at random"


@self_check("1.4")
def honest_gain(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A setting chosen on the training groups, and its gain on new groups with a paired interval."""
    episodes, base = (10, 1.0) if cases == "shown" else (40, 1)
    noise = torch.randn(2, episodes, dtype=torch.float64).numpy() * 0.1
    levels = {0.0: (0.3, 0.3), 1.0: (0.5, 0.5), 1.5: (0.62, 0.56), 2.0: (0.6, 0.61), 3.0: (0.4, 0.58)}
    # Each setting has noise of its own beside what it shares with the others: hard episodes are hard for all.
    own = torch.randn(2, len(levels), episodes, dtype=torch.float64).numpy() * 0.02
    own -= own.mean(2, keepdims=True)
    train, test = (
        {s: level[part] + noise[part] + own[part, i] for i, (s, level) in enumerate(levels.items())} for part in (0, 1)
    )
    chosen, peeked = 1.5, 2.0
    given = f"five settings and {episodes} episodes"
    got = answer(train, test, base)
    if not isinstance(got, list | tuple) or len(got) != 4:
        fail(given, "four values (setting, mean, low, high)", describe(got), hint=1)
    causes = {
        peeked: "it was chosen on the test episodes: that is the leak this exercise is about",
        0.0: "that is the worst one",
    }
    cause = causes.get(got[0], "")
    expect(got[0] == chosen, given, f"the setting {chosen}", f"{got[0]!r}", cause=cause, hint=1)
    yield "chosen on the training groups"
    right, apart = (_gain(test[chosen], test[base], paired=paired) for paired in (True, False))
    differences = test[chosen] - test[base]
    suspects = {
        "this is the gain on the training groups, which chose the setting": float((train[chosen] - train[base]).mean()),
        "this is the accuracy; subtract that of `base`": float(test[chosen].mean()),
        "the sign: the chosen setting minus `base`": -right[0],
    }
    expect_number(got[1], right[0], given=f"{given}, for the mean gain,", suspects=suspects, hint=1)
    yield "measured on the new groups"
    deviation = float(differences.std(ddof=1))
    widths = {
        "the interval is not paired: take the differences first": apart[2] - apart[0],
        "this is one standard deviation; the mean of E episodes varies less, by √E": deviation,
        "1.96 belongs to many episodes; for few take Student's t (Score does)": 1.96 * deviation / episodes**0.5,
    }
    yield from expect_ends(got[2:], right[0], right[2] - right[0], given=given, widths=widths, hint=2)


def _gain(a: np.ndarray, b: np.ndarray, *, paired: bool) -> tuple[float, float, float]:
    key = ("the same episodes",) if paired else None
    gain = Score.of(a, key=key) > Score.of(b, key=key)
    return gain.difference, gain.low, gain.high


def _drawn(got: Any, given: str) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Support and query, if they are two dictionaries of positions."""
    if not isinstance(got, list | tuple) or len(got) != 2 or not all(isinstance(part, dict) for part in got):
        fail(given, "two dictionaries, (support, query), from a class to its positions", describe(got), hint=1)
    support, query = ({label: [int(i) for i in positions] for label, positions in part.items()} for part in got)
    return support, query
