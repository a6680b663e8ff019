from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import nn

from metalearn_lib.errors import TrainingDiverged
from metalearn_lib.online import (
    AGem,
    ElasticWeights,
    FineTuning,
    MetaExperienceReplay,
    NearestClassMean,
    Network,
    Replay,
    Reservoir,
    StreamingLda,
    run,
)
from tests.online.toy import stream, task

D, C = 6, 6
NETWORKS = {
    "fine-tuning": FineTuning,
    "replay": partial(Replay, memory=20),
    "MER": partial(MetaExperienceReplay, memory=20, beta=0.5, gamma=0.5, steps=2, lr=0.05),
    "A-GEM": partial(AGem, memory=20),
    "EWC": ElasticWeights,
}
ALL = NETWORKS | {"mean": lambda d, c, **_: NearestClassMean(d, c), "LDA": lambda d, c, **_: StreamingLda(d, c)}
wide = partial(Network, dtype=np.float64)


def random_texts(n: int, dim: int = D, classes: int = C, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_normal((n, dim)), random.integers(classes, size=n)


@pytest.mark.parametrize("hidden", [0, 5])
def test_the_gradient_is_that_of_autograd(hidden):
    network = wide(D, C, hidden=hidden)
    network.theta += np.random.default_rng(1).standard_normal(len(network.theta))
    x, y = random_texts(7)
    parts = [torch.from_numpy(part.copy()).requires_grad_() for part in network.parts]
    h = torch.from_numpy(x)
    if hidden:
        h = torch.relu(h @ parts[0] + parts[1])
    logits = h @ parts[-2] + parts[-1]
    losses = nn.functional.cross_entropy(logits, torch.from_numpy(y), reduction="none")
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(losses.mean(), parts, retain_graph=True)])
    np.testing.assert_allclose(network.gradient(x, y), expected.numpy(), atol=1e-12)
    np.testing.assert_allclose(network.logits(x), logits.detach().numpy(), atol=1e-12)
    each = [torch.cat([g.flatten() for g in torch.autograd.grad(loss, parts, retain_graph=True)]) for loss in losses]
    squares = torch.stack(each).square().mean(0)
    np.testing.assert_allclose(network.gradient(x, y, squared=True), squares.numpy(), atol=1e-12)


def test_mer_with_beta_and_gamma_one_is_replay_one_by_one():
    made = stream()
    learner = MetaExperienceReplay(D, C, memory=8, replayed=4, seed=3, lr=0.05, hidden=7, dtype=np.float64)
    run(learner, made)
    network, memory = wide(D, C, hidden=7, seed=3), Reservoir(8, D, seed=4, dtype=np.float64)
    for each in made.tasks:
        for text, label in zip(each.x, each.y, strict=True):
            old_x, old_y = memory.draw(4)
            for x, y in [*zip(old_x, old_y, strict=True), (text, label)]:
                network.theta -= 0.05 * network.gradient(x[None], np.array([y]))
            memory.add(text[None], np.array([label]))
    np.testing.assert_array_equal(learner.network.theta, network.theta)


def test_mer_follows_the_algorithm():
    """Two batches for a text, β and γ below 1, written out (Riemer et al., 2019, algorithm 1)."""
    options = {"memory": 8, "replayed": 3, "seed": 1, "lr": 0.1, "hidden": 4, "dtype": np.float64}
    learner = MetaExperienceReplay(D, C, beta=0.3, gamma=0.6, steps=2, **options)
    network, memory = wide(D, C, hidden=4, seed=1), Reservoir(8, D, seed=2, dtype=np.float64)
    x, y = random_texts(15)
    learner.learn(x, y)
    for row in range(15):
        across = network.theta.copy()
        for _ in range(2):
            within = network.theta.copy()
            old_x, old_y = memory.draw(3)
            for a, b in [*zip(old_x, old_y, strict=True), (x[row], y[row])]:
                network.step(a[None], np.array([b]), 0.1)
            network.theta[:] = within + 0.3 * (network.theta - within)
        network.theta[:] = across + 0.6 * (network.theta - across)
        memory.add(x[row : row + 1], y[row : row + 1])
    np.testing.assert_allclose(learner.network.theta, network.theta, atol=1e-12)


def test_each_text_stays_with_equal_chance():
    stays = np.zeros(30)
    for seed in range(1500):
        memory = Reservoir(6, 1, seed=seed)
        memory.add(np.arange(30.0)[:, None], np.arange(30))
        assert len(memory) == 6
        stays[memory.y] += 1
    assert stays.sum() == 6 * 1500
    assert chisquare(stays).pvalue > 1e-3


def test_a_memory_larger_than_the_stream_keeps_all_of_it():
    x, y = random_texts(9)
    memory = Reservoir(50, D, dtype=np.float64)
    memory.add(x, y)
    assert len(memory) == 9
    np.testing.assert_array_equal(memory.draw(20)[0], x)
    drawn, _ = memory.draw(4)
    assert len(np.unique(drawn, axis=0)) == 4


def test_agem_takes_no_step_against_the_memory():
    learner = AGem(D, C, memory=50, replayed=50, lr=1e-3, dtype=np.float64)
    learner.learn(*random_texts(40, seed=1))
    old = learner.network.theta.copy()
    x, y = random_texts(10, seed=2)
    reference = learner.network.gradient(learner.memory.x[:40], learner.memory.y[:40])
    learner.learn(-3 * x, y)
    assert (learner.network.theta - old) @ reference < 1e-12


def test_ewc_holds_the_weights_that_mattered():
    first, second = task([0, 1]), task([2, 3])
    moved = {}
    for strength in (0.0, 1e8):
        learner = ElasticWeights(D, C, strength=strength, dtype=np.float64)
        learner.learn(first.x, first.y)
        learner.end_task(first.x, first.y)
        old, stiff = learner.network.theta.copy(), learner.stiffness > 1e-4
        for x, y in second.batches(10):
            learner.learn(x, y)
        moved[strength] = np.abs(learner.network.theta - old)[stiff].max()
    assert moved[1e8] < 0.01 * moved[0.0]
    free, spring = FineTuning(D, C), ElasticWeights(D, C, strength=0.0)
    for learner in (free, spring):
        run(learner, stream())
    np.testing.assert_allclose(free.network.theta, spring.network.theta, atol=1e-6)


def test_replay_remembers_what_fine_tuning_forgets():
    made = stream(per_class=60, offset=2)
    kept = {name: run(NETWORKS[name](D, C), made) for name in ("fine-tuning", "replay")}
    assert kept["fine-tuning"].average < 0.6 and kept["fine-tuning"].at_once > 0.9
    assert kept["replay"].average > 0.9


@pytest.mark.parametrize("name", ALL)
def test_only_classes_that_were_seen_are_predicted(name):
    learner = ALL[name](D, C)
    with pytest.raises(ValueError, match="has seen no text"):
        learner.predict(task([0, 1]).x)
    learner.learn(task([1, 4]).x, task([1, 4]).y)
    assert set(learner.predict(random_texts(50)[0].astype(np.float32))) <= {1, 4}


@pytest.mark.parametrize("name", ALL)
def test_a_learner_of_another_shape_refuses(name):
    learner = ALL[name](D, C)
    for x, y in (random_texts(3, dim=5), (np.zeros((2, D)), np.array([0, 6])), (np.zeros((0, D)), np.zeros(0, int))):
        with pytest.raises(ValueError, match=r"learns from|was made for"):
            learner.learn(x, y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Replay(D, C, memory=0), "without a memory this is FineTuning"),
        (lambda: Replay(D, C, memory=-1), "memory=-1"),
        (lambda: FineTuning(D, C, lr=0), "nothing is learned"),
        (lambda: MetaExperienceReplay(D, C, beta=0), "beta=0"),
        (lambda: MetaExperienceReplay(D, C, gamma=1.5), "gamma=1.5"),
        (lambda: ElasticWeights(D, C, strength=-1), "strength=-1"),
        (lambda: StreamingLda(D, C, shrink=0), "shrink=0"),
        (lambda: NearestClassMean(D, 0), "n_classes=0"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_that_are_not_finite_are_told():
    learner = FineTuning(D, C, lr=1e30)
    with np.errstate(all="ignore"):
        learner.learn(*random_texts(5))
        learner.learn(*random_texts(5))
        with pytest.raises(TrainingDiverged, match="lower lr"):
            learner.predict(random_texts(5)[0])
