"""The verbs of the catalog: what its entries hold, read from checked files.   Chapter 01"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import readers
from .catalog import CONTENTS, CatalogEntry, CorpusError, describe
from .corpus import Corpus
from .fetch import paths

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .readers.words import Chimera, WordPairs


def load(name: str) -> Corpus:
    """A corpus of the catalog, its files checked against their hashes and fetched first where missing.

    Raises `CorpusError` for an unknown name, a file that cannot be had, and one that is not the catalog's.
    Chapter: 01
    """
    entry = _expected(name, "corpus")
    if entry.derived_from:
        return readers.pooled(entry, [load(part) for part in entry.derived_from])
    return _read(entry)


def word_pairs(name: str) -> WordPairs:
    """Word pairs with human scores: "wordsim353" (relatedness) or "simlex999" (similarity).   Chapter: 06"""
    return _read(_expected(name, "word pairs"))


def contexts(name: str) -> dict[int, list[Chimera]]:
    """Invented words in real contexts with human ratings, by the number of contexts: "chimeras".   Chapter: 06"""
    return _read(_expected(name, "contexts"))


def glove() -> tuple[list[str], npt.NDArray[np.float32]]:
    """GloVe's 400,000 words, most frequent first, and their vectors [400000, 50], float32, read-only."""
    import numpy as np
    import pyarrow.parquet as parquet

    files = paths("glove")
    words = parquet.read_table(files["glove_6B_index.parquet"])["index"].to_pylist()
    return words, np.load(files["glove_6B_50d_emb.npy"], mmap_mode="r", allow_pickle=False)


def model_folder(name: str) -> Path:
    """The folder of a pretrained model of the catalog ("minilm"), each file checked against its hash."""
    _expected(name, "model")
    return paths(name)["config.json"].parent


def _expected(name: str, content: str) -> CatalogEntry:
    entry = describe(name)
    if entry.content != content:
        call = CONTENTS[entry.content].format(name)
        raise CorpusError(f"{name!r} is not a {content} but {entry.content}; use {call}")
    return entry


def _read(entry: CatalogEntry) -> Any:
    files = paths(entry.name)
    try:
        return readers.read(entry, files)
    except CorpusError:
        raise
    except Exception as error:
        said = f"its files are not what reader = {entry.reader!r} reads; correct the entry of the catalog"
        raise CorpusError(f"{entry.name!r}: {type(error).__name__}: {error}; {said}") from error
