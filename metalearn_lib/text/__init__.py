"""Texts as tokens, numbers and vectors.   Chapters 01, 04, 09"""

from metalearn_lib.text.fields import Fields, tokenize
from metalearn_lib.text.statistics import WordStatistics, statistics
from metalearn_lib.text.tokens import BEGIN, END, PADDING, UNKNOWN, check_texts, pad
from metalearn_lib.text.vectors import WordVectors, glove, load_vectors
from metalearn_lib.text.views import truncated
from metalearn_lib.text.vocabulary import Vocabulary, common_words

__all__ = [
    "BEGIN", "END", "PADDING", "UNKNOWN", "Fields", "Vocabulary", "WordStatistics", "WordVectors", "check_texts",
    "common_words", "glove", "load_vectors", "pad", "statistics", "tokenize", "truncated",
]  # fmt: skip
