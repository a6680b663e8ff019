"""Windows, held-out words, additive and à la carte against definitions, the attention model, Chimeras."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from metalearn_lib.corpora import CorpusError
from metalearn_lib.meta_embeddings import (
    ALaCarte,
    Chimera,
    ContextAttention,
    additive,
    chimera_correlations,
    collect,
    fit_attention,
    hold_out,
    load_chimeras,
)
from metalearn_lib.meta_embeddings.attention import _draw
from metalearn_lib.text import WordVectors

TEXTS = [["a", "x", "the", "b"], ["b", "a"]]


@pytest.fixture
def vectors(source):
    return source("a b c the", 3)


def test_windows_keep_places_skip_words_and_stop_at_the_end_of_a_text(vectors):
    found = collect(TEXTS, vectors, min_count=1, per_word=3, window=2, skip=["the"])
    assert found.words == ["a", "b"]
    assert found.counts.tolist() == [2, 2]
    a, b = vectors.stoi["a"], vectors.stoi["b"]
    assert {tuple(w) for w in found.contexts[0].tolist()} == {(0, 0, 0, 0), (0, b, 0, 0)}
    assert {tuple(w) for w in found.contexts[1].tolist()} == {(0, 0, a, 0), (0, 0, 0, 0)}
    torch.testing.assert_close(found.targets[0], vectors.table[a])


def test_contexts_are_drawn_by_seed_and_at_most_so_many(source):
    vectors = source(" ".join(f"w{i}" for i in range(50)), 3)
    texts = [[f"w{i}" for i in np.random.default_rng(s).integers(0, 50, 30)] for s in range(20)]
    one, two, other = (collect(texts, vectors, min_count=5, per_word=4, seed=s) for s in (0, 0, 1))
    assert torch.equal(one.contexts, two.contexts)
    assert not torch.equal(one.contexts, other.contexts)
    assert one.contexts.shape[1:] == (4, 20)
    assert one.counts.max() == 4


@pytest.mark.parametrize(
    ("texts", "options", "says"),
    [
        (TEXTS, {"window": 0}, "window=0"),
        (TEXTS, {"per_word": 0}, "per_word=0"),
        (TEXTS, {"min_count": 99}, "no word with a vector occurs 99"),
        (TEXTS, {"words": ["nowhere"]}, "no word with a vector"),
        ([["ни", "слова"]], {"min_count": 1}, "the same language"),
    ],
)
def test_collect_refuses(vectors, texts, options, says):
    with pytest.raises(ValueError, match=says):
        collect(texts, vectors, **options)


def test_held_out_words_are_in_no_context_and_in_one_part_only(toy):
    texts, vectors = toy
    parts = hold_out(collect(texts, vectors, window=4), n_valid=5, n_test=8, seed=1)
    names = [set(p.words) for p in (parts.train, parts.valid, parts.test)]
    assert [len(n) for n in names] == [27, 5, 8]
    assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]
    held = set(vectors.encode([*parts.valid.words, *parts.test.words]))
    for part in (parts.train, parts.valid, parts.test):
        assert not held & set(part.contexts.unique().tolist())
    with pytest.raises(ValueError, match="leave some for training"):
        hold_out(parts.test, n_valid=4, n_test=4)


def test_additive_is_the_mean_and_zero_without_words(vectors):
    contexts = torch.tensor([[[1, 2], [2, 0]], [[0, 0], [0, 0]]])
    made = additive(contexts, vectors)
    torch.testing.assert_close(made[0], (vectors.table[1] + 2 * vectors.table[2]) / 3)
    assert not made[1].any()


def test_a_la_carte_is_weighted_least_squares(toy):
    texts, vectors = toy
    words = [w for w in vectors.words if w not in ("w0", "w1")]
    fitted = ALaCarte(texts, words, vectors, window=3, hide=["w0", "w1"], penalty=1e-9)
    rows, weights, targets = [], [], []
    for word in words:
        around = [
            vectors.table[vectors.stoi[t]].double()
            for text in texts
            for i, here in enumerate(text)
            if here == word
            for t in text[max(0, i - 3) : i] + text[i + 1 : i + 4]
            if t not in ("w0", "w1")
        ]
        rows.append(torch.stack(around).mean(0))
        weights.append(np.log1p(sum(text.count(word) for text in texts)))
        targets.append(vectors.table[vectors.stoi[word]].double())
    root = torch.tensor(weights).double().sqrt()[:, None]
    solved = torch.linalg.lstsq(torch.stack(rows) * root, torch.stack(targets) * root).solution
    torch.testing.assert_close(fitted.matrix.double(), solved.T, atol=1e-4, rtol=1e-4)


def test_a_la_carte_learns_to_forget_what_all_contexts_share(toy):
    """Every second word is "the", whose vector says nothing: a mean is drawn to it, a fitted map takes it out."""
    texts, plain = toy
    vectors = WordVectors.from_array(
        [*plain.words, "the"], np.concatenate([plain.table[1:].numpy(), np.full((1, 6), 9.0)])
    )
    noisy = [[token for word in text for token in (word, "the")] for text in texts]
    parts = hold_out(collect(noisy, vectors, words=plain.words, window=8), n_valid=2, n_test=10)
    hidden = [*parts.valid.words, *parts.test.words]
    fitted = ALaCarte(noisy, parts.train.words, vectors, window=8, hide=hidden)
    contexts, truth = parts.test.contexts[:, :6], normalize(parts.test.targets, dim=1)
    by_mean, by_map = (
        (normalize(v, dim=1) * truth).sum(1).mean() for v in (additive(contexts, vectors), fitted(contexts))
    )
    assert by_map > by_mean + 0.3


@pytest.mark.parametrize(
    ("word", "options", "says"),
    [
        ("w3", {"hide": ["w3"]}, "'w3' is a training word and hidden"),
        ("nowhere", {}, "none of the 1 training words"),
        ("w3", {"penalty": 0}, "penalty=0"),
    ],
)
def test_a_la_carte_refuses_leaks_and_absent_words(toy, word, options, says):
    texts, vectors = toy
    with pytest.raises(ValueError, match=says):
        ALaCarte(texts, [word], vectors, **options)


@pytest.fixture
def parts(toy):
    return hold_out(collect(*toy, window=4, per_word=10), n_valid=2, n_test=6)


@pytest.fixture
def start(toy, parts):
    texts, vectors = toy
    return ALaCarte(texts, parts.train.words, vectors, window=4, hide=[*parts.valid.words, *parts.test.words])


@pytest.fixture
def model(start):
    return ContextAttention(start, window=4, hidden=8)


def test_without_attention_the_matrix_trains_as_in_the_whole_network_and_nothing_else(model, start, parts):
    whole, alone = model, ContextAttention(start, window=4, hidden=8, attend=False)
    for name, parameter in whole.named_parameters():
        parameter.requires_grad_(name == "matrix")
    before = copy.deepcopy(alone.state_dict())
    losses = [fit_attention(m, parts.train, steps=20, tasks=8, lr=0.01, progress=False) for m in (whole, alone)]
    torch.testing.assert_close(*map(torch.tensor, losses))
    assert [name for name, value in alone.state_dict().items() if not torch.equal(value, before[name])] == ["matrix"]
    for ours, theirs in zip(alone.weights(parts.test.contexts), whole.weights(parts.test.contexts), strict=True):
        torch.testing.assert_close(ours, theirs.detach())


def test_with_one_context_the_network_begins_as_a_la_carte(parts, start, model):
    contexts = parts.test.contexts[:, :1]
    torch.testing.assert_close(model.eval()(contexts), start(contexts), atol=1e-5, rtol=1e-4)


def test_order_and_empty_contexts_change_nothing(parts, model):
    model.eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    contexts = parts.test.contexts[:, :4]
    more = torch.cat([contexts[:, [2, 0, 3, 1]], torch.zeros_like(contexts)], 1)
    torch.testing.assert_close(model(contexts), model(more), atol=1e-5, rtol=1e-4)
    empty = model(torch.zeros(1, 3, 8, dtype=torch.long))
    assert not empty.any()
    alpha, beta = model.weights(contexts)
    torch.testing.assert_close(beta.sum(1), torch.ones(6))
    assert ((alpha.sum(2) - 1).abs() < 1e-5).all()


def test_training_over_words_carries_over_to_words_never_trained_on(parts, model):
    losses = fit_attention(model, parts.train, steps=150, tasks=16, lr=3e-3, progress=False)
    assert np.mean(losses[-20:]) < np.mean(losses[:20])
    made = normalize(model(parts.test.contexts[:, :4]), dim=1)
    assert (made * normalize(parts.test.targets, dim=1)).sum(1).mean() > 0.6


def test_same_seed_same_training(parts, model):
    one, two = (fit_attention(m, parts.train, steps=5, tasks=8, progress=False) for m in (model, copy.deepcopy(model)))
    assert one == two


def test_tasks_are_different_words_with_their_own_contexts(parts):
    words = parts.train
    contexts, rows = _draw(words, 7, tasks=5, shots=3)
    assert contexts.shape == (5, 3, 8) and len(set(rows.tolist())) == 5
    for window, row in zip(contexts.tolist(), rows, strict=True):
        own = words.contexts[row].tolist()
        assert all(context in own for context in window)


def test_the_attention_model_refuses_other_windows_and_options(parts, start, model):
    with pytest.raises(ValueError, match=r"need \[B, K, 8\]"):
        model(torch.zeros(2, 3, 20, dtype=torch.long))
    with pytest.raises(ValueError, match="2 ≤ tasks"):
        fit_attention(model, parts.train, tasks=1000)
    with pytest.raises(ValueError, match="hidden=0"):
        ContextAttention(start, hidden=0)


def test_chimeras_are_judged_by_rank_and_windows_stand_round_the_slot():
    vectors = WordVectors.from_array(
        ["tea", "cup", "cat", "hot"], np.array([[1.0, 0], [0.9, 0.1], [-1, 0.2], [1, 0.1]])
    )
    seen = []

    def embed(contexts):
        seen.append(contexts)
        return additive(contexts, vectors)

    asked = [Chimera([["hot", "the", "___", "tea"]], ["tea", "cup", "cat"], [5, 4, 1]) for _ in range(2)]
    found = chimera_correlations(embed, asked, vectors, window=2, skip=["the"])
    assert found.mean == pytest.approx(1.0)
    assert seen[0].tolist() == [[[0, vectors.stoi["hot"], vectors.stoi["tea"], 0]]]
    empty = [Chimera([["never"]], ["tea", "cup"], [1, 2])] * 2
    assert chimera_correlations(embed, empty, vectors, window=2).mean == 0.0
    with pytest.raises(ValueError, match="no probe word"):
        chimera_correlations(embed, [Chimera([["tea"]], ["x", "y"], [1, 2])] * 2, vectors, window=2)


def test_published_chimeras_are_there_with_the_mirror():
    with pytest.raises(ValueError, match="2, 4, 6 contexts"):
        load_chimeras(3)
    try:
        found = load_chimeras(2)
    except CorpusError as error:
        pytest.skip(f"the Chimeras are not here: {str(error)[:80]}")
    assert len(found) == 305
    assert all(len(c.contexts) == 2 for c in found)
