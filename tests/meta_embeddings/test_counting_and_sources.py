"""Counts against a plain loop, PPMI against its formula, each source: its words, its determinism, its refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from metalearn_lib.language_models import NeuralLanguageModel
from metalearn_lib.meta_embeddings import cooccurrences, minilm_words, ppmi_svd, state_vectors, word2vec
from metalearn_lib.meta_embeddings.counting import _left_vectors
from metalearn_lib.text import BEGIN, Vocabulary

TEXTS = [["a", "b", "x", "c"], ["c", "a"], ["b"], []]


@pytest.mark.parametrize("decay", [True, False])
@pytest.mark.parametrize("window", [1, 2, 3])
def test_cooccurrences_are_those_of_a_plain_loop(window, decay):
    numbers = {"a": 0, "b": 1, "c": 2}
    expected = np.zeros((3, 3))
    for text in TEXTS:
        for i, first in enumerate(text):
            for j, second in enumerate(text):
                if 0 < abs(i - j) <= window and first in numbers and second in numbers:
                    expected[numbers[first], numbers[second]] += 1 / abs(i - j) if decay else 1
    np.testing.assert_allclose(cooccurrences(TEXTS, numbers, window=window, decay=decay).toarray(), expected, rtol=1e-6)


@pytest.mark.parametrize(("numbers", "window"), [({}, 2), ({"a": 1}, 2), ({"a": 0, "b": 0}, 2), ({"a": 0}, 0)])
def test_cooccurrences_refuse_bad_numbers(numbers, window):
    with pytest.raises(ValueError, match=r"cooccurrences\(window="):
        cooccurrences(TEXTS, numbers, window=window)


def test_ppmi_vectors_span_the_matrix_of_the_formula():
    texts = [["a", "b", "c", "d"], ["d", "a", "a"], ["c", "e", "b"], ["e", "d", "c"]]
    words = ["a", "c", "d", "b", "e"]
    counts = cooccurrences(texts, {w: i for i, w in enumerate(words)}, window=2).toarray().astype(float)
    total, context = counts.sum(), counts.sum(1) ** 0.75 / (counts.sum(1) ** 0.75).sum()
    ppmi = np.zeros((5, 5))
    for i in range(5):
        for j in range(5):
            if counts[i, j]:
                ppmi[i, j] = max(0, math.log(counts[i, j] / total / (counts[i].sum() / total * context[j])))
    left = np.linalg.svd(ppmi)[0][:, :2]
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    found = ppmi_svd(texts, dim=2, window=2, min_count=1)
    ours = found.table[found.encode(words)].double().numpy()
    np.testing.assert_allclose(ours @ ours.T, left @ left.T, atol=1e-4)


def test_the_vectors_are_those_of_a_full_decomposition_where_few_directions_matter():
    random = np.random.default_rng(0)
    matrix = random.normal(size=(80, 4)) @ np.diag([9.0, 6, 3, 1]) @ random.normal(size=(4, 80))
    found = _left_vectors(csr_matrix(matrix.astype(np.float32)), 3, seed=1)
    left = np.linalg.svd(matrix)[0][:, :3]
    np.testing.assert_allclose(np.abs((found * left).sum(0)), 1, atol=1e-4)


def test_ppmi_keeps_frequent_words_only_and_wants_more_words_than_dimensions():
    assert "x" not in ppmi_svd([["a", "b", "c"], ["a", "b", "c", "x"]], dim=2, min_count=2).words
    with pytest.raises(ValueError, match="2 words occur so often"):
        ppmi_svd([["a", "b"], ["a", "b"]], dim=2, min_count=2)


def test_words_of_one_topic_get_alike_vectors(toy):
    texts, _ = toy
    table = torch.nn.functional.normalize(ppmi_svd(texts, dim=4).table[1:], dim=1)
    topics = torch.tensor([int(w[1:]) % 4 for w in ppmi_svd(texts, dim=4).words])
    cosines, same = table @ table.T, topics[:, None] == topics
    assert cosines[same].mean() > cosines[~same].mean() + 0.5


def test_word2vec_is_the_same_for_the_same_seed_and_differs_for_another():
    texts = [["a", "b", "c"], ["b", "c", "a"]] * 20
    one, two, other = (word2vec(texts, dim=4, min_count=1, epochs=2, seed=s) for s in (0, 0, 1))
    torch.testing.assert_close(one.table, two.table)
    assert not torch.allclose(one.table, other.table)


def test_word2vec_refuses_what_cannot_be_trained():
    with pytest.raises(ValueError, match="no word occurs 5 times"):
        word2vec([["a", "b"]])
    with pytest.raises(ValueError, match=r"word2vec\(dim=0\): must be a whole number ≥ 1"):
        word2vec([["a"]], dim=0)


def test_state_vectors_are_the_means_of_the_states_where_the_word_was_read():
    vocabulary = Vocabulary.build([["a", "b", "c"]], sentence_marks=True)
    model = NeuralLanguageModel("lstm", vocabulary, dim=8, seed=1)
    sentences = [["a", "b"], ["b"], ["unseen", "a", "b", "a"]]
    found = state_vectors(model, sentences, batch=2)
    model.eval()
    states = {"a": [], "b": []}
    for sentence in sentences:
        ids = torch.tensor([[vocabulary.stoi[BEGIN], *vocabulary.encode(sentence)]])
        for word, state in zip(sentence, model.states(ids)[0, 1:], strict=True):
            if word in states:
                states[word].append(state.detach())
    assert sorted(found.words) == ["a", "b"]
    for word, rows in states.items():
        torch.testing.assert_close(found.table[found.stoi[word]], torch.stack(rows).mean(0))
    with pytest.raises(ValueError, match="no word of the model's vocabulary"):
        state_vectors(model, [["unseen"], []])


class FakeEncoder:
    """Stands for a loaded Transformer: three pieces, the first of them the unknown one."""

    class tokenizer_class:
        unk_token_id = 0

        def __call__(self, words, add_special_tokens):
            ids = {"tea": [1], "teacup": [1, 2], "♞": [0]}
            return {"input_ids": [ids[word] for word in words]}

    class model_class:
        def get_input_embeddings(self):
            return torch.nn.Embedding.from_pretrained(torch.tensor([[9.0, 9], [1, 0], [0, 1]]))

    tokenizer, model = tokenizer_class(), model_class()

    def embed(self, words):
        return torch.ones(len(words), 2)


def test_minilm_input_vectors_are_means_of_pieces_and_unknown_words_have_none():
    found = minilm_words(["tea", "teacup", "♞"], layer="input", encoder=FakeEncoder())
    assert list(found.words) == ["tea", "teacup"]
    torch.testing.assert_close(found.table[1:], torch.tensor([[1.0, 0], [0.5, 0.5]]))
    assert list(minilm_words(["tea", "♞"], encoder=FakeEncoder()).words) == ["tea", "♞"]


@pytest.mark.parametrize(
    ("words", "layer", "says"),
    [([], "output", "0 words"), (["tea", " "], "output", "one of them empty"), (["tea"], "middle", "use 'output'")],
)
def test_minilm_refuses_bad_words_and_layers(words, layer, says):
    with pytest.raises(ValueError, match=says):
        minilm_words(words, layer=layer, encoder=FakeEncoder())
