"""Answers to the exercises of chapter 01."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize

from metalearn_lib import EpisodeSampler, Score
from metalearn_lib.corpora import Corpus

NAMES = {"cross_entropy": cross_entropy, "normalize": normalize}


def members(labels: list[str]) -> dict[str, list[int]]:
    return {name: [i for i, label in enumerate(labels) if label == name] for name in dict.fromkeys(labels)}


def by_first_word(label: str) -> str:
    return label.split(".")[0]


def cut(texts: list[int], k: int, q: int, rng: random.Random) -> Any:
    some = rng.sample(texts, min(k + q, len(texts)))
    return some[:k], some[-q:]


def family_first(names: list[str], of: Any, n: int, rng: random.Random, family: Any = by_first_word) -> list[str]:
    families: dict[str, list[str]] = {}
    for label in names:
        families.setdefault(family(label), []).append(label)
    return rng.sample(rng.choice([some for some in families.values() if len(some) >= n]), n)


def drawn(
    texts: Callable[..., Any] = cut,
    *,
    classes: Callable[..., Any] = family_first,
    enough: Callable[..., bool] = lambda size, k, q: size >= k + q,
    order: Callable[..., Any] = lambda names: names,
) -> Any:
    """An episode by hand: how texts and classes are drawn, which classes are large enough, and in which order."""

    def answer(labels: list[str], n: int, k: int, q: int, rng: random.Random) -> Any:
        of = members(labels)
        names = [label for label in order(of) if enough(len(of[label]), k, q)]
        parts = {label: texts(of[label], k, q, rng) for label in classes(names, of, n, rng)}
        return [{label: part[i] for label, part in parts.items()} for i in (0, 1)]

    return answer


def library_episode(labels: list[str], n_way: int, k_shot: int, n_query: int, rng: random.Random) -> Any:
    """The library draws, from a pool of one family."""
    sizes = Counter(labels)
    enough = sorted(label for label in sizes if sizes[label] >= k_shot + n_query)
    families = Counter(by_first_word(label) for label in enough)
    family = rng.choice(sorted(name for name in families if families[name] >= n_way))
    kept = [i for i, label in enumerate(labels) if label in enough and by_first_word(label) == family]
    pool = Corpus("pool", [f"text {i}" for i in kept], [str(labels[i]) for i in kept])
    sampler = EpisodeSampler(pool, n_way=n_way, k_shot=k_shot, n_query=n_query, seed=rng.randrange(10**6))
    episode = sampler.sample()
    parts: list[dict[str, list[int]]] = []
    for rows, each in ((episode.support_x[0], k_shot), (episode.query_x[0], n_query)):
        groups = rows.reshape(n_way, each).tolist()
        parts.append({name: [kept[i] for i in g] for name, g in zip(episode.classes[0], groups, strict=True)})
    return tuple(parts)


def by_choices_until(labels: list[str], n: int, k: int, q: int, rng: random.Random) -> Any:
    """Classes of all families are drawn until they are relatives: families with more sets of N come more often."""
    of = members(labels)
    names = [label for label in of if len(of[label]) >= k + q]
    while True:
        some = rng.sample(names, n)
        if len({by_first_word(label) for label in some}) == 1:
            break
    parts = {label: cut(of[label], k, q, rng) for label in some}
    return [{label: part[i] for label, part in parts.items()} for i in (0, 1)]


def through_texts(names: list[str], of: Any, n: int, rng: random.Random) -> list[str]:
    """The family of a text that was drawn."""
    large = Counter(map(by_first_word, names))
    text_of = [by_first_word(label) for label in names for _ in of[label] if large[by_first_word(label)] >= n]
    family = rng.choice(text_of)
    return rng.sample([label for label in names if by_first_word(label) == family], n)


def classes_through_texts(names: list[str], of: Any, n: int, rng: random.Random) -> list[str]:
    some = family_first(names, of, n, rng)
    same = [label for label in names if by_first_word(label) == by_first_word(some[0])]
    chosen: dict[str, None] = {}
    while len(chosen) < n:
        chosen[rng.choice([label for label in same for _ in of[label]])] = None
    return list(chosen)


def own_classes(*shape: Any) -> Any:
    return drawn()(*shape)[0], drawn()(*shape)[1]


def split(part: Callable[..., int] = lambda texts, share: round(share * len(texts)), *, order: Any = members) -> Any:
    """Each class cut by itself, where `part` says."""

    def answer(labels: list[str], share: float, rng: random.Random) -> Any:
        train, test = [], []
        for texts in order(labels).values():
            rng.shuffle(texts)
            train += texts[: part(texts, share)]
            test += texts[part(texts, share) :]
        return np.array(train), tuple(test)

    return answer


def by_set(labels: list[str]) -> dict[str, list[int]]:
    return {name: members(labels)[name] for name in set(labels)}


def split_texts(labels: list[str], share: float, rng: random.Random) -> Any:
    every = rng.sample(range(len(labels)), len(labels))
    return every[: round(share * len(every))], every[round(share * len(every)) :]


def cut_without_chance(labels: list[str], share: float, rng: random.Random) -> Any:
    parts = [(m[: round(share * len(m))], m[round(share * len(m)) :]) for m in members(labels).values()]
    return [i for train, _ in parts for i in train], [i for _, test in parts for i in test]


def shifted(labels: list[str], share: float, rng: random.Random) -> Any:
    """Drawn at random, but not all of it: the first text of each class is always in train."""
    train, test = [], []
    for texts in members(labels).values():
        others = texts[1:]
        rng.shuffle(others)
        at = round(share * len(texts))
        train += [texts[0], *others][:at]
        test += [texts[0], *others][at:]
    return train, test


def exponents(episodes: Any, idf: Any, gamma: float, rate: float, *, form: Any = lambda rows: rows) -> Any:
    """With an optimizer of torch, in lists."""
    leaf = torch.tensor(float(gamma), dtype=idf.dtype, requires_grad=True)
    optimizer = torch.optim.SGD([leaf], lr=rate)
    gammas, losses = [], []
    for support, query, query_y in episodes:
        vectors = normalize(support * idf**leaf, dim=-1)
        centres = normalize(vectors.sum(1), dim=-1)
        loss = cross_entropy(30 * normalize(query * idf**leaf, dim=-1) @ centres.T, query_y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        gammas.append(leaf.item())
        losses.append(loss.item())
    return form(gammas), form(losses)


def detached(episodes: Any, idf: Any, gamma: float, rate: float) -> Any:
    """The weights are made of the number of γ, not of its tensor."""
    leaf = torch.tensor(float(gamma), requires_grad=True)
    for support, query, query_y in episodes:
        weights = idf ** leaf.item()
        centres = normalize(normalize(support * weights, dim=-1).mean(1), dim=-1)
        cross_entropy(30 * normalize(query * weights, dim=-1) @ centres.T, query_y).backward()
    return [gamma] * len(episodes), [0.0] * len(episodes)


def last_only(*inputs: Any) -> Any:
    gammas, losses = exponents(*inputs)
    return gammas[-1], losses[-1]


def one_list(*inputs: Any) -> Any:
    return list(zip(*exponents(*inputs), strict=True))


def gain(train: Any, test: Any, base: Any, *, best: Any = np.mean) -> Any:
    chosen = max(train, key=lambda setting: best(train[setting]))
    score = Score.of(test[chosen] - test[base])
    return [chosen, score.mean, score.low, score.high]


def number_of_the_setting(train: Any, test: Any, base: Any) -> Any:
    return int(np.argmax([row.mean() for row in train.values()])), *gain(train, test, base)[1:]


P, E, L, X, G = "perplexity", "related_episode", "leaky_split", "learn_exponent", "honest_gain"
RIGHT = [
    (P, lambda p: 2 ** -(p.log2().mean())),
    (P, lambda p: math.exp(-sum(map(math.log, p.tolist())) / len(p))),
    (E, library_episode),
    (E, drawn()),
    (E, drawn(order=lambda of: sorted(set(of)))),
    (L, split(lambda m, s: round(s * len(m)))),
    (X, exponents),
    (X, lambda *inputs: exponents(*inputs, form=np.array)),
    (X, lambda *inputs: exponents(*inputs, form=tuple)),
    (G, gain),
    (G, lambda *rows: gain(*rows, best=np.sum)),
]
WRONG = [
    (P, lambda p: (1 / p.prod()) ** (1 / len(p)), "got inf: a product of so many probabilities is 0"),
    (P, lambda p: (-p.log().sum() / (len(p) - 1)).exp(), "got 8: the mean is over all T tokens, not T − 1"),
    (P, lambda p: -((p.log().mean()) ** 2), "I expected 4, got"),
    (P, lambda p: (-p.log()).exp(), "I expected the number 4"),
    (E, drawn(lambda m, k, q, rng: (rng.sample(m, k), rng.sample(m, q))), "no text in both parts"),
    (E, drawn(lambda m, k, q, rng: (rng.choices(m, k=k), rng.choices(m, k=q))), "draws with replacement"),
    (E, drawn(lambda m, k, q, rng: (m[:k], rng.sample(m[k:], q))), "the first texts of a class always come"),
    (E, drawn(lambda m, k, q, rng: (rng.sample(m[q:], k), m[:q])), "the first texts of a class always come"),
    (E, drawn(lambda m, k, q, rng: cut(m, k, q - 1, rng)), "4 positions of 'sea"),
    (E, drawn(lambda m, k, q, rng: (range(k), cut(m, k, q, rng)[1])), "positions count all texts"),
    (E, drawn(lambda m, k, q, rng: [[i + 999 for i in part] for part in cut(m, k, q, rng)]), "positions below 2"),
    (E, drawn(enough=lambda size, k, q: True), "classes of at least 6 texts, got 'land.moles' with 5: this class has"),
    (E, drawn(enough=lambda size, k, q: size >= k), "classes of at least 6 texts, got 'land.moles' with 5: this class"),
    (E, drawn(enough=lambda size, k, q: size > k + q), "'seaside.cafe' now and then, got it never: a class of exactly"),
    (E, drawn(classes=lambda c, of, n, rng: rng.sample(c, n)), "draw the family first, then classes within it"),
    (
        E,
        drawn(classes=lambda c, of, n, rng: family_first(c, of, n, rng, lambda x: x[:3])),
        "some of ['sea', 'seaside']",
    ),
    (
        E,
        drawn(classes=lambda c, of, n, rng: rng.sample([x for x in c if x.startswith("sea")], n)),
        "classes of one fam",
    ),
    (E, drawn(classes=lambda c, of, n, rng: family_first(c, of, n, rng, lambda x: x.rsplit(".", 1)[0])), "it never"),
    (E, drawn(classes=lambda c, of, n, rng: family_first(c, of, n + 1, rng)[:n]), "a family of 3 such classes serves"),
    (
        E,
        drawn(classes=lambda c, of, n, rng: family_first(c[:], of, n, rng)[:1]),
        "3 classes in the support part, got 1",
    ),
    (E, drawn(classes=through_texts), "large families come more often"),
    (E, by_choices_until, "large families come more often"),
    (E, drawn(classes=classes_through_texts), "draw classes, not texts"),
    (E, lambda *shape: drawn()(*shape[:4], random), "the same seed twice I expected the same episode, got two diff"),
    (E, drawn(order=lambda of: list(set(of))), "another Python process I expected the same episode, got another one"),
    (E, own_classes, "the same classes in support and query, got others: draw the classes once"),
    (E, lambda *shape: list(drawn()(*shape)[0].values()), "two dictionaries, (support, query)"),
    (E, lambda labels, *shape: [{labels[0]: [labels[0]] * 2}] * 2, "give the positions of the texts, not the names"),
    (L, split(lambda m, _: len(m) * (len(m) > 5)), "which is the leak, got 4 in one only: this is an honest split"),
    (L, split_texts, "each class is to be cut by itself; shuffling all texts may leave a small one on one side"),
    (
        L,
        split(lambda m, s: math.ceil(s * len(m))),
        "got 2 of a class of 2 in train: rounded up or down, a small class falls on one side",
    ),
    (L, split(lambda m, s: int(s * len(m)) + 1), "got 8 of 10: cut each class at round(share × its size)"),
    (L, split(lambda m, s: round((1 - s) * len(m))), "got 3 of 10: train and test are swapped"),
    (L, split(lambda m, s: len(m) // 2), "got 5 of 10: the share is an argument, and this is half"),
    (L, lambda c, s, rng: split()(c, s, rng)[::-1], "train and test are swapped"),
    (L, lambda c, s, rng: (split_texts(c, s, rng)[0], range(len(c))), "each text once"),
    (L, lambda c, s, rng: (range(0, len(c), 2), range(1, len(c) - 1, 2)), "in one of the parts, got 1 left out"),
    (L, cut_without_chance, "always the same: shuffle with rng"),
    (L, shifted, "got some never: shuffle the texts of each class before you cut"),
    (L, lambda c, s, rng: split()(c, s, random), "the same seed twice I expected the same split"),
    (L, split(order=by_set), "another Python process I expected the same split, got another one: the order of a set"),
    (L, lambda c, s, rng: split()(c, 0.8, rng), "70% of each class in train, got 8 of 10: cut each class at round"),
    (L, lambda c, s, rng: split()(c, s, rng)[0], "two lists of positions, (train, test), got a"),
    (X, detached, "your function raised RuntimeError (element 0 of tensors does not require grad"),
    (X, last_only, "I expected a tensor of shape [1], got a float"),
    (X, one_list, "two rows of T numbers (learned, losses), got a list of 1"),
    (G, number_of_the_setting, "for the setting, I expected 1.5, got 2"),
]
