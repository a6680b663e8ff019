"""Sources of word vectors: word2vec trained on the spot, MiniLM's words, the states of a language model.   Chapter 06

Two more live elsewhere: `text.glove()`, and `ppmi_svd` in counting.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn

from metalearn_lib.errors import check_options
from metalearn_lib.modules import evaluating
from metalearn_lib.text import BEGIN, PADDING, UNKNOWN, WordVectors

if TYPE_CHECKING:
    from metalearn_lib.encoders import Transformer
    from metalearn_lib.language_models import NeuralLanguageModel


def word2vec(
    token_lists: Sequence[Sequence[str]],
    *,
    dim: int = 50,
    window: int = 5,
    min_count: int = 5,
    epochs: int = 5,
    seed: int = 0,
) -> WordVectors:
    """Vectors trained to predict words from their neighbours (Mikolov et al., 2013), by gensim.   Chapter: 06

    CBOW with 5 negative samples. One worker: the same seed gives the same vectors on the same machine.
    Raises ValueError for sizes below 1, or if no word occurs `min_count` times.

    >>> word2vec([["hot", "tea"], ["hot", "soup"]], dim=4, min_count=1, epochs=1).table.shape
    torch.Size([4, 4])
    """
    check_options("word2vec", dim=dim, window=window, min_count=min_count, epochs=epochs, seed=seed)
    from gensim.models import Word2Vec

    model = Word2Vec(vector_size=dim, window=window, min_count=min_count, seed=seed, workers=1, alpha=0.05)
    sentences = [list(tokens) for tokens in token_lists]
    model.build_vocab(sentences)
    if not len(model.wv):
        raise ValueError(f"word2vec: no word occurs {min_count} times; lower min_count or give more text")
    model.train(sentences, total_examples=model.corpus_count, epochs=epochs)
    return WordVectors.from_array(list(model.wv.index_to_key), model.wv.vectors)


def minilm_words(
    words: Sequence[str], *, layer: Literal["output", "input"] = "output", encoder: Transformer | None = None
) -> WordVectors:
    """MiniLM's vector of each word: what it makes of the word as a text ("output"), or its input table ("input").

    Of a word in several pieces, "input" is their mean; a word that the tokenizer does not know at all has no vector
    there. `encoder` is a loaded `encoders.Transformer`, of MiniLM or another model; without one it is loaded here.
    Raises ValueError without words, or for an empty one.   Chapter: 06
    """
    from metalearn_lib import encoders

    if layer not in ("output", "input"):
        raise ValueError(f"minilm_words(layer={layer!r}): use 'output' or 'input'")
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError(f"minilm_words: {len(words)} words, one of them empty or none at all; give words as text")
    encoder = encoder or encoders.Transformer("minilm", progress=False)
    if layer == "output":
        return WordVectors.from_array(words, encoder.embed(words).numpy(force=True))
    table = encoder.model.get_input_embeddings().weight.detach().cpu()
    unknown = encoder.tokenizer.unk_token_id
    pieces = encoder.tokenizer(list(words), add_special_tokens=False)["input_ids"]
    known = [(word, ids) for word, ids in zip(words, pieces, strict=True) if ids and unknown not in ids]
    vectors = torch.stack([table[ids].mean(0) for _, ids in known]) if known else table[:0]
    return WordVectors.from_array([word for word, _ in known], vectors.numpy())


def state_vectors(model: NeuralLanguageModel, sentences: Sequence[Sequence[str]], *, batch: int = 128) -> WordVectors:
    """The mean hidden state of a language model where each word has just been read, over `sentences`.   Chapter: 06

    A contextual vector made static: what the model expects after the word. Words outside the vocabulary, and those that
    do not occur in `sentences`, have no vector. Raises ValueError if no word of the vocabulary occurs.
    """
    vocabulary, device = model.vocabulary, model.bias.device
    sums = torch.zeros(len(vocabulary), model.embedding.embedding_dim)
    counts = torch.zeros(len(vocabulary))
    marks = torch.tensor([vocabulary.stoi[mark] for mark in (UNKNOWN, PADDING, BEGIN)])
    with evaluating(model):
        ordered = sorted(sentences, key=len)
        for start in range(0, len(ordered), batch):
            read = [[vocabulary.stoi[BEGIN], *vocabulary.encode(s)] for s in ordered[start : start + batch]]
            ids = nn.utils.rnn.pad_sequence(list(map(torch.tensor, read)), batch_first=True, padding_value=1)
            states = model.states(ids.to(device)).cpu()
            sums.index_add_(0, ids.flatten(), states.flatten(0, 1))
            counts.index_add_(0, ids.flatten(), torch.ones(ids.numel()))
    counts[marks] = 0
    rows = counts.nonzero()[:, 0]
    if not len(rows):
        raise ValueError("state_vectors: no word of the model's vocabulary occurs in these sentences")
    means = sums[rows] / counts[rows, None]
    return WordVectors.from_array(vocabulary.decode(rows.tolist()), np.asarray(means))
