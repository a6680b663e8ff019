"""Hidden states as targets: the hint moves the inner layer, and costs no more than it should."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cosine_similarity

from metalearn_lib import encoders
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation import MiddleLayer, match_hidden
from metalearn_lib.encoders import WordAverage
from metalearn_lib.text import WordVectors


def of(words: WordVectors, dim: int, seed: int) -> encoders.Averaged:
    table = torch.randn(len(words.words), dim, generator=torch.Generator().manual_seed(seed))
    return encoders.Averaged(WordVectors.from_array(words.words, table.numpy()))


def test_output_and_inner_vectors_both_follow_the_teacher(texts: Corpus, words: WordVectors) -> None:
    teacher, middle = of(words, 4, 7), of(words, 3, 8)
    hinted = match_hidden(WordAverage(words), teacher, middle, texts, epochs=150)
    inner, output = hinted.both(hinted.inputs(texts))
    assert cosine_similarity(output, teacher.embed(texts)).mean() > 0.9
    assert cosine_similarity(inner, middle.embed(texts)).mean() > 0.9
    assert hinted.embed(texts).shape == (len(texts), teacher.dim)


def test_without_weight_the_hint_is_not_learned_and_the_start_is_the_same(texts: Corpus, words: WordVectors) -> None:
    teacher, middle = of(words, 4, 7), of(words, 3, 8)
    other = of(words, 3, 9)
    alone, again = (match_hidden(WordAverage(words), teacher, m, texts, epochs=2, weight=0) for m in (middle, other))
    hinted = match_hidden(WordAverage(words), teacher, middle, texts, epochs=2)
    assert torch.equal(alone.embed(texts), again.embed(texts))
    assert torch.equal(alone.hint.weight, again.hint.weight)
    assert not torch.equal(alone.embed(texts), hinted.embed(texts))


def test_bad_input_is_refused(texts: Corpus, words: WordVectors) -> None:
    teacher = of(words, 4, 7)
    with pytest.raises(ValueError, match="weight"):
        match_hidden(WordAverage(words), teacher, teacher, texts, epochs=1, weight=-1)
    with pytest.raises(ValueError, match="pool"):
        match_hidden(WordAverage(words), teacher, teacher, texts.subset([]), epochs=1)
    with pytest.raises(ValueError, match="layers 1"):
        MiddleLayer(7, cache=False)


def test_a_middle_layer_is_the_hidden_state_of_the_whole_model() -> None:
    middle, whole = MiddleLayer(3, cache=False), encoders.Transformer("minilm", cache=False)
    sentence = "The pump of the garden fountain is blocked."
    tokens = whole._tokens([sentence])[0]
    with torch.inference_mode():
        states = whole.model(input_ids=tokens, output_hidden_states=True).hidden_states[3].mean(1)
    assert torch.allclose(middle.embed([sentence])[0], torch.nn.functional.normalize(states, dim=1)[0], atol=1e-5)
    assert middle.cache is None and MiddleLayer(3).cache.folder != encoders.Transformer("minilm").cache.folder
