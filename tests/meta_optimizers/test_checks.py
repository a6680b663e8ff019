"""The guard and the second opinion: right on right gradients, loud on detached ones."""

import pytest
import torch
from torch import nn

from metalearn_lib.meta_optimizers import DetachedLoss, Unrolled, finite_differences, hyper_gradients
from tests.meta_optimizers.blobs import blobs


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


def test_a_loss_that_is_detached_or_of_something_else_is_refused(toy):
    rate, loss = toy
    with pytest.raises(DetachedLoss, match="detached"):
        hyper_gradients(loss().detach(), {"rate": rate})
    for other in (torch.tensor(1.0, requires_grad=True) ** 2, (0 * rate).sum()):
        with pytest.raises(DetachedLoss, match="'rate'"):
            hyper_gradients(other, {"rate": rate})


def test_differences_in_32_bits_are_refused(toy):
    with pytest.raises(ValueError, match="float64"):
        finite_differences(lambda: torch.tensor(0.0), {"rate": torch.tensor(0.1)})


def test_the_loss_curve_of_unrolled_is_what_the_guard_catches():
    torch.manual_seed(0)
    episodes, learner = blobs(dtype=torch.float32), Unrolled(nn.Linear(4, 2), steps=3)
    with pytest.raises(DetachedLoss):
        hyper_gradients(learner.query_losses(episodes)[:, -1].mean(), {"rate": learner.log_rates})
    assert hyper_gradients(learner.meta_loss(episodes), {"rate": learner.log_rates})["rate"].abs() > 0
