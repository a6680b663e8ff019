"""Every learner: invariants, learning, bad input. What is special to one method is tested in its own file."""

from dataclasses import replace

import pytest
import torch

from metalearn_lib import (
    Blend,
    DistributionalSignatures,
    EpisodeSampler,
    FineTuned,
    LogisticRegression,
    Matching,
    NearestNeighbour,
    Prototypical,
    Relation,
    Ridge,
    TfidfCentroid,
    evaluate,
    meta_train,
)
from metalearn_lib.encoders import Averaged, Projected
from metalearn_lib.learners import NotTrainable
from metalearn_lib.learners.baselines import Centroid

ALL = [
    "tfidf",
    "centroid",
    "neighbour",
    "logistic",
    "finetuned",
    "matching",
    "matching-fce",
    "prototypes",
    "cosine-prototypes",
    "relation",
    "ridge",
    "signatures",
    "blend",
]
BASELINES = ["tfidf", "centroid", "neighbour", "logistic", "finetuned"]
META = [name for name in ALL if name not in BASELINES]


@pytest.fixture
def make(words, small_vectors):
    """A fresh learner over the small corpus of sentences, by name."""

    def build(name):
        torch.manual_seed(0)
        frozen = Averaged(small_vectors)
        trained = Projected(frozen, dim=6)
        return {
            "tfidf": lambda: TfidfCentroid(words),
            "centroid": lambda: Centroid(frozen),
            "neighbour": lambda: NearestNeighbour(frozen),
            "logistic": lambda: LogisticRegression(frozen),
            "finetuned": lambda: FineTuned(frozen, steps=20),
            "matching": lambda: Matching(trained),
            "matching-fce": lambda: Matching(trained, full_context=True),
            "prototypes": lambda: Prototypical(trained),
            "cosine-prototypes": lambda: Prototypical(trained, distance="cosine"),
            "relation": lambda: Relation(trained),
            "ridge": lambda: Ridge(trained),
            "signatures": lambda: DistributionalSignatures(words, vectors=small_vectors, hidden=4, max_length=10),
            "blend": lambda: Blend([TfidfCentroid(words), Centroid(frozen)]),
        }[name]().eval()

    return build


@pytest.fixture
def episodes(words):
    return EpisodeSampler(words, n_way=3, k_shot=3, n_query=4, seed=0).sample(2)


@pytest.mark.parametrize("name", ALL)
def test_logits_have_one_column_a_class(make, episodes, name):
    logits = make(name).predict(episodes)
    assert logits.shape == (2, 12, 3)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", [n for n in ALL if n != "finetuned"])  # its random start belongs to a column
def test_renaming_the_classes_renames_the_logits(make, episodes, name):
    learner, order = make(name), torch.tensor([2, 0, 1])
    renamed = replace(episodes, support_y=order[episodes.support_y])
    torch.testing.assert_close(learner.predict(renamed)[..., order], learner.predict(episodes), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", [n for n in ALL if n != "matching-fce"])  # its LSTM reads the set in an order
def test_the_order_of_the_support_set_does_not_matter(make, episodes, name):
    learner, order = make(name), torch.randperm(9, generator=torch.Generator().manual_seed(0))
    shuffled = replace(episodes, support_x=episodes.support_x[:, order], support_y=episodes.support_y[:, order])
    torch.testing.assert_close(learner.predict(shuffled), learner.predict(episodes), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_a_task_is_predicted_alone_as_in_a_batch(make, words, name):
    sampler, learner = EpisodeSampler(words, n_way=3, k_shot=3, n_query=4, seed=0), make(name)
    torch.testing.assert_close(
        learner.predict(sampler.sample(1, first=1))[0],
        learner.predict(sampler.sample(2))[1],
        atol=1e-4,
        rtol=1e-4,
    )


@pytest.mark.parametrize("name", ALL)
def test_a_query_is_predicted_without_looking_at_the_others(make, episodes, name):
    learner = make(name)
    first = replace(episodes, query_x=episodes.query_x[:, :1], query_y=episodes.query_y[:, :1])
    torch.testing.assert_close(learner.predict(first), learner.predict(episodes)[:, :1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", BASELINES)
def test_training_a_baseline_is_refused(make, words, name):
    with pytest.raises(NotTrainable, match="baseline"):
        meta_train(make(name), EpisodeSampler(words, n_way=2, n_query=2), steps=1, progress=False)


@pytest.mark.parametrize("name", META)
def test_the_meta_loss_reaches_every_trainable_parameter(make, episodes, name):
    learner = make(name)
    learner.train()
    learner.meta_loss(episodes).backward()
    without = [n for n, p in learner.named_parameters() if p.requires_grad and p.grad is None]
    # A full-context LSTM has input weights for a first hidden state of zero only at one step: all are reached.
    assert without == []


@pytest.mark.parametrize("name", META)
def test_meta_loss_gradients_match_finite_differences(make, episodes, name):
    learner = make(name).double()
    for module in learner.modules():
        for key in list(getattr(module, "_prepared", {})):
            del module._prepared[key]
    parameters = [p for p in learner.parameters() if p.requires_grad]
    learner.meta_loss(_double(learner, episodes)).backward()
    generator = torch.Generator().manual_seed(0)
    for parameter in parameters:
        flat, grad = parameter.data.view(-1), parameter.grad.view(-1)
        at = int(torch.randint(len(flat), (1,), generator=generator))
        kept, step, losses = flat[at].item(), 1e-5, []
        for sign in (1, -1):
            flat[at] = kept + sign * step
            losses.append(learner.meta_loss(_double(learner, episodes)).item())
        flat[at] = kept
        assert grad[at].item() == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-3, abs=1e-6)


def _double(learner, episodes):
    """Frozen inputs in double precision, so that differences are not lost in rounding."""
    for module in learner.modules():
        if hasattr(module, "_prepared"):
            module.inputs(episodes.pool)
            for key, (state, value) in list(module._prepared.items()):
                module._prepared[key] = state, value.double() if value.is_floating_point() else value
    return episodes


@pytest.mark.parametrize("kind", [Prototypical, Matching, Relation, Ridge])
def test_meta_training_solves_what_the_baseline_cannot(puzzle, halves, kind):
    _, table = puzzle
    train, test = halves
    torch.manual_seed(0)
    learner = kind(Projected(table, dim=10))
    before = evaluate(Centroid(table), test, episodes=200)
    meta_train(learner, train, steps=600 if kind is Relation else 300, tasks_per_step=8, lr=0.02, progress=False)
    after = evaluate(learner, test, episodes=200)
    assert before.mean < 0.45
    assert after.mean > 0.9, f"{learner.name}: {after}"


def test_full_context_matching_learns(puzzle, halves):
    _, table = puzzle
    train, test = halves
    torch.manual_seed(0)
    learner = Matching(Projected(table, dim=8), full_context=True)
    meta_train(learner, train, steps=300, tasks_per_step=4, lr=0.01, progress=False)
    assert evaluate(learner, test, episodes=100).mean > 0.75


def test_nothing_to_train_is_refused(small_vectors, words):
    with pytest.raises(ValueError, match="no trainable parameter"):
        meta_train(
            Prototypical(Averaged(small_vectors)),
            EpisodeSampler(words, n_way=2, n_query=2),
            steps=1,
            progress=False,
        )


def test_an_empty_support_class_is_refused(make, episodes):
    with pytest.raises(ValueError, match="no support example"):
        make("prototypes").predict(replace(episodes, support_y=torch.zeros_like(episodes.support_y)))


def test_tfidf_needs_texts(words):
    with pytest.raises(ValueError, match="needs texts"):
        TfidfCentroid(words).predict(replace(EpisodeSampler(words, n_way=2, n_query=2).sample(1), pool=None))


@pytest.mark.parametrize(
    "build",
    [
        lambda e: Ridge(e, penalty=0),
        lambda e: Relation(e, hidden=0),
        lambda e: Matching(e, reading_steps=0),
        lambda e: FineTuned(e, lr=0),
        lambda e: LogisticRegression(e, C=0),
        lambda e: Projected(e, dim=0),
        lambda e: Blend([Centroid(e)]),
    ],
)
def test_bad_options_are_refused(small_vectors, build):
    with pytest.raises(ValueError):
        build(Averaged(small_vectors))
