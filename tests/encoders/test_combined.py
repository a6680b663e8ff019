"""Views put together, encoders that have learned enough, and the options of averages and maps that they rest on."""

import math

import pytest
import torch

from metalearn_lib import encoders

TEXTS = ["red cat cat cat", "green dog", "blue cat dog", "zyx qwv"]


def test_a_frozen_encoder_gives_the_same_vectors_once_and_for_all(vectors, corpus, monkeypatch):
    torch.manual_seed(0)
    inner = encoders.Convolutional(vectors, channels=4, dropout=0.5)
    expected = inner.embed(corpus.texts)
    frozen = encoders.Frozen(inner).train()
    x = torch.tensor([[0, 3], [1, 2]])
    torch.testing.assert_close(frozen(x, corpus), expected[x])
    assert not any(p.requires_grad for p in frozen.parameters())
    monkeypatch.setattr(inner, "encode", None)
    torch.testing.assert_close(frozen(x, corpus), expected[x])


def test_dot_products_of_concatenated_views_are_weighted_sums(vectors, corpus):
    plain, convolutional = encoders.Averaged(vectors), encoders.Convolutional(vectors, channels=4)
    both = encoders.Concatenated([plain, convolutional], weights=[1, 0.25])
    x = torch.arange(3)
    units = [torch.nn.functional.normalize(e.embed(corpus.texts[:3]), dim=1) for e in (plain, convolutional)]
    found = both(x, corpus)
    assert found.shape == (3, both.dim) == (3, 6 + 12)
    torch.testing.assert_close(found @ found.T, units[0] @ units[0].T + 0.25 * units[1] @ units[1].T)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, 1.0, 1.0]])
def test_wrong_weights_are_refused(vectors, weights):
    with pytest.raises(ValueError, match="positive"):
        encoders.Concatenated([encoders.Averaged(vectors)] * 2, weights=weights)


def test_log_counts_dampen_repetition(vectors):
    vector = encoders.Averaged(vectors, log_counts=True).embed([TEXTS[0]])[0]
    c, red, cat = 1 + math.log(3), *vectors.table[vectors.encode(["red", "cat"])]
    torch.testing.assert_close(vector, (red + c * cat) / (1 + c))


def test_log_counts_change_nothing_where_no_word_is_repeated(vectors):
    texts = ["red cat", "blue dog"]
    for options in ({}, {"weighting": "sif"}):
        plain, dampened = (encoders.Averaged(vectors, log_counts=log, **options).embed(texts) for log in (False, True))
        torch.testing.assert_close(plain, dampened)


def test_sif_without_a_background_trusts_the_rank_of_a_word(vectors):
    vector = encoders.Averaged(vectors, weighting="sif").embed(["red fast"])[0]
    total = sum(1 / (rank + 10) for rank in range(8))
    weights = [1e-3 / (1e-3 + 1 / (rank + 10) / total) for rank in (0, 7)]  # "red" comes first, "fast" last
    expected = (weights[0] * vectors.table[1] + weights[1] * vectors.table[8]) / sum(weights)
    torch.testing.assert_close(vector, expected)
    assert weights[0] < weights[1]


def test_a_square_map_starts_as_the_identity_and_a_narrow_one_does_not(vectors):
    inner = encoders.Averaged(vectors)
    torch.testing.assert_close(encoders.Projected(inner).embed(TEXTS), inner.embed(TEXTS))
    assert encoders.Projected(inner, dim=3).embed(TEXTS).shape == (4, 3)


def test_dropout_of_inputs_acts_in_training_only(vectors, corpus):
    torch.manual_seed(0)
    encoder, x = encoders.Projected(encoders.Averaged(vectors), dropout=0.7), torch.arange(3)
    noisy, exact = encoder.train()(x, corpus), encoder.eval()(x, corpus)
    assert bool((noisy == 0).any()) and not bool((exact == 0).any())
