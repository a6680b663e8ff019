"""Texts in which places are marked: words and names with types, pairs of entities, predicates with roles.   Chapter 10

load("usaddress")                         a Corpus whose annotations are spans, relations or roles
published_episodes("snips_episodes")      few-shot episodes as their authors published them
from_conllu("mine.conllu", layer="NER")   a file of one's own
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .annotations import spans
from .catalog import CONTENTS, CatalogEntry, CorpusError, describe
from .corpus import Corpus
from .fetch import paths
from .load import load as load_labelled
from .readers import sequences
from .readers.sequences import Task
from .tables import read_text

READERS: Mapping[str, Mapping[str, Callable[[CatalogEntry, Mapping[str, Path]], Any]]] = {
    "annotated": {
        "parsed strings": sequences.parsed_strings,
        "columns": sequences.columns,
        "conllu": sequences.conllu,
        "named pairs": sequences.named_pairs,
    },
    "published episodes": {"episodes": sequences.episodes},
}


@dataclass(frozen=True)
class PublishedEpisodes:
    """Few-shot episodes of marked texts, drawn by others.

    `corpus` holds each sentence once, its domain as its label. `tasks` are, by domain and shots, the places in it of
    the support and of the query sentences, an episode each.   Chapter: 10
    """

    corpus: Corpus
    tasks: Mapping[tuple[str, int], Sequence[Task]]


def load(name: str, *, layer: str | None = None) -> Corpus:
    """An annotated corpus of the catalog, checked and fetched as `corpora.load` does it.

    Its annotations are tuples of `Span`, `Relation`s or tuples of `PredicateRoles`. `layer`: another layer of a CoNLL-U
    corpus than the usual one (see `from_conllu`): load("up_ewt", layer="upos"). Raises `CorpusError` for an unknown
    name, files that cannot be had or are others, a corpus without annotations, or with one layer alone.   Chapter: 10
    """
    entry = describe(name)
    if layer is not None:
        if "layer" not in entry.members:
            raise CorpusError(f"load({name!r}, layer={layer!r}): it has no layers; leave layer= out")
        entry = replace(entry, members={**entry.members, "layer": layer})
    if entry.content == "corpus":
        corpus = load_labelled(name)
        if not any(list(spans(annotation)) for annotation in corpus.annotations or ()):
            raise CorpusError(f"nothing is marked in the texts of {name!r}; use corpora.load({name!r})")
        return corpus
    return _corpus(entry, _read(entry, "annotated"))


def published_episodes(name: str) -> PublishedEpisodes:
    """The episodes of a catalog's entry, such as "snips_episodes"; errors as in `load`.   Chapter: 10"""
    entry = describe(name)
    fields, tasks = _read(entry, "published episodes")
    return PublishedEpisodes(_corpus(entry, fields), tasks)


def from_conllu(
    path: str | Path, *, layer: str = "roles", encoding: str | None = None, name: str | None = None
) -> Corpus:
    """A corpus from a CoNLL-U file of one's own, with one layer of its annotation.

    `layer`: "roles" (the columns of Universal PropBank), "upos", "xpos", "deprel", "lemma", or the name of an attribute
    of the tenth column that holds BIO tags, such as "NER". The text is the syntactic words, a space apart: lines of
    multi-word tokens and empty nodes are passed over. All texts have one label, `name`, by default the file's.
    Raises `CorpusError`, naming the line, for what is no CoNLL-U, and for a layer that marks nothing.   Chapter: 10
    """
    path = Path(path)
    found = list(sequences.conllu_text(read_text(path, encoding), layer, str(path)))
    annotations = [sentence.annotation for sentence in found]
    if not any(annotations):
        said = f"nothing is marked in its layer {layer!r}" if found else "no sentence is in it"
        raise CorpusError(
            f"{path}: {said}; layer= is 'roles', 'upos', 'xpos', 'deprel', 'lemma' or an attribute of column ten"
        )
    name = name or path.stem
    return Corpus(name, [s.text for s in found], [name] * len(found), annotations=annotations)


def _read(entry: CatalogEntry, content: str) -> Any:
    if entry.content != content:
        call = CONTENTS[entry.content].format(entry.name)
        raise CorpusError(f"{entry.name!r} is not {content} but {entry.content}; use {call}")
    formats = READERS[content]
    if entry.reader not in formats:
        raise CorpusError(f"catalog entry {entry.name!r}: reader = {entry.reader!r} must be one of {list(formats)}")
    files = paths(entry.name)
    try:
        return formats[entry.reader](entry, files)
    except CorpusError:
        raise
    except Exception as error:
        said = f"its files are not what reader = {entry.reader!r} reads; correct the entry of the catalog"
        raise CorpusError(f"{entry.name!r}: {type(error).__name__}: {error}; {said}") from error


def _corpus(entry: CatalogEntry, fields: Mapping[str, Any]) -> Corpus:
    if not fields["texts"]:
        raise CorpusError(f"catalog entry {entry.name!r}: no text was found; check its members and reader")
    return Corpus(name=entry.name, licence=entry.licence, citation=entry.citation, **fields)
