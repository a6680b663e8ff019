"""Labelled texts and the ways to cut them: subsets, splits by class, by domain and by text.   Chapter 01"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

from .annotations import Annotation, spans
from .catalog import CorpusError
from .splits import PARTS, drawn_split, listed_split, published_split

_PER_TEXT = ("texts", "labels", "domains", "ratings", "annotations", "official")


@dataclass(frozen=True, eq=False)  # compared by identity: encoders keep what they prepared for a Corpus object
class Corpus:
    """Texts with one label each, and what else is known of them; every per-text field has the same length.

    Chapter: 01

    >>> pets = Corpus("pets", ["purr", "woof", "meow"], ["cat", "dog", "cat"])
    >>> pets.counts()
    {'cat': 2, 'dog': 1}
    """

    name: str
    texts: Sequence[str]
    labels: Sequence[str]
    domains: Sequence[str] | None = None
    ratings: Sequence[float] | None = None
    annotations: Sequence[Annotation] | None = None
    published: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    official: Sequence[str] | None = None
    licence: str = ""
    citation: str = ""
    split_sizes: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        for name in _PER_TEXT:
            values = getattr(self, name)
            if isinstance(values, str):
                raise CorpusError(f"Corpus {self.name!r}: {name} is one string; give a list with one item per text")
            if values is not None and len(values) != len(self.texts):
                raise CorpusError(
                    f"Corpus {self.name!r}: {len(values)} {name} for {len(self.texts)} texts; give one a text"
                )
        if strange := [x for x in (*self.texts, *self.labels) if not isinstance(x, str)]:
            raise CorpusError(f"Corpus {self.name!r}: texts and labels are strings, found {strange[0]!r}")
        for text, annotation in zip(self.texts, self.annotations or (), strict=False):
            if outside := [span for span in spans(annotation) if span.end > len(text)]:
                raise CorpusError(f"{outside[0]} ends outside its text of {len(text)} characters: {text[:60]!r}")

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        domains = f", {len(set(self.domains))} domains" if self.domains is not None else ""
        return f"Corpus({self.name!r}: {len(self):,} texts, {len(self.classes)} classes{domains})"

    @cached_property
    def identity(self) -> str:
        """A hash of all per-text fields, the same in every process; the name does not count.

        >>> pets = Corpus("pets", ["purr", "woof"], ["cat", "dog"])
        >>> [pets.identity == other.identity for other in (replace(pets, name="x"), replace(pets, ratings=[1, 5]))]
        [True, False]
        """
        digest = hashlib.sha256()
        for name in _PER_TEXT:
            values = getattr(self, name)
            items = None if values is None else list(values)
            # JSON tells a separator from a text that contains it, and writes half a surrogate pair as \ud800.
            digest.update(json.dumps([name, items], default=_plain).encode())
        return digest.hexdigest()[:16]

    @property
    def classes(self) -> list[str]:
        """The labels that occur, sorted."""
        return sorted(set(self.labels))

    def counts(self) -> dict[str, int]:
        """Texts per class, in the order of `classes`."""
        return dict(sorted(Counter(self.labels).items()))

    def label_numbers(self, classes: Sequence[str]) -> list[int]:
        """The place of each text's label in `classes`; `CorpusError` for a label that is not there.

        >>> Corpus("pets", ["purr", "woof"], ["cat", "dog"]).label_numbers(["dog", "cat"])
        [1, 0]
        """
        place = {label: number for number, label in enumerate(classes)}
        if unknown := [label for label in self.classes if label not in place]:
            raise CorpusError(
                f"{self.name!r} has the label {unknown[0]!r}, which is none of the {len(place)} classes "
                f"({_some(list(classes), 6)}); leave it out with corpus.only(…), or train a head for these labels"
            )
        return [place[label] for label in self.labels]

    def subset(self, indices: Iterable[int], name: str | None = None) -> Corpus:
        """The texts at `indices` (0 … len-1), in that order; `CorpusError` for an index outside."""
        chosen = [int(index) for index in indices]
        if (outside := next((i for i in chosen if not 0 <= i < len(self)), None)) is not None:
            raise CorpusError(f"subset: index {outside} is outside {self.name!r}, which has {len(self)} texts")
        fields = {key: values for key in _PER_TEXT if (values := getattr(self, key)) is not None}
        kept: dict[str, Any] = {key: [values[i] for i in chosen] for key, values in fields.items()}
        return replace(self, name=name or self.name, **kept)

    def only(
        self, labels: Iterable[str] | None = None, name: str | None = None, *, domains: Iterable[str] | None = None
    ) -> Corpus:
        """The texts of these classes, or domains, or both; `CorpusError` for one that does not occur."""
        chosen: Iterable[int] = range(len(self))
        if labels is not None:
            chosen = self._where(chosen, self.labels, labels, "class")
        if domains is not None:
            chosen = self._where(chosen, self._domains(), domains, "domain")
        return self.subset(chosen, name)

    def at_most(self, n_per_class: int, seed: int = 0) -> Corpus:
        """At most `n_per_class` texts of each class, drawn with `seed`, in their old order."""
        if n_per_class < 1:
            raise CorpusError(f"at_most({n_per_class}): keep at least one text per class")
        rng = random.Random(seed)
        groups = sorted(_grouped(self.labels).items())
        kept = [ids if len(ids) <= n_per_class else rng.sample(ids, n_per_class) for _, ids in groups]
        return self.subset(sorted(chain.from_iterable(kept)))

    def min_size(self, n: int) -> Corpus:
        """Only the classes with at least `n` texts."""
        counts = self.counts()
        return self.subset(i for i, label in enumerate(self.labels) if counts[label] >= n)

    def min_domain(self, n: int) -> Corpus:
        """Only the domains that have at least `n` texts of every class of the corpus (a domain is a task)."""
        counts, classes = Counter(zip(self._domains(), self.labels, strict=True)), self.classes
        small = {domain for domain in self._domains() if any(counts[domain, label] < n for label in classes)}
        return self.subset(i for i, domain in enumerate(self._domains()) if domain not in small)

    def truncated(self, n_words: int) -> Corpus:
        """The same corpus with each text cut to its first `n_words` words (white space separates words).

        Raises `CorpusError` where annotations mark places in the texts: their offsets would not hold any more.
        """
        if n_words < 1:
            raise CorpusError(f"truncated({n_words}): keep at least one word")
        if any(list(spans(annotation)) for annotation in self.annotations or ()):
            raise CorpusError(
                f"truncated({n_words}): the annotations of {self.name!r} mark places in its texts; "
                "leave them out first with dataclasses.replace(corpus, annotations=None)"
            )
        return replace(self, texts=[" ".join(text.split(None, n_words)[:n_words]) for text in self.texts])

    def without_duplicates(self) -> Corpus:
        """Each text once (its first occurrence), compared without regard to case and white space."""
        copies = _grouped([same_text_key(text) for text in self.texts])
        return self.subset(first for first, *_ in copies.values())

    def split_classes(
        self,
        split: str | None = None,
        *,
        seed: int | None = None,
        sizes: Sequence[int] | None = None,
        labels: Mapping[str, Iterable[str]] | None = None,
    ) -> tuple[Corpus, Corpus, Corpus]:
        """Train, valid and test corpora that share no class.

        Without arguments: the first published split, else a random one with seed 0. `split` names a published one;
        `seed` and `sizes` (classes per part) draw one; `labels` lists the classes of each part.
        Raises `CorpusError` for unknown, overlapping or empty parts.

        >>> corpus = Corpus("toy", list("abcde"), ["c1", "c2", "c3", "c4", "c5"])
        >>> [part.classes for part in corpus.split_classes(sizes=[2, 1, 2], seed=1)]
        [['c3', 'c4'], ['c5'], ['c1', 'c2']]
        """
        drawn = seed is not None or sizes is not None
        if (split is not None) + drawn + (labels is not None) > 1:
            raise CorpusError(f"split_classes of {self.name!r}: give one of split, seed/sizes, labels")
        if labels is not None:
            parts = listed_split(self.name, self.classes, labels)
        elif split is not None or (self.published and not drawn):
            parts = published_split(self.name, self.classes, self.published, split)
        else:
            parts = drawn_split(self.name, self.classes, seed or 0, self._usual_sizes() if sizes is None else sizes)
        train, valid, test = (self.only(parts[part], f"{self.name}/{part}") for part in PARTS)
        return train, valid, test

    def split_domains(self, *, seed: int = 0, sizes: Sequence[int] | None = None) -> tuple[Corpus, Corpus, Corpus]:
        """Train, valid and test corpora that share no domain, drawn with `seed` (a domain is a task)."""
        parts = drawn_split(f"{self.name} domains", sorted(set(self._domains())), seed, sizes)
        train, valid, test = (self.only(name=f"{self.name}/{part}", domains=parts[part]) for part in PARTS)
        return train, valid, test

    def split_texts(self, fractions: Sequence[float], seed: int = 0) -> list[Corpus]:
        """Corpora that share no text, each class in the given `fractions`; copies of a text stay together."""
        if not fractions or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
            raise CorpusError(f"split_texts({list(fractions)}): give positive fractions that add up to 1")
        rng = random.Random(seed)
        copies = _grouped([same_text_key(text) for text in self.texts])
        by_class: dict[str, list[list[int]]] = defaultdict(list)
        for ids in copies.values():
            by_class[self.labels[ids[0]]].append(ids)
        chosen: list[list[int]] = [[] for _ in fractions]
        for _, groups in sorted(by_class.items()):
            rng.shuffle(groups)
            edges = [round(sum(fractions[:k]) * len(groups)) for k in range(len(fractions))] + [len(groups)]
            for part, begin, end in zip(chosen, edges, edges[1:], strict=False):
                part.extend(i for ids in groups[begin:end] for i in ids)
        return [self.subset(sorted(ids), f"{self.name}/part{k + 1}") for k, ids in enumerate(chosen)]

    def _where(self, indices: Iterable[int], values: Sequence[str], wanted: Iterable[str], what: str) -> Iterable[int]:
        names = {wanted} if isinstance(wanted, str) else set(wanted)
        if missing := sorted(names.difference(values)):
            raise CorpusError(f"{self.name!r} has no {what} {_some(missing)}; it has {_some(sorted(set(values)))}")
        return [i for i in indices if values[i] in names]

    def _usual_sizes(self) -> Sequence[int] | None:
        """Classes per part as the corpus is usually cut, as long as it still has all its classes."""
        usual: list[Sequence[int]] = [self.split_sizes] if self.split_sizes else []
        usual += [[len(split[part]) for part in PARTS] for split in self.published.values()]
        return next((sizes for sizes in usual if sum(sizes) == len(self.classes)), None)

    def _domains(self) -> Sequence[str]:
        if self.domains is None:
            raise CorpusError(f"{self.name!r} has no domains; give it `domains`, one per text")
        return self.domains


def same_text_key(text: str) -> str:
    """The form in which two texts count as the same: lower case, single spaces."""
    return " ".join(text.lower().split())


def _plain(value: Any) -> object:
    """A number of numpy or an annotation, as JSON can say it."""
    return value.item() if hasattr(value, "item") else repr(value)


def _grouped(keys: Sequence[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key].append(i)
    return groups


def _some(labels: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(repr(label) for label in labels[:most])
    return shown + (f", … ({len(labels)} in all)" if len(labels) > most else "")
