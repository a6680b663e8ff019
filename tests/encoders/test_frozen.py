"""What is frozen is encoded once, anew where its weights change, and does not freeze what it was given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from metalearn_lib import EpisodeSampler, Prototypical, meta_train
from metalearn_lib.classification import Classifier, fit, load, save
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import (
    Averaged,
    Concatenated,
    Convolutional,
    Encoder,
    Frozen,
    Projected,
    Standardised,
    Whitened,
)
from metalearn_lib.errors import InnerLoopDiverged
from metalearn_lib.learners import Blend, Centroid, Learner, NotTrainable
from metalearn_lib.optimise import weights_of
from metalearn_lib.text import WordVectors

WORDS = ["cat", "dog", "red", "blue", "runs", "sleeps"]
CORPUS = Corpus("pets", [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in "xy"], ["p", "q", "r"] * 24)


def cnn(seed: int = 0) -> Convolutional:
    torch.manual_seed(seed)
    vectors = WordVectors.from_array(WORDS, np.random.default_rng(0).normal(size=(6, 4)))
    return Convolutional(vectors, channels=2, dropout=0.5)


SAMPLER = EpisodeSampler(CORPUS, n_way=3, k_shot=1, n_query=2)


def trained(learner: Learner) -> None:
    meta_train(learner, SAMPLER, steps=3, lr=0.1, progress=False)


def same(module: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


WRAPPED: dict[str, Callable[[Encoder], Encoder]] = {
    "frozen": Frozen,
    "whitened": lambda e: Whitened(e, CORPUS),
    "standardised": lambda e: Standardised(e, CORPUS),
    "concatenated": lambda e: Concatenated([e, e]),
    "frozen twice": lambda e: Frozen(Frozen(e)),
    "frozen and mapped": lambda e: Projected(Frozen(e)),
    "frozen map": lambda e: Frozen(Projected(e)),
    "whitened and frozen": lambda e: Frozen(Whitened(Frozen(e), CORPUS)),
}


def stale(encoder: Encoder) -> bool:
    """Whether a corpus and its texts get different vectors."""
    with torch.no_grad():
        return not torch.allclose(encoder.eval()(torch.arange(len(CORPUS)), CORPUS), encoder.embed(CORPUS.texts))


@pytest.mark.parametrize("name", WRAPPED)
def test_loaded_weights_are_seen(name: str) -> None:
    encoder, other = WRAPPED[name](cnn(0)), WRAPPED[name](cnn(1))
    before = encoder(torch.arange(3), CORPUS)
    encoder.load_state_dict(other.state_dict())
    assert not stale(encoder) and not torch.allclose(encoder(torch.arange(3), CORPUS), before)
    torch.testing.assert_close(encoder(torch.arange(3), CORPUS), other(torch.arange(3), CORPUS))


@pytest.mark.parametrize("name", WRAPPED)
def test_a_classifier_that_is_loaded_answers_with_the_new_weights(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    one, other = (Classifier(WRAPPED[name](cnn(seed)), CORPUS.classes, seed=seed) for seed in (0, 1))
    one.logits(CORPUS)
    save(other, tmp_path / "other")
    load(one, tmp_path / "other")
    torch.testing.assert_close(one.logits(CORPUS), one.logits(CORPUS.texts))
    torch.testing.assert_close(one.logits(CORPUS), other.logits(CORPUS))


@pytest.mark.parametrize("name", WRAPPED)
def test_training_what_was_frozen_is_seen_and_still_possible(name: str) -> None:
    inner = cnn()
    learner = Prototypical(inner)
    encoder = WRAPPED[name](inner)
    assert all(p.requires_grad for p in inner.parameters()) and inner.training
    assert all(name.endswith("map.weight") for name, p in encoder.named_parameters() if p.requires_grad)
    encoder(torch.arange(3), CORPUS)
    kept = encoder.inputs(CORPUS)
    assert encoder.inputs(CORPUS) is kept
    trained(learner)
    assert encoder.inputs(CORPUS) is not kept and not stale(encoder)
    fit(Classifier(inner, CORPUS.classes), CORPUS, epochs=1, rates=0.1, progress=False)
    assert not stale(encoder)


def test_what_is_frozen_does_not_move() -> None:
    inner = cnn()
    before, learner = weights_of(inner), Prototypical(Projected(Frozen(inner)))
    trained(learner)
    assert learner.encoder.map.weight.abs().max() > 0 and same(inner, before)  # type: ignore[union-attr]
    fit(Classifier(Frozen(inner), CORPUS.classes), CORPUS, epochs=2, rates=0.1, progress=False)
    assert same(inner, before)
    with pytest.raises(ValueError, match="no trainable parameter"):
        trained(Prototypical(Frozen(inner)))


def test_floors_and_blends_leave_their_encoder_trainable_and_train_nothing_of_it() -> None:
    inner = cnn()
    learner, floor = Prototypical(inner), Centroid(inner)
    blend = Blend([floor, learner, Prototypical(Projected(inner))])
    assert not floor.predict(SAMPLER.sample(2)).requires_grad
    with pytest.raises(NotTrainable, match="baseline"):
        floor.check_trainable()
    assert [name for name, _ in blend.named_parameters()] == ["log_weights"]
    before = weights_of(inner)
    trained(blend)
    assert same(inner, before) and blend.log_weights.abs().max() > 0.1
    assert set(before) <= {name.removeprefix("members.1.encoder.") for name in blend.state_dict()}
    trained(learner)
    assert not same(inner, before)


def test_members_of_a_blend_vote_without_dropout_and_keep_their_mode() -> None:
    noisy = Prototypical(cnn()).train()
    blend = Blend([noisy, Centroid(cnn(1))]).train()
    drawn = SAMPLER.sample(2)
    torch.testing.assert_close(blend.predict(drawn), blend.predict(drawn), rtol=0, atol=0)
    assert noisy.training and noisy.encoder.training
    blend.eval()
    assert noisy.training


def test_a_checkpoint_knows_the_vectors_that_are_averaged(tmp_path) -> None:  # type: ignore[no-untyped-def]
    tables = [np.random.default_rng(seed).normal(size=(6, 4)) for seed in (0, 1)]
    one, same, other = (
        Classifier(Projected(Averaged(WordVectors.from_array(WORDS, table))), CORPUS.classes)
        for table in (tables[0], tables[0], tables[1])
    )
    save(one, tmp_path / "one")
    load(same, tmp_path / "one")
    with pytest.raises(ValueError, match="other word vectors"):
        load(other, tmp_path / "one")


@pytest.mark.parametrize("training", [True, False])
def test_an_error_inside_leaves_the_mode(training: bool) -> None:
    class Broken(Convolutional):
        def encode(self, prepared: torch.Tensor) -> torch.Tensor:
            raise InnerLoopDiverged("broken")

    encoder = Broken(cnn().vectors, channels=2).train(training)
    classifier = Classifier(encoder, CORPUS.classes).train(training)
    for ask in (lambda: encoder.embed(["cat"]), lambda: classifier.logits(["cat"]), lambda: classifier.logits(CORPUS)):
        with pytest.raises(InnerLoopDiverged):
            ask()
        assert encoder.training == classifier.training == encoder.dropout.training == training
