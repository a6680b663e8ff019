"""Text → vectors: averaging, convolution, LSTM, self-attention, a pretrained Transformer.   Chapters 01, 04, 09

`encoder(x, pool)` maps positions x [...] in a corpus to vectors [..., D]; what can be prepared once for a corpus
(token numbers, or the vectors themselves when nothing is trained) is prepared once and kept.
"""

from metalearn_lib.encoders.averaged import Averaged
from metalearn_lib.encoders.base import Encoder, Identity, Projected
from metalearn_lib.encoders.combined import Concatenated, Frozen
from metalearn_lib.encoders.fitted import Standardised, Whitened
from metalearn_lib.encoders.language_model import LanguageModelEncoder
from metalearn_lib.encoders.sequence import Convolutional, Recurrent, SelfAttention
from metalearn_lib.encoders.transformer import Transformer
from metalearn_lib.encoders.word_average import WordAverage

__all__ = [
    "Averaged",
    "Concatenated",
    "Convolutional",
    "Encoder",
    "Frozen",
    "Identity",
    "LanguageModelEncoder",
    "Projected",
    "Recurrent",
    "SelfAttention",
    "Standardised",
    "Transformer",
    "Whitened",
    "WordAverage",
]
