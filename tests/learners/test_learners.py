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
from metalearn_lib.encoders import Averaged, Encoder, Projected
from metalearn_lib.learners import NotTrainable
from metalearn_lib.learners.baselines import Centroid
from tests.learners import invariants

BASELINES = {
    "tfidf": lambda frozen, trained, words: TfidfCentroid(words),
    "centroid": lambda frozen, trained, words: Centroid(frozen),
    "neighbour": lambda frozen, trained, words: NearestNeighbour(frozen),
    "logistic": lambda frozen, trained, words: LogisticRegression(frozen),
    "finetuned": lambda frozen, trained, words: FineTuned(frozen, steps=20),
}
META = {
    "matching": lambda frozen, trained, words: Matching(trained),
    "matching-fce": lambda frozen, trained, words: Matching(trained, full_context=True),
    "prototypes": lambda frozen, trained, words: Prototypical(trained),
    "cosine-prototypes": lambda frozen, trained, words: Prototypical(trained, distance="cosine"),
    "relation": lambda frozen, trained, words: Relation(trained),
    "ridge": lambda frozen, trained, words: Ridge(trained),
    "signatures": lambda frozen, trained, words: DistributionalSignatures(
        words, vectors=frozen.vectors, hidden=4, max_length=10
    ),
    "blend": lambda frozen, trained, words: Blend([TfidfCentroid(words), Centroid(frozen)]),
}
ALL = {**BASELINES, **META}


@pytest.fixture
def make(words, small_vectors):
    """A fresh learner over the small corpus of sentences, by name."""

    def build(name):
        torch.manual_seed(0)
        frozen = Averaged(small_vectors)
        return ALL[name](frozen, Projected(frozen, dim=6), words).eval()

    return build


@pytest.fixture
def episodes(words):
    return EpisodeSampler(words, n_way=3, k_shot=3, n_query=4, seed=0).sample(2)


@pytest.mark.parametrize("name", [n for n in ALL if n != "finetuned"])  # its random start belongs to a column
def test_renaming_the_classes_renames_the_logits(make, episodes, name):
    invariants.renaming_the_classes_renames_the_logits(make(name), episodes, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", [n for n in ALL if n != "matching-fce"])  # its LSTM reads the set in an order
def test_the_order_of_the_support_set_does_not_matter(make, episodes, name):
    invariants.the_order_of_the_support_set_does_not_matter(make(name), episodes, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_a_query_has_a_logit_a_class_whatever_the_other_queries_and_tasks(make, words, episodes, name):
    second = EpisodeSampler(words, n_way=3, k_shot=3, n_query=4, seed=0).sample(1, first=1)
    invariants.other_queries_and_tasks_do_not_matter(make(name), episodes, second)


@pytest.mark.parametrize("name", BASELINES)
def test_training_a_baseline_is_refused(make, words, name):
    with pytest.raises(NotTrainable, match="baseline"):
        meta_train(make(name), EpisodeSampler(words, n_way=2, n_query=2), steps=1, progress=False)


@pytest.mark.parametrize("name", META)
def test_the_meta_loss_reaches_every_trainable_parameter(make, episodes, name):
    learner = make(name)
    learner.train()
    learner.meta_loss(episodes).backward()
    assert [n for n, p in learner.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("name", META)
def test_meta_loss_gradients_match_finite_differences(make, episodes, name):
    learner = make(name).double()
    _double(learner, episodes.pool)
    learner.meta_loss(episodes).backward()
    generator = torch.Generator().manual_seed(0)
    for parameter in (p for p in learner.parameters() if p.requires_grad):
        flat, grad = parameter.data.view(-1), parameter.grad.view(-1)
        at = int(torch.randint(len(flat), (1,), generator=generator))
        kept, losses = flat[at].item(), []
        for step in (1e-5, -1e-5):
            flat[at] = kept + step
            losses.append(learner.meta_loss(episodes).item())
        flat[at] = kept
        assert grad[at].item() == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-3, abs=1e-6)


def _double(learner, pool):
    """Frozen inputs in double precision, so that differences are not lost in rounding."""
    for module in learner.modules():
        if isinstance(module, Encoder):
            module.inputs(pool)
            for key, (state, value) in list(module._prepared.items()):
                module._prepared[key] = state, value.double() if value.is_floating_point() else value


@pytest.mark.parametrize(
    ("build", "steps", "tasks", "lr", "least"),
    [
        (lambda table: Prototypical(Projected(table, dim=10)), 300, 8, 0.02, 0.9),
        (lambda table: Matching(Projected(table, dim=10)), 300, 8, 0.02, 0.9),
        (lambda table: Relation(Projected(table, dim=10)), 600, 8, 0.02, 0.9),
        (lambda table: Ridge(Projected(table, dim=10)), 300, 8, 0.02, 0.9),
        (lambda table: Matching(Projected(table, dim=8), full_context=True), 300, 4, 0.01, 0.75),
    ],
    ids=["prototypes", "matching", "relation", "ridge", "matching-fce"],
)
def test_meta_training_solves_what_the_baseline_cannot(puzzle, halves, build, steps, tasks, lr, least):
    train, test = halves
    torch.manual_seed(0)
    learner = build(puzzle[1])
    meta_train(learner, train, steps=steps, tasks_per_step=tasks, lr=lr, progress=False)
    after = evaluate(learner, test, episodes=200)
    assert evaluate(Centroid(puzzle[1]), test, episodes=200).mean < 0.45
    assert after.mean > least, f"{learner.name}: {after}"


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
        lambda e: Blend([]),
    ],
)
def test_bad_options_are_refused(small_vectors, build):
    with pytest.raises(ValueError):
        build(Averaged(small_vectors))
