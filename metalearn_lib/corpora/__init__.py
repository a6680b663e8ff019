"""Real text in, labelled examples out: `load` a corpus of the catalog, or bring your own file. Chapter 01"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import readers
from .catalog import CatalogEntry, CorpusError, describe, names
from .corpus import Corpus
from .fetch import Status, cache_folder, fetch, is_present, paths, status, verify
from .own_files import from_csv, from_jsonl
from .splits import read_label_lists

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "CatalogEntry", "Corpus", "CorpusError", "Status", "WordPairs", "cache_folder", "describe", "fetch",
    "from_csv", "from_jsonl", "glove", "is_present", "load", "model_folder", "names", "read_label_lists",
    "status", "verify", "word_pairs",
]  # fmt: skip


@dataclass(frozen=True)
class WordPairs:
    """Word pairs with human scores (0 … 10, higher = closer), as three sequences of one length.

    Chapter: 06
    """

    name: str
    words1: Sequence[str]
    words2: Sequence[str]
    scores: Sequence[float]

    def __len__(self) -> int:
        return len(self.scores)


def load(name: str) -> Corpus:
    """A corpus of the catalog, its files checked against their hashes and fetched first where missing.

    Raises `CorpusError` for an unknown name, a file that cannot be had, and one that is not the catalog's.
    Chapter: 01
    """
    entry = _expected(name, "corpus")
    if entry.derived_from:
        newsgroups, reuters = (load(part) for part in entry.derived_from)
        return readers.news46(newsgroups, reuters, entry)
    return readers.read(entry, paths(name))


def word_pairs(name: str) -> WordPairs:
    """Word pairs with human scores: "wordsim353" (relatedness) or "simlex999" (similarity)."""
    _expected(name, "word pairs")
    (path,) = paths(name).values()
    words1, words2, scores = zip(*readers.word_pair_rows(path), strict=True)
    return WordPairs(name, words1, words2, scores)


def glove() -> tuple[list[str], npt.NDArray[np.float32]]:
    """GloVe's 400,000 words, most frequent first, and their vectors [400000, 50], float32, read-only."""
    import numpy as np
    import pyarrow.parquet as parquet

    found = paths("glove")
    words = parquet.read_table(found["glove_6B_index.parquet"])["index"].to_pylist()
    return words, np.load(found["glove_6B_50d_emb.npy"], mmap_mode="r", allow_pickle=False)


def model_folder(name: str) -> Path:
    """The folder of a pretrained model of the catalog ("minilm"), each file checked against its hash."""
    _expected(name, "model")
    return paths(name)["config.json"].parent


_VERBS = {
    "corpus": "corpora.load({!r})",
    "vectors": "corpora.glove()",
    "model": "corpora.model_folder({!r})",
    "word pairs": "corpora.word_pairs({!r})",
    "contexts": "meta_embeddings.load_chimeras(2)",
}


def _expected(name: str, content: str) -> CatalogEntry:
    entry = describe(name)
    if entry.content != content:
        call = _VERBS[entry.content].format(name)
        raise CorpusError(f"{name!r} is not a {content} but {entry.content}; use {call}")
    return entry
