"""Answers to the exercises of chapter 01."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from metalearn_lib import EpisodeSampler
from metalearn_lib.corpora import Corpus


def library_episode(labels: list[str], n_way: int, k_shot: int, n_query: int, rng: random.Random) -> Any:
    pool = Corpus("pool", [f"text {i}" for i in range(len(labels))], labels).min_size(k_shot + n_query)
    sampler = EpisodeSampler(pool, n_way=n_way, k_shot=k_shot, n_query=n_query, seed=rng.randrange(10**6))
    episode = sampler.sample()
    number = [int(text.removeprefix("text ")) for text in pool.texts]
    parts: list[dict[str, list[int]]] = []
    for rows, each in ((episode.support_x[0], k_shot), (episode.query_x[0], n_query)):
        groups = rows.reshape(n_way, each).tolist()
        parts.append({name: [number[i] for i in g] for name, g in zip(episode.classes[0], groups, strict=True)})
    return tuple(parts)


def members(labels: list[str]) -> dict[str, list[int]]:
    return {name: [i for i, label in enumerate(labels) if label == name] for name in dict.fromkeys(labels)}


def cut(texts: list[int], k: int, q: int, rng: random.Random) -> Any:
    some = rng.sample(texts, min(k + q, len(texts)))
    return some[:k], some[-q:]


def drawn(
    texts: Callable[..., Any] = cut,
    *,
    classes: Callable[..., Any] = lambda c, n, rng: rng.sample(c, n),
    least: bool = True,
) -> Any:
    """An episode by hand: how texts or classes are drawn, and whether small classes are left out."""

    def answer(labels: list[str], n: int, k: int, q: int, rng: random.Random) -> Any:
        of = members(labels)
        names = [label for label in of if len(of[label]) >= k + q or not least]
        parts = {label: texts(of[label], k, q, rng) for label in classes(names, n, rng)}
        return [{label: part[i] for label, part in parts.items()} for i in (0, 1)]

    return answer


def own_classes(*shape: Any) -> Any:
    return drawn()(*shape)[0], drawn()(*shape)[1]


def split(part: Callable[..., int] = lambda texts, share: round(share * len(texts))) -> Any:
    """Each class cut by itself, where `part` says."""

    def answer(labels: list[str], share: float, rng: random.Random) -> Any:
        train, test = [], []
        for texts in members(labels).values():
            rng.shuffle(texts)
            train += texts[: part(texts, share)]
            test += texts[part(texts, share) :]
        return np.array(train), tuple(test)

    return answer


def split_texts(labels: list[str], share: float, rng: random.Random) -> Any:
    every = rng.sample(range(len(labels)), len(labels))
    return every[: round(share * len(every))], every[round(share * len(every)) :]


P, E, L = "perplexity", "draw_episode", "leaky_split"
RIGHT = [(E, library_episode)]
WRONG = [
    (P, lambda p: p.prod() ** (-1 / len(p)), "20,000 tokens of probability 0.001 I expected 1000, got inf: a product"),
    (E, drawn(lambda m, k, q, rng: (rng.sample(m, k), rng.sample(m, q))), "no text in both parts"),
    (E, drawn(lambda m, k, q, rng: (rng.choices(m, k=k), rng.choices(m, k=q))), "draws with replacement"),
    (E, drawn(lambda m, k, q, rng: (m[:k], rng.sample(m[k:], q))), "the first texts of a class are always"),
    (E, drawn(lambda m, k, q, rng: cut(m, k, q - 1, rng)), "4 positions of 'baking' in the query part, got 3"),
    (E, drawn(lambda m, k, q, rng: (range(k), cut(m, k, q, rng)[1])), "positions count all texts"),
    (E, drawn(lambda m, k, q, rng: [[i + 99 for i in part] for part in cut(m, k, q, rng)]), "positions below 71, got"),
    (E, drawn(least=False), "classes of at least 6 texts, got 'whales' with 5: this class has too few texts"),
    (E, drawn(classes=lambda names, n, rng: names[:n]), "200 episodes of 5 classes I expected every class"),
    (E, drawn(classes=lambda names, n, rng: rng.choices(names, k=n)), "3 classes in the support part, got"),
    (E, lambda *shape: drawn()(*shape[:4], random), "draw from `rng`, not from the module random"),
    (E, own_classes, "the same classes in support and query, got others: draw the classes once"),
    (E, lambda *shape: list(drawn()(*shape)[0].values()), "two dictionaries, (support, query)"),
    (L, split(lambda m, _: len(m) * (len(m) > 5)), "which is the leak, got 3 in one only: this is an honest split"),
    (L, split_texts, "cut each class by itself; see hint 2"),
    (L, lambda c, s, rng: (split_texts(c, s, rng)[0], range(len(c))), "each text once"),
    (L, lambda c, s, rng: (range(0, len(c), 2), range(1, len(c) - 1, 2)), "in one of the parts, got 1 left out"),
    (L, lambda c, s, rng: (range(0, len(c), 2), range(1, len(c), 2)), "always the same: shuffle with rng"),
    (L, lambda c, s, rng: split()(c, s, random), "the same seed twice I expected the same split"),
    (L, lambda c, s, rng: split()(c, 0.8, rng), "share 0.5 I expected 50% of each class in train, got 8 of"),
    (L, lambda c, s, rng: split()(c, s, rng)[0], "two lists of positions, (train, test), got a"),
]
