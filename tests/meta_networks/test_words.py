"""The word writer: starts at a blend, writes the same whatever else is asked, and learns what no fixed blend can."""

import numpy as np
import pytest
import torch

from metalearn_lib import Blend, EpisodeSampler, TfidfCentroid, evaluate, meta_train
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Frozen, Projected
from metalearn_lib.learners.baselines import Centroid
from metalearn_lib.meta_networks import WordWriter
from metalearn_lib.meta_networks.words import CountedWords, SupportWords, word_statistics
from metalearn_lib.text import WordVectors


@pytest.fixture
def encoder(small_vectors):
    return Frozen(Averaged(small_vectors))


@pytest.fixture
def episodes(words):
    return EpisodeSampler(words, n_way=3, k_shot=3, n_query=4, seed=0).sample(2)


def moved(writer):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in writer.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return writer.eval()


@pytest.mark.parametrize("power", [1.0, 1.5])
def test_an_untrained_writer_is_a_blend(words, encoder, episodes, power):
    background = words.only(["weather", "music"])
    counted = TfidfCentroid(background, idf_power=power)
    alone = WordWriter(background, encoder, idf_power=power, dense_weight=None).predict(episodes)
    torch.testing.assert_close(alone, counted.predict(episodes), atol=1e-4, rtol=1e-4)
    both = WordWriter(background, encoder, idf_power=power, dense_weight=0.3).predict(episodes)
    blend = Blend([counted, Centroid(encoder)], weights=[1, 0.3])
    torch.testing.assert_close(both, blend.predict(episodes), atol=1e-4, rtol=1e-4)


def test_logits_are_sums_of_written_word_weights(words, encoder, episodes):
    writer = moved(WordWriter(words, encoder, dense_weight=None, nearest=4))
    vocabulary, weights, held = writer.word_weights(episodes, task=1)
    assert len(vocabulary) == len(weights) == len(held)
    rows = writer.counted(episodes.pool).rows[episodes.query_x[1].numpy()].toarray()
    expected = writer.log_scale.exp() * torch.from_numpy(rows) @ weights
    torch.testing.assert_close(writer.predict(episodes)[1], expected, atol=1e-5, rtol=1e-5)
    said = {word for text in episodes.support_texts(1) for word in text.split()}
    assert {word for word, seen in zip(vocabulary, held, strict=True) if seen} == said
    unseen = torch.tensor(~held)
    assert bool((weights[unseen].abs() > 1e-4).any()), "a word that no support text holds gets weight, too"


def test_statistics_by_hand(words, encoder, episodes):
    counted = CountedWords.of(words, words, encoder, 1.5)
    members = np.eye(3, dtype=np.float32).repeat(3, 0)
    at = episodes.support_x[0].numpy()
    vectors = encoder(episodes.support_x[0], words)
    support = SupportWords.of(counted, at, members, vectors)
    asked = np.arange(len(counted.words))
    features = word_statistics(counted, support, asked, nearest=2)
    rows = counted.rows[at].toarray()
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    for way in range(3):
        own = slice(3 * way, 3 * way + 3)
        centroid = rows[own].sum(0)
        centroid = centroid / np.linalg.norm(centroid)
        heavy = np.argsort(-centroid, kind="stable")[:2]
        mean = unit[own].mean(0)
        for word in range(0, len(asked), 7):
            vector = counted.vectors[word]
            f = features[word, way]
            assert f[0].item() == pytest.approx(10 * centroid[word], abs=1e-5)
            assert f[2].item() == pytest.approx((rows[own, word] > 0).mean(), abs=1e-6)
            assert f[4].item() == pytest.approx(2 * counted.idf[word] - 1, abs=1e-5)
            assert f[5].item() == pytest.approx(3 * (vector @ mean / mean.norm()).item(), abs=1e-5)
            match = sum(centroid[u] * max(0.0, (vector @ counted.vectors[u]).item()) ** 3 for u in heavy)
            assert f[7].item() == pytest.approx(10 * match / centroid[heavy].sum(), abs=1e-4)
    for kind, other in ((0, 1), (2, 3)):
        torch.testing.assert_close(features[:, 0, other], features[:, 1:, kind].mean(1))
    for kind, above in ((5, 6), (7, 8)):
        torch.testing.assert_close(features[..., above], features[..., kind] - features[..., kind].mean(1, True))


def test_a_word_weighs_the_same_whatever_the_queries_are(words, encoder, episodes):
    writer = moved(WordWriter(words, encoder))
    before = writer.word_weights(episodes)[1]
    other = EpisodeSampler(words, n_way=3, k_shot=3, n_query=4, seed=9).sample(2)
    swapped = type(episodes)(episodes.support_x, episodes.support_y, other.query_x, other.query_y, 3, 3, words)
    torch.testing.assert_close(writer.word_weights(swapped)[1], before)


def test_words_are_counted_once_for_writers_of_one_background_and_encoder(words, encoder, small_vectors):
    other, few = Frozen(Averaged(small_vectors)), words.only(["weather", "music"])
    counted = WordWriter(words, encoder).counted(words)
    assert WordWriter(words, encoder, nearest=3).counted(words) is counted
    for differs in (WordWriter(few, encoder), WordWriter(words, other), WordWriter(words, encoder, idf_power=1.0)):
        assert differs.counted(words) is not counted


def test_it_learns_that_neighbours_of_a_word_speak_for_its_class():
    """Classes never share a word between texts, only vectors: counting stays at chance, written weights do not."""
    random = np.random.default_rng(0)
    names = [f"w{c:02d}x{i:02d}" for c in range(20) for i in range(24)]
    centres = random.normal(size=(20, 12)).repeat(24, axis=0)
    vectors = WordVectors.from_array(names, centres + 0.3 * random.normal(size=centres.shape))
    corpus = Corpus("neighbours", names, [name[:3] for name in names])
    train, test = corpus.only(corpus.classes[:12]), corpus.only(corpus.classes[12:])
    on_train, on_test = (EpisodeSampler(part, n_way=4, k_shot=2, n_query=5, seed=0) for part in (train, test))
    torch.manual_seed(0)
    writer = WordWriter(train, Frozen(Averaged(vectors)), dense_weight=None)
    assert evaluate(writer, on_test, episodes=50).mean < 0.35
    meta_train(writer, on_train, steps=60, tasks_per_step=4, lr=1e-2, progress=False)
    assert evaluate(writer, on_test, episodes=50).mean > 0.9


def test_texts_without_words_leave_it_to_the_vectors(words, encoder):
    corpus = Corpus("marks", ["?", "!", "play music", "...", "rain", "snow"], ["a", "a", "a", "b", "b", "b"])
    tasks = EpisodeSampler(corpus, n_way=2, k_shot=1, n_query=2, seed=0).sample(20)
    assert torch.isfinite(moved(WordWriter(words, encoder)).predict(tasks)).all()


def test_bad_input_is_refused(words, encoder, small_vectors, episodes):
    with pytest.raises(ValueError, match="encoder trains"):
        WordWriter(words, Projected(Averaged(small_vectors)))
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="dense_weight"):
            WordWriter(words, encoder, dense_weight=bad)
    with pytest.raises(ValueError, match="nearest"):
        WordWriter(words, encoder, nearest=0)
    x = torch.randn(1, 4, 8)
    tensors = type(episodes)(x, torch.tensor([[0, 0, 1, 1]]), x, torch.tensor([[0, 0, 1, 1]]), 2, 2)
    with pytest.raises(ValueError, match="reads words"):
        WordWriter(words, encoder).predict(tensors)
