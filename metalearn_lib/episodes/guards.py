"""Guards against leakage: what is tested must not have been seen.   Chapters 01, 04, 12

Each guard returns a `Leak`, which is true when something leaks; `check_disjoint` raises instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
    places = _places([[same_text_key(text) for text in corpus.texts] for corpus in corpora])
    shared = {text: where for text, where in places.items() if len(where) > 1}
    examples = []
    for text, where in list(shared.items())[:_MOST_EXAMPLES]:
        spots = [f"{corpora[c].name} ({corpora[c].labels[i]})" for c, i in where.items()]
        examples.append(f"{_short(text)} in {' and '.join(spots)}")
    return Leak("the same text in two splits", len(shared), tuple(examples))


def same_class_in_two_splits(*corpora: Corpus) -> Leak:
    """Classes that occur in more than one of the corpora.   Chapter: 01"""
    places = _places([corpus.classes for corpus in corpora])
    shared = {label: where for label, where in places.items() if len(where) > 1}
    examples = tuple(
        f"{label!r} in {' and '.join(corpora[c].name for c in where)}"
        for label, where in list(shared.items())[:_MOST_EXAMPLES]
    )
    return Leak("the same class in two splits", len(shared), examples)


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
    keys: dict[int, str] = {}
    for task in range(len(episodes)):
        if pool is None:
            support = {tuple(row.flatten().tolist()) for row in episodes.support_x[task]}
            same = [q for q, row in enumerate(episodes.query_x[task]) if tuple(row.flatten().tolist()) in support]
            kinds["same example"] += len(same)
            examples += [f"query {q} of task {task}" for q in same]
            continue
        positions = set(episodes.support_x[task].tolist())
        queries = episodes.query_x[task].tolist()
        for i in {*positions, *queries}.difference(keys):
            keys[i] = same_text_key(pool.texts[i])
        texts = {keys[i] for i in positions}
        for q, i in enumerate(queries):
            if i in positions or keys[i] in texts:
                kinds["same example" if i in positions else "same text"] += 1
                examples.append(f"query {q} of task {task}: {_short(pool.texts[i])}")
    return Leak("a query in the support set", sum(kinds.values()), tuple(examples[:_MOST_EXAMPLES]), kinds)


def check_disjoint(train: Corpus, valid: Corpus, test: Corpus, *, texts: bool = True) -> None:
    """Raise `LeakageError` if train, valid and test share a class or, unless `texts=False`, a text."""
    leaks = [same_class_in_two_splits(train, valid, test)]
    if texts:
        leaks.append(same_text_in_two_splits(train, valid, test))
    if found := [repr(leak) for leak in leaks if leak]:
        raise LeakageError("; ".join(found) + ". Split again, or remove copies first: corpus.without_duplicates()")


def _places(parts: list[list[str]]) -> dict[str, dict[int, int]]:
    """For each key, the parts it occurs in, with its first position there."""
    places: dict[str, dict[int, int]] = defaultdict(dict)
    for number, part in enumerate(parts):
        for i, key in enumerate(part):
            places[key].setdefault(number, i)
    return places


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
