"""Translation across languages: a pair of languages is a task, measured with chrF, split by the English string.

Chapter: 11
"""

from metalearn_lib.corpora.templates import expanded
from metalearn_lib.corpora.translations import Pair, Parallel, from_parallel, parallel
from metalearn_lib.translation.chrf import chrf, corpus_chrf
from metalearn_lib.translation.edits import EditCodec, Editor, WordsOrEdits, edited, edits
from metalearn_lib.translation.floors import Copy, TranslationMemory, Translator, WordTable, score
from metalearn_lib.translation.intents import CharacterNgrams, LookUp, shared_classes
from metalearn_lib.translation.seq2seq import PieceCodec, Seq2Seq, Writer
from metalearn_lib.translation.splits import english_key, leaked, split_english, split_languages
from metalearn_lib.translation.starts import PairSampler, fine_tuned

__all__ = [
    "CharacterNgrams", "Copy", "EditCodec", "Editor", "LookUp", "Pair", "PairSampler", "Parallel", "PieceCodec",
    "Seq2Seq", "TranslationMemory", "Translator", "WordTable", "WordsOrEdits", "Writer", "chrf", "corpus_chrf",
    "edited", "edits", "english_key", "expanded", "fine_tuned", "from_parallel", "leaked", "parallel", "score",
    "shared_classes", "split_english", "split_languages",
]  # fmt: skip
