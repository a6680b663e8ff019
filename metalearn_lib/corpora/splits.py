"""Which class goes to which part: published, listed, or drawn with a seed.   Chapter 01"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from .catalog import CorpusError

PARTS = ("train", "valid", "test")
Split = Mapping[str, Sequence[str]]


def published_split(name: str, classes: Sequence[str], published: Mapping[str, Split], split: str | None) -> Split:
    """A published split, the first if none is named; one of a corpus that was cut down keeps what is left."""
    split = next(iter(published)) if split is None else split
    if split not in published:
        known = ", ".join(map(repr, published)) or "none"
        raise CorpusError(f"{name!r} has no published split {split!r}; it has {known}, and seed= draws one")
    present = set(classes)
    return _checked(name, {part: [label for label in published[split][part] if label in present] for part in PARTS})


def listed_split(name: str, classes: Sequence[str], labels: Mapping[str, Iterable[str]]) -> Split:
    """The split that somebody lists; `CorpusError` for a class that the corpus lacks."""
    if set(labels) != set(PARTS):
        raise CorpusError(f"split_classes of {name!r}: give 'train', 'valid' and 'test', not {sorted(labels)}")
    parts = {part: list(labels[part]) for part in PARTS}
    if unknown := sorted(set().union(*parts.values()).difference(classes)):
        raise CorpusError(f"split_classes of {name!r}: no such class: {', '.join(map(repr, unknown[:10]))}")
    return _checked(name, parts)


def drawn_split(name: str, classes: Sequence[str], seed: int, sizes: Sequence[int] | None) -> Split:
    """Classes drawn with a seed, so many for each part; without `sizes` 60, 20 and 20 % of them."""
    n = len(classes)
    fifth = max(1, round(0.2 * n))
    sizes = [n - 2 * fifth, fifth, fifth] if sizes is None else sizes
    if len(sizes) != 3 or min(sizes) < 1 or sum(sizes) > n:
        raise CorpusError(
            f"split_classes of {name!r}: sizes={list(sizes)} do not fit {n} classes; "
            f"give three sizes ≥ 1 that add up to at most {n}"
        )
    order = sorted(classes)
    random.Random(seed).shuffle(order)
    drawn = iter(order)
    return {part: sorted(islice(drawn, size)) for part, size in zip(PARTS, sizes, strict=True)}


def _checked(name: str, parts: Split) -> Split:
    seen: dict[str, str] = {}
    for part, labels in parts.items():
        if not labels:
            raise CorpusError(f"split_classes of {name!r}: no class is left for {part!r}; choose another split")
        for label in labels:
            if seen.setdefault(label, part) != part:
                raise CorpusError(f"split_classes of {name!r}: class {label!r} is in {seen[label]!r} and {part!r}")
    return parts
