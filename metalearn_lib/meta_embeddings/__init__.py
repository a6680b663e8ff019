"""Word vectors from several sources: made, combined, judged, and given to words that no source knows.   Chapter 06

Every source is a `text.WordVectors`; so is every fixed combination, which any encoder of word vectors takes.
`MetaEmbedding` is the combination that is learned across tasks: an encoder for any learner.
"""

from metalearn_lib.meta_embeddings.attention import ContextAttention, fit_attention
from metalearn_lib.meta_embeddings.chimeras import Chimera, chimera_correlations, load_chimeras
from metalearn_lib.meta_embeddings.combining import aligned, average, concatenated, prepared, svd
from metalearn_lib.meta_embeddings.counting import cooccurrences, ppmi_svd
from metalearn_lib.meta_embeddings.learned import MetaEmbedding
from metalearn_lib.meta_embeddings.new_words import ALaCarte, HeldOut, WordContexts, additive, collect, hold_out
from metalearn_lib.meta_embeddings.similarity import correlate, standing
from metalearn_lib.meta_embeddings.sources import (
    minilm_words,
    random_words,
    state_vectors,
    word2vec,
    words_in_context,
)
from metalearn_lib.meta_embeddings.texts import TextMeans
from metalearn_lib.scores import Correlation

__all__ = [
    "ALaCarte", "Chimera", "ContextAttention", "Correlation", "HeldOut", "MetaEmbedding", "TextMeans",
    "WordContexts", "additive", "aligned", "average", "chimera_correlations", "collect", "concatenated",
    "cooccurrences", "correlate", "fit_attention", "hold_out", "load_chimeras", "minilm_words", "ppmi_svd", "prepared",
    "random_words", "standing", "state_vectors", "svd", "word2vec", "words_in_context",
]  # fmt: skip
