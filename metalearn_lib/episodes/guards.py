"""Guards against leakage: what is tested must not have been seen.   Chapters 01, 04, 12

Each guard returns a `Leak`, which is true when something leaks; `check_disjoint` raises instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, starmap
from typing import TYPE_CHECKING, Any

from metalearn_lib.corpora.corpus import Corpus, same_text_key

if TYPE_CHECKING:
    from metalearn_lib.episodes.batch import Episodes

_MOST_EXAMPLES = 5
_SHOWN = 60


class LeakageError(ValueError):
    """Parts that must be disjoint are not."""


@dataclass(frozen=True)
class Leak:
    """What a guard found: how many cases, some of them in words, and counts by kind; true if there is any."""

    rule: str
    count: int
    examples: tuple[str, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.count > 0

    def __repr__(self) -> str:
        if not self.count:
            return f"no leak ({self.rule})"
        kinds = f" [{', '.join(f'{kind}: {n}' for kind, n in self.kinds.items())}]" if self.kinds else ""
        return f"LEAK ({self.rule}): {self.count}{kinds}, for example " + "; ".join(self.examples)


def same_text_in_two_splits(*corpora: Corpus) -> Leak:
    """Texts that occur in more than one of the corpora, compared without regard to case and white space.

    Chapter: 01

    >>> seen, unseen = Corpus("train", ["A cat", "a dog"], ["x", "y"]), Corpus("test", ["a  cat"], ["z"])
    >>> same_text_in_two_splits(seen, unseen).count
    1
    """
    texts = [[same_text_key(text) for text in corpus.texts] for corpus in corpora]
    return _shared("the same text in two splits", texts, lambda c, i: f"{corpora[c].name} ({corpora[c].labels[i]})")


def same_class_in_two_splits(*corpora: Corpus) -> Leak:
    """Classes that occur in more than one of the corpora.   Chapter: 01"""
    classes = [corpus.classes for corpus in corpora]
    return _shared("the same class in two splits", classes, lambda c, _: corpora[c].name)


def repeated_texts(corpus: Corpus) -> Leak:
    """Texts that occur more than once in a corpus; `kinds` tells how many of them under different labels."""
    labels: dict[str, list[str]] = defaultdict(list)
    for text, label in zip(corpus.texts, corpus.labels, strict=True):
        labels[same_text_key(text)].append(label)
    repeated = {text: found for text, found in labels.items() if len(found) > 1}
    contradicting = sum(len(set(found)) > 1 for found in repeated.values())
    kinds = {"same label": len(repeated) - contradicting, "different labels": contradicting}
    examples = [f"{_short(t)} × {len(f)} as {', '.join(sorted(set(f)))}" for t, f in repeated.items()]
    return Leak("the same text twice in a corpus", len(repeated), tuple(examples[:_MOST_EXAMPLES]), kinds)


def support_query_overlap(episodes: Episodes) -> Leak:
    """Queries whose example, or a copy of whose text, is in the support set of the same task.

    `kinds` counts both apart: "same example" (one position in the pool twice) and "same text" (a copy at
    another position). Episodes made of tensors are compared by value.   Chapter: 01
    """
    pool = episodes.pool
    kinds = {"same example": 0, "same text": 0}
    examples: list[str] = []

    @cache
    def key(example: Any) -> Any:
        return example if pool is None else same_text_key(pool.texts[example])

    for task, parts in enumerate(zip(episodes.support_x, episodes.query_x, strict=True)):
        support, queries = (x.tolist() if pool else [tuple(row) for row in x.flatten(1).tolist()] for x in parts)
        positions, keys = set(support), {key(example) for example in support}
        for number, query in enumerate(queries):
            if key(query) in keys:
                kinds["same example" if query in positions else "same text"] += 1
                shown = f": {_short(pool.texts[query])}" if pool else ""
                examples.append(f"query {number} of task {task}{shown}")
    return Leak("a query in the support set", sum(kinds.values()), tuple(examples[:_MOST_EXAMPLES]), kinds)


def check_disjoint(train: Corpus, valid: Corpus, test: Corpus, *, texts: bool = True) -> None:
    """Raise `LeakageError` if train, valid and test share a class or, unless `texts=False`, a text."""
    leaks = [same_class_in_two_splits(train, valid, test)]
    if texts:
        leaks.append(same_text_in_two_splits(train, valid, test))
    if found := [repr(leak) for leak in leaks if leak]:
        raise LeakageError("; ".join(found) + ". Split again, or remove copies first: corpus.without_duplicates()")


def _shared(rule: str, parts: list[list[str]], place: Callable[[int, int], str]) -> Leak:
    """The keys that occur in more than one part; `place` tells of a part and a position in it what people call it."""
    places: dict[str, dict[int, int]] = defaultdict(dict)
    for number, part in enumerate(parts):
        for i, key in enumerate(part):
            places[key].setdefault(number, i)
    shared = {key: where for key, where in places.items() if len(where) > 1}
    examples = (f"{_short(key)} in {' and '.join(starmap(place, where.items()))}" for key, where in shared.items())
    return Leak(rule, len(shared), tuple(islice(examples, _MOST_EXAMPLES)))


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
