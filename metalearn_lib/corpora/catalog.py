"""The catalog: every corpus once, with its source, hashes, licence and citation (`catalog.toml`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

CONTENTS = {  # what an entry may hold, and the verb that reads it
    "corpus": "corpora.load({!r})",
    "vectors": "corpora.glove()",
    "model": "corpora.model_folder({!r})",
    "word pairs": "corpora.word_pairs({!r})",
    "contexts": "corpora.contexts({!r})",
    "annotated": "corpora.annotated.load({!r})",
    "published episodes": "corpora.annotated.published_episodes({!r})",
    "parallel": "corpora.translations.parallel({!r})",
    "templates": "corpora.templates.expanded({!r})",
}
KEEP = ["min_size", "min_domain", "truncated"]  # methods of Corpus


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
    """Where files come from: `kind` is "pypi", "package", "https" or "course"."""

    name: str
    kind: str
    files: tuple[SourceFile, ...]
    requirement: str = ""
    source_archive: bool = False
    module: str = ""
    folder: str = ""
    base: str = ""


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """What the catalog says of one corpus; `default` says that the chapters need it.

    `reader` names the format (see `readers`), `members` what the reader takes from the files, `keep` what is left of
    the corpus read: {"min_size": texts per class, "min_domain": texts per class and domain, "truncated": words}.
    """

    name: str
    title: str
    licence: str
    citation: str
    sources: tuple[Source, ...]
    content: str = "corpus"
    default: bool = True
    reader: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, int] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    split_sizes: Sequence[int] | None = None
    derived_from: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.content not in CONTENTS:
            known = list(CONTENTS)
            raise CorpusError(f"catalog entry {self.name!r}: content = {self.content!r} must be one of {known}")
        if unknown := sorted(set(self.keep).difference(KEEP)):
            raise CorpusError(f"catalog entry {self.name!r}: keep = {unknown} must be among {KEEP}")

    @property
    def kind(self) -> str:
        """Where it comes from: "pypi", "package", "https", "course", or "derived" from other corpora."""
        return "derived" if self.derived_from else self.sources[0].kind

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for source in self.sources for file in source.files)

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
    sources = {
        name: Source(name=name, files=tuple(SourceFile(**file) for file in values.pop("files")), **values)
        for name, values in raw["source"].items()
    }
    entries: dict[str, CatalogEntry] = {}
    for name, values in raw["corpus"].items():
        try:
            parts = values.get("derived_from")
            own = [s for part in parts for s in entries[part].sources] if parts else [sources[values.pop("source")]]
            entries[name] = CatalogEntry(name=name, sources=tuple(dict.fromkeys(own)), **values)
        except KeyError as error:
            raise CorpusError(f"catalog entry {name!r}: {error} is missing or not known") from error
        except TypeError as error:
            raise CorpusError(f"catalog entry {name!r}: {error}") from error
    return entries
