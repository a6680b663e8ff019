"""The guard and the second opinion: right on right gradients, loud on detached ones."""

import pytest
import torch
from torch import nn

from metalearn_lib.meta_optimizers import DetachedLoss, Unrolled, finite_differences, hyper_gradients


@pytest.fixture
def toy():
    rate = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    return rate, lambda: (rate**3).sum() + rate.prod()


def test_both_agree_and_leave_the_numbers_as_they_were(toy):
    rate, loss = toy
    before = rate.detach().clone()
    exact = hyper_gradients(loss(), {"rate": rate})["rate"]
    torch.testing.assert_close(exact, finite_differences(loss, {"rate": rate})["rate"], atol=1e-9, rtol=0)
    assert torch.equal(rate.detach(), before)


def test_a_detached_loss_is_refused(toy):
    rate, loss = toy
    with pytest.raises(DetachedLoss, match="detached"):
        hyper_gradients(loss().detach(), {"rate": rate})


def test_a_loss_of_something_else_is_refused(toy):
    rate, _ = toy
    other = torch.tensor(1.0, requires_grad=True)
    with pytest.raises(DetachedLoss, match="'rate'"):
        hyper_gradients(other**2, {"rate": rate})
    with pytest.raises(DetachedLoss, match="'rate'"):
        hyper_gradients((0 * rate).sum(), {"rate": rate})


def test_differences_in_32_bits_are_refused(toy):
    with pytest.raises(ValueError, match="float64"):
        finite_differences(lambda: torch.tensor(0.0), {"rate": torch.tensor(0.1)})


def test_the_loss_curve_of_unrolled_is_what_the_guard_catches():
    from metalearn_lib.episodes import Episodes

    torch.manual_seed(0)
    x, y = torch.randn(2, 8, 3), torch.arange(2).repeat(2, 4)
    episodes, learner = Episodes(x, y, x + 0.1, y, 2, 4), Unrolled(nn.Linear(3, 2), steps=3)
    with pytest.raises(DetachedLoss):
        hyper_gradients(learner.query_losses(episodes)[:, -1].mean(), {"rate": learner.log_rates})
    assert hyper_gradients(learner.meta_loss(episodes), {"rate": learner.log_rates})["rate"].abs() > 0
