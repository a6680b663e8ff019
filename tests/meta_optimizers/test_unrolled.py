"""Unrolled hyper-gradients: against finite differences, against plain training, on problems with a known answer."""

import math

import pytest
import torch
from torch import nn

from metalearn_lib.errors import InnerLoopDiverged
from metalearn_lib.learners import mlp
from metalearn_lib.meta_optimizers import Unrolled, finite_differences
from metalearn_lib.training import meta_train
from tests.meta_optimizers.blobs import Tasks, blobs


def network():
    torch.manual_seed(0)
    return mlp(4, 5, 2)


def learner(**settings):
    return Unrolled(network(), **{"steps": 4, "rate": 0.3, **settings}).double()


KINDS = {
    "one rate": {},
    "a rate a layer": {"rates": "layer"},
    "a rate a step": {"rates": "step"},
    "weight decay": {"decay": 0.05},
    "mixture": {"sources": 2, "decay": 0.01, "rates": "layer"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_hyper_gradients_are_finite_differences(kind):
    settings = KINDS[kind]
    unrolled, episodes = learner(**settings), blobs(sources=settings.get("sources"))
    with torch.no_grad():  # away from the symmetric start
        for p in (unrolled.log_rates, unrolled.preferences):
            if p is not None:
                p += 0.3 * torch.arange(len(p), dtype=p.dtype)
    unrolled.meta_loss(episodes).backward()
    hyper = {name: p for name, p in unrolled.named_parameters() if not name.startswith("model.")}
    assert len(hyper) == 1 + ("decay" in settings) + ("sources" in settings)
    slopes = finite_differences(lambda: unrolled.meta_loss(episodes), hyper)
    torch.testing.assert_close({name: p.grad for name, p in hyper.items()}, slopes, atol=1e-8, rtol=0)
    assert all(p.grad is None for p in unrolled.model.parameters()), "the start is not learned"


def test_prediction_is_plain_training():
    unrolled, episodes = learner(decay=0.1), blobs()
    with torch.no_grad():  # exactly, not as rounded to 32 bits
        unrolled.log_rates.fill_(math.log(0.3))
        unrolled.log_decay.fill_(math.log(0.1))
    for task in range(3):
        model = network().double()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.3, weight_decay=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(episodes.support_x[task]), episodes.support_y[task]).backward()
            optimizer.step()
        torch.testing.assert_close(unrolled.predict(episodes)[task], model(episodes.query_x[task]), atol=1e-9, rtol=0)


def test_the_loss_curve_ends_in_the_meta_loss():
    unrolled, episodes = learner(rates="step"), blobs()
    curve = unrolled.query_losses(episodes)
    assert curve.shape == (3, 5) and not curve.requires_grad
    assert curve[:, -1].mean().item() == pytest.approx(unrolled.meta_loss(episodes).item(), abs=1e-12)
    assert unrolled.query_losses(episodes, steps=9).shape == (3, 10)


def test_meta_training_mends_a_rate_that_is_too_small():
    unrolled = Unrolled(network(), steps=5, rate=0.01)
    before = unrolled.query_losses(Tasks().sample(20, first=10**6))[:, -1].mean()
    meta_train(unrolled, Tasks(), steps=60, tasks_per_step=8, lr=0.1, progress=False)
    assert unrolled.rates.item() > 0.1
    assert unrolled.query_losses(Tasks().sample(20, first=10**6))[:, -1].mean() < before - 0.1


def test_a_source_with_wrong_labels_loses_its_share():
    unrolled = Unrolled(network(), steps=5, rate=0.3, sources=2)
    assert unrolled.mixture.tolist() == [0.5, 0.5]
    meta_train(unrolled, Tasks(sources=2), steps=60, tasks_per_step=8, lr=0.1, progress=False)
    assert unrolled.mixture[0] > 0.9


def test_bad_settings_are_refused():
    for settings, word in (
        ({"steps": 0}, "steps=0"),
        ({"rate": 0.0}, "rate=0"),
        ({"rate": -1.0}, "rate=-1"),
        ({"decay": 0.0}, "decay=0"),
        ({"sources": 0}, "sources=0"),
        ({"rates": "epoch"}, "epoch"),
    ):
        with pytest.raises(ValueError, match=word):
            learner(**settings)
    with pytest.raises(ValueError, match="no trainable parameter"):
        Unrolled(network().requires_grad_(False))
    with pytest.raises(ValueError, match="2 sources, expected 3"):
        learner(sources=3).meta_loss(blobs(sources=2))


def test_divergence_is_named_with_its_step_and_rate():
    with pytest.raises(InnerLoopDiverged, match=r"step \d+ of 40 .* rate 1\S*e\+200"):
        learner(rate=1e200, steps=40).meta_loss(blobs())
