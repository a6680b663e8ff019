"""The meta-gradients: against each method written out by hand, and against finite differences of the real meta-loss."""

import pytest
import torch
from torch import nn

from metalearn_lib import ANIL, MAML, Episodes, MetaSGD, MultiTask, Reptile
from metalearn_lib.inner_loop import EngineRefused
from metalearn_lib.meta_optimizers import finite_differences

RATE, STEPS = 0.3, 3
ENGINES = ["loop", "batched", "dual"]


@pytest.fixture
def episodes(make_tasks):
    def make(regression=False, seed=1):
        tasks = make_tasks((3,), tasks=2, support=6, query=4, regression=regression, seed=seed)
        return Episodes(*tasks, n_way=1 if regression else 3, k_shot=2)

    return make


def network(activation=nn.Tanh, out=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), activation(), nn.Linear(4, out)).double()


LEARNERS = {
    "MAML": (MAML, {}, ENGINES),
    "first order": (MAML, {"first_order": True}, ENGINES),
    "ANIL": (ANIL, {}, ENGINES),
    "first-order ANIL": (ANIL, {"first_order": True}, ENGINES),
    "first layer": (MAML, {"adapt": ("0.",)}, ENGINES[:2]),
    "Meta-SGD": (MetaSGD, {}, ENGINES[:2]),
    "first-order Meta-SGD": (MetaSGD, {"first_order": True}, ENGINES[:2]),
    "Meta-SGD of the head": (MetaSGD, {"adapt": "head"}, ENGINES[:2]),
    "Reptile": (Reptile, {}, ENGINES),
    "Reptile without queries": (Reptile, {"use_queries": False}, ENGINES),
    "Reptile of the head": (Reptile, {"adapt": "head"}, ENGINES),
}
CASES = [(name, engine) for name, (_, _, engines) in LEARNERS.items() for engine in engines]
SECOND = [case for case in CASES if not case[0].startswith(("first-order", "first order", "Reptile"))]


def build(name, engine, model):
    kind, settings, _ = LEARNERS[name]
    learner = kind(model, inner_steps=STEPS, inner_lr=RATE, engine=engine, **settings).double()
    assert learner.inner.engine == engine
    if isinstance(learner, MetaSGD):  # rates that differ, one negative
        for number, rates in enumerate(learner.inner_rates):
            rates.data += 0.1 * torch.sin(torch.arange(rates.numel(), dtype=torch.float64) + number).view_as(rates)
        learner.inner_rates[0].data.view(-1)[0] = -0.05
    return learner


def gradients(learner, episodes):
    """The meta-loss, and what its backward() leaves at every parameter (0 where it leaves nothing)."""
    loss = learner.meta_loss(episodes)
    loss.backward()
    return loss.item(), {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in learner.named_parameters()}


# ------------------------------------------------------------------------------------ written out by hand


class ByHand:
    """Linear, activation, Linear on plain tensors, one task at a time; `w` are W₁, b₁, W₂, b₂."""

    def __init__(self, model, regression):
        self.start = [p.detach().clone().requires_grad_() for p in model.parameters()]
        self.bend = torch.tanh if isinstance(model[1], nn.Tanh) else lambda z: z * (z > 0)
        self.regression = regression

    def loss(self, w, x, y):
        out = self.bend(x @ w[0].T + w[1]) @ w[2].T + w[3]
        if self.regression:
            return ((out[:, 0] - y) ** 2).sum() / len(y)
        p = out.exp() / out.exp().sum(1, keepdim=True)
        return -sum(p[i, c].log() for i, c in enumerate(y.tolist())) / len(y)

    def adapted(self, x, y, rates, *, moving, second_order):
        w = list(self.start)
        for _ in range(STEPS):
            found = torch.autograd.grad(self.loss(w, x, y), [w[i] for i in moving], create_graph=second_order)
            for i, g in zip(moving, found, strict=True):
                w[i] = w[i] - rates[i] * g
        return w

    def maml(self, episodes, rates, *, moving=(0, 1, 2, 3), second_order=True, learned=()):
        """Algorithm 2 of Finn et al.: the loss, and its gradients for the start and for learned rates."""
        losses = []
        for sx, sy, qx, qy in each(episodes):
            losses.append(self.loss(self.adapted(sx, sy, rates, moving=moving, second_order=second_order), qx, qy))
        loss = sum(losses) / len(losses)
        return loss.item(), torch.autograd.grad(loss, [*self.start, *learned])

    def reptile(self, episodes, *, moving=(0, 1, 2, 3), queries=True):
        """Algorithm 2 of Nichol et al.: how far, on average, ordinary training moves away from the start."""
        total = [torch.zeros_like(w) for w in self.start]
        for sx, sy, qx, qy in each(episodes):
            x, y = (torch.cat([sx, qx]), torch.cat([sy, qy])) if queries else (sx, sy)
            w = self.adapted(x, y, [RATE] * 4, moving=moving, second_order=False)
            total = [t + (s - a).detach() / len(episodes) for t, s, a in zip(total, self.start, w, strict=True)]
        return sum((t**2).sum() for t in total).item() / 2, total


def each(episodes):
    return zip(episodes.support_x, episodes.support_y, episodes.query_x, episodes.query_y, strict=True)


@pytest.mark.parametrize("regression", [False, True], ids=["classes", "regression"])
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
@pytest.mark.parametrize(("name", "engine"), CASES)
def test_by_hand(episodes, same, name, engine, activation, regression):
    tasks, model = episodes(regression), network(activation, 1 if regression else 3)
    learner, hand = build(name, engine, model), ByHand(model, regression)
    names = learner.inner.network.adapting
    moving = [i for i, (n, _) in enumerate(model.named_parameters()) if n in names]
    if "Reptile" in name:
        loss, expected = hand.reptile(tasks, moving=moving, queries="without" not in name)
    else:
        rates, learned = [RATE] * 4, []
        if isinstance(learner, MetaSGD):
            learned = [r.detach().clone().requires_grad_() for r in learner.inner_rates]
            for i, r in zip(moving, learned, strict=True):
                rates[i] = r
        second = not learner.inner.first_order
        loss, expected = hand.maml(tasks, rates, moving=moving, second_order=second, learned=learned)
    value, found = gradients(learner, tasks)
    assert value == pytest.approx(loss, abs=1e-9)
    in_order = sorted(found.items(), key=lambda item: item[0].startswith("inner_rates"))
    same([g for _, g in in_order], list(expected))


# ------------------------------------------------------------------------------------ finite differences


@pytest.mark.parametrize(("name", "engine"), SECOND)
@pytest.mark.parametrize("regression", [False, True], ids=["classes", "regression"])
def test_second_order_is_the_slope_of_the_meta_loss(episodes, name, engine, regression):
    tasks = episodes(regression)
    learner = build(name, engine, network(out=1 if regression else 3))
    _, found = gradients(learner, tasks)
    slopes = finite_differences(lambda: learner.meta_loss(tasks), dict(learner.named_parameters()))
    torch.testing.assert_close(found, slopes, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [MAML, ANIL])
def test_first_order_is_not_but_its_loss_is_the_same(episodes, kind, engine):
    tasks = episodes()
    second, first = (
        gradients(kind(network(), inner_steps=STEPS, inner_lr=RATE, engine=engine, first_order=f), tasks)
        for f in (False, True)
    )
    assert first[0] == pytest.approx(second[0], abs=1e-12)
    assert (first[1]["model.2.weight"] - second[1]["model.2.weight"]).abs().max() > 1e-3


@pytest.mark.parametrize("regression", [False, True], ids=["classes", "regression"])
def test_joint_training_takes_the_loss_over_all_examples(episodes, same, regression):
    tasks, model = episodes(regression), network(out=1 if regression else 3)
    value, found = gradients(MultiTask(model), tasks)
    out = model(torch.cat([tasks.support_x, tasks.query_x], 1).flatten(0, 1))
    y = torch.cat([tasks.support_y, tasks.query_y], 1).flatten()
    loss = nn.functional.mse_loss(out[:, 0], y) if regression else nn.functional.cross_entropy(out, y)
    assert value == pytest.approx(loss.item(), abs=1e-12)
    same(list(found.values()), list(torch.autograd.grad(loss, list(model.parameters()))))


def test_the_slope_of_a_scaled_loss_is_scaled(episodes, same):
    learner = MAML(network())
    _, found = gradients(learner, episodes())
    parameters = list(learner.parameters())
    same(torch.autograd.grad(3 * learner.meta_loss(episodes()), parameters), [3 * g for g in found.values()])


def test_meta_sgd_has_no_dual_form():
    with pytest.raises(EngineRefused, match="each parameter has a rate of its own"):
        MetaSGD(network(), engine="dual")
    assert MetaSGD(network()).inner.engine == "batched"
