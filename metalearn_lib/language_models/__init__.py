"""Language models over word tokens: n-gram, RNN, LSTM and Transformer, one interface, one perplexity.

Every model of a comparison must share one closed vocabulary: a word outside it is `<unk>` for all of them, so
that all assign probability to the same outcomes. Perplexity counts every token and the end of every sentence.

Chapter: 01
"""

from metalearn_lib.language_models.artefacts import fit_once
from metalearn_lib.language_models.neural import KINDS, NeuralLanguageModel, fit
from metalearn_lib.language_models.ngram import NGram
from metalearn_lib.language_models.scoring import LanguageModel, perplexity, sample
from metalearn_lib.scores import Perplexity, PerplexityRatio

__all__ = [
    "KINDS", "LanguageModel", "NGram", "NeuralLanguageModel", "Perplexity", "PerplexityRatio", "fit", "fit_once",
    "perplexity",
    "sample",
]  # fmt: skip
