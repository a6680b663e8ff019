"""Sources of word vectors: MiniLM's words, alone and in context, a language model's states, word2vec; and their floor.

The floor is `random_words`. Two more sources live elsewhere: `text.glove()`, and `ppmi_svd` in counting.py.
Chapter 06
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import compress
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


def random_words(words: Sequence[str], *, dim: int, seed: int = 0) -> WordVectors:
    """The floor of every source: `dim` normal random numbers a word, of variance 1 / dim.   Chapter: 06

    A random vector knows nothing of a word but that it is another word. Two of them are nearly at right angles, so the
    dot product of two texts' means counts the words that they share. Raises ValueError for a dim below 1, or without
    words.

    >>> random_words(["tea", "ice"], dim=3).table.shape
    torch.Size([3, 3])
    """
    check_options("random_words", dim=dim, seed=seed)
    if not words:
        raise ValueError("random_words: no words; give those that a source knows")
    numbers = np.random.default_rng(seed).standard_normal((len(words), dim), dtype=np.float32)
    return WordVectors.from_array(list(words), np.divide(numbers, np.float32(dim**0.5), out=numbers))


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
    starts = torch.tensor([0, *map(len, (ids for _, ids in known))]).cumsum(0)[:-1]
    rows = torch.tensor([row for _, ids in known for row in ids], dtype=torch.long)
    vectors = nn.functional.embedding_bag(rows, table, starts, mode="mean") if known else table[:0]
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


def words_in_context(
    token_lists: Sequence[Sequence[str]],
    *,
    min_count: int = 1,
    max_length: int = 128,
    encoder: Transformer | None = None,
    batch: int = 32,
) -> WordVectors:
    """The mean of a Transformer's last states at a word, over the places where it stands in the texts.   Chapter: 06

    A contextual vector made static. Each text is read once, up to `max_length` pieces; a word in several pieces is
    their mean. Words that are read less than `min_count` times have no vector. `encoder` is a loaded
    `encoders.Transformer`, by default MiniLM; where it keeps its encodings, so it keeps these: the texts are read once.
    Raises ValueError for sizes below 1 (`max_length` below 3), or if no word is read so often.
    """
    from metalearn_lib import encoders
    from metalearn_lib.encoders.cache import EncodingCache

    check_options("words_in_context", min_count=min_count, batch=batch)
    if max_length < 3:
        raise ValueError(f"words_in_context(max_length={max_length}): need ≥ 3, two of them are marks")
    encoder = encoder or encoders.Transformer("minilm", progress=False)
    texts = [list(tokens[:max_length]) for tokens in token_lists if len(tokens)]
    counted = Counter(word for tokens in texts for word in tokens)
    words = [word for word, count in counted.items() if count >= min_count]
    if not words:
        raise ValueError(f"words_in_context: no word is read {min_count} times; lower min_count or give more texts")
    places = {word: row for row, word in enumerate(words)}
    means = functools.cache(lambda: _mean_states(texts, places, encoder, max_length=max_length, batch=batch))

    def rows(asked: Sequence[str]) -> torch.Tensor:
        return means()[[places[word] for word in asked]]

    if encoder.cache is None:
        table = rows(words)
    else:
        digest = hashlib.sha256(json.dumps([texts, min_count, max_length]).encode()).hexdigest()[:16]
        cache = EncodingCache(f"{encoder.cache.folder.name}-words-{digest}", folder=encoder.cache.folder.parent)
        table = cache.get(words, rows, dim=encoder.dim)
    read = table.any(1)  # a word that stood only behind the cut was never read
    return WordVectors.from_array(list(compress(words, read.tolist())), table[read].numpy())


def _mean_states(
    texts: Sequence[list[str]], places: Mapping[str, int], encoder: Transformer, *, max_length: int, batch: int
) -> torch.Tensor:
    """The mean state of each word's pieces over all texts [V, D], zero where none was read."""
    sums, counts = torch.zeros(len(places), encoder.dim), torch.zeros(len(places))
    ordered = sorted(texts, key=len)
    options = {"is_split_into_words": True, "truncation": True, "padding": True, "return_tensors": "pt"}
    with evaluating(encoder):
        for start in range(0, len(ordered), batch):
            part = ordered[start : start + batch]
            tokens = encoder.tokenizer(part, max_length=max_length, **options)
            states = encoder.model(**{name: tokens[name] for name in ("input_ids", "attention_mask")}).last_hidden_state
            pieces = [
                (row, piece, places[part[row][place]])
                for row in range(len(part))
                for piece, place in enumerate(tokens.word_ids(row))
                if place is not None and part[row][place] in places
            ]
            if pieces:
                row, piece, word = torch.tensor(pieces).T
                sums.index_add_(0, word, states[row, piece].cpu())
                counts.index_add_(0, word, torch.ones(len(word)))
    return sums / counts.clamp(min=1)[:, None]
