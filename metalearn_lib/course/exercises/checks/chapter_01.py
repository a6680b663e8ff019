"""Self-checks of chapter 01: perplexity, episodes, a leak made on purpose, meta-training a number, an honest choice."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from .core import (
    ENDS,
    Answer,
    Cases,
    Function,
    expect,
    expect_repeatable,
    interval,
    partition,
    positions,
    row,
    self_check,
)
from .loops import PARTS, RETURNS, outer_loop


@self_check(
    "1.1",
    reference=lambda p: math.exp(-p.log().mean()),
    mistakes={
        "a product of so many probabilities is 0 to a computer; add logarithms": lambda p: p.prod() ** (-1 / len(p)),
        "the sign: a logarithm of a probability is negative": lambda p: p.log().mean().exp(),
        "take the mean of the logarithms, not their sum: divide by the tokens": lambda p: (-p.log().sum()).exp(),
        "the mean is over all T tokens, not T − 1": lambda p: (-p.log().sum() / (len(p) - 1)).exp(),
        "this is the mean of 1/P; the mean belongs inside, over the logarithms": lambda p: (1 / p).mean(),
        "this is 1 over the mean probability; the mean is taken over logarithms": lambda p: 1 / p.mean(),
        "exp undoes the natural logarithm only, not log2": lambda p: (-p.log2().mean()).exp(),
        "exp is missing: this is the mean loss": lambda p: -p.log().mean(),
    },
)
def perplexity(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Perplexity of a text from the probabilities that a model gave to its tokens."""
    if cases == "shown":
        yield answer.expect("the probabilities 0.5, 0.25 and 0.125", torch.tensor([0.5, 0.25, 0.125]), hint=1)
        yield answer.expect("six tokens of probability 1/20", torch.full((6,), 0.05), hint=1)
        many = torch.full((20_000,), 1e-3, dtype=torch.float64)
        yield answer.expect("20,000 tokens of probability 0.001", many, hint=2)
        return
    yield answer.expect("nine tokens", torch.rand(9, dtype=torch.float64) / 2 + 0.01, hint=1)
    yield answer.expect("a model that is always sure and right", torch.ones(4), hint=1)


@self_check("1.2")
def related_episode(answer: Answer, cases: Cases) -> Iterator[Any]:
    """One N-way K-shot episode, drawn by hand, whose classes are all of one family."""
    if cases == "shown":
        n_way, k_shot, n_query = 3, 2, 4
        sizes = {"sea.fish": 8, "sea.fish.cod": 9, "sea.ships": 40, "home": 20}
        sizes |= {f"seaside.{name}": 6 + 3 * i for i, name in enumerate(("cafe", "golf", "pier", "sand", "tea"))}
        sizes |= {"seaside.tents": 60, "land.cows": 11, "land.mills": 25, "land.moles": 5}
    else:
        n_way, k_shot, n_query = 2, 1, 3
        sizes = {"sci.space": 30, "sci.med": 4, "sci.math": 3, "misc": 9, "talk.guns": 8, "talk.religion": 2}
        sizes |= {f"science.{name}": 5 + 9 * i for i, name in enumerate("abcd")}
    least = k_shot + n_query
    enough = {label: size for label, size in sizes.items() if size >= least}
    families: dict[str, list[str]] = {}
    for label in enough:
        families.setdefault(label.split(".")[0], []).append(label)
    families = {family: members for family, members in families.items() if len(members) >= n_way}
    labels = [name for name, size in sizes.items() for _ in range(size)]
    random.shuffle(labels)
    given = f"{n_way} ways, {k_shot} shot{'s' * (k_shot > 1)} and {n_query} queries"

    def draw(names: Sequence[str], seed: int) -> list[dict[str, list[int]]]:
        wanted = "two dictionaries, (support, query), from a class to its positions"
        drawn = answer(names, n_way, k_shot, n_query, random.Random(seed))
        got = row(drawn, 2, wanted, given=given, hint=2, kind=dict)
        return [{str(c): positions(part[c], len(names), given=given, hint=2).tolist() for c in part} for part in got]

    episodes = [draw(labels, seed) for seed in range(400)]
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
                expect(not others, given, f"positions of {label!r} only", f"one of {others[:1]}", cause=cause, hint=2)
                once, cause = len({*texts}) == each, "rng.choices draws with replacement, rng.sample does not"
                expect(once, given, "different texts", "the same text twice in one part", cause=cause, hint=2)
    yield "N classes × K and Q texts of the right class, none twice"
    for support, query in episodes:
        same, cause = support.keys() == query.keys(), "draw the classes once"
        expect(same, given, "the same classes in support and query", "others", cause=cause, hint=1)
    for support, query in episodes:
        shared = {i for texts in support.values() for i in texts} & {i for texts in query.values() for i in texts}
        cause = "draw K + Q texts of a class at once, then cut"
        expect(not shared, given, "no text in both parts", f"{len(shared)} shared", cause=cause, hint=2)
    yield "support and query are disjoint"
    for support, _ in episodes:
        mixed = sorted({label.split(".")[0] for label in support})
        cause = "draw the family first, then classes within it; a family is what stands before the first dot"
        expect(len(mixed) == 1, given, "classes of one family", f"some of {mixed}", cause=cause, hint=1)
    yield "one family"
    many = f"{len(episodes)} episodes of {given}"
    often = Counter(label for support, _ in episodes for label in support)
    for label in (label for members in families.values() for label in members):
        family = label.split(".")[0]
        cause = "a class of exactly K + Q texts is large enough"
        cause = cause if enough[label] == least else f"a family of {len(families[family])} such classes serves, too"
        cause = cause if enough[label] == least or len(families[family]) == n_way else "always the same classes come"
        expect(often[label] > 0, many, f"{label!r} now and then", "it never", cause=cause, hint=1)
    yield "every class that is large enough, in a family that is"
    for family, members in families.items():
        times, alike = sum(often[label] for label in members) / n_way, len(episodes) / len(families)
        cause = (
            "draw a family from the list of families; drawn through classes or texts, large families come more often"
        )
        got = f"{times:.0f} times"
        near = abs(times - alike) < 0.25 * alike
        expect(near, many, f"the family {family!r} about {alike:.0f} times", got, cause=cause, hint=1)
        for label in members:
            each_class = times * n_way / len(members)
            cause = "draw classes, not texts: large classes must not come more often"
            near, got = abs(often[label] - each_class) < 0.35 * each_class, f"{often[label]} times"
            expect(near, many, f"{label!r} about {each_class:.0f} times", got, cause=cause, hint=1)
    yield "families alike, classes of a family alike"
    for place, name in enumerate(("support", "query")):
        seen = {i for episode in episodes for texts in episode[place].values() for i in texts}
        small = [i for i, label in enumerate(labels) if often[label] and sizes[label] < 12]
        never = sum(i not in seen for i in small)
        wish, cause = f"every text of a small class in the {name} part", "the first texts of a class always come"
        expect(not never, many, f"{wish} now and then", f"{never} of them never", cause=cause, hint=2)
    yield "every text can be support and query"
    expect_repeatable(draw, labels, "episode", "`rng`, not from the module random", hint=3)
    yield "same seed, same episode"


@self_check("1.3")
def leaky_split(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A split made wrong on purpose: no text is in both parts, but every class is."""
    sizes, share = ((10, 6, 4, 2), 0.7) if cases == "shown" else ((3, 50, 2, 7), 0.6)
    labels = np.repeat([f"class {c}" for c in range(len(sizes))], sizes).tolist()
    given = f"{len(labels)} texts of {len(sizes)} classes"

    def split(names: Sequence[str], seed: int) -> list[list[int]]:
        got, again = answer(names, share, random.Random(seed)), "cut one shuffled list"
        return partition(got, ("train", "test"), len(names), given=given, hint=1, again=again)

    splits = [split(labels, seed) for seed in range(30)]
    yield "no text twice"
    counts = [[sum(labels[i] == f"class {c}" for i in train) for c in range(len(sizes))] for train, _ in splits]
    alike = all(here == counts[0] for here in counts)  # each class is cut at one place
    for here, parts in zip(counts, splits, strict=True):
        one, other = ({labels[i] for i in part} for part in parts)
        wish, got = "every class in both parts, which is the leak", f"{len(one ^ other)} in one only"
        expect(bool(one & other), given, wish, got, cause="this is an honest split by classes", hint=2)
        for size, there in sorted(zip(sizes, here, strict=True), reverse=True):
            cause = "each class is to be cut by itself; shuffling all texts may leave a small one on one side"
            if alike:
                cause = "cut each class at round(share × its size)"
                cause = "the share is an argument, and this is half" if there == size // 2 else cause
                cause = "train and test are swapped" if there == round((1 - share) * size) else cause
            asked, wish, got = f"{given} and share {share}", f"{share:.0%} of each class in train", f"{there} of {size}"
            expect(abs(there - share * size) < 1, asked, wish, got, cause=cause, hint=2)
            if alike:
                cause = "rounded up or down, a small class falls on one side; round to the nearest"
            wish, got = "every class in both parts, which is the leak", f"{there} of a class of {size} in train"
            expect(0 < there < size, asked, wish, got, cause=cause, hint=2)
    yield "every class on both sides, by its share"
    drawn = any(parts != splits[0] for parts in splits)
    expect(drawn, "30 seeds", "different splits", "always the same", cause="shuffle with rng", hint=1)
    seen = {i for train, _ in splits for i in train}, {i for _, test in splits for i in test}
    fixed = any(len(part) < len(labels) for part in seen)
    cause = "shuffle the texts of each class before you cut"
    expect(not fixed, "30 seeds", "every text in train now and then, and in test", "some never", cause=cause, hint=1)
    yield "drawn at random"
    expect_repeatable(split, labels, "split", "`rng`, not from the module random", hint=1)
    yield "same seed, same split"


def _episode_loss(gamma: Tensor, episode: Any, *inputs: Any, slip: str = "") -> Tensor:
    """Mean cross-entropy of the queries by the centroids of counts weighted with idf^γ; `slip`: one error."""
    (support, query, query_y), idf = episode, inputs[1]
    weights = idf * gamma if slip == "product" else idf**gamma
    texts, asked = support * weights, (query if slip == "unweighted" else query * weights)
    texts = texts if slip == "raw" else normalize(texts, dim=-1)
    if slip == "support":
        asked, query_y = texts.flatten(0, 1), torch.arange(len(texts)).repeat_interleave(texts.shape[1])
    centres = texts.mean(1)
    centres = centres if slip == "long" else normalize(centres, dim=-1)
    asked = asked if slip == "query" else normalize(asked, dim=-1)
    loss = cross_entropy((1 if slip == "scale" else 30) * asked @ centres.T, query_y)
    return {"sum": len(query_y) * loss, "minus": -loss}.get(slip, loss)


def _learned(slip: str = "") -> tuple[Function, dict[str, Function]]:
    def take(episodes: list[Any], idf: Tensor, gamma: float, rate: float) -> tuple[list[Any], Tensor, float]:
        return episodes, torch.as_tensor(gamma, dtype=idf.dtype), rate

    return outer_loop(partial(_episode_loss, slip=slip), take, knob="γ", task="episode")


_exponent, _slips = _learned()


@self_check(
    "1.4",
    reference=_exponent,
    mistakes={
        **_slips,
        "the loss is that of the support texts; take the queries": _learned("support")[0],
        "the queries' words were not weighted": _learned("unweighted")[0],
        "the weight is idf to the power γ, not idf times γ": _learned("product")[0],
        "each support text must have length 1 before the mean": _learned("raw")[0],
        "the centroids must have length 1": _learned("long")[0],
        "the queries must have length 1": _learned("query")[0],
        "the cosines are multiplied by 30": _learned("scale")[0],
        "the loss is the mean over the queries, not their sum": _learned("sum")[0],
        "the sign of the loss: cross_entropy has the minus already": _learned("minus")[0],
    },
    returns=RETURNS,
    parts=PARTS,
    tolerance=1e-6,
    hint=2,
)
def learn_exponent(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Meta-training by gradient: the episode loss of a centroid learner, and one step of γ for each episode."""

    def drawn(n_way: int, k_shot: int, n_query: int, words: int = 30) -> tuple[Tensor, Tensor, Tensor]:
        topics = 4 * torch.rand(n_way, words) ** 6
        support = torch.poisson(topics[:, None].expand(n_way, k_shot, words) + 0.3).double()
        query_y = torch.randperm(n_way * n_query) % n_way
        return support, torch.poisson(topics[query_y] + 0.3).double(), query_y

    idf = (1 + 3 * torch.rand(30)).double()
    if cases == "shown":
        yield from answer.expect("one episode and rate 0", [drawn(3, 2, 4)], idf, 2.0, 0.0, hint=(2, 1))
        two = [drawn(3, 2, 4), drawn(2, 3, 3)]
        yield from answer.expect("two episodes and rate 0.5", two, idf, 0.5, 0.5, hint=(2, 1))
        four = [drawn(4, 3, 2) for _ in range(4)]
        yield from answer.expect("four episodes and rate 2", four, idf, 0.0, 2.0, hint=(3, 3))
        return
    yield from answer.expect("one episode of five classes", [drawn(5, 1, 3)], idf, 2.0, 0.1, hint=(2, 1))
    yield from answer.expect(
        "seven episodes and rate 1", [drawn(3, 4, 5) for _ in range(7)], idf, 0.0, 1.0, hint=(3, 3)
    )


def _best(scores: Mapping[float, np.ndarray], judge: Function = np.mean) -> float:
    return max(scores, key=lambda setting: judge(scores[setting]))


def _reported(rows: Function, judge: Function = np.mean) -> tuple[Function, dict[str, Function]]:
    """The setting that is best on `train`, and the gain between the two `rows` of (train, test, setting, base)."""
    return interval(
        lambda train, test, base: rows(train, test, _best(train, judge), base),
        number="E",
        finish=lambda ends, train, *_: (_best(train, judge), *ends),
    )


def _chosen(test_of: Function) -> Function:
    """The gain on test, the setting chosen by another judge than the mean on train."""
    return _reported(lambda train, test, chosen, base: (test[chosen], test[base]), test_of)[0]


_gain, _slips = _reported(lambda train, test, chosen, base: (test[chosen], test[base]))


@self_check(
    "1.5",
    reference=_gain,
    mistakes={
        "it was chosen on the test episodes, which is the leak": lambda _, test, base: _gain(test, test, base),
        "the mean over the episodes chooses; this is the largest of them": _chosen(np.max),
        "the mean over the episodes chooses; this is their median": _chosen(np.median),
        "the mean over the episodes chooses; this is their smallest": _chosen(np.min),
        "the gain is over `base`; this is over the second best on train": lambda train, test, base: _gain(
            train, test, sorted(train, key=lambda s: train[s].mean())[-2]
        ),
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
    levels = {
        0.0: (0.3, 0.3),
        1.0: (0.5, 0.5),
        1.5: (0.62, 0.56),
        2.0: (0.6, 0.61),
        3.0: (0.59, 0.58),
        4.0: (0.58, 0.5),
    }
    hard = torch.randn(2, episodes, dtype=torch.float64).numpy() * 0.05  # hard episodes are hard for all settings
    own = torch.randn(2, len(levels), episodes, dtype=torch.float64).numpy() * 0.02
    own[0, 5, hard[0].argmax()] += 0.4  # one episode of 4.0 is the largest of all
    own[0, 4, 0] -= 0.1 * episodes  # a single episode keeps the mean of 3.0 low, and its median high
    own[0, [2, 3, 5], hard[0].argmin()] -= 0.4  # the smallest of 1.0 is larger than that of the others
    own -= own.mean(2, keepdims=True)
    train, test = (
        {s: level[part] + hard[part] + own[part, i] for i, (s, level) in enumerate(levels.items())} for part in (0, 1)
    )
    yield from answer.expect(f"six settings and {episodes} episodes", train, test, base, hint=(1, 1, 2, 2))
