"""Real text in, labelled examples out: `load` a corpus of the catalog, or bring your own file. Chapter 01

Texts in which words, names or roles are marked: `corpora.annotated`. Chapter 10
"""

from .annotations import Annotation, Details, PredicateRoles, Relation, Span
from .catalog import CatalogEntry, CorpusError, describe, names
from .corpus import Corpus, same_text_key
from .fetch import cache_folder, fetch, is_present, verify
from .load import contexts, glove, load, model_folder, word_pairs
from .own_files import from_csv, from_jsonl
from .readers.words import Chimera, WordPairs

__all__ = [
    "Annotation", "CatalogEntry", "Chimera", "Corpus", "CorpusError", "Details", "PredicateRoles", "Relation", "Span",
    "WordPairs", "cache_folder", "contexts", "describe", "fetch", "from_csv", "from_jsonl", "glove",
    "is_present", "load", "model_folder", "names", "same_text_key", "verify",
    "word_pairs",
]  # fmt: skip
