"""What the grid can be measured on: a corpus with a declared setting, any other of the catalog, a file of one's own.

Chapter 12
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from metalearn_lib import corpora
from metalearn_lib.choosing.settings import SETTINGS, Setting
from metalearn_lib.corpora import Corpus, CorpusError
from metalearn_lib.fingerprint import digest

PARTS = ("train", "valid", "test")
LEAST, MOST = 20, 150  # texts a class where nothing is declared: 5 shots and 15 queries; what seeded splits keep
FEWEST_CLASSES = 6  # two for each part


class Unfit(CorpusError):
    """A corpus is there, but cannot be measured as asked; the message names the way out."""


class Source(Protocol):
    """What a `Setting` is, too: the splits of a corpus, and what a Transformer reads of a text (pieces of 128 tokens).

    `parts` gives the train, valid and test corpora of a split; valid is None where no class is set aside. It raises
    CorpusError where the corpus cannot be had, and `Unfit` where it cannot be cut.
    """

    @property
    def splits(self) -> tuple[str, ...]: ...
    @property
    def about(self) -> str: ...
    @property
    def windows(self) -> int: ...
    def parts(self, name: str, split: str) -> tuple[Corpus, Corpus | None, Corpus]: ...


@dataclass(frozen=True)
class Drawn:
    """Nothing is declared: three splits drawn with seeds, of the classes and texts that `about` says.

    A part has a fifth of the classes and at least two, the training part the rest.
    """

    corpus: Corpus | None = None  # None: the one of the catalog
    splits: tuple[str, ...] = ("0", "1", "2")
    about: str = f"3 seeded splits, classes of ≥ {LEAST} texts, ≤ {MOST} of each"
    windows: int = 1

    def parts(self, name: str, split: str) -> tuple[Corpus, Corpus | None, Corpus]:
        """See `Source`."""
        corpus = (self.corpus or corpora.load(name)).min_size(LEAST).at_most(MOST, seed=0)
        classes = len(corpus.classes)
        if classes < FEWEST_CLASSES:
            raise Unfit(
                f"{name}: {classes} classes have {LEAST} texts or more; train, valid and test need two each, so "
                f"{FEWEST_CLASSES} in all"
            )
        fifth = max(2, round(0.2 * classes))
        return corpus.split_classes(seed=int(split), sizes=[classes - 2 * fifth, fifth, fifth])


@dataclass(frozen=True)
class Listed:
    """A file of one's own with lists of the classes of each part, split by split: {split: {part: classes}}."""

    corpus: Corpus
    lists: Mapping[str, Mapping[str, Sequence[str]]]
    windows: int = 1
    about: str = field(init=False, default="own file, listed classes")

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the folders of the lists."""
        return tuple(self.lists)

    def parts(self, name: str, split: str) -> tuple[Corpus, Corpus | None, Corpus]:
        """See `Source`."""
        train, valid, test = (
            self.corpus.only(labels, f"{self.corpus.name}/{part}") if (labels := self.lists[split][part]) else None
            for part in PARTS
        )
        assert train is not None and test is not None
        return train, valid, test


def of_catalog(name: str) -> Source:
    """The declared setting of a corpus; else its published splits, or where there are none `Drawn` ones.

    Raises CorpusError for a name that is no corpus of the catalog, and for one that cannot be had.
    """
    if name in SETTINGS:
        return SETTINGS[name]
    corpus = corpora.load(name)
    if corpus.published:
        about = f"{len(corpus.published)} published splits, ≤ {MOST} texts a class"
        return Setting(splits=tuple(corpus.published), about=about, at_most=MOST)
    return Drawn()


def catalog_names() -> list[str]:
    """The corpora of the catalog: what has texts with labels."""
    return [name for name in corpora.names() if corpora.describe(name).content == "corpus"]


def of_file(path: Path, labels: Path | None = None) -> tuple[str, Source]:
    """A name and the source of a file with a text ("sentence" or "text") and a "label" on each line, as JSON.

    `labels`: a folder with labels.train.txt, labels.valid.txt and labels.test.txt, a class a line, as the public
    benchmark publishes them, or with numbered folders that hold these; None draws three splits. No labels.valid.txt, or
    an empty one: no class is set aside. The name ends in a hash of texts and lists, so that rows of one file are never
    taken for those of another. Raises CorpusError for files that cannot be read, and lists that do not fit the texts.
    """
    corpus = corpora.from_jsonl(path, text="sentence" if _says_sentence(path) else "text")
    lists = {} if labels is None else _lists(labels)
    for split, parts in lists.items():
        _check(corpus, split, parts)
    name = f"{path.name}@{digest([corpus.identity, lists])[:8]}"
    return name, Listed(corpus, lists) if lists else Drawn(corpus)


def _says_sentence(path: Path) -> bool:
    """Whether the first line calls the text as the public benchmark does; a file that cannot be read says nothing."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return '"sentence"' in file.readline()
    except OSError:
        return False


def _lists(folder: Path) -> dict[str, dict[str, list[str]]]:
    first = "labels.train.txt"
    below = sorted(path for path in folder.iterdir() if (path / first).is_file()) if folder.is_dir() else []
    folders = [folder] if (folder / first).is_file() else below
    if not folders:
        raise CorpusError(
            f"{folder}: no {first} in it, nor in a folder below; write the classes of each part, one a line, into "
            f"{', '.join(f'labels.{part}.txt' for part in PARTS)}"
        )
    return {place.name: {part: _lines(place / f"labels.{part}.txt") for part in PARTS} for place in folders}


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} cannot be read ({error}); write a class a line, in UTF-8") from error


def _check(corpus: Corpus, split: str, parts: Mapping[str, Sequence[str]]) -> None:
    where: dict[str, str] = {}
    for part, labels in parts.items():
        place = f"{split}/labels.{part}.txt"
        if not labels and part != "valid":
            raise CorpusError(f"{place} is missing or empty; list the classes of this part, one a line")
        if unknown := sorted(set(labels).difference(corpus.labels)):
            shown = ", ".join(map(repr, unknown[:5]))
            raise CorpusError(f"{place}: no text has the label {shown}; the file has {', '.join(corpus.classes[:5])} …")
        for label in labels:
            if where.setdefault(label, place) != place:
                raise CorpusError(f"{place}: {label!r} is in {where[label]}, too; a class belongs to one part")
