"""Three engines, one result: loop = batched = dual to 1e-9 in float64, and the loop = a model with replaced weights."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch import nn

from metalearn_lib.inner_loop import InnerLoop, forward_each, task_losses
from metalearn_lib.inner_loop.autograd import Batched, Loop
from metalearn_lib.inner_loop.windows import KeepWindows

RATE, ENGINES = 0.1, ["loop", "batched", "dual"]


def mlp(activation=nn.ReLU, out=3, dim=6):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(dim, 4), activation(), nn.Linear(4, out)).double()


def everything(loop, tasks, rate=RATE):
    """All that an engine answers."""
    return {
        "losses, gradients": loop.gradients(tasks, rate),
        "losses, displacement": loop.displacement(tasks, rate),
        "outputs": loop.outputs(tasks, rate),
        "adapted": loop.adapt(tasks, rate),
        "more steps": loop.outputs(tasks, rate, steps=loop.steps + 2),
    }


# ---------------------------------------------------------------------------------------------- all three


@pytest.mark.parametrize(("tasks", "steps"), [(3, 1), (1, 3)])
@pytest.mark.parametrize("regression", [False, True], ids=["classes", "regression"])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
@pytest.mark.parametrize("adapt", ["all", "head", ("2.",), ("0.", "2."), ("0.",), ("2.bias", "0.weight")], ids=str)
@pytest.mark.parametrize("first_order", [False, True], ids=["second", "first"])
def test_all_engines_agree(make_tasks, same, first_order, adapt, activation, regression, steps, tasks):
    model, given = mlp(activation, out=1 if regression else 3), make_tasks(regression=regression, tasks=tasks)
    settings = {"steps": steps, "first_order": first_order, "adapt": adapt}
    expected = everything(InnerLoop(model, engine="loop", **settings), given)
    # The dual form needs the last layer to adapt, and all of the one before or nothing of it.
    others = ["batched", "dual"] if isinstance(adapt, str) or adapt in (("2.",), ("0.", "2.")) else ["batched"]
    for engine in others:
        same(everything(InnerLoop(model, engine=engine, **settings), given), expected)
    assert InnerLoop(model, **settings).engine == others[-1]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("adapt", ["all", "head"])
def test_without_a_step_nothing_changes(make_tasks, same, engine, adapt):
    model, tasks = mlp(), make_tasks()
    loop = InnerLoop(model, adapt=adapt, engine=engine)
    same(loop.outputs(tasks, RATE, steps=0), model(tasks.query_x).detach())
    for name, weights in loop.adapt(tasks, RATE, steps=0).items():
        same(weights, model.get_parameter(name).detach().expand_as(weights))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_comes_out_carries_no_graph_and_the_model_stays(make_tasks, engine):
    model, tasks = mlp(), make_tasks()
    before = copy.deepcopy(model.state_dict())
    found = everything(InnerLoop(model, engine=engine), tasks)
    assert not any(t.requires_grad for t in found["adapted"].values()) and not found["outputs"].requires_grad
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_are_also_found_where_autograd_is_off(make_tasks, same, engine):
    loop, tasks = InnerLoop(mlp(), engine=engine), make_tasks()
    with torch.no_grad():
        quiet = everything(loop, tasks)
    same(quiet, everything(loop, tasks))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("first_order", [False, True])
def test_the_gradient_of_many_tasks_is_the_mean_of_single_ones(make_tasks, same, engine, first_order):
    loop, tasks = InnerLoop(mlp(), engine=engine, first_order=first_order), make_tasks(tasks=4)
    losses, together = loop.gradients(tasks, RATE)
    alone = [loop.gradients(tasks.one(t), RATE) for t in range(4)]
    same(losses, torch.cat([loss for loss, _ in alone]))
    same(together, {name: torch.stack([g[name] for _, g in alone]).mean(0) for name in together})


@pytest.mark.parametrize("before", ["nothing", "frozen convolution", "frozen linear", "identity"])
@pytest.mark.parametrize("adapt", ["all", "head"])
def test_the_dual_form_on_frozen_features_of_any_shape(make_tasks, same, before, adapt):
    torch.manual_seed(0)
    shape, frozen = {
        "nothing": ((2, 3), [nn.Flatten()]),
        "frozen convolution": ((2, 4), [nn.Conv1d(2, 2, 2), nn.Flatten()]),
        "frozen linear": ((5,), [nn.Linear(5, 6), nn.Tanh()]),
        "identity": ((6,), [nn.Identity()]),
    }[before]
    model = nn.Sequential(*(module.requires_grad_(False) for module in frozen), *mlp()).double()
    expected = everything(InnerLoop(model, engine="loop", adapt=adapt), make_tasks(shape))
    auto = InnerLoop(model, adapt=adapt)
    assert auto.engine == "dual"
    same(everything(auto, make_tasks(shape)), expected)


def test_the_dual_form_copes_with_more_examples_than_features_and_fewer(make_tasks, same):
    for dim, support, query in ((2, 30, 1), (40, 2, 30), (1, 1, 1)):
        model, tasks = mlp(dim=dim), make_tasks((dim,), support=support, query=query)
        same(*(everything(InnerLoop(model, engine=engine), tasks) for engine in ("dual", "loop")))


# ------------------------------------------------------------------------------------ batched and loop


class Own(nn.Module):
    """A model that is no row of modules."""

    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(6, 5), nn.Linear(5, 3)
        self.scale = nn.Parameter(torch.ones(5))

    def forward(self, x):
        hidden = self.enter(x).tanh() * self.scale
        return self.leave(hidden + hidden.square())


class Residual(nn.Sequential):
    """A Sequential that does more than its modules one after another."""

    def forward(self, x):
        return x + super().forward(x)


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Tied(nn.Module):
    """Two layers that share a weight, and a layer that is used twice, under two names."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.b.weight = self.a.weight
        self.again = self.b

    def forward(self, x):
        return self.out(self.again(self.b(self.a(x).tanh()).tanh()).tanh())


class Windows(nn.Module):
    """Convolutions on the same inputs: padded, strided, without a bias, and one weight on two views of them."""

    def __init__(self):
        super().__init__()
        self.padded, self.strided = nn.Conv1d(2, 3, 3, padding=2), nn.Conv1d(2, 3, 2, stride=2, bias=False)
        self.shared, self.out = nn.Conv1d(2, 3, 1), nn.Linear(3, 3)

    def forward(self, x):
        across = x.flip(2).transpose(1, 2)[:, :2]
        back = across.permute(0, 2, 1)[:, :2].transpose(1, 2).mT
        views = [self.shared(x), self.shared(x.mT[:, :2]), self.shared(x.permute([0, 2, 1])[:, 2:4]), self.shared(back)]
        weight, bias = self.shared.weight, self.shared.bias
        views += [nn.functional.conv1d(x, weight, bias, padding=1), nn.functional.conv1d(x, weight, bias, 2, 1, 1, 1)]
        views += [nn.functional.conv1d(input=x.flatten(0, 0), weight=weight), nn.functional.conv1d(x, weight)]
        found = [self.padded(x).relu(), self.strided(x).tanh(), self.padded(self.shared(x)[:, :2]), *views]
        return self.out(torch.cat([f.amax(2)[..., None] for f in found], 2).sum(2))


class Squared(nn.Module):
    """Its weight meets a square view of the inputs and the transposed one, in the same way."""

    def __init__(self):
        super().__init__()
        self.layer, self.out = nn.Conv1d(4, 3, 2, padding=1), nn.Linear(6, 3)

    def forward(self, x):
        return self.out(torch.cat([self.layer(x).amax(2), self.layer(x.transpose(1, 2)).amax(2)], 1))


class OddWindows(nn.Module):
    """Convolutions that are more than a product with windows."""

    def __init__(self):
        super().__init__()
        kinds = [{"groups": 2}, {"dilation": 2}, {"padding": "same"}, {"padding": 1, "padding_mode": "circular"}]
        self.kinds = nn.ModuleList(nn.Conv1d(2, 4, 3, **settings) for settings in kinds)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        found = sum(layer(x).relu().amax(2) for layer in self.kinds)
        return self.out(found + torch.stack([self.kinds[0](one).amax(1) for one in x]))


class Alike(nn.Module):
    """Two parameters to which autograd hands the same gradient, and one whose gradient is a number, repeated."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Parameter(torch.rand(3)) for _ in range(3))
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        return self.layer(x) * (self.a + self.b) + self.c.sum() * x[:, :3]


def reused():
    relu = nn.ReLU()
    return nn.Sequential(nn.Linear(6, 5), relu, nn.Linear(5, 4), relu, nn.Linear(4, 3))


def twice():
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(6, 3))


def sharing():
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), nn.Linear(6, 3))


def partly_frozen():
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    model[0].requires_grad_(False)
    model[2].bias.requires_grad_(False)
    return model


NUMBERS, IMAGES, WORDS = {"shape": (6,)}, {"shape": (2, 6)}, {"shape": (4,), "words": 9}
SQUARES = {"shape": (4, 4)}
L, S = nn.Linear, nn.Sequential
MODELS = {
    "one layer": (lambda: L(6, 3), NUMBERS),
    "deep": (lambda: S(L(6, 5), nn.ReLU(), L(5, 5), nn.Tanh(), L(5, 4), nn.GELU(), L(4, 3)), NUMBERS),
    "nested": (lambda: S(OrderedDict(body=S(L(6, 5), nn.Sigmoid()), head=S(S(L(5, 4)), nn.ELU(), L(4, 3)))), NUMBERS),
    "no bias": (lambda: S(L(6, 5, bias=False), nn.ReLU(), L(5, 3)), NUMBERS),
    "partly frozen": (partly_frozen, NUMBERS),
    "a ReLU used twice": (reused, NUMBERS),
    "a layer used twice": (twice, NUMBERS),
    "a shared weight": (sharing, NUMBERS),
    "inplace": (lambda: S(L(6, 5), nn.ReLU(inplace=True), L(5, 4), nn.ReLU(inplace=True), L(4, 3)), NUMBERS),
    "layer norm": (lambda: S(L(6, 5), nn.LayerNorm(5), nn.ReLU(), L(5, 3)), NUMBERS),
    "convolution": (lambda: S(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), L(4, 3)), IMAGES),
    "padded, strided": (
        lambda: S(nn.Conv1d(2, 4, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(), L(12, 3)),
        IMAGES,
    ),
    "windows of what moves": (lambda: S(L(6, 5), nn.Tanh(), nn.Conv1d(2, 4, 3), nn.Flatten(), L(12, 3)), IMAGES),
    "windows of windows": (lambda: S(nn.Conv1d(2, 2, 1), nn.Conv1d(2, 4, 3), nn.Flatten(), L(16, 3)), IMAGES),
    "windows of views": (Windows, IMAGES),
    "windows of squares": (Squared, SQUARES),
    "odd windows": (OddWindows, IMAGES),
    "frozen below windows": (
        lambda: S(nn.Conv1d(2, 2, 1).requires_grad_(False), nn.ReLU(), nn.Conv1d(2, 4, 3), nn.Flatten(), L(16, 3)),
        IMAGES,
    ),
    "alike": (Alike, NUMBERS),
    "group norm": (lambda: S(nn.Conv1d(2, 4, 2), nn.GroupNorm(2, 4), nn.PReLU(), nn.Flatten(), L(20, 3)), IMAGES),
    "instance norm": (lambda: S(nn.Conv1d(2, 3, 2), nn.InstanceNorm1d(3, affine=True), nn.Flatten(), L(15, 3)), IMAGES),
    "linear on rows": (lambda: S(L(6, 4), nn.Tanh(), nn.Flatten(), L(8, 3)), IMAGES),
    "embedding": (lambda: S(nn.Embedding(9, 3), nn.Flatten(), L(12, 3)), WORDS),
    "own module": (Own, NUMBERS),
    "own module below": (lambda: S(Own(), nn.Tanh(), L(3, 3)), NUMBERS),
    "residual": (lambda: S(Residual(L(6, 6), nn.Tanh()), L(6, 3)), NUMBERS),
    "linear subclass": (lambda: S(Doubled(6, 4), nn.ReLU(), L(4, 3)), NUMBERS),
    "tied inside": (Tied, NUMBERS),
}


def build(name):
    torch.manual_seed(0)
    make, shape = MODELS[name]
    return make().double(), shape


def replaced(model, weights):
    """A copy of the model with tensors that carry a graph in place of parameters, wherever these are used."""
    names = {id(p): name for name, p in model.named_parameters()}
    twin = copy.deepcopy(model)
    for (_, part), (_, original) in zip(twin.named_modules(), model.named_modules(), strict=True):
        for leaf, parameter in list(original._parameters.items()):
            if parameter is not None:
                del part._parameters[leaf]
                setattr(part, leaf, weights.get(names[id(parameter)], parameter))
    return twin


def by_replacing(model, tasks, adapting, *, steps=2, first_order=False):
    """MAML one task at a time on copies: query losses, meta-gradients, adapted weights, outputs."""
    losses, outputs, adapted = [], [], []
    for sx, sy, qx, qy in zip(*tasks, strict=True):
        weights = {name: p for name, p in model.named_parameters() if name in adapting}
        for _ in range(steps):
            loss = nn.functional.cross_entropy(replaced(model, weights)(sx), sy)
            step = torch.autograd.grad(loss, list(weights.values()), create_graph=not first_order)
            weights = {name: w - RATE * g for (name, w), g in zip(weights.items(), step, strict=True)}
        outputs.append(replaced(model, weights)(qx))
        losses.append(nn.functional.cross_entropy(outputs[-1], qy))
        adapted.append(weights)
    wanted = {name: p for name, p in model.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(torch.stack(losses).mean(), list(wanted.values()), materialize_grads=True)
    stacked = {name: torch.stack([w[name] for w in adapted]).detach() for name in adapting}
    return torch.stack(losses).detach(), dict(zip(wanted, found, strict=True)), stacked, torch.stack(outputs).detach()


@pytest.mark.parametrize("first_order", [False, True], ids=["second", "first"])
@pytest.mark.parametrize("adapt", ["all", "head"])
@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model(make_tasks, same, name, adapt, first_order):
    model, shape = build(name)
    tasks = make_tasks(**shape)
    settings = {"steps": 2, "adapt": adapt, "first_order": first_order}
    loop = InnerLoop(model, engine="loop", **settings)
    expected = everything(loop, tasks)
    losses, gradients, adapted, outputs = by_replacing(model, tasks, loop.network.adapting, first_order=first_order)
    same(expected["losses, gradients"], (losses, gradients))
    same(expected["adapted"], adapted)
    same(expected["outputs"], outputs)
    for engine in ("batched", "auto"):
        same(everything(InnerLoop(model, engine=engine, **settings), tasks), expected)
    same(loop.outputs(tasks, RATE, steps=0), torch.stack([model(x) for x in tasks.query_x]).detach())


def agree_and_start_at_the_model(model, tasks, same):
    same(*(everything(InnerLoop(model, engine=engine), tasks) for engine in ("loop", "batched")))
    same(InnerLoop(model).outputs(tasks, RATE, steps=0), model(tasks.query_x).detach())


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")  # torch has no vmap rule for it
def test_a_weight_norm_is_no_plain_linear_layer(make_tasks, same):
    torch.manual_seed(0)
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))
    model = nn.Sequential(normed, nn.ReLU(), nn.Linear(4, 3)).double()
    assert "0.parametrizations.weight.original0" in InnerLoop(model).network.adapting
    agree_and_start_at_the_model(model, make_tasks(), same)


@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.parametrize("first_order", [False, True], ids=["second", "first"])
def test_windows_of_trained_inputs_lead_back_to_them(make_tasks, same, engine, first_order):
    torch.manual_seed(0)
    model = S(nn.Conv1d(2, 2, 1), nn.Tanh(), nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), L(24, 3)).double()
    tasks, settings = make_tasks((2, 6)), {"steps": 2, "first_order": first_order}
    expected = by_replacing(model, tasks, [n for n, _ in model.named_parameters()][2:], **settings)[:2]
    same(InnerLoop(model, adapt=("2.", "5."), engine=engine, **settings).gradients(tasks, RATE), expected)


@pytest.mark.parametrize(("engine", "sets"), [("loop", 6), ("batched", 2)])
def test_windows_are_cut_once_for_each_support_and_query_set(make_tasks, monkeypatch, engine, sets):
    cut = []
    monkeypatch.setattr("metalearn_lib.inner_loop.windows.pad", lambda x, by: cut.append(x) or nn.functional.pad(x, by))
    model = S(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), L(16, 3)).double()
    InnerLoop(model, steps=4, engine=engine).gradients(make_tasks((2, 6)), RATE)
    assert len(cut) == sets


def test_windows_of_what_changes_from_step_to_step_are_not_kept():
    layer, drop, x = nn.Conv1d(2, 4, 3), nn.Dropout(0.5), torch.randn(5, 2, 6)
    kept = {}
    with KeepWindows(x, kept):
        layer(drop(x)), layer(x * 1), layer(layer(x[:, :, :])[:, :2])
        assert not kept
        found = [layer(x), layer(x), layer(x.transpose(1, 2).mT)]
    assert [recipe[-3:] for recipe in kept] == [(3, 1, 0)] * 2  # one for x, one for the view
    for one in found:
        torch.testing.assert_close(one, layer(x))


def test_a_hook_is_called_by_every_engine(make_tasks, same):
    model = mlp()
    model[0].register_forward_hook(lambda module, inputs, output: output * 3)
    agree_and_start_at_the_model(model, make_tasks(), same)


def test_a_hook_on_the_way_back_is_called_by_the_loop(make_tasks):
    model, called = mlp(), []
    model[2].register_full_backward_hook(lambda module, inputs, outputs: called.append(module))
    InnerLoop(model, steps=2, first_order=True, engine="loop").gradients(make_tasks(tasks=1), RATE)
    assert len(called) == 3  # two steps and the queries


# ------------------------------------------------------------------------------------------- a few tasks


@pytest.mark.parametrize("tasks", [1, 2, 3])
@pytest.mark.parametrize("name", ["deep", "convolution", "windows of views", "own module", "no bias"])
def test_few_tasks_are_no_batch_and_get_the_same(make_tasks, same, name, tasks, monkeypatch):
    model, shape = build(name)
    auto, batched = (InnerLoop(model, steps=2, engine=engine) for engine in ("auto", "batched"))
    few = {"deep": 1, "no bias": 1, "convolution": 2, "windows of views": 3, "own module": 3}[name]
    expected, taken = "loop" if tasks <= few else "batched", set()
    for engine in (Loop, Batched):
        for ask in ("gradients", "displacement", "outputs", "adapt"):
            watched = engine.__dict__[ask]
            monkeypatch.setattr(engine, ask, lambda self, *a, w=watched: taken.add(self.name) or w(self, *a))
    given = make_tasks(**shape, tasks=tasks)
    found = everything(auto, given)
    assert taken == {expected} == {auto.engine_for(tasks)} and batched.engine_for(tasks) == "batched"
    same(found, everything(batched, given))


def test_the_front_names_the_engine_of_many_tasks():
    assert [InnerLoop(build(name)[0]).engine for name in ("convolution", "own module")] == ["batched", "loop"]
    assert {InnerLoop(mlp()).engine_for(tasks) for tasks in (1, 2, 8)} == {"dual"}


def test_a_module_of_ones_own_that_says_so_is_batched(make_tasks, same):
    """Of a class that computes each example by itself all tasks may be computed at once; nobody else can know."""

    class Apart(Own):
        examples_apart = True

    class Doubtful(Own):
        examples_apart = "perhaps"

    given = make_tasks(**NUMBERS, tasks=3)
    model = Apart().double()
    assert InnerLoop(model).engine_for(3) == "batched" and InnerLoop(Doubtful()).engine_for(3) == "loop"
    same(everything(InnerLoop(model, steps=2), given), everything(InnerLoop(model, steps=2, engine="loop"), given))


def test_linear_weights_lie_column_by_column_for_all_tasks():
    loop = InnerLoop(mlp(), engine="batched")
    for name, weights in loop.network.spread(3).items():
        assert torch.equal(weights, loop.network.initial()[name].expand_as(weights))
        assert weights.dim() == 2 or weights[0].mT.is_contiguous()


# ---------------------------------------------------------------------------------------- learned rates


@pytest.mark.parametrize("elementwise", [True, False], ids=["elementwise", "one a tensor"])
@pytest.mark.parametrize("adapt", ["all", "head"])
@pytest.mark.parametrize("first_order", [False, True], ids=["second", "first"])
@pytest.mark.parametrize("name", ["deep", "layer norm", "convolution", "own module"])
def test_learned_rates(make_tasks, same, name, first_order, adapt, elementwise):
    model, shape = build(name)
    tasks, found = make_tasks(**shape), []
    for engine in ("loop", "batched"):
        loop = InnerLoop(model, steps=2, adapt=adapt, engine=engine, first_order=first_order, one_rate=False)
        random = torch.Generator().manual_seed(3)
        rates = {
            n: torch.rand(p.shape if elementwise else (), generator=random).double().requires_grad_()
            for n, p in loop.network.initial().items()
        }
        found.append(everything(loop, tasks, rates))
        gradients = found[-1]["losses, gradients"][1]
        assert {f"rate of {n}" for n in rates} < set(gradients)
        assert all(gradients[f"rate of {n}"].shape == rates[n].shape for n in rates)
    same(*found)


def test_equal_rates_are_one_rate(make_tasks, same):
    model, tasks = mlp(), make_tasks()
    rates = {name: torch.full_like(p, RATE) for name, p in model.named_parameters()}
    for engine in ("loop", "batched"):
        loop = InnerLoop(model, engine=engine, one_rate=False)
        same(everything(loop, tasks, rates), everything(loop, tasks))
    assert InnerLoop(model, one_rate=False).engine == "batched"


# ---------------------------------------------------------------------------------------------- dropout


@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.parametrize("inside", [False, True], ids=["a stage", "inside a module"])
def test_dropout_differs_from_task_to_task(engine, inside, make_tasks, same):
    class Dropping(Own):
        def forward(self, x):
            return self.leave(nn.functional.dropout(self.enter(x), 0.5, self.training))

    torch.manual_seed(0)
    model = Dropping() if inside else nn.Sequential(nn.Linear(6, 20), nn.Dropout(0.5), nn.Linear(20, 3))
    tasks = make_tasks(tasks=1)
    tasks = type(tasks)(*(part.expand(4, *part.shape[1:]) for part in tasks))
    loop = InnerLoop(model.double(), engine=engine)
    outputs = loop.outputs(tasks, RATE)
    assert all((outputs[0] - other).abs().max() > 1e-3 for other in outputs[1:])
    _, gradients = loop.gradients(tasks, RATE)
    assert all(torch.isfinite(g).all() for g in gradients.values())
    model.eval()
    same(loop.outputs(tasks, RATE), loop.outputs(tasks, RATE)[:1].expand(4, -1, -1))


# ------------------------------------------------------------------------------- the functions beside it


def test_forward_each_is_every_task_under_its_own_weights(make_tasks, same):
    for name in MODELS:
        model, shape = build(name)
        x = make_tasks(**shape).query_x
        random = torch.Generator().manual_seed(2)
        stacked = {
            n: torch.randn(3, *p.shape, generator=random, dtype=torch.float64)
            for n, p in model.named_parameters()
            if p.requires_grad
        }
        found = forward_each(model, stacked, x)
        for task in range(3):
            same(found[task], replaced(model, {n: w[task] for n, w in stacked.items()})(x[task]))


def test_task_losses_are_torchs_task_by_task(make_tasks):
    tasks = make_tasks(ways=4)
    outputs = torch.randn(3, 6, 4, dtype=torch.float64)
    y = torch.randn(3, 6, dtype=torch.float64)
    for task in range(3):
        loss, square = (task_losses(out, t)[task] for out, t in ((outputs, tasks.support_y), (outputs[..., :1], y)))
        torch.testing.assert_close(loss, nn.functional.cross_entropy(outputs[task], tasks.support_y[task]))
        torch.testing.assert_close(square, nn.functional.mse_loss(outputs[task, :, 0], y[task]))
    torch.testing.assert_close(task_losses(outputs[0], tasks.support_y[0]), task_losses(outputs, tasks.support_y)[0])
