"""The LSTM optimizer: its inputs, its gradient against finite differences, resume, and that it learns to optimise."""

import pytest
import torch
from torch import nn

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
from tests.meta_optimizers.blobs import Tasks, blobs

THREE = {"classes": 3, "examples": 24, "noise": 0.7}  # what the optimizer is trained on


def network():
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))


def optimizer(**settings):
    torch.manual_seed(0)
    defaults = {"horizon": 20, "unroll": 5, "batch": 12, "decay": 0.01, "hidden": 4}
    return LearnedOptimizer(network(), **{**defaults, **settings})


def test_preprocessing_follows_the_paper():
    large, small = torch.tensor([0.5, -2.0]), torch.tensor([1e-6, -1e-6, 0.0])  # than e⁻¹⁰
    expected = torch.stack([torch.cat([large.abs().log() / 10, -torch.ones(3)]),
                            torch.cat([large.sign(), torch.e**10 * small])], 1)  # fmt: skip
    torch.testing.assert_close(preprocess(torch.cat([large, small])), expected)


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
    small, large = (rule._read(c * g, torch.zeros(3, 1, 5), 1)[0][..., :3] for c in (1e-3, 1e3))
    torch.testing.assert_close(small, large)


@pytest.mark.parametrize("inputs", ["gradient", "moments"])
def test_the_gradient_is_that_of_the_losses_with_read_gradients_held_constant(inputs):
    """From scratch: replay the recorded gradients and mini-batches, and differentiate the real losses numerically."""
    learner = optimizer(inputs=inputs, horizon=5, batch=None).double()
    episodes = blobs(2, **THREE)
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
    task = blobs(2, **THREE, dtype=torch.float32)
    curves = minimise(optimizer(), Problems(nn.Linear(4, 3), task), steps=50)
    assert curves.support.shape == (2, 51) and not curves.support.requires_grad
    assert optimizer().predict(task).shape == (2, 24, 3)


def test_it_learns_to_optimise():
    learner = optimizer(horizon=30, unroll=10, hidden=8)
    tasks = Tasks(**THREE)
    test, practice = (Problems(network(), tasks.sample(20, first=n), batch=12, decay=0.01) for n in (10**6, 1))
    before = minimise(learner, test, steps=30).support[:, -1].mean()
    meta_train(learner, tasks, steps=120, tasks_per_step=2, lr=0.01, progress=False)
    after = minimise(learner, test, steps=30).support
    sgd = tuned(GradientDescent, [0.01, 0.03, 0.1, 0.3, 1.0], practice, steps=30)
    slow = minimise(GradientDescent(0.01), test, steps=30).support
    assert after[:, -1].mean() < before - 0.3
    assert after[:, -1].mean() < slow[:, -1].mean() - 0.2
    assert after[:, 10].mean() < minimise(sgd, test, steps=30).support[:, 10].mean() + 0.1
    assert after[:, 10].mean() < minimise(Adam(0.01), test, steps=30).support[:, 10].mean()


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
