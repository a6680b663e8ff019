"""A language model's states as text vectors, so that pre-training without labels can be fine-tuned (ULMFiT).

Howard and Ruder (2018), Universal language model fine-tuning for text classification.   Chapter 09
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from metalearn_lib import text
from metalearn_lib.encoders import Encoder
from metalearn_lib.errors import check_options
from metalearn_lib.language_models import NeuralLanguageModel


class LanguageModelEncoder(Encoder):
    """The last, the mean and the maximum of a language model's states over the words, side by side [3 D].

    Their concat pooling $h_c=[h_T,\\mathrm{meanpool}(H),\\mathrm{maxpool}(H)]$ (section 3.3). A text is read from
    `<bos>` on, its first `max_length` tokens; a word outside the model's vocabulary is `<unk>`. The model itself is
    trained further, not a copy of it. Raises ValueError for `max_length` < 1 or anything but a neural language model.

    >>> vocabulary = text.Vocabulary.build([["once", "upon"]], sentence_marks=True)
    >>> LanguageModelEncoder(NeuralLanguageModel("lstm", vocabulary, dim=8)).embed(["once", "upon once"]).shape
    torch.Size([2, 24])

    Chapter: 09
    """

    padding = 0

    def __init__(self, model: NeuralLanguageModel, *, max_length: int = 60) -> None:
        super().__init__()
        if not isinstance(model, NeuralLanguageModel):
            raise ValueError(
                f"LanguageModelEncoder: a NeuralLanguageModel is needed for its states, not a {type(model).__name__}"
            )
        check_options("LanguageModelEncoder", max_length=max_length)
        self.model, self.max_length = model, max_length
        self.dim = 3 * model.embedding.embedding_dim
        # Not in a checkpoint, but compared when one is read: with another vocabulary the numbers mean other words.
        digest = hashlib.sha256("\0".join(model.vocabulary.itos).encode(errors="surrogatepass")).digest()
        self.register_buffer("words", torch.tensor(list(digest), dtype=torch.uint8), persistent=False)

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        vocabulary = self.model.vocabulary
        begin = vocabulary.stoi[text.BEGIN]
        # One higher than the model's own numbers: 0 is free for padding.
        rows = [[i + 1 for i in (begin, *vocabulary.encode(text.tokenize(t)))] for t in texts]
        return text.pad(rows, max_length=self.max_length + 1)

    def encode(self, prepared: Tensor) -> Tensor:
        flat = prepared.flatten(0, -2)  # [B, L]
        mask = flat > 0
        states = self.model.states((flat - 1).clamp(min=0))  # [B, L, D]
        lengths = mask.sum(1)
        last = states[torch.arange(len(states)), lengths - 1]
        mean = (states * mask[..., None]).sum(1) / lengths[:, None]
        highest = states.masked_fill(~mask[..., None], -torch.inf).amax(1)
        return torch.cat([last, mean, highest], dim=1).reshape(*prepared.shape[:-1], self.dim)
