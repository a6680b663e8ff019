"""Each check passes the right answers, and says of typical wrong ones what is wrong."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from metalearn_lib import EpisodeSampler, Score
from metalearn_lib import language_models as lm
from metalearn_lib.corpora import Corpus
from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.checks import CheckFailed
from metalearn_lib.files import root
from metalearn_lib.text import Vocabulary
from tests.course.exercises.checks.solutions import solved
from tests.notebooks.stored_notebook import StoredNotebook

NOTEBOOK = StoredNotebook(root() / "notebooks" / "01_background.ipynb")


def solution(number: str) -> Any:
    return solved(NOTEBOOK, number, torch=torch, np=np, random=random, Score=Score)


class Told:
    """A language model that gives the tokens of one text the probabilities it was told."""

    def __init__(self, probabilities: Tensor) -> None:
        self.p, self.vocabulary = probabilities, Vocabulary.build([["a"]], sentence_marks=True)

    def log_probabilities(self, text: Sequence[Sequence[str]]) -> list[Tensor]:
        return [self.p.log()]


def library_perplexity(probabilities: Tensor) -> float:
    return lm.perplexity(Told(probabilities), [["a"] * (len(probabilities) - 1)]).value  # one more: <eos>


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


def by_shuffling(labels: list[str], n_way: int, k_shot: int, n_query: int, rng: random.Random) -> Any:
    every = sorted({label for label in labels if labels.count(label) >= k_shot + n_query})
    rng.shuffle(every)
    support, query = {}, {}
    for label in every[:n_way]:
        members = [i for i, other in enumerate(labels) if other == label]
        rng.shuffle(members)
        support[label], query[label] = members[-k_shot:], members[:n_query]
    return [query, support][::-1]


def library_gain(train: Any, test: Any, base: float) -> Any:
    chosen = max(train, key=lambda s: Score.of(train[s]).mean)
    scores = [Score.of(test[s], key=("same",)) for s in (chosen, base)]
    gain = scores[0] > scores[1]
    return [chosen, np.float64(gain.difference), torch.tensor(gain.low), gain.high]


RIGHT: list[tuple[str, Any]] = [
    *[(e.checks[0], solution(e.number)) for e in exercises(NOTEBOOK.raw["cells"]) if e.checks],
    ("perplexity", library_perplexity),
    ("perplexity", lambda p: math.exp(-sum(math.log(x) for x in p.tolist()) / len(p))),
    ("perplexity", lambda p: 2 ** (-p.log2().mean())),
    ("draw_episode", library_episode),
    ("draw_episode", by_shuffling),
    ("honest_gain", library_gain),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{n}: {a.__name__}" for n, a in RIGHT])
def test_a_right_answer_passes(passes: Any, name: str, answer: Any) -> None:
    passes(name, answer)


Chosen = Callable[[list[str], list[int], int, random.Random], list[int]]


def drawn(
    *,
    classes: Callable[[list[str], int, random.Random], list[str]] = lambda names, n, rng: rng.sample(names, n),
    texts: Callable[[list[int], int, int, random.Random], tuple[list[int], list[int]]],
    least: bool = True,
) -> Any:
    """An episode with something wrong: how classes or texts are drawn, or whether small classes are left out."""

    def answer(labels: list[str], n: int, k: int, q: int, rng: random.Random) -> Any:
        members: dict[str, list[int]] = {}
        for i, label in enumerate(labels):
            members.setdefault(label, []).append(i)
        names = [label for label, m in members.items() if len(m) >= k + q or not least]
        parts = {label: texts(members[label], k, q, rng) for label in classes(names, n, rng)}
        return {label: p[0] for label, p in parts.items()}, {label: p[1] for label, p in parts.items()}

    return answer


def cut(members: list[int], k: int, q: int, rng: random.Random) -> tuple[list[int], list[int]]:
    some = rng.sample(members, min(k + q, len(members)))
    return some[:k], some[k:]


def own_classes(labels: list[str], n: int, k: int, q: int, rng: random.Random) -> Any:
    return drawn(texts=cut)(labels, n, k, q, rng)[0], drawn(texts=cut)(labels, n, k, q, rng)[1]


def ignores_labels(labels: list[str], n: int, k: int, q: int, rng: random.Random) -> Any:
    support, query = drawn(texts=cut)(labels, n, k, q, rng)
    return {label: list(range(k)) for label in support}, query


def split(labels: list[str], share: float, rng: random.Random) -> Any:
    every = list(range(len(labels)))
    rng.shuffle(every)
    return every[: round(share * len(every))], every[round(share * len(every)) :]


def split_by_classes(labels: list[str], share: float, rng: random.Random) -> Any:
    known = set(list(dict.fromkeys(labels))[:2])
    return [i for i, c in enumerate(labels) if c in known], [i for i, c in enumerate(labels) if c not in known]


def gained(choose: str = "train", report: str = "test", *, sign: int = 1, width: str = "paired") -> Any:
    """A wrong `honest_gain`: where it chooses, where it reports, which interval."""

    def answer(train: Any, test: Any, base: float) -> Any:
        parts = {"train": train, "test": test}
        chosen = max(parts[choose], key=lambda s: parts[choose][s].mean())
        a, b = (parts[report][s] for s in (chosen, base))
        score, apart = Score.of(a - b), Score.of(a) > Score.of(b)
        deviation = (a - b).std(ddof=1)
        half = {
            "paired": score.high - score.mean,
            "apart": apart.high - apart.difference,
            "one": deviation,
            "normal": 1.96 * deviation / len(a) ** 0.5,
        }[width]
        return chosen, sign * score.mean, sign * score.mean - half, sign * score.mean + half

    return answer


def unanswered(*_: Any) -> Any:
    raise NotImplementedError


def shuffles(labels: list[str], share: float, rng: random.Random) -> Any:
    rng.shuffle(labels)
    return split(labels, share, rng)


P, E, L, G = "perplexity", "draw_episode", "leaky_split", "honest_gain"
WRONG: list[tuple[str, Any, str]] = [
    (P, lambda p: p.log().mean().exp(), "I expected 4, got 0.25: the sign"),
    (P, lambda p: p.prod() ** -1, "divide by the number of tokens"),
    (P, lambda p: (1 / p).mean(), "this is the mean of 1/P"),
    (P, lambda p: 1 / p.mean(), "this is 1 over the mean probability"),
    (P, lambda p: (-p.log2().mean()).exp(), "not log2"),
    (P, lambda p: -p.log().mean(), "exp is missing"),
    (P, lambda p: 1 / p, "the number 4, got a tensor of shape [2]"),
    (E, drawn(texts=lambda m, k, q, rng: (rng.sample(m, k), rng.sample(m, q))), "no text in both parts"),
    (E, drawn(texts=lambda m, k, q, rng: (rng.choices(m, k=k), rng.choices(m, k=q))), "draws with replacement"),
    (E, drawn(classes=lambda names, n, rng: names[:n], texts=cut), "200 episodes of 5 classes I expected every class"),
    (E, drawn(classes=lambda names, n, rng: rng.choices(names, k=n), texts=cut), "3 classes in the support part, got"),
    (E, drawn(texts=lambda m, k, q, rng: (m[:k], rng.sample(m[k:], q))), "the first texts of a class are always"),
    (E, lambda *a: drawn(texts=cut)(*a[:4], random), "draw from `rng`, not from the module random"),
    (E, own_classes, "the same classes in support and query, got others: draw the classes once"),
    (E, ignores_labels, "positions count all texts"),
    (E, lambda *a: list(drawn(texts=cut)(*a)[0].values()), "two dictionaries, (support, query)"),
    (L, split_by_classes, "every class in both parts, which is the leak, got 3 in one only: this is an honest split"),
    (L, split, "cut each class by itself; see hint 2"),
    (L, lambda c, s, rng: (split(c, s, rng)[0], range(len(c))), "each text once"),
    (L, lambda c, s, rng: (range(0, len(c), 2), range(1, len(c) - 1, 2)), "in one of the parts, got 1 left out"),
    (L, lambda c, s, rng: (range(0, len(c), 2), range(1, len(c), 2)), "always the same: shuffle with rng"),
    (L, lambda c, s, rng: solution("1.3")(c, 0.8, rng), "share 0.5 I expected 50% of each class in train, got 8 of"),
    (L, shuffles, "changed its argument 1, a list of 20"),
    (G, gained("test"), "I expected the setting 1.5, got 2.0: it was chosen on the test episodes"),
    (G, gained(report="train"), "this is the gain on the training groups"),
    (G, gained(sign=-1), "the sign: the chosen setting minus `base`"),
    (G, gained(width="apart"), "the interval is not paired"),
    (G, gained(width="one"), "one standard deviation"),
    (G, gained(width="normal"), "take Student's t"),
    (G, lambda *a: gained()(*a)[0], "four values (setting, mean, low, high), got a float, 1.5"),
    *[(name, unanswered, f"{name}: not answered yet") for name in (P, E, L, G)],
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "says"), WRONG, ids=[f"{n}: {s[:40]}" for n, _, s in WRONG])
def test_a_wrong_answer_is_told_what_is_wrong(is_told: Any, name: str, answer: Any, says: str) -> None:
    is_told(NOTEBOOK, name, answer, says)


def test_the_hidden_cases_catch_what_the_shown_ones_do_not() -> None:
    def by_product(p: Tensor) -> float:
        return float(p.prod() ** (-1 / len(p)))

    check.perplexity(by_product)
    with pytest.raises(CheckFailed, match=r"20,000 tokens .* add logarithms"):
        check.perplexity(by_product, cases="hidden")
    small_too = drawn(texts=cut, least=False)
    check.draw_episode(small_too)
    with pytest.raises(CheckFailed, match="this class has too few texts"):
        check.draw_episode(small_too, cases="hidden")
