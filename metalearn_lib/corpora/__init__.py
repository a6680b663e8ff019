"""Real text in, labelled examples out: `load` a corpus of the catalog, or bring your own file. Chapter 01"""

from .annotations import Annotation, Details, PredicateRoles, Relation, Span
from .catalog import CatalogEntry, CorpusError, describe, names
from .corpus import Corpus, same_text_key
from .fetch import Status, cache_folder, fetch, is_present, status, verify
from .load import contexts, glove, load, model_folder, word_pairs
from .own_files import from_csv, from_jsonl
from .readers.words import Chimera, WordPairs
from .splits import read_label_lists

__all__ = [
    "Annotation", "CatalogEntry", "Chimera", "Corpus", "CorpusError", "Details", "PredicateRoles", "Relation", "Span",
    "Status", "WordPairs", "cache_folder", "contexts", "describe", "fetch", "from_csv", "from_jsonl", "glove",
    "is_present", "load", "model_folder", "names", "read_label_lists", "same_text_key", "status", "verify",
    "word_pairs",
]  # fmt: skip
