"""The LSTM optimizer: its inputs, its gradient against finite differences, resume, and that it learns to optimise."""

import os
import signal

import pytest
import torch
from torch import nn

from metalearn_lib.episodes import Episodes
from metalearn_lib.meta_optimizers import (
    Adam,
    GradientDescent,
    LearnedOptimizer,
    Problems,
    finite_differences,
    minimise,
    preprocess,
    tuned,
)
from metalearn_lib.training import meta_train


def blobs(number=2, *, seed=0, dtype=torch.float32) -> Episodes:
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(number, 3, 4, generator=random, dtype=dtype)
    y = (torch.arange(24) % 3).repeat(number, 1)
    index = y[..., None].expand(-1, -1, 4)
    x, query = (
        centres.gather(1, index) + 0.7 * torch.randn(number, 24, 4, generator=random, dtype=dtype) for _ in range(2)
    )
    return Episodes(x, y, query, y, 3, 8)


class Tasks:
    key = ("blobs",)

    def sample(self, number=1, *, first=0):
        return blobs(number, seed=first)


def network():
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))


def optimizer(**settings):
    torch.manual_seed(0)
    defaults = {"horizon": 20, "unroll": 5, "batch": 12, "decay": 0.01, "hidden": 4}
    return LearnedOptimizer(network(), **{**defaults, **settings})


def test_preprocessing_follows_the_paper():
    g = torch.tensor([0.5, -2.0, 1e-6, -1e-6, 0.0])
    expected = []
    for value in g.tolist():
        size = abs(value)
        if size >= torch.e**-10:
            expected.append([torch.tensor(size).log().item() / 10, value / size])
        else:
            expected.append([-1.0, torch.e**10 * value])
    torch.testing.assert_close(preprocess(g), torch.tensor(expected))


@pytest.mark.parametrize("inputs", ["gradient", "moments"])
def test_every_weight_is_moved_by_its_own_gradients_alone(inputs):
    rule, g = optimizer(inputs=inputs), torch.randn(2, 6)
    phi = torch.zeros(2, 6)
    moves, state = rule.move(g, rule.start(phi), 1)
    again, _ = rule.move(g, state, 2)
    order = torch.randperm(12)
    mixed = g.flatten()[order].view(2, 6)
    moved, state = rule.move(mixed, rule.start(phi), 1)
    torch.testing.assert_close(moved.flatten(), moves.flatten()[order])
    torch.testing.assert_close(rule.move(mixed, state, 2)[0].flatten(), again.flatten()[order])
    assert moves.abs().max() <= rule.scale and not torch.equal(moves, again)


def test_moments_do_not_depend_on_the_scale_of_the_loss():
    rule = optimizer()
    g = torch.randn(1, 5)
    small, large = (rule._read(c * g, [torch.zeros(1, 5)] * 3, 1)[0][..., :3] for c in (1e-3, 1e3))
    torch.testing.assert_close(small, large)


@pytest.mark.parametrize("inputs", ["gradient", "moments"])
def test_the_gradient_is_that_of_the_losses_with_read_gradients_held_constant(inputs):
    """From scratch: replay the recorded gradients and mini-batches, and differentiate the real losses numerically."""
    learner = optimizer(inputs=inputs, horizon=5, batch=None).double()
    episodes = blobs(dtype=torch.float64)
    problems = Problems(learner.trains[0].double(), episodes, decay=0.01)
    torch.manual_seed(3)
    learner.meta_loss(episodes).backward()
    torch.manual_seed(3)
    phi = start = problems.start(seed=int(torch.randint(2**31, ())))
    state, recorded = learner.start(phi), []
    with torch.no_grad():
        for number in range(1, 6):
            recorded.append(problems.gradients(phi, *problems.draw(torch.Generator()))[1])
            moves, state = learner.move(recorded[-1], state, number)
            phi = phi + moves

    def replayed():
        phi, state, total = start, learner.start(start), 0.0
        with torch.no_grad():
            for number, g in enumerate(recorded, 1):
                moves, state = learner.move(g, state, number)
                phi = phi + moves
                total = total + problems.objective(phi).mean() / 5
        return total

    slow = finite_differences(replayed, dict(learner.named_parameters()))
    for name, p in learner.named_parameters():
        torch.testing.assert_close(p.grad, slow[name], atol=1e-8, rtol=1e-5, msg=name)
    assert any(p.grad.abs().max() > 1e-6 for p in learner.parameters())


def test_a_state_of_another_model_is_refused():
    rule = optimizer()
    with pytest.raises(ValueError, match="another model"):
        rule.move(torch.zeros(2, 7), rule.start(torch.zeros(2, 6)), 1)


def test_it_is_used_on_another_model_and_over_a_longer_horizon():
    curves = minimise(optimizer(), Problems(nn.Linear(4, 3), blobs()), steps=50)
    assert curves.support.shape == (2, 51) and not curves.support.requires_grad
    assert optimizer().predict(blobs()).shape == (2, 24, 3)


def test_it_learns_to_optimise():
    learner = optimizer(horizon=30, unroll=10, hidden=8)
    test = Problems(network(), blobs(20, seed=10**6), batch=12, decay=0.01)
    before = minimise(learner, test, steps=30).support[:, -1].mean()
    meta_train(learner, Tasks(), steps=120, tasks_per_step=2, lr=0.01, progress=False)
    after = minimise(learner, test, steps=30).support
    practice = Problems(network(), blobs(20, seed=1), batch=12, decay=0.01)
    sgd = tuned(GradientDescent, [0.01, 0.03, 0.1, 0.3, 1.0], practice, steps=30)
    slow = minimise(GradientDescent(0.01), test, steps=30).support
    assert after[:, -1].mean() < before - 0.3
    assert after[:, -1].mean() < slow[:, -1].mean() - 0.2
    assert after[:, 10].mean() < minimise(sgd, test, steps=30).support[:, 10].mean() + 0.1
    assert after[:, 10].mean() < minimise(Adam(0.01), test, steps=30).support[:, 10].mean()


OPTIONS = {"steps": 12, "tasks_per_step": 2, "lr": 0.01, "validate_every": 4, "progress": False}


class Interrupted(Tasks):
    def sample(self, number=1, *, first=0):
        if first == 14:
            os.kill(os.getpid(), signal.SIGINT)
        return super().sample(number, first=first)


def test_an_interrupted_training_resumes_to_the_very_same_numbers(tmp_path):
    whole, broken, resumed = optimizer(), optimizer(), optimizer()
    expected = meta_train(whole, Tasks(), **OPTIONS)
    file = tmp_path / "optimizer.safetensors"
    with pytest.raises(KeyboardInterrupt):
        meta_train(broken, Interrupted(), checkpoint=file, **OPTIONS)
    torch.manual_seed(99)
    assert meta_train(resumed, Tasks(), checkpoint=file, **OPTIONS) == expected
    for p, q in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(p, q)
    with pytest.raises(ValueError, match="another run"):
        meta_train(optimizer(horizon=40), Tasks(), checkpoint=file, **OPTIONS)


def test_bad_settings_are_refused():
    for settings, word in (
        ({"unroll": 0}, "unroll=0"),
        ({"horizon": 4}, "horizon=4"),
        ({"hidden": 0}, "hidden=0"),
        ({"scale": 0.0}, "scale=0"),
        ({"inputs": "hessian"}, "hessian"),
    ):
        with pytest.raises(ValueError, match=word):
            optimizer(**settings)
    with pytest.raises(ValueError, match="no trainable parameter"):
        LearnedOptimizer(network().requires_grad_(False))
