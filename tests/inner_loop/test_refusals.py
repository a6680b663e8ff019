"""What an engine would get wrong it refuses with the reason; `auto` then takes one that is right. Bad input."""

import copy
import math

import pytest
import torch
from torch import nn

from metalearn_lib.errors import InnerLoopDiverged, TrainingDiverged
from metalearn_lib.inner_loop import EngineRefused, InnerLoop, Tasks, forward_each, task_losses
from metalearn_lib.learners import mlp

L, S = nn.Linear, nn.Sequential


class Cell(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cell = kind(2, 3)

    def forward(self, x):
        state = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return state[0] if isinstance(state, tuple) else state


class Attention(nn.Module):
    """torch's fused attention, as a module or as a function, averaged over the words."""

    def __init__(self, attend=None):
        super().__init__()
        self.enter, self.attend = L(2, 12), attend

    def forward(self, x):
        q, k, v = self.enter(x).chunk(3, -1)
        if self.attend is not None:
            return self.attend(q, k, v, need_weights=False)[0].mean(1)
        return nn.functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0].mean(1)


class Keep(nn.Module):
    """All states of a recurrent layer or of attention, side by side."""

    def forward(self, states):
        return (states[0] if isinstance(states, tuple) else states).flatten(1)


class Mixing(nn.Module):
    """Centres the examples that it sees: all tasks at once would be centred together."""

    def forward(self, x):
        return x - x.mean(0)


class Deciding(nn.Module):
    """Looks at a value, which torch.vmap cannot."""

    def __init__(self):
        super().__init__()
        self.out = L(6, 3)

    def forward(self, x):
        return self.out(x) if x.mean().item() < 10 else -self.out(x)


SEQUENCE, NUMBERS, WORDS = {"shape": (4, 2)}, {"shape": (6,)}, {"shape": (4,), "words": 9}


def recurrent(kind):
    return lambda: S(kind(2, 3, batch_first=True), Keep(), L(12, 3))


def fused():
    return S(L(2, 4), nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), Keep(), L(16, 3))


BATCHED = {
    "LSTM": (recurrent(nn.LSTM), SEQUENCE, r"0 \(LSTM\) is recurrent, and torch.vmap"),
    "GRU": (recurrent(nn.GRU), SEQUENCE, r"0 \(GRU\) is recurrent"),
    "RNN": (recurrent(nn.RNN), SEQUENCE, r"0 \(RNN\) is recurrent"),
    "LSTMCell": (lambda: S(Cell(nn.LSTMCell), L(3, 3)), SEQUENCE, r"0\.cell \(LSTMCell\) is recurrent"),
    "GRUCell": (lambda: S(Cell(nn.GRUCell), L(3, 3)), SEQUENCE, r"0\.cell \(GRUCell\) is recurrent"),
    "batch norm": (lambda: S(L(6, 4), nn.BatchNorm1d(4), nn.ReLU(), L(4, 3)), NUMBERS,
                   r"1 \(BatchNorm1d\) would normalise over"),
    "batch norm below": (lambda: S(nn.BatchNorm1d(6, affine=False), L(6, 3)), NUMBERS,
                         r"0 \(BatchNorm1d\) would normalise over"),
    "padding_idx": (lambda: S(nn.Embedding(9, 3, padding_idx=0), nn.Flatten(), L(12, 3)), WORDS,
                    r"0 \(Embedding\) has a padding_idx"),
    "max_norm": (lambda: S(nn.Embedding(9, 3, max_norm=9.0), nn.Flatten(), L(12, 3)), WORDS,
                 r"0 \(Embedding\) has a max_norm"),
    "attention": (fused, SEQUENCE, r"1\.self_attn \(MultiheadAttention\) has a fused kernel"),
    "EmbeddingBag": (lambda: S(nn.EmbeddingBag(9, 3), L(3, 3)), WORDS, r"0 \(EmbeddingBag\) has no second"),
}  # fmt: skip
FIRST_ORDER_ONLY = {"attention", "EmbeddingBag", "max_norm"}


@pytest.mark.parametrize("name", BATCHED)
def test_the_batched_engine_refuses_with_the_reason(make_tasks, same, name):
    torch.manual_seed(0)
    make, shape, reason = BATCHED[name]
    model = make().double()
    with pytest.raises(EngineRefused, match=rf"engine='batched' cannot be used: {reason}.*engine='auto'"):
        InnerLoop(model, engine="batched")
    first_order, tasks = name in FIRST_ORDER_ONLY, make_tasks(**shape)
    auto = InnerLoop(model, steps=2, first_order=first_order)
    assert auto.engine == "loop"
    twin = InnerLoop(copy.deepcopy(model), steps=2, first_order=first_order, engine="loop")
    same(auto.gradients(tasks, 0.1), twin.gradients(tasks, 0.1))
    assert auto.outputs(tasks, 0.1).shape == (3, 5, 3)


def test_below_the_layers_that_adapt_all_may_stand_that_treats_texts_alike(make_tasks, same):
    torch.manual_seed(0)
    for model, shape in (
        (S(nn.Embedding(9, 3, padding_idx=0), nn.Flatten(), L(12, 3)), WORDS),
        (recurrent(nn.LSTM)(), SEQUENCE),
    ):
        tasks = make_tasks(**shape)
        loop, batched = (InnerLoop(model.double(), adapt="head", engine=e) for e in ("loop", "batched"))
        same(batched.gradients(tasks, 0.1), loop.gradients(tasks, 0.1))
    assert not loop.gradients(tasks, 0.1)[1]["0.weight_ih_l0"].eq(0).all()


def hidden_hook():
    model = mlp(6, 4, 3)
    model[0].register_forward_pre_hook(lambda module, inputs: inputs)
    return model


def frozen_first():
    model = mlp(6, 4, 3)
    model[0].requires_grad_(False)
    return model


DUAL = {
    "dropout": (lambda: S(nn.Dropout(0.0), *mlp(6, 4, 3)), {}, "dropout"),
    "dropout deep below": (lambda: S(S(nn.Dropout1d(0.0)), *mlp(6, 4, 3)), {}, "dropout"),
    "batch norm": (lambda: S(nn.BatchNorm1d(6, affine=False), *mlp(6, 4, 3)), {}, "batch norm"),
    "something to train below": (lambda: S(L(6, 6), *mlp(6, 4, 3)), {}, "something to train before"),
    "three layers": (lambda: S(L(6, 6), nn.ReLU(), *mlp(6, 4, 3)), {}, "something to train before"),
    "one layer": (lambda: L(6, 3), {}, "does not end in"),
    "no first bias": (lambda: S(L(6, 4, bias=False), nn.ReLU(), L(4, 3)), {}, "each with a bias"),
    "no second bias": (lambda: S(L(6, 4), nn.ReLU(), L(4, 3, bias=False)), {}, "each with a bias"),
    "another activation": (lambda: S(L(6, 4), nn.GELU(), L(4, 3)), {}, "ReLU or Tanh"),
    "two activations": (lambda: S(L(6, 4), nn.ReLU(), nn.Tanh(), L(4, 3)), {}, "ReLU or Tanh"),
    "softmax at the end": (lambda: S(*mlp(6, 4, 3), nn.LogSoftmax(-1)), {}, "does not end in"),
    "a hook": (hidden_hook, {}, "does not end in"),
    "first layer frozen": (frozen_first, {}, "both must be trainable"),
    "first layer alone": (lambda: mlp(6, 4, 3), {"adapt": ("0.",)}, "last linear layer must adapt"),
    "a rate each": (lambda: mlp(6, 4, 3), {"one_rate": False}, "each parameter has a rate of its own"),
    "own module": (Deciding, {}, "does not end in"),
}


@pytest.mark.parametrize("name", DUAL)
def test_the_dual_engine_refuses_with_the_reason(make_tasks, same, name):
    torch.manual_seed(0)
    make, settings, reason = DUAL[name]
    model = make().double()
    with pytest.raises(EngineRefused, match=rf"engine='dual' cannot be used: .*{reason}.*engine='auto'"):
        InnerLoop(model, engine="dual", **settings)
    tasks, auto = make_tasks(), InnerLoop(model, steps=2, **settings)
    assert auto.engine in ("batched", "loop")
    same(auto.gradients(tasks, 0.1), InnerLoop(model, steps=2, engine="loop", **settings).gradients(tasks, 0.1))


@pytest.mark.parametrize(
    "model",
    [S(Mixing(), *mlp(6, 4, 3)), S(L(6, 4), Mixing(), nn.ReLU(), L(4, 3)), Deciding()],
    ids=["mixing below", "mixing inside", "deciding"],
)
def test_modules_of_ones_own_take_the_loop(make_tasks, same, model):
    """Nobody can tell what they do with several tasks at once."""
    loop, tasks = InnerLoop(model.double()), make_tasks()
    assert loop.engine == "loop"
    same(loop.outputs(tasks, 0.1, steps=0), torch.stack([model(x) for x in tasks.query_x]).detach())


# ------------------------------------------------------------------------------- no second derivative


NO_SECOND = {
    "module": lambda: S(Attention(nn.MultiheadAttention(4, 2, batch_first=True)), L(4, 3)),
    "function": lambda: S(Attention(), L(4, 3)),
    "layer": fused,
}


@pytest.mark.parametrize("form", NO_SECOND)
def test_fused_attention_has_no_second_derivative(make_tasks, form):
    torch.manual_seed(0)
    model, tasks = NO_SECOND[form]().double(), make_tasks((4, 2))
    with pytest.raises(EngineRefused, match=r"no second derivative.*first_order=True.*encoders\.SelfAttention"):
        InnerLoop(model, steps=2).gradients(tasks, 0.1)
    assert InnerLoop(model, steps=2).outputs(tasks, 0.1).isfinite().all()
    assert InnerLoop(model, steps=2).displacement(tasks, 0.1)[0].isfinite().all()
    _, gradients = InnerLoop(model, steps=2, first_order=True).gradients(tasks, 0.1)
    assert next(iter(gradients.values())).abs().sum() > 0


def test_an_embedding_bag_has_none_either(make_tasks):
    with pytest.raises(EngineRefused, match="no second derivative"):
        InnerLoop(BATCHED["EmbeddingBag"][0]().double()).gradients(make_tasks((4,), words=9), 0.1)


def test_other_errors_of_a_model_pass_unchanged(make_tasks):
    class Broken(nn.Linear):
        def forward(self, x):
            raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        InnerLoop(Broken(6, 3)).gradients(make_tasks(), 0.1)


# --------------------------------------------------------------------------------------------- diverged


ALL = ["loop", "batched", "dual"]
ASKED = ["gradients", "displacement", "outputs", "adapt"]
DIVERGING = {  # what spoils the tasks, how far they are followed, and what is said
    "the last step": (lambda t: t.support_y.mul_(1e150), 1, 1e300, "adapt", "the result of inner step 1 .* rate 1e"),
    "a query loss": (lambda t: t.query_y[2].fill_(1e200), 5, 0.1, "gradients", "the result of inner step 5 is NaN"),
    "one bad task": (lambda t: t.support_x[1].mul_(1e60), 5, 0.1, "outputs", "the loss of inner step 2 of 5"),
    "inputs": (lambda t: t.support_x[2, 0].fill_(math.nan), 5, 0.1, "gradients",
               "inner step 1 of 5 [^;]*; check the inputs, and the initial weights, [^;]*$"),
    **{what: (lambda t: t, 10, 50, what, r"the loss of inner step [3-9] of 10 is NaN or infinite at the inner rate 50; "
                                         "lower inner_lr") for what in ASKED},
}  # fmt: skip


@pytest.mark.parametrize("name", DIVERGING)
@pytest.mark.parametrize("engine", ALL)
def test_divergence_is_named_with_its_step_and_rate(make_tasks, engine, name):
    spoil, steps, rate, what, message = DIVERGING[name]
    torch.manual_seed(0)
    loop, tasks = InnerLoop(mlp(6, 8, 1).double(), steps=steps, engine=engine), make_tasks(regression=True)
    spoil(tasks)
    with pytest.raises(InnerLoopDiverged, match=message) as caught:
        getattr(loop, what)(tasks, rate)
    assert isinstance(caught.value, TrainingDiverged)
    if name == "one bad task":
        assert loop.outputs(tasks.one(0), rate).isfinite().all()


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_learned_rates_that_diverge_are_named(make_tasks, engine):
    model = mlp(6, 8, 1).double()
    loop = InnerLoop(model, steps=10, engine=engine, one_rate=False)
    rates = {name: torch.full_like(p, 50.0) for name, p in model.named_parameters()}
    with pytest.raises(InnerLoopDiverged, match=r"of 10 is NaN or infinite at the learned inner rates"):
        loop.gradients(make_tasks(regression=True), rates)


# -------------------------------------------------------------------------------------------- bad input


def head_frozen():
    model = mlp(6, 4, 3)
    model[2].requires_grad_(False)
    return model


NO_NAME = r"no parameter begins with .*there are 0\.weight, 0\.bias, 2\.weight"
NOTHING = "no trainable parameter, so there is nothing to adapt; give it a head"
FROZEN = r"2\.(weight|bias).* cannot adapt, as requires_grad is False; unfreeze"
SPARSE = S(nn.Embedding(9, 3, sparse=True), nn.Flatten(), L(12, 3))


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        *((mlp(6, 4, 3), {"steps": n}, "inner_steps=.*whole number ≥ 1") for n in (0, -1, 1.5, True, "5", None)),
        *((model, {}, NOTHING) for model in (nn.ReLU(), S(), mlp(6, 4, 3).requires_grad_(False))),
        *((head_frozen(), {"adapt": a}, FROZEN) for a in ("head", ("2.",), "2.bias", ("0.", "2.weight"))),
        *((mlp(6, 4, 3), {"adapt": a}, NO_NAME) for a in ("body", ("2.", "encoder."), (), ["3"])),
        (SPARSE, {}, "0: sparse gradients cannot adapt"),
        (mlp(6, 4, 3), {"engine": "vmap"}, "engine='vmap': use 'auto', 'loop', 'batched' or 'dual'"),
    ],
)
def test_what_cannot_be_an_inner_loop(model, settings, message):
    with pytest.raises(ValueError, match=message):
        InnerLoop(model, **settings)


def test_what_is_frozen_stays_behind():
    assert InnerLoop(head_frozen()).network.adapting == ("0.weight", "0.bias")


@pytest.mark.parametrize("what", ASKED)
def test_a_call_needs_a_positive_rate_and_a_whole_number_of_steps(make_tasks, what):
    ask, tasks = getattr(InnerLoop(mlp(6, 4, 3).double()), what), make_tasks()
    for rate in (0, -0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"inner_lr=.*finite number > 0"):
            ask(tasks, rate)
    for steps in (-1, 1.5, True) if what in ("outputs", "adapt") else ():
        with pytest.raises(ValueError, match=r"steps=.*whole number ≥ 0"):
            ask(tasks, 0.1, steps=steps)


def test_rates_need_the_names_of_what_adapts_and_another_engine(make_tasks):
    model, tasks = mlp(6, 4, 3).double(), make_tasks()
    rates = {name: torch.tensor(0.1) for name, _ in model.named_parameters()}
    with pytest.raises(EngineRefused, match=r"one rate for all parameters.*one_rate=False"):
        InnerLoop(model).gradients(tasks, rates)
    rates.pop("2.bias")
    with pytest.raises(ValueError, match=r"the rates lack 2\.bias"):
        InnerLoop(model, one_rate=False).gradients(tasks, rates)
    assert InnerLoop(model, one_rate=False, adapt=("0.",)).outputs(tasks, rates).shape == (3, 5, 3)


class Hidden(nn.Module):
    """Its number of outputs cannot be read off its last module."""

    def __init__(self, out):
        super().__init__()
        self.layer, self.out = L(6, out), out

    def forward(self, x):
        return self.layer(x) if self.out else self.layer(x)[:, 0]


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("engine", ["loop", "batched", "dual", "hidden"])
def test_mismatched_ways(make_tasks, engine, what):
    def answer(out, tasks):
        model = Hidden(out) if engine == "hidden" else mlp(6, 4, out)
        loop = InnerLoop(model.double(), engine="loop" if engine == "hidden" else engine)
        return getattr(loop, what)(tasks, 0.1)

    five = make_tasks(ways=5, support=40)
    with pytest.raises(ValueError, match="the tasks have 5 classes, the model has 3 outputs; give both the same n_way"):
        answer(3, five)
    with pytest.raises(ValueError, match="real numbers, the model has 5 outputs; a regression needs one"):
        answer(5, make_tasks(regression=True))
    answer(7, five)  # an output that no class needs does no harm


def test_classes_that_only_the_queries_have(make_tasks):
    tasks = make_tasks(ways=3)
    tasks.query_y[0, 0] = 3
    for model in (mlp(6, 4, 3), Hidden(3)):
        with pytest.raises(ValueError, match="the tasks have 4 classes, the model has 3 outputs"):
            InnerLoop(model.double()).gradients(tasks, 0.1)


@pytest.mark.parametrize("number", [-1, -100])  # torch would leave out the examples of class -100
@pytest.mark.parametrize("engine", ALL)
def test_classes_are_numbered_from_0(make_tasks, engine, number):
    tasks = make_tasks()
    tasks.support_y[1, 2] = number
    with pytest.raises(ValueError, match=f"a class has the number {number}; classes are numbered from 0"):
        InnerLoop(mlp(6, 4, 3).double(), engine=engine).outputs(tasks, 0.1)


@pytest.mark.parametrize("engine", ALL)
@pytest.mark.parametrize("adapt", ["all", "head"])
def test_what_is_frozen_later_is_named(make_tasks, engine, adapt):
    model = mlp(6, 4, 3).double()
    loop = InnerLoop(model, engine=engine, adapt=adapt)
    model[0].requires_grad_(False)
    with pytest.raises(ValueError, match=r"0\.bias, 0\.weight: frozen or unfrozen after .* make a new one"):
        loop.gradients(make_tasks(), 0.1)


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("engine", [*ALL, "auto"])
def test_modules_that_were_replaced_or_changed_places_are_named(make_tasks, engine, what):
    model, tasks = S(L(6, 6), nn.ReLU(), L(6, 6)).double(), make_tasks()
    for change, name in ((lambda: (model[2], model[0]), "modules"), (lambda: (L(6, 6).double(), model[2]), "Linear")):
        loop = InnerLoop(model, engine=engine)
        getattr(loop, what)(tasks, 0.1)
        model[0], model[2] = change()
        with pytest.raises(ValueError, match=f"^{name}: replaced after the inner loop was made; make a new one"):
            getattr(loop, what)(tasks, 0.1)


@pytest.mark.parametrize("engine", ALL)
def test_without_support_there_is_nothing_to_adapt_to(make_tasks, engine):
    with pytest.raises(ValueError, match="no support examples"):
        InnerLoop(mlp(6, 4, 3).double(), engine=engine).gradients(make_tasks(support=0), 0.1)


def test_a_regression_gives_a_column():
    with pytest.raises(ValueError, match=r"outputs \(3, 6\) do not fit targets \(3, 6\).*\[M, 1\], not \[M\]"):
        task_losses(torch.zeros(3, 6), torch.zeros(3, 6))
    with pytest.raises(ValueError, match=r"outputs \(2, 5, 3\) do not fit targets \(2, 6\)"):
        task_losses(torch.zeros(2, 5, 3), torch.zeros(2, 6, dtype=torch.long))


def test_forward_each_names_missing_weights():
    with pytest.raises(ValueError, match=r"no weights for 0\.bias, 2\.weight; give one tensor"):
        stacked = {"0.weight": torch.zeros(2, 4, 6), "2.bias": torch.zeros(2, 3)}
        forward_each(mlp(6, 4, 3), stacked, torch.zeros(2, 5, 6))


def test_tasks_are_taken_out_one_by_one(make_tasks):
    tasks = make_tasks()
    assert isinstance(tasks.one(2), Tasks) and torch.equal(tasks.one(2).query_x[0], tasks.query_x[2])
