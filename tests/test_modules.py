"""Modes that come back, weights that are lent, and who a module is."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from metalearn_lib.modules import evaluating, identity, tensor_digest, untrained


def test_an_error_leaves_every_part_in_its_own_mode() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()).eval())
    before = [part.training for part in model.modules()]
    with pytest.raises(RuntimeError, match="inside"), evaluating(model):
        assert not any(part.training for part in model.modules()) and not torch.is_grad_enabled()
        raise RuntimeError("inside")
    assert [part.training for part in model.modules()] == before == [True, True, False, False]
    assert torch.is_grad_enabled()


def test_what_is_lent_trains_nothing_and_sees_what_the_owner_learns() -> None:
    torch.manual_seed(0)
    for owner in (nn.LSTM(3, 2, batch_first=True), nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))):
        lent = untrained(owner.eval())
        assert all(p.requires_grad for p in owner.parameters())
        assert not any(p.requires_grad for p in lent.parameters())
        x = torch.randn(4, 3)
        with torch.no_grad():
            for parameter in owner.parameters():
                parameter.add_(0.5)
        both = [module(x[None] if isinstance(module, nn.LSTM) else x) for module in (owner, lent)]
        torch.testing.assert_close(*((out[0] if isinstance(out, tuple) else out) for out in both))
        lent.train()
        assert not owner.training


def test_tied_weights_stay_tied() -> None:
    owner = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    owner[1].weight = owner[0].weight
    lent = untrained(owner)
    assert lent[0].weight is lent[1].weight


class Odd(nn.Module):
    """Holds a setting of any kind."""

    def __init__(self, setting: object) -> None:
        super().__init__()
        self.setting = setting


class Plain:
    def __init__(self, size: int) -> None:
        self.size, self._cache = size, [size]


def scaled(by: float):  # type: ignore[no-untyped-def]
    return lambda x: x * by


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, 1.0),
        (True, 1),
        ("a", "b"),
        (None, 0),
        ((1, 2), (1, 3)),
        ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}),
        (np.float32(0.5), np.float32(0.25)),
        (np.arange(3), np.arange(3) + 1),
        (torch.arange(3), torch.arange(3) + 1),
        (torch.zeros(2), torch.zeros(3)),
        (nn.Dropout(0.2), nn.Dropout(0.5)),
        (nn.ReLU(), nn.Tanh()),
        (torch.relu, torch.tanh),
        (scaled(1.0), scaled(2.0)),
        (lambda x: x + 1, lambda x: x + 2),
        (partial(max, 1), partial(max, 2)),
        (Plain(1), Plain(2)),
        (range(3), range(4)),
        (torch.float32, torch.float64),
        (nn.Linear(2, 3), nn.Linear(3, 2)),
        (nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2).requires_grad_(False)),
    ],
)
def test_a_setting_of_any_kind_tells_two_modules_apart(one: object, other: object) -> None:
    assert identity(Odd(one)) == identity(Odd(one)) != identity(Odd(other))


def test_values_that_train_do_not_count_and_buffers_do() -> None:
    assert identity(nn.Linear(2, 2)) == identity(nn.Linear(2, 2))
    norm = nn.BatchNorm1d(2)
    before = identity(norm)
    norm(torch.randn(8, 2))
    assert identity(norm) == before, "running statistics change with training"
    one, other = (nn.Module() for _ in range(2))
    one.register_buffer("table", torch.zeros(3))
    other.register_buffer("table", torch.ones(3))
    assert identity(one) != identity(other)


def test_a_module_that_contains_itself_in_a_roundabout_way() -> None:
    module = Odd(None)
    module.setting = [module, {"again": (module,)}]
    assert identity(module) == identity(module)


def test_a_digest_follows_a_change_in_place() -> None:
    table = torch.zeros(5)
    before = tensor_digest(table)
    assert tensor_digest(table) == before == tensor_digest(torch.zeros(5))
    table[0] = 1
    assert tensor_digest(table) != before
    assert tensor_digest(torch.ones(2, dtype=torch.bool)) and tensor_digest(torch.tensor(1.0))
