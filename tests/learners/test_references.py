"""Each method against a short version of its formula, one task and one query at a time, in float64."""

import math

import numpy as np
import pytest
import torch

from metalearn_lib import EpisodeSampler, Matching, NearestNeighbour, Prototypical, Ridge, TfidfCentroid
from metalearn_lib.encoders import Identity
from metalearn_lib.episodes import Episodes
from metalearn_lib.learners import pairwise, prototypes, ridge_weights


@pytest.fixture
def episodes():
    torch.manual_seed(0)
    ways = torch.arange(3)
    return Episodes(
        support_x=torch.randn(2, 6, 4, dtype=torch.float64),
        support_y=ways.repeat_interleave(2).repeat(2, 1),
        query_x=torch.randn(2, 9, 4, dtype=torch.float64),
        query_y=ways.repeat_interleave(3).repeat(2, 1),
        n_way=3,
        k_shot=2,
    )


def each_query(episodes):
    for task, query in np.ndindex(*episodes.query_x.shape[:2]):
        yield task, query, episodes.support_x[task], episodes.support_y[task], episodes.query_x[task, query]


def test_prototypical(episodes):
    logits = Prototypical(Identity(4)).predict(episodes)
    for task, query, support, labels, x in each_query(episodes):
        for way in range(3):
            centre = support[labels == way].mean(0)
            assert logits[task, query, way].item() == pytest.approx(-((x - centre) ** 2).sum().item(), abs=1e-9)


def test_matching(episodes):
    learner = Matching(Identity(4)).double()
    logits = learner.predict(episodes)
    scale = learner.log_scale.exp().item()
    for task, query, support, labels, x in each_query(episodes):
        weights = [math.exp(scale * (x @ s / (x.norm() * s.norm())).item()) for s in support]
        for way in range(3):
            p = sum(w for w, y in zip(weights, labels.tolist(), strict=True) if y == way) / sum(weights)
            assert logits[task, query, way].item() == pytest.approx(math.log(max(p, 1e-9)), abs=1e-9)


def test_nearest_neighbour(episodes):
    predicted = NearestNeighbour(Identity(4), distance="squared_euclidean").predict(episodes).argmax(-1)
    for task, query, support, labels, x in each_query(episodes):
        assert predicted[task, query] == labels[((support - x) ** 2).sum(1).argmin()]


def test_ridge_against_scikit_learn(episodes):
    from sklearn.linear_model import Ridge as Reference

    learner = Ridge(Identity(4), penalty=0.7).double()
    logits = learner.predict(episodes).detach() / learner.log_scale.exp().detach()
    for task in range(2):
        reference = Reference(alpha=learner.log_penalty.exp().item(), fit_intercept=False)
        reference.fit(episodes.support_x[task].numpy(), np.eye(3)[episodes.support_y[task].numpy()])
        np.testing.assert_allclose(logits[task].numpy(), reference.predict(episodes.query_x[task].numpy()), atol=1e-9)


def test_the_dual_form_of_ridge_is_the_primal_one(episodes):
    x, targets = episodes.support_x, torch.nn.functional.one_hot(episodes.support_y, 3).double()
    primal = torch.linalg.solve(x.mT @ x + 0.3 * torch.eye(4, dtype=torch.float64), x.mT @ targets)
    torch.testing.assert_close(
        ridge_weights(x, targets, torch.tensor(0.3, dtype=torch.float64)), primal, atol=1e-9, rtol=0
    )


def test_pairwise_against_loops(episodes):
    centres = prototypes(episodes.support_x, episodes.support_y, 3)
    square, cosine = pairwise(episodes.query_x, centres), pairwise(episodes.query_x, centres, "cosine")
    for task, query, _, _, x in each_query(episodes):
        for way in range(3):
            c = centres[task, way]
            assert square[task, query, way].item() == pytest.approx(((x - c) ** 2).sum().item(), abs=1e-9)
            assert cosine[task, query, way].item() == pytest.approx(1 - (x @ c / x.norm() / c.norm()).item(), abs=1e-9)
    with pytest.raises(ValueError, match="manhattan"):
        pairwise(episodes.query_x, centres, "manhattan")


@pytest.mark.parametrize(
    ("weighting", "formula"),
    [
        ("plain", lambda count, df, n: count * (math.log((1 + n) / (1 + df)) + 1)),
        ("log", lambda count, df, n: (1 + math.log(count)) * math.log((1 + n) / (1 + df))),
    ],
)
def test_tfidf_against_dictionaries(words, weighting, formula):
    """The floor, recomputed with plain dictionaries: open vocabulary, cosine to the mean of unit vectors."""
    from metalearn_lib.text import WordStatistics, tokenize

    train, test = words.only(["weather", "music"]), words.only(["bank", "food"])
    counts = WordStatistics.of(train.texts)
    learner = TfidfCentroid(train, weighting=weighting)
    episodes = EpisodeSampler(test, n_way=2, k_shot=3, n_query=5, seed=3).sample(2)

    def vector(text):
        tokens = tokenize(text)
        weights = {w: formula(tokens.count(w), counts.document_counts[w], counts.n_texts) for w in set(tokens)}
        length = math.sqrt(sum(v * v for v in weights.values()))
        return {w: v / length for w, v in weights.items()}

    logits = learner.predict(episodes)
    for task in range(2):
        support = [vector(t) for t in episodes.support_texts(task)]
        for row, query in enumerate(vector(t) for t in episodes.query_texts(task)):
            for way in range(2):
                centre: dict[str, float] = {}
                for member in support[way * 3 : way * 3 + 3]:
                    for w, v in member.items():
                        centre[w] = centre.get(w, 0) + v / 3
                length = math.sqrt(sum(v * v for v in centre.values()))
                cosine = sum(v * centre.get(w, 0) for w, v in query.items()) / length
                assert logits[task, row, way].item() == pytest.approx(10 * cosine, abs=1e-4)


def test_tfidf_sees_the_words_of_a_compound_and_no_punctuation():
    from metalearn_lib.corpora import Corpus

    corpus = Corpus("top-ups", ["my top-up failed?", "wrong colour!", "Top up failed", "colour wrong"], ["a", "b"] * 2)
    episodes = EpisodeSampler(corpus, n_way=2, k_shot=1, n_query=1, seed=0).sample(1)
    logits = TfidfCentroid(corpus).predict(episodes)[0]
    assert logits[1].tolist() == pytest.approx([0, 10], abs=1e-5)
    assert logits[0, 0] > 5 and logits[0, 1] == 0
