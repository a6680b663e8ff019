"""Spearman against scipy; intervals; unknown words; paired comparison."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr
from torch.nn.functional import normalize

from metalearn_lib.corpora import WordPairs
from metalearn_lib.meta_embeddings import correlate
from metalearn_lib.meta_embeddings.similarity import _resampled_ranks, spearman
from metalearn_lib.text import WordVectors


@pytest.fixture
def judged():
    """60 words on a circle and 200 pairs whose scores follow the angle, with noise."""
    random = np.random.default_rng(0)
    angles = random.uniform(0, np.pi, 60)
    words = [f"w{i}" for i in range(60)]
    vectors = WordVectors.from_array(words, np.stack([np.cos(angles), np.sin(angles)], 1))
    rows = random.integers(0, 60, (200, 2))
    scores = np.cos(angles[rows[:, 0]] - angles[rows[:, 1]]) + random.normal(size=200) * 0.3
    names = [f"W{i}" for i in rows[:, 0]], [f"w{i}" for i in rows[:, 1]]
    return vectors, WordPairs("circle", *names, scores.tolist())


def test_spearman_is_scipys_also_with_ties_and_in_rows():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 5, (7, 30)), random.integers(0, 5, (7, 30))
    np.testing.assert_allclose(spearman(a, b), [spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)])
    assert np.isnan(spearman(np.ones(4), np.arange(4)))


def test_counted_ranks_of_resamples_are_the_sorted_ones_also_with_ties():
    random = np.random.default_rng(1)
    for values in (random.integers(0, 5, 40) / 7, random.normal(size=40), np.ones(40)):
        drawn = random.integers(0, 40, (6, 40))
        np.testing.assert_array_equal(_resampled_ranks(values, drawn), rankdata(values[drawn], axis=-1))


def test_value_and_interval_words_in_any_case(judged):
    vectors, pairs = judged
    found = correlate(vectors, pairs)
    table = normalize(vectors.table.double(), dim=1).numpy()
    cosines = [
        round(table[vectors.stoi[a.lower()]] @ table[vectors.stoi[b]], 9)
        for a, b in zip(pairs.words1, pairs.words2, strict=True)
    ]
    assert found.value == pytest.approx(spearmanr(cosines, pairs.scores).statistic, abs=1e-9)
    assert found.low < found.value < found.high
    assert found.covered == found.total == 200
    assert "unknown" not in str(found)
    assert found.mean == found.value


def test_the_interval_covers_what_a_larger_sample_says(judged):
    vectors, pairs = judged
    whole, hits = correlate(vectors, pairs, resamples=2).value, 0
    for seed in range(20):
        rows = np.random.default_rng(seed).integers(0, 200, 80)
        part = [[values[i] for i in rows] for values in (pairs.words1, pairs.words2, pairs.scores)]
        found = correlate(vectors, WordPairs("part", *part), resamples=300)
        hits += found.low <= whole <= found.high
    assert hits >= 16


def test_unknown_words_get_the_mean_cosine_and_are_counted(judged):
    vectors, pairs = judged
    half = WordVectors.from_array(vectors.words[:30], vectors.table[1:31].numpy())
    found = correlate(half, pairs)
    assert 0 < found.covered < 200
    assert "pairs unknown" in str(found)
    assert correlate(vectors, pairs) > found


def test_comparisons_are_paired_and_refuse_other_pairs(judged):
    vectors, pairs = judged
    noisy = WordVectors.from_array(
        vectors.words, vectors.table[1:].numpy() + np.random.default_rng(1).normal(size=(60, 2)) * 0.05
    )
    a, b = correlate(vectors, pairs), correlate(noisy, pairs)
    difference = a.minus(b)
    assert difference.paired
    assert difference.high - difference.low < (a.high - a.low) / 2
    assert bool(a < b) == bool(b > a)
    assert not a > a
    with pytest.raises(ValueError, match="different pairs"):
        a.minus(correlate(vectors, WordPairs("circle", pairs.words1, pairs.words2, pairs.scores[::-1])))
    with pytest.raises(ValueError, match="different pairs"):
        a.minus(correlate(vectors, WordPairs("other", pairs.words1, pairs.words2, pairs.scores)))


def test_what_cannot_be_judged_is_refused(judged):
    vectors, pairs = judged
    with pytest.raises(ValueError, match="0 of the 200 pairs"):
        correlate(WordVectors.from_array(["z"], np.ones((1, 2))), pairs)
    with pytest.raises(ValueError, match="must differ"):
        correlate(WordVectors.from_array(vectors.words, np.ones((60, 2))), pairs)
    with pytest.raises(ValueError, match="resamples=1"):
        correlate(vectors, pairs, resamples=1)
