"""Steps needed: the first step that is low enough, and what it says where none is."""

import pytest
import torch

from metalearn_lib.meta_optimizers import steps_needed


def test_the_mean_decides_not_the_single_problem():
    curve = torch.tensor([[4.0, 0.0, 0.0], [4.0, 4.0, 0.0]])
    reference = torch.tensor([[9.0, 1.0], [9.0, 1.0]])
    assert steps_needed(curve, reference, at=1).step == 2
    assert steps_needed(curve, reference + 1, at=1).step == 1


def test_a_curve_needs_for_itself_as_many_steps_as_it_took():
    curve = torch.rand(8, 1) + torch.linspace(1, 0, 11)
    needed = steps_needed(curve, curve, at=7)
    assert (needed.step, needed.low, needed.high) == (7, 7, 7)
    assert str(needed) == "7 (7 … 7)"


def test_not_reached_says_so():
    curve = torch.full((4, 6), 2.0)
    needed = steps_needed(curve, curve - 1, at=5)
    assert (needed.step, needed.at_least, needed.at_most) == (None, 6, 6)
    assert str(needed) == "> 5 (> 5 … > 5)"


def test_the_interval_holds_the_step_and_is_wider_where_problems_differ():
    torch.manual_seed(0)
    steps = torch.arange(50.0)
    alike = torch.exp(-steps / 20).expand(20, -1)
    unlike = torch.exp(-steps[None] / torch.linspace(5, 60, 20)[:, None])
    reference = torch.full((20, 1), 0.4)
    narrow, wide = (steps_needed(curve, reference, at=0) for curve in (alike, unlike))
    assert narrow.low == narrow.high == narrow.step
    assert wide.low < wide.step < wide.high


@pytest.mark.parametrize(
    ("curve", "reference", "at", "says"),
    [
        (torch.zeros(2, 5), torch.zeros(3, 5), 1, "of the same T ≥ 2 problems"),
        (torch.zeros(5), torch.zeros(5), 1, "of the same T ≥ 2 problems"),
        (torch.zeros(2, 5), torch.zeros(2, 5), 5, r"the reference has steps 0 … 4"),
    ],
)
def test_bad_curves_are_refused(curve, reference, at, says):
    with pytest.raises(ValueError, match=says):
        steps_needed(curve, reference, at=at)
