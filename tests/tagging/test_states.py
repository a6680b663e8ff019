"""States of marked places: those of the model run by hand, whatever else is in the batch."""

from __future__ import annotations

import pytest
import torch

from metalearn_lib.corpora import Corpus, Span
from metalearn_lib.encoders import Concatenated, Projected, Transformer, Whitened
from metalearn_lib.learners import Prototypical
from metalearn_lib.tagging import Alone, MarkedStates, Sentences, Shapes, TagSampler, mark, span_scores, unmark
from metalearn_lib.training import meta_train

WORDS = ["to", "##wn", "in", "bern", "rome", "tea", "now", "we", "go"]
TEXTS = ["⟦town⟧ in bern", "town ⟦in⟧ bern", "town in ⟦bern⟧", "we go to ⟦rome⟧ now", "⟦we⟧"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    path = tmp_path_factory.mktemp("models") / "tiny"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=16, **shape)).save_pretrained(path)
    BertTokenizerFast(vocab={w: i for i, w in enumerate(vocabulary)}, model_max_length=16).save_pretrained(path)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "data"))


@pytest.fixture
def tiny(folder):
    return Transformer(folder, max_length=16)


def by_hand(tiny, text, layer):
    """The states of all word pieces of a text and their places."""
    encoded = tiny.tokenizer(text, return_offsets_mapping=True)
    with torch.no_grad():
        states = tiny.model(torch.tensor([encoded["input_ids"]]), output_hidden_states=True).hidden_states[layer][0]
    return states, encoded["offset_mapping"]


def mean_by_hand(states, offsets, start, stop):
    inside = [state for state, (a, b) in zip(states, offsets, strict=True) if a < b and a < stop and b > start]
    return torch.stack(inside).mean(0)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_states_are_those_of_the_layer(tiny, layer):
    found = MarkedStates(tiny, layer=layer).embed(TEXTS)
    for text, vector in zip(TEXTS, found, strict=True):
        plain, ((start, stop),) = unmark(text)
        expected = mean_by_hand(*by_hand(tiny, plain, layer), start, stop)
        torch.testing.assert_close(vector, expected, atol=2e-3, rtol=2e-3)  # kept in half precision


def test_two_marks_neighbours_and_the_sentence(tiny):
    text = mark("we go to town now", [Span(9, 13), Span(0, 2)])
    encoder = MarkedStates(tiny, layer=1, marks=2, neighbours=True, sentence=True)
    states, offsets = by_hand(tiny, "we go to town now", 1)
    places = [(9, 13), (6, 8), (14, 17), (0, 2), None, (3, 5), (0, 17)]
    expected = [torch.zeros(8) if p is None else mean_by_hand(states, offsets, *p) for p in places]
    assert encoder.dim == 56
    torch.testing.assert_close(encoder.embed([text])[0], torch.cat(expected), atol=2e-3, rtol=2e-3)


def test_a_second_encoder_reads_the_cache_and_another_setting_does_not(tiny, folder, monkeypatch):
    first = MarkedStates(tiny, layer=1).embed(TEXTS)
    again = MarkedStates(Transformer(folder, max_length=16), layer=1)
    with monkeypatch.context() as patched:
        patched.setattr(MarkedStates, "_states", None)
        assert torch.equal(again.embed(TEXTS[::-1]), first.flip(0))
    other = MarkedStates(tiny, layer=2)
    assert not torch.equal(other.embed(TEXTS), first)
    alone = MarkedStates(Transformer(folder, max_length=16, cache=False), layer=1)
    torch.testing.assert_close(torch.cat([alone.embed([text]) for text in TEXTS]), first, atol=2e-3, rtol=2e-3)


def test_signs_that_the_tokenizer_drops_are_zero(tiny):
    assert MarkedStates(tiny, layer=1).embed(["go ⟦\u200b⟧ now"]).abs().sum() == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no mark", "no place is marked"),
        ("⟦a⟧ ⟪b⟫", r"MarkedStates\(marks=1\): other marks"),
        ("⟦we⟧" + " go" * 20, "23 word pieces, the model reads 16; split"),
    ],
)
def test_texts_that_cannot_be_read_are_named(tiny, text, message):
    with pytest.raises(ValueError, match=message):
        MarkedStates(tiny, layer=1).embed([text])


@pytest.mark.parametrize(("options", "message"), [({"layer": 3}, "layers 0 … 2"), ({"layer": 1, "marks": 3}, "1 or 2")])
def test_settings_that_no_model_has(tiny, options, message):
    with pytest.raises(ValueError, match=message):
        MarkedStates(tiny, **options)


def test_a_transformer_that_trains_is_refused(folder):
    with pytest.raises(ValueError, match="the Transformer trains"):
        MarkedStates(Transformer(folder, max_length=16, frozen=False))


def test_other_encoders_stand_on_it(tiny):
    pool = Corpus("marked", TEXTS, ["a", "b", "a", "b", "b"])
    states = MarkedStates(tiny, layer=1)
    assert Whitened(states, pool).embed(pool).shape == (5, 8)
    assert Concatenated([states, Shapes(), Alone(states)]).embed(pool).shape == (5, 8 + 12 + 8)


def test_a_word_alone_has_the_states_of_a_text_of_one_word(tiny):
    states, wider = MarkedStates(tiny, layer=1), MarkedStates(tiny, layer=1, neighbours=True)
    bern, rome = states.embed(["⟦bern⟧", "⟦rome⟧"])
    alone = Alone(states).embed(["in ⟦bern⟧", "⟦bern⟧ go", "we go to ⟦rome⟧ now"])
    torch.testing.assert_close(alone, torch.stack([bern, bern, rome]))
    (both,) = Alone(wider).embed(["⟦bern⟧ rome now"])
    torch.testing.assert_close(both, torch.cat([bern, torch.zeros(8), rome]))
    for other in (tiny, MarkedStates(tiny, layer=1, marks=2), MarkedStates(tiny, layer=1, sentence=True)):
        with pytest.raises(ValueError, match="Alone reads single words"):
            Alone(other)


def test_a_projection_is_meta_trained_on_tags(sentences, words):
    sampler = TagSampler(sentences, k_shot=2, n_query=10)
    learner = Prototypical(Projected(words, dim=16))
    before = span_scores(learner, sampler, {"x": None}, episodes=8, first=500)["x"]
    history = meta_train(learner, sampler, steps=40, tasks_per_step=1, lr=0.01, progress=False)
    assert history.losses[-1] < history.losses[0]
    assert span_scores(learner, sampler, {"x": None}, episodes=8, first=500)["x"].mean > before.mean


def test_shapes_by_hand():
    vector = Shapes().embed(["⟦8128,⟧ S. Drive"])[0].tolist()
    assert vector == pytest.approx([0.8, 0, 0.2, 5 / 12, 0, 1, 0, 1, 0, 0, 1, 1 / 3])
    with pytest.raises(ValueError, match="no place is marked"):
        Shapes().embed(["8128"])


def test_published_shape_of_a_sentence_pool(sentences):
    pool = sentences.tokens
    assert len(pool) == sentences.starts[-1] and isinstance(sentences, Sentences)
    assert all(unmark(text)[0] for text in pool.texts)
