"""The catalog: every corpus once, with its source, hashes, licence and citation (`catalog.toml`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

CONTENTS = ("corpus", "vectors", "model", "word pairs", "contexts")
KEEP = ("min_size", "min_domain", "truncated")  # methods of Corpus


class CorpusError(ValueError):
    """A corpus is unknown, missing, broken or not what was asked for; the message names the way out."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source: its path in the cache, mirror or package, its size in bytes and its sha256."""

    path: str
    size: int
    sha256: str
    remote: str = ""


@dataclass(frozen=True)
class Source:
    """Where files come from: `kind` is "pypi", "package" or "https"."""

    name: str
    kind: str
    files: tuple[SourceFile, ...]
    requirement: str = ""
    source_archive: bool = False
    module: str = ""
    folder: str = ""
    base: str = ""


@dataclass(frozen=True)
class CatalogEntry:
    """What the catalog says of one corpus; `size` is in bytes, `default` says that the chapters need it.

    `reader` names the format (see `readers`), `members` what the reader takes from the files, `keep` what is left of
    the corpus read: {"min_size": texts per class, "min_domain": texts per class and domain, "truncated": words}.
    """

    name: str
    title: str
    kind: str
    content: str
    licence: str
    citation: str
    size: int
    default: bool
    sources: tuple[Source, ...]
    reader: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, int] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    split_sizes: tuple[int, int, int] | None = None
    derived_from: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """The package that carries the files, as pip writes it; empty for files fetched by https."""
        return " ".join(source.requirement for source in self.sources if source.requirement)

    def member(self, key: str) -> str:
        """The file that a reader needs under this key; `CorpusError` where the entry does not name it."""
        if key not in self.members:
            raise CorpusError(f"catalog entry {self.name!r}: reader = {self.reader!r} needs members = {{ {key} = … }}")
        return self.members[key]


def names() -> list[str]:
    """All names of the catalog: corpora, word vectors, models and word pairs.

    >>> "newsgroups" in names() and "glove" in names()
    True
    """
    return list(_entries())


def describe(name: str) -> CatalogEntry:
    """The catalog's entry of a corpus; `CorpusError` lists the known names if there is none.

    >>> describe("newsgroups").kind
    'pypi'
    """
    entries = _entries()
    if name not in entries:
        raise CorpusError(f"no corpus is called {name!r}; known: {', '.join(entries)}")
    return entries[name]


@cache
def _entries() -> dict[str, CatalogEntry]:
    return parse((files(__package__) / "catalog.toml").read_text("utf-8"))


def parse(toml: str) -> dict[str, CatalogEntry]:
    """The entries of a catalog by name; `CorpusError` for one that names something the catalog does not know."""
    raw = tomllib.loads(toml)
    sources = {name: _source(name, values) for name, values in raw["source"].items()}
    entries: dict[str, CatalogEntry] = {}
    for name, values in raw["corpus"].items():
        try:
            entries[name] = _entry(name, values, sources, entries)
        except KeyError as error:
            raise CorpusError(f"catalog entry {name!r}: {error} is missing or not known") from error
    return entries


def _source(name: str, values: dict[str, Any]) -> Source:
    listed = tuple(SourceFile(**file) for file in values.pop("files"))
    return Source(name=name, files=listed, **values)


def _entry(
    name: str, values: dict[str, Any], sources: Mapping[str, Source], known: Mapping[str, CatalogEntry]
) -> CatalogEntry:
    parts = values.get("derived_from", [])
    own = list(dict.fromkeys(s for p in parts for s in known[p].sources)) or [sources[values["source"]]]
    content = values.get("content", "corpus")
    if content not in CONTENTS:
        raise CorpusError(f"catalog entry {name!r}: content = {content!r} must be one of {list(CONTENTS)}")
    keep = values.get("keep", {})
    if unknown := sorted(set(keep) - set(KEEP)):
        raise CorpusError(f"catalog entry {name!r}: keep = {unknown} must be among {list(KEEP)}")
    sizes = values.get("split_sizes")
    published = values.get("published", {})
    return CatalogEntry(
        name=name,
        title=values["title"],
        kind="derived" if parts else own[0].kind,
        content=content,
        licence=values["licence"],
        citation=values["citation"],
        size=sum(file.size for source in own for file in source.files),
        default=values.get("default", True),
        sources=tuple(own),
        reader=values.get("reader", ""),
        members=values.get("members", {}),
        keep=keep,
        published={k: {part: tuple(v) for part, v in split.items()} for k, split in published.items()},
        split_sizes=(sizes[0], sizes[1], sizes[2]) if sizes else None,
        derived_from=tuple(parts),
    )
