"""Which class goes to which part: published, listed, by prefix, or drawn with a seed.   Chapter 01"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .catalog import CorpusError

PARTS = ("train", "valid", "test")
_FRACTIONS = (0.6, 0.2, 0.2)
Split = dict[str, list[str]]


def class_split(
    name: str,
    classes: Sequence[str],
    published: Mapping[str, Mapping[str, Sequence[str]]],
    usual_sizes: Sequence[int] | None,
    *,
    split: str | None = None,
    seed: int | None = None,
    sizes: Sequence[int] | None = None,
    fractions: Sequence[float] | None = None,
    labels: Mapping[str, Iterable[str]] | str | Path | None = None,
    prefix: Mapping[str, Iterable[str]] | None = None,
) -> Split:
    """Disjoint, non-empty lists of classes for train, valid and test; see `Corpus.split_classes`."""
    drawn = seed is not None or sizes is not None or fractions is not None
    ways = [split is not None, drawn, labels is not None, prefix is not None]
    if sum(ways) > 1:
        raise CorpusError(f"split_classes of {name!r}: give one of split, seed/sizes/fractions, labels, prefix")
    if sizes is not None and fractions is not None:
        raise CorpusError(f"split_classes of {name!r}: give sizes or fractions, not both")
    if labels is not None:
        parts = _listed(name, classes, labels)
    elif prefix is not None:
        parts = _by_prefix(name, classes, prefix)
    elif split is not None or (published and not drawn):
        parts = _published(name, classes, published, split)
    else:
        if sizes is None and fractions is None:
            sizes = _fitting(classes, published, usual_sizes)
        parts = _drawn(name, classes, seed or 0, sizes, fractions)
    return _checked(name, parts)


def read_label_lists(folder: str | Path) -> Split:
    """The lists labels.train.txt, labels.valid.txt and labels.test.txt of a folder, one label a line."""
    lists = {part: Path(folder) / f"labels.{part}.txt" for part in PARTS}
    if missing := [str(path) for path in lists.values() if not path.is_file()]:
        raise CorpusError(f"class lists are missing: {', '.join(missing)}; a split folder holds one per part")
    return {
        part: [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
        for part, path in lists.items()
    }


def _published(
    name: str, classes: Sequence[str], published: Mapping[str, Mapping[str, Sequence[str]]], split: str | None
) -> Split:
    if split is None:
        split = next(iter(published))
    if split not in published:
        known = ", ".join(map(repr, published)) or "none"
        raise CorpusError(f"{name!r} has no published split {split!r}; it has {known}, and seed= draws one")
    present = set(classes)  # a published split of a corpus that was cut down keeps what is left
    return {part: [label for label in published[split][part] if label in present] for part in PARTS}


def _listed(name: str, classes: Sequence[str], labels: Mapping[str, Iterable[str]] | str | Path) -> Split:
    given = _three(name, read_label_lists(labels) if isinstance(labels, str | Path) else labels)
    known = set(classes)
    if unknown := [label for part in given.values() for label in part if label not in known]:
        raise CorpusError(f"split_classes of {name!r}: no such class: {', '.join(map(repr, unknown[:10]))}")
    return given


def _by_prefix(name: str, classes: Sequence[str], prefix: Mapping[str, Iterable[str]]) -> Split:
    given = _three(name, prefix)
    for part, beginnings in given.items():
        for beginning in beginnings:
            if not any(label.startswith(beginning) for label in classes):
                raise CorpusError(f"split_classes of {name!r}: no class begins with {beginning!r} ({part})")
    return {part: [label for label in classes if label.startswith(tuple(p))] for part, p in given.items()}


def _three(name: str, given: Mapping[str, Iterable[str]]) -> Split:
    if set(given) != set(PARTS):
        raise CorpusError(f"split_classes of {name!r}: give 'train', 'valid' and 'test', not {sorted(given)}")
    return {part: [given[part]] if isinstance(given[part], str) else list(given[part]) for part in PARTS}  # type: ignore[list-item]


def _fitting(
    classes: Sequence[str],
    published: Mapping[str, Mapping[str, Sequence[str]]],
    usual_sizes: Sequence[int] | None,
) -> list[int] | None:
    """Sizes that this corpus is usually cut to, as long as it still has all its classes."""
    usual = [list(usual_sizes)] if usual_sizes else []
    usual += [[len(split[part]) for part in PARTS] for split in published.values()]
    return next((sizes for sizes in usual if sum(sizes) == len(classes)), None)


def _drawn(
    name: str,
    classes: Sequence[str],
    seed: int,
    sizes: Sequence[int] | None,
    fractions: Sequence[float] | None,
) -> Split:
    n = len(classes)
    if sizes is None:
        shares = list(fractions) if fractions is not None else list(_FRACTIONS)
        if len(shares) != 3 or min(shares) <= 0 or sum(shares) > 1 + 1e-6:
            raise CorpusError(f"split_classes of {name!r}: fractions={shares}; give three positive ones, sum ≤ 1")
        valid, test = (max(1, round(share * n)) for share in shares[1:])
        whole = abs(sum(shares) - 1) <= 1e-6
        sizes = [n - valid - test if whole else round(shares[0] * n), valid, test]
    if len(sizes) != 3 or min(sizes) < 1 or sum(sizes) > n:
        raise CorpusError(
            f"split_classes of {name!r}: sizes={list(sizes)} do not fit {n} classes; "
            f"give three sizes ≥ 1 that add up to at most {n}"
        )
    order = sorted(classes)
    random.Random(seed).shuffle(order)
    begin, middle, end = sizes[0], sizes[0] + sizes[1], sum(sizes)
    return {
        "train": sorted(order[:begin]),
        "valid": sorted(order[begin:middle]),
        "test": sorted(order[middle:end]),
    }


def _checked(name: str, parts: Split) -> Split:
    seen: dict[str, str] = {}
    for part, labels in parts.items():
        if not labels:
            raise CorpusError(f"split_classes of {name!r}: no class is left for {part!r}; choose another split")
        for label in labels:
            if seen.setdefault(label, part) != part:
                raise CorpusError(f"split_classes of {name!r}: class {label!r} is in {seen[label]!r} and {part!r}")
    return parts
