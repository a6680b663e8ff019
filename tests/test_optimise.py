"""The bare step loop: it is torch's own loop, it stops at once where a loss is no number, it leaves no trace."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from metalearn_lib.errors import TrainingDiverged
from metalearn_lib.optimise import History, descend, in_training, seeded, take_step, weights_of


def problem() -> tuple[nn.Linear, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    model = nn.Linear(4, 1).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
    return model, *(torch.randn(20, n, generator=draw, dtype=torch.float64) for n in (4, 1))


def test_it_is_the_loop_that_everybody_writes() -> None:
    (ours, x, y), (theirs, _, _) = problem(), problem()
    steps = torch.optim.Adam(ours.parameters(), lr=0.1)
    batches = torch.arange(20).split(5)

    def factor(step: int) -> float:
        return 1 - step / 4

    losses = descend(
        lambda rows: (ours(x[rows]) - y[rows]).square().mean(), batches, steps, who="it", clip=0.5, schedule=factor
    )
    expected = []
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    for rows in batches:
        loss = (theirs(x[rows]) - y[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        expected.append(loss.item())
    assert list(losses) == expected
    assert torch.equal(ours.weight, theirs.weight) and torch.equal(ours.bias, theirs.bias)


def test_a_schedule_goes_on_where_another_call_begins() -> None:
    runs = []
    for parts in ([range(6)], [range(4), range(2)]):
        model, x, y = problem()
        optimizer, losses = torch.optim.SGD(model.parameters(), lr=0.1), []
        for part in parts:
            options = {"who": "it", "schedule": lambda step: 0.5**step, "first": len(losses)}
            losses += descend(lambda _, m=model, x=x, y=y: (m(x) - y).square().mean(), part, optimizer, **options)
        runs.append(losses)
    assert runs[0] == runs[1]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops_before_its_step(bad: float) -> None:
    model, x, _ = problem()
    kept = weights_of(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TrainingDiverged, match=rf"fit: the loss is {bad} at step 8; lower the learning rate or check"):
        next(descend(lambda _: model(x).square().sum() * bad, [0], optimizer, who="fit", first=7))
    assert all(torch.equal(kept[name], value) for name, value in model.state_dict().items())


def test_only_what_the_optimizer_trains_gets_a_gradient() -> None:
    model, x, _ = problem()
    other = nn.Parameter(torch.ones(4, dtype=torch.float64))
    take_step(model(x * other).square().mean(), torch.optim.SGD(model.parameters(), lr=0.1), who="it", step=0)
    assert other.grad is None and model.weight.grad is not None


def test_validations_know_the_best_and_when_to_stop() -> None:
    history = History()
    scores = [0.5, 0.7, 0.7, 0.6, 0.9]
    for number, score in enumerate(scores, 1):
        history.losses += [0.0] * 10
        best = history.validated(score, patience=2)
        assert best is (number in (1, 2, 5))
        assert history.stopped_early is (number == 4)
    assert history.best_step == 50 and history.valid_steps == [10, 20, 30, 40, 50]
    with pytest.raises(TrainingDiverged, match="validation after step 50 is NaN"):
        history.validated(math.nan)


def test_errors_are_best_where_they_are_lowest() -> None:
    history = History(lower_is_better=True)
    assert [history.validated(error) for error in (2.0, 3.0, 1.0, 1.0)] == [True, False, True, False]


def states() -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
@pytest.mark.parametrize("fails", [False, True])
def test_random_numbers_start_anew_and_go_on_as_if_nothing_had_been(device: str, fails: bool) -> None:
    model, before, drawn = nn.Linear(2, 2).to(device), states(), []
    for _ in range(2):
        try:
            with in_training(model, seed=3):
                assert model.training
                drawn.append(torch.rand(3, device=device))
                if fails:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            assert fails
        assert not model.training
    assert torch.equal(drawn[0], drawn[1])
    assert all(torch.equal(a, b) for a, b in zip(before, states(), strict=True))


def test_the_seed_means_what_it_means_to_torch() -> None:
    with seeded(5):
        ours = torch.rand(3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        assert torch.equal(ours, torch.rand(3))
