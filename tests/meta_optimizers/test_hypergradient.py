"""Hypergradient descent: against torch's optimizers, against the formulas, against finite differences."""

import copy

import pytest
import torch
from torch import nn

from metalearn_lib.errors import TrainingDiverged
from metalearn_lib.meta_optimizers import HypergradientDescent, HypergradientSGD, Problems, finite_differences
from tests.meta_optimizers.blobs import blobs

KINDS = {
    "sgd": (lambda p, **kw: HypergradientSGD(p, lr=0.1, **kw), lambda p: torch.optim.SGD(p, lr=0.1)),
    "nesterov": (
        lambda p, **kw: HypergradientSGD(p, lr=0.05, momentum=0.9, **kw),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    ),
}


@pytest.fixture
def problem():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    return model, torch.randn(20, 4, dtype=torch.float64), torch.randint(0, 3, (20,))


def take(model, optimizer, x, y, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_hyper_rate_it_is_the_optimizer_of_torch(problem, kind):
    model, x, y = problem
    other = copy.deepcopy(model)
    ours, theirs = KINDS[kind]
    take(model, ours(model.parameters(), hyper_lr=0.0), x, y, 10)
    take(other, theirs(other.parameters()), x, y, 10)
    torch.testing.assert_close(list(model.parameters()), list(other.parameters()), atol=1e-12, rtol=0)


def test_sgd_hd_follows_its_formula(problem):
    model, x, y = problem
    weights = [p.detach().clone().requires_grad_() for p in model.parameters()]
    optimizer = HypergradientSGD(model.parameters(), lr=0.1, hyper_lr=0.05)
    take(model, optimizer, x, y, 5)
    rate, last = 0.1, None
    for _ in range(5):
        w1, b1, w2, b2 = weights
        loss = nn.functional.cross_entropy((x @ w1.T + b1).tanh() @ w2.T + b2, y)
        g = torch.autograd.grad(loss, weights)
        rate += 0.05 * sum((a * b).sum().item() for a, b in zip(g, last, strict=True)) if last else 0
        weights = [(w - rate * a).detach().requires_grad_() for w, a in zip(weights, g, strict=True)]
        last = g
    assert optimizer.rates == [pytest.approx(rate, abs=1e-12)]
    torch.testing.assert_close(list(model.parameters()), weights, atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_rate_moves_against_the_finite_difference_of_the_loss(problem, kind):
    """α moves by −β times the derivative of the loss with respect to the rate of the last step."""
    model, x, y = problem
    optimizer = KINDS[kind][0](model.parameters(), hyper_lr=1e-6)
    take(model, optimizer, x, y, 3)
    before, start = optimizer.rates[0], [p.detach().clone() for p in model.parameters()]
    directions = [optimizer.state[p]["direction"] for p in model.parameters()]
    take(model, optimizer, x, y, 1)
    moved = optimizer.rates[0] - before

    shifted, longer = copy.deepcopy(model), torch.zeros(1, dtype=torch.float64)

    def loss_had_the_rate_been_larger():
        with torch.no_grad():
            for p, w, d in zip(shifted.parameters(), start, directions, strict=True):
                p.copy_(w - longer * d)
            return nn.functional.cross_entropy(shifted(x), y)

    slope = finite_differences(loss_had_the_rate_been_larger, {"rate": longer})["rate"].item()
    assert moved == pytest.approx(-1e-6 * slope, rel=1e-4)


def test_a_group_a_layer_learns_a_rate_a_layer(problem):
    model, x, y = problem
    groups = [{"params": list(model[i].parameters())} for i in (0, 2)]
    optimizer = HypergradientSGD(groups, lr=0.01, hyper_lr=0.01)
    take(model, optimizer, x, y, 20)
    assert optimizer.rates[0] != optimizer.rates[1] and min(optimizer.rates) > 0.01


def test_a_rate_that_is_far_too_small_is_mended(problem):
    model, x, y = problem
    plain = copy.deepcopy(model)
    take(model, HypergradientSGD(model.parameters(), lr=1e-3, hyper_lr=0.05), x, y, 100)
    take(plain, torch.optim.SGD(plain.parameters(), lr=1e-3), x, y, 100)
    losses = [nn.functional.cross_entropy(m(x), y).item() for m in (model, plain)]
    assert losses[0] < losses[1] - 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_state_continues_to_the_same_numbers(problem, kind):
    model, x, y = problem
    optimizer = KINDS[kind][0](model.parameters(), hyper_lr=1e-3)
    take(model, optimizer, x, y, 4)
    other = copy.deepcopy(model)
    again = KINDS[kind][0](other.parameters(), hyper_lr=1e-3)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    take(model, optimizer, x, y, 4)
    take(other, again, x, y, 4)
    assert optimizer.rates == again.rates
    torch.testing.assert_close(list(model.parameters()), list(other.parameters()), atol=0, rtol=0)


@pytest.mark.parametrize("other", [nn.Linear(4, 6), nn.Sequential(nn.Linear(4, 7), nn.Linear(7, 3))])
def test_a_state_of_another_model_is_refused(problem, other):
    model, x, y = problem
    optimizer = HypergradientSGD(model.parameters())
    take(model, optimizer, x, y, 1)
    with pytest.raises(ValueError, match="model"):
        HypergradientSGD(other.parameters()).load_state_dict(optimizer.state_dict())


def test_a_gradient_that_is_nan_is_named_with_its_step_and_rate(problem):
    model, x, y = problem
    optimizer = HypergradientSGD(model.parameters(), lr=0.25)
    take(model, optimizer, x, y, 2)
    with pytest.raises(TrainingDiverged, match=r"step 3, rate 0\.2"):
        take(model, optimizer, x * float("nan"), y, 1)


BAD = [{"lr": 0.0}, {"lr": -1.0}, {"lr": float("nan")}, {"hyper_lr": -1.0}, {"momentum": 1.0}]


@pytest.mark.parametrize("bad", BAD)
def test_settings_that_make_no_sense_are_refused(problem, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        HypergradientSGD(problem[0].parameters(), **bad)


def test_many_problems_side_by_side_take_the_steps_of_each_alone():
    problems = Problems(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).double(), blobs(3))
    assert problems.layers == (30, 14)
    for parts in ((), problems.layers):
        rule = HypergradientDescent(0.1, hyper_rate=0.05, parts=parts)
        phi = problems.start(seed=1).double()
        alone = [{n: w[t].clone().requires_grad_() for n, w in problems.weights(phi).items()} for t in range(3)]
        state = rule.start(phi)
        for number in range(1, 6):
            _, gradients = problems.gradients(phi, *problems.draw(torch.Generator()))
            moves, state = rule.move(gradients, state, number)
            phi = phi + moves
        for t, weights in enumerate(alone):
            groups = [list(weights.values())] if not parts else [list(weights.values())[i : i + 2] for i in (0, 2)]
            optimizer = HypergradientSGD([{"params": group} for group in groups], lr=0.1, hyper_lr=0.05)
            for _ in range(5):
                optimizer.zero_grad()
                outputs = torch.func.functional_call(problems.model, weights, problems.support_x[t])
                nn.functional.cross_entropy(outputs, problems.support_y[t]).backward()
                optimizer.step()
            torch.testing.assert_close(state[1][t].tolist(), optimizer.rates, atol=1e-10, rtol=0)
            torch.testing.assert_close(torch.cat([w.flatten() for w in weights.values()]), phi[t], atol=1e-10, rtol=0)


@pytest.mark.parametrize("options", [{"hyper_rate": -1.0}, {"hyper_rate": 0.1, "parts": (0, 3)}, {"rate": 0.0}])
def test_the_rule_refuses_options_out_of_range(options):
    with pytest.raises(ValueError, match="HypergradientDescent"):
        HypergradientDescent(**{"rate": 0.1, "hyper_rate": 0.1} | options)


def test_the_rule_refuses_parts_of_another_model():
    with pytest.raises(ValueError, match="parts of 5 weights, the problem has 4"):
        HypergradientDescent(0.1, 0.1, parts=(2, 3)).start(torch.zeros(1, 4))
