"""What peak_memory counts: bytes that tensors hold, at the worst moment, and nothing twice."""

import pytest
import torch
from torch import nn
from torch.func import vmap

from metalearn_lib.inner_loop.memory import peak_memory

KB = 1024


def numbers(kilobytes: int) -> torch.Tensor:
    return torch.ones(kilobytes * KB // 4)


def test_what_is_held_at_once_adds_up():
    assert peak_memory(lambda: [numbers(1) for _ in range(10)]) == 10 * KB


def test_what_was_freed_does_not():
    def one_after_another():
        for _ in range(10):
            numbers(1)

    assert peak_memory(one_after_another) <= 2 * KB  # a name lives until it is bound again


def test_views_work_in_place_and_what_existed_before_are_free():
    given = numbers(100)
    assert peak_memory(lambda: numbers(4).view(2, -1).mT.add_(1)[0]) == 4 * KB
    assert peak_memory(lambda: given.view(2, -1)) == 0
    assert peak_memory(lambda: given.mul_(2)) == 0


@pytest.mark.parametrize("graph", [True, False])
def test_the_way_back_is_counted(graph):
    def chain(steps: int):
        x = numbers(1).requires_grad_(graph)
        for _ in range(steps):
            x = x.tanh()  # with a graph it keeps its result for the way back
        if graph:
            x.sum().backward()

    few, many = peak_memory(lambda: chain(2)), peak_memory(lambda: chain(20))
    assert many - few == pytest.approx(18 * KB if graph else 0, abs=KB if graph else 0)


def test_the_same_number_again_and_under_vmap():
    layer, x = nn.Linear(8, 8), torch.randn(5, 3, 8)
    found = {peak_memory(lambda: vmap(layer)(x).sum()) for _ in range(3)}
    assert len(found) == 1 and found.pop() >= 5 * 3 * 8 * 4


def test_an_error_passes_through():
    with pytest.raises(RuntimeError, match="shape"):
        peak_memory(lambda: torch.ones(2) @ torch.ones(3, 3))
