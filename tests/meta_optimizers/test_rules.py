"""Update rules over many problems at once: against torch.optim one by one, and what they refuse."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Identity
from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import InnerLoopDiverged
from metalearn_lib.learners import TextModel
from metalearn_lib.meta_optimizers import Adam, GradientDescent, Problems, minimise, tuned, tuned_for
from tests.meta_optimizers.blobs import blobs


def network():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double()


RULES = {
    "SGD": (GradientDescent(0.3), lambda p: torch.optim.SGD(p, lr=0.3)),
    "momentum": (GradientDescent(0.1, 0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    "Adam": (Adam(0.05), lambda p: torch.optim.Adam(p, lr=0.05)),
}


@pytest.mark.parametrize("name", RULES)
def test_a_batch_of_problems_is_each_problem_on_its_own_in_torch(name):
    rule, make = RULES[name]
    episodes, model = blobs(), network()
    problems = Problems(model, episodes, decay=0.02)
    curves = minimise(rule, problems, steps=7, seed=5)
    starts = problems.weights(problems.start(seed=5))
    for task in range(3):
        for key, p in model.named_parameters():
            p.data.copy_(starts[key][task])
        optimizer, seen = make(model.parameters()), []
        for _ in range(8):
            loss = cross_entropy(model(episodes.support_x[task]), episodes.support_y[task])
            loss = loss + 0.01 * sum(p.square().sum() for p in model.parameters())
            seen.append((loss.item(), cross_entropy(model(episodes.query_x[task]), episodes.query_y[task]).item()))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        curve = torch.stack([curves.support[task], curves.query[task]], 1)
        torch.testing.assert_close(curve, torch.tensor(seen, dtype=torch.float64), atol=1e-10, rtol=0)


def test_the_losses_of_the_last_steps_are_those_of_the_whole_run():
    problems = Problems(network(), blobs(), batch=4)
    whole, late = (minimise(Adam(0.1), problems, steps=6, last=last) for last in (None, 2))
    assert torch.equal(late.support, whole.support[:, -2:]) and torch.equal(late.query, whole.query[:, -2:])
    for last in (0, 7):
        with pytest.raises(ValueError, match=f"last={last}"):
            minimise(Adam(0.1), problems, steps=6, last=last)


def test_adam_with_a_falling_rate_is_torch_adam_with_a_scheduler():
    problems, model = Problems(network(), blobs()), network()
    found = minimise(Adam(0.1, fall=20.0), problems, steps=6, seed=5).support[0]
    for name, start in problems.weights(problems.start(seed=5)).items():
        model.get_parameter(name).data.copy_(start[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: math.exp(-0.2 * (done + 1)))
    for loss_there in found:
        loss = cross_entropy(model(blobs().support_x[0]), blobs().support_y[0])
        torch.testing.assert_close(loss.detach(), loss_there, atol=1e-10, rtol=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    assert Adam(0.1, fall=20.0).name == "Adam, rate 0.1, falling" and Adam(0.1).name == "Adam, rate 0.1"
    with pytest.raises(ValueError, match=r"fall=-1"):
        Adam(0.1, fall=-1.0)


def test_same_seed_same_start_and_batches_whatever_the_rule():
    problems = Problems(network(), blobs(), batch=4)
    one, again, other = (minimise(GradientDescent(r), problems, steps=5, seed=2) for r in (0.1, 0.1, 0.2))
    assert torch.equal(one.support, again.support)
    assert torch.equal(one.support[:, 0], other.support[:, 0]) and not torch.equal(one.support, other.support)
    assert not torch.equal(one.support[:, 0], minimise(GradientDescent(0.1), problems, steps=5, seed=3).support[:, 0])
    before = torch.get_rng_state()
    problems.start(seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_every_problem_starts_afresh_and_a_batch_has_no_example_twice():
    problems = Problems(network(), blobs(), batch=6)
    phi = problems.start(seed=0)
    assert phi.shape == (3, 4 * 5 + 5 + 5 * 2 + 2) and not torch.equal(phi[0], phi[1])
    x, y = problems.draw(torch.Generator().manual_seed(0))
    assert x.shape == (3, 6, 4) and y.shape == (3, 6)
    assert all(len(task.unique(dim=0)) == 6 for task in x)


def test_a_frozen_part_is_not_trained_and_text_models_read_ready_vectors():
    model = network()
    model[0].requires_grad_(False)
    problems = Problems(model, blobs())
    assert problems.start(seed=0).shape == (3, 5 * 2 + 2)
    assert problems.outputs(problems.start(seed=0)).shape == (3, 12, 2)
    with_encoder = Problems(TextModel(Identity(4), nn.Linear(4, 2).double()), blobs())
    assert minimise(Adam(0.1), with_encoder, steps=3).support.shape == (3, 4)


def test_tuned_takes_the_best_rate_and_leaves_out_those_that_diverge():
    problems = Problems(nn.Linear(4, 2).double(), blobs())
    assert tuned(GradientDescent, [1e-4, 0.3, 1e300], problems, steps=20) == GradientDescent(0.3)
    with pytest.raises(ValueError, match="diverged at each"):
        tuned(GradientDescent, [1e300], problems, steps=20)


def test_divergence_is_named_with_its_step_and_rate():
    with pytest.raises(InnerLoopDiverged, match=r"step \d+ by SGD, rate 1e\+300"):
        minimise(GradientDescent(1e300), Problems(network(), blobs(), decay=0.1), steps=20)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="no trainable parameter"):
        Problems(network().requires_grad_(False), blobs())
    for settings, word in (({"batch": 0}, "batch=0"), ({"batch": 13}, "1 … 12"), ({"decay": -1.0}, "decay=-1")):
        with pytest.raises(ValueError, match=word):
            Problems(network(), blobs(), **settings)
    for make in (lambda: GradientDescent(0.0), lambda: GradientDescent(0.1, 1.0), lambda: Adam(-1.0)):
        with pytest.raises(ValueError, match=r"\((rate|momentum)="):
            make()
    with pytest.raises(ValueError, match="steps=0"):
        minimise(Adam(0.1), Problems(network(), blobs()), steps=0)

    model = nn.Sequential(nn.Bilinear(4, 4, 2).double())
    model.w = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="Sequential has no reset_parameters"):
        Problems(model, blobs()).start(seed=0)
    places, labels = torch.zeros(1, 2).long(), torch.tensor([[0, 1]])
    texts = Episodes(places, labels, places, labels, 2, 1, Corpus("letters", ["a", "b"], ["a", "b"]))
    with pytest.raises(ValueError, match="TextModel"):
        Problems(network(), texts)


def test_one_run_at_each_rate_tunes_for_several_numbers_of_steps():
    problems, rates = Problems(nn.Linear(4, 2).double(), blobs()), [1e-4, 0.03, 0.3, 3.0, 1e300]
    found = tuned_for([1, 5, 20], GradientDescent, rates, problems, seed=3)
    assert found == [tuned(GradientDescent, rates, problems, steps=steps, seed=3) for steps in (1, 5, 20)]
    with pytest.raises(ValueError, match="diverged at each"):
        tuned_for([5, 20], GradientDescent, [1e300], problems)
