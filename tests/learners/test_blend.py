"""Blends: the weighted sum, weights from classes the members did not see, bad input."""

import pytest
import torch

from metalearn_lib import Blend, EpisodeSampler, TfidfCentroid, evaluate
from metalearn_lib.learners import Centroid, Learner


class Noise(Learner):
    """Loud logits that mean nothing."""

    name = "noise"

    def predict(self, episodes):
        generator = torch.Generator().manual_seed(int(episodes.query_x.sum()))
        return 10 * torch.randn(*episodes.query_x.shape, episodes.n_way, generator=generator)


class Memory(Learner):
    """Knows the answers for the classes of its background, and guesses elsewhere: what fitting to labels can do."""

    name = "memory"

    def __init__(self, background):
        super().__init__()
        self.known = set(background.classes)
        self.guess = Noise()

    def predict(self, episodes):
        logits = self.guess.predict(episodes)
        for task, names in enumerate(episodes.classes):
            known = torch.tensor([names[y] in self.known for y in episodes.query_y[task].tolist()])
            right = 2 * torch.nn.functional.one_hot(episodes.query_y[task], episodes.n_way).float()
            logits[task] = torch.where(known[:, None], right, logits[task])
        return logits


def test_the_sum_is_weighted(puzzle, halves):
    _, table = puzzle
    members = [Centroid(table), Noise()]
    episodes = halves[1].sample(2)
    blend = Blend(members, weights=[2, 0.5])
    expected = 2 * members[0].predict(episodes) + 0.5 * members[1].predict(episodes)
    torch.testing.assert_close(blend.predict(episodes), expected)


@pytest.fixture
def told(puzzle):
    """The coordinates of the puzzle that tell the class."""
    table = puzzle[1]
    return type(table)(table.vectors[:, :5])


@pytest.fixture
def train(puzzle):
    corpus = puzzle[0].only(puzzle[0].classes[:16])
    return corpus, [corpus.classes[i::2] for i in range(2)]


def test_cross_fitting_silences_noise(halves, told, train):
    blend = Blend.cross_fitted(lambda background: [Centroid(told), Noise()], *train, episodes=50)
    signal, noise = blend.log_weights.exp().tolist()
    assert signal > 10 * noise
    apart = evaluate(Centroid(told), halves[1], episodes=100)
    equal = evaluate(Blend([Centroid(told), Noise()]), halves[1], episodes=100)
    assert equal < apart
    assert evaluate(blend, halves[1], episodes=100).mean > apart.mean - 0.02


def test_cross_fitting_is_not_fooled_by_a_member_that_knows_its_own_classes(told, train):
    def build(background):
        return [Centroid(told), Memory(background)]

    honest = Blend.cross_fitted(build, *train, episodes=50).log_weights.exp()
    fooled = Blend(build(train[0]))
    drawn = EpisodeSampler(train[0], n_way=5, k_shot=1, n_query=5, seed=0).sample(50)
    fooled._fit(fooled._votes(drawn).flatten(1, 2), drawn.query_y.flatten())
    assert honest[0] > 10 * honest[1]
    assert fooled.log_weights[1] > fooled.log_weights[0]


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -1], [1, 2, 3]])
def test_weights_must_be_positive_one_a_member(words, weights):
    with pytest.raises(ValueError, match="one positive weight each"):
        Blend([TfidfCentroid(words), TfidfCentroid(words)], weights=weights)


@pytest.mark.parametrize("groups", [[["weather"]], [["weather", "music"], ["music", "bank"]]])
def test_groups_must_not_share_a_class(words, groups):
    with pytest.raises(ValueError, match="share no class"):
        Blend.cross_fitted(lambda background: [TfidfCentroid(background)] * 2, words, groups)
