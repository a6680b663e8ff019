"""MAML and its kin: invariants, learning, taking out the adapted model, resuming, bad input."""

import copy
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from metalearn_lib import (
    ANIL,
    MAML,
    DomainSampler,
    Episodes,
    EpisodeSampler,
    MetaSGD,
    MultiTask,
    RegressionSampler,
    Reptile,
    SinusoidSampler,
    TextModel,
    evaluate,
    meta_train,
    mlp,
)
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Convolutional, Frozen, Projected, Recurrent, SelfAttention
from metalearn_lib.errors import InnerLoopDiverged, TrainingDiverged
from metalearn_lib.learners import GradientLearner

LEARNERS = {
    "MAML": MAML,
    "first-order MAML": lambda model, **settings: MAML(model, first_order=True, **settings),
    "ANIL": ANIL,
    "Meta-SGD": MetaSGD,
    "Reptile": Reptile,
    "joint training": MultiTask,
}
ENCODERS = {
    "averaged": lambda v: Averaged(v),
    "projected": lambda v: Projected(Averaged(v), dim=6),
    "convolutional": lambda v: Convolutional(v, widths=(1, 2), channels=4, max_length=8, dropout=0.0),
    "recurrent": lambda v: Recurrent(v, hidden=3, max_length=8, dropout=0.0),
    "attention": lambda v: SelfAttention(v, dim=8, heads=2, max_length=8, dropout=0.0),
}
EVERY = [(learner, encoder) for learner in LEARNERS for encoder in ("averaged", "convolutional")]
EVERY += [("MAML", "projected"), ("MAML", "recurrent"), ("MAML", "attention"), ("ANIL", "recurrent")]


@pytest.fixture
def make(small_vectors):
    """A learner over the small sentences, by the names of method and encoder."""

    def build(name, encoder="averaged", *, head=lambda dim: mlp(dim, 8, 3), **settings) -> GradientLearner:
        torch.manual_seed(0)
        inside = ENCODERS[encoder](small_vectors)
        return LEARNERS[name](TextModel(inside, head(inside.dim)), **settings).eval()

    return build


@pytest.fixture
def sampler(words):
    return EpisodeSampler(words, n_way=3, k_shot=3, n_query=4, seed=0)


@pytest.fixture
def numbers():
    """Tensor episodes in float64: two tasks of three classes over six numbers."""

    def draw(n_way=3, regression=False) -> Episodes:
        random = torch.Generator().manual_seed(0)
        draw = [torch.randn(2, n, 6, generator=random, dtype=torch.float64) for n in (2 * n_way, 4 * n_way)]
        ways = [torch.arange(n_way).repeat_interleave(n).repeat(2, 1) for n in (2, 4)]
        if regression:
            ways = [y * torch.linspace(-1, 1, y.shape[1], dtype=torch.float64) for y in ways]
        return Episodes(draw[0], ways[0], draw[1], ways[1], 1 if regression else n_way, 2)

    return draw


def near(a, b) -> None:
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


# ------------------------------------------------------------------------------------------- invariants


@pytest.mark.parametrize(("name", "encoder"), EVERY)
def test_what_holds_for_every_method_and_encoder(make, sampler, name, encoder):
    learner, episodes = make(name, encoder), sampler.sample(2)
    before = copy.deepcopy(learner.state_dict())
    logits = learner.predict(episodes)
    assert logits.shape == (2, 12, 3) and logits.isfinite().all() and not logits.requires_grad

    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    shuffled = replace(episodes, support_x=episodes.support_x[:, order], support_y=episodes.support_y[:, order])
    near(learner.predict(shuffled), logits)  # the order of the support set does not matter
    near(learner.predict(sampler.sample(1, first=1))[0], logits[1])  # nor do the other tasks
    one = replace(episodes, query_x=episodes.query_x[:, :1], query_y=episodes.query_y[:, :1])
    near(learner.predict(one), logits[:, :1])  # nor the other queries

    _, query = learner.model.inputs(episodes)
    with torch.no_grad():
        bare = torch.stack([learner.model(x) for x in query])
    near(learner.predict(episodes, steps=0), bare)
    for task in range(2):
        adapted = learner.adapted(episodes, task=task)
        with torch.no_grad():
            near(adapted(query[task]), logits[task])
    assert (bare - logits).abs().max() > 1e-3
    learner.train().meta_loss(episodes).backward()
    assert [n for n, p in learner.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())] == []
    assert all(torch.equal(before[k], v) for k, v in learner.state_dict().items())


@pytest.mark.parametrize("name", LEARNERS)
def test_a_tiny_rate_adapts_nothing(make, sampler, name):
    learner = make(name, inner_lr=1e-9)
    near(learner.predict(sampler.sample(2)), learner.predict(sampler.sample(2), steps=0))


@pytest.mark.parametrize("name", LEARNERS)
def test_with_a_head_of_zeros_renaming_the_classes_renames_the_logits(make, sampler, name):
    learner, episodes, order = make(name), sampler.sample(2), torch.tensor([2, 0, 1])
    for p in learner.model[1][2].parameters():
        nn.init.zeros_(p)
    renamed = replace(episodes, support_y=order[episodes.support_y])
    near(learner.predict(renamed)[..., order], learner.predict(episodes))


@pytest.mark.parametrize("engine", ["loop", "batched", "dual"])
def test_more_steps_at_test_time(make, sampler, engine):
    episodes = sampler.sample(2)
    five, twenty = (make("MAML", engine=engine, inner_steps=5, test_steps=n) for n in (None, 20))
    near(twenty.predict(episodes), five.predict(episodes, steps=20))
    near(twenty.predict(episodes, steps=5), five.predict(episodes))
    assert twenty.meta_loss(episodes).item() == pytest.approx(five.meta_loss(episodes).item(), abs=1e-6)
    support = five.model.inputs(episodes)[0]
    losses = [
        nn.functional.cross_entropy(five.adapted(episodes, steps=n)(support[0]), episodes.support_y[0]).item()
        for n in (0, 5, 20)
    ]
    assert losses[0] > losses[1] > losses[2]
    assert make("MAML", engine=engine, test_steps=0).predict(episodes).isfinite().all()


def test_rates_of_meta_sgd_may_differ_and_become_negative(make, sampler):
    learner, episodes = make("Meta-SGD", inner_steps=1, inner_lr=0.3), sampler.sample(1)
    start = {name: p.clone() for name, p in learner.inner.network.initial().items()}
    down = learner.adapted(episodes)
    with torch.no_grad():
        learner.inner_rates[0].neg_()
        learner.inner_rates[1].zero_()
    up = learner.adapted(episodes)
    weight, bias, *_ = start
    near(up.get_parameter(weight) - start[weight], start[weight] - down.get_parameter(weight))
    assert torch.equal(up.get_parameter(bias), start[bias])


# ------------------------------------------------------------------------------------------ what adapts


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("MAML", {}, {"encoder", "head.0", "head.2"}),
        ("ANIL", {}, {"head.2"}),
        ("ANIL", {"adapt": ("head.",)}, {"head.0", "head.2"}),
        ("MAML", {"adapt": ("encoder.",)}, {"encoder"}),
        ("MAML", {"adapt": ("head.0.weight", "head.2.bias")}, {"head.0", "head.2"}),
    ],
)
def test_only_what_is_asked_to_adapt_adapts(make, sampler, name, settings, expected):
    learner, episodes = make(name, "convolutional", **settings), sampler.sample(1)
    adapted = dict(learner.adapted(episodes).named_parameters())
    moved = {n for n, p in learner.model.named_parameters() if not torch.equal(p, adapted[n])}
    assert moved == set(learner.inner.network.adapting)
    assert {"encoder" if n.startswith("encoder") else n.rpartition(".")[0] for n in moved} == expected


def test_the_adapted_model_stands_on_its_own(make, sampler, words):
    """Taken out, trained further, used on raw texts: the learner does not notice."""
    learner, episodes = make("MAML", "convolutional"), sampler.sample(1)
    before = learner.predict(episodes)
    model = learner.train().adapted(episodes)
    assert not model.training and all(p.requires_grad for p in model.parameters())
    assert model(model[0].prepare(["will it rain tomorrow"])).shape == (1, 3)
    model(model.inputs(episodes)[1][0]).sum().backward()
    torch.optim.SGD(model.parameters(), lr=10).step()
    assert all(p.grad is None for p in learner.parameters())
    near(learner.eval().predict(episodes), before)


def test_vectors_of_a_frozen_encoder_are_computed_once(small_vectors, sampler):
    class Counting(Averaged):
        calls = 0

        def _prepare(self, texts):
            type(self).calls += 1
            return super()._prepare(texts)

    encoder = Counting(small_vectors)
    learner = MAML(TextModel(encoder, mlp(8, 4, 3)))
    assert isinstance(learner.model[0], Frozen) and learner.inner.engine == "dual"
    for first in range(3):
        learner.predict(sampler.sample(2, first=first))
        learner.meta_loss(sampler.sample(2, first=first))
    assert Counting.calls == 1
    frozen = Convolutional(small_vectors, channels=3).requires_grad_(False)
    assert isinstance(TextModel(frozen, mlp(9, 4, 3))[0], Frozen)


@pytest.mark.parametrize(
    ("encoder", "engine"),
    [("averaged", "dual"), ("projected", "batched"), ("convolutional", "batched"), ("attention", "batched"),
     ("recurrent", "loop")],
)  # fmt: skip
def test_the_engine_fits_the_encoder(make, sampler, encoder, engine):
    learner = make("MAML", encoder, inner_steps=2)
    assert learner.inner.engine == engine
    loop = make("MAML", encoder, inner_steps=2, engine="loop")
    for one in (learner, loop):
        one.meta_loss(sampler.sample(3)).backward()
    grads = ([p.grad for p in one.parameters()] for one in (learner, loop))
    torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-3)
    assert make("ANIL", encoder).inner.engine == ("dual" if encoder == "averaged" else "batched")


def test_second_order_through_an_lstm(words, small_vectors):
    """Against finite differences in float64; its encoder reads word numbers, so only the table must be widened."""
    torch.manual_seed(0)
    encoder = Recurrent(small_vectors, hidden=2, max_length=6, dropout=0.0)
    learner = MAML(TextModel(encoder, nn.Linear(4, 2)), inner_steps=2, inner_lr=0.5).double()
    assert encoder.table.dtype == torch.float64 and learner.inner.engine == "loop"
    episodes = EpisodeSampler(words, n_way=2, k_shot=2, n_query=2, seed=0).sample(1)
    learner.meta_loss(episodes).backward()
    for name, p in learner.named_parameters():
        flat, at = p.data.view(-1), p.numel() // 2
        kept, losses = flat[at].item(), []
        for step in (1e-5, -1e-5):
            flat[at] = kept + step
            losses.append(learner.meta_loss(episodes).item())
        flat[at] = kept
        assert p.grad.view(-1)[at].item() == pytest.approx((losses[0] - losses[1]) / 2e-5, abs=1e-8), name


def test_support_and_queries_of_different_length(words, small_vectors, sampler):
    """Texts are cut to the longest of each set; Reptile, which joins the sets, pads them again."""
    torch.manual_seed(0)
    model = TextModel(Convolutional(small_vectors, widths=(1, 2), channels=4, dropout=0.0), mlp(8, 4, 3))
    lengths = model[0].inputs(words).gt(0).sum(1)
    episodes = sampler.sample(2)
    uneven = replace(episodes, support_x=torch.full_like(episodes.support_x, lengths.argmin()))
    uneven.query_x[:, 0] = lengths.argmax()
    support, query = model.inputs(uneven)
    assert support.shape[2] < query.shape[2] < 120
    learner = Reptile(model)
    swapped = replace(uneven, support_x=uneven.query_x, support_y=uneven.query_y, query_x=uneven.support_x,
                      query_y=uneven.support_y)  # fmt: skip
    assert learner.meta_loss(uneven).item() == pytest.approx(learner.meta_loss(swapped).item(), rel=1e-4)


# ------------------------------------------------------------------------------------- domains, numbers


@pytest.fixture(scope="module")
def ratings():
    """12 domains × 10 texts: words of praise and blame that mean the same in every domain, and a rating."""
    praise, blame, filler = (w.split() for w in ("good great fine nice", "bad poor awful dull", "the a film plot"))
    texts, labels, domains, values = [], [], [], []
    for domain in range(12):
        for i in range(10):
            good = i % 2
            chosen = (praise if good else blame)[(i // 2 + domain) % 4]
            texts.append(f"{filler[(i + domain) % 4]} {chosen} {filler[i % 3]}")
            labels.append("positive" if good else "negative")
            domains.append(f"movie {domain:02d}")
            values.append(2.0 if good else -2.0)
    return Corpus("ratings", texts, labels, domains=domains, ratings=values)


@pytest.fixture(scope="module")
def rating_vectors(ratings, vectors_of):
    return vectors_of(ratings, 16, seed=1)


@pytest.mark.parametrize("name", LEARNERS)
def test_binary_tasks_of_domains(ratings, rating_vectors, name):
    sampler = DomainSampler(ratings, k_shot=1, n_query=2, seed=0)
    torch.manual_seed(0)
    learner = LEARNERS[name](TextModel(Averaged(rating_vectors), mlp(16, 8, 2)), inner_lr=0.3)
    meta_train(learner, sampler, steps=40, tasks_per_step=4, lr=0.03, progress=False)
    after = evaluate(learner, sampler, episodes=50)
    assert after.mean > 0.95 and after.share, after


@pytest.mark.parametrize("name", LEARNERS)
def test_ratings_of_domains(ratings, rating_vectors, name):
    sampler = RegressionSampler(ratings, k_shot=4, n_query=6, seed=0)
    torch.manual_seed(0)
    learner = LEARNERS[name](TextModel(Averaged(rating_vectors), mlp(16, 8, 1)), inner_lr=0.05)
    before = evaluate(learner, sampler, episodes=50)
    meta_train(learner, sampler, steps=60, tasks_per_step=4, lr=0.03, progress=False)
    after = evaluate(learner, sampler, episodes=50)
    assert not after.share and after < before and after.mean < 1, f"{before} → {after}"  # the ratings' variance is 4


# ------------------------------------------------------------------------------------------- it learns


TRAINING = {
    "MAML": ({"inner_lr": 0.05}, 0.02, 0.75),
    "first-order MAML": ({"inner_lr": 0.05}, 0.02, 0.75),
    "ANIL": ({"inner_lr": 0.05}, 0.02, 0.75),
    "Meta-SGD": ({"inner_lr": 0.05}, 0.02, 0.7),
    "Reptile": ({"inner_lr": 0.2, "inner_steps": 20}, 0.05, 0.55),
    "joint training": ({"inner_lr": 0.05}, 0.02, 0.7),
}


@pytest.mark.parametrize("name", TRAINING)
def test_meta_training_finds_what_a_few_examples_cannot_tell(puzzle, halves, name):
    """Half of the coordinates are loud and mean nothing; from 15 examples alone nobody can know which."""
    _, table = puzzle
    train, test = halves
    settings, lr, wanted = TRAINING[name]
    if name == "joint training":
        settings = {**settings, "classes": train.corpus.classes}
    torch.manual_seed(0)
    learner = LEARNERS[name](TextModel(table, mlp(10, 32, 5)), **settings)
    before = evaluate(learner, test, episodes=50)
    meta_train(learner, train, steps=100, tasks_per_step=8, lr=lr, progress=False)
    after = evaluate(learner, test, episodes=50)
    assert before.mean < 0.35, before
    assert after.mean > wanted, after


def test_sinusoids_maml_adapts_where_joint_training_cannot():
    train, test = SinusoidSampler(k_shot=10, seed=0), SinusoidSampler(k_shot=10, seed=1)
    scores = {}
    for kind in (MAML, MultiTask):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 1))
        learner = kind(model, inner_steps=3, inner_lr=0.02, test_steps=5)
        meta_train(learner, train, steps=300, tasks_per_step=8, lr=0.03, progress=False)
        scores[kind] = evaluate(learner, test, episodes=100)
    assert scores[MAML].mean < 1.6 and scores[MultiTask].mean > 2.2, scores
    assert scores[MAML] < scores[MultiTask]


# --------------------------------------------------------------------------------- copies, states, types


@pytest.mark.parametrize("name", LEARNERS)
def test_a_copy_learns_on_its_own_and_its_state_goes_out_and_in(make, sampler, name):
    learner, episodes = make(name, "convolutional"), sampler.sample(2)
    before, twin = learner.predict(episodes), copy.deepcopy(learner)
    assert torch.equal(twin.predict(episodes), before) and twin.inner.network.model is twin.model
    meta_train(twin, sampler, steps=3, lr=0.1, progress=False)
    assert torch.equal(learner.predict(episodes), before)
    assert (twin.predict(episodes) - before).abs().max() > 1e-3
    learner.load_state_dict(twin.state_dict())
    assert torch.equal(learner.predict(episodes), twin.predict(episodes))
    assert torch.equal(learner.meta_loss(episodes), twin.meta_loss(episodes))


@pytest.mark.parametrize("name", LEARNERS)
def test_double_precision_after_it_was_made(numbers, name):
    torch.manual_seed(0)
    single = LEARNERS[name](mlp(6, 4, 3))
    double, episodes = copy.deepcopy(single).double(), numbers()
    floats = replace(episodes, support_x=episodes.support_x.float(), query_x=episodes.query_x.float())
    assert double.predict(episodes).dtype == torch.float64
    near(double.predict(episodes).float(), single.predict(floats))
    double.meta_loss(episodes).backward()
    assert all(p.grad is None or p.grad.dtype == torch.float64 for p in double.parameters())


@pytest.mark.parametrize("name", LEARNERS)
def test_dropout_is_on_in_training_alone(words, small_vectors, sampler, name):
    torch.manual_seed(0)
    encoder = Convolutional(small_vectors, widths=(1, 2), channels=4, max_length=8, dropout=0.5)
    learner = LEARNERS[name](TextModel(encoder, nn.Sequential(nn.Dropout(0.3), mlp(8, 6, 3)))).train()
    episodes = sampler.sample(2)
    assert learner.meta_loss(episodes).item() != learner.meta_loss(episodes).item()
    meta_train(learner, sampler, steps=2, progress=False)
    assert torch.equal(learner.predict(episodes), learner.predict(episodes))


# -------------------------------------------------------------------------------------- joint training


def test_joint_training_with_classes_learns_their_names_and_starts_tasks_from_zero(words, small_vectors):
    torch.manual_seed(0)
    learner = MultiTask(TextModel(Averaged(small_vectors), mlp(8, 16, 2)), classes=words.classes)
    sampler = EpisodeSampler(words, n_way=2, k_shot=4, n_query=4, seed=0)
    meta_train(learner, sampler, steps=100, tasks_per_step=4, lr=0.03, progress=False)
    with torch.no_grad():
        hidden = learner.model[1][:2](Averaged(small_vectors).embed(words.texts))
        right = learner.joint(hidden).argmax(1) == torch.tensor([words.classes.index(y) for y in words.labels])
    assert right.float().mean() > 0.95
    assert learner.predict(sampler.sample(2), steps=0).eq(0).all()  # a new task knows nothing yet
    assert learner.model[1][2].weight.grad is None
    order, episodes = torch.tensor([1, 0]), sampler.sample(3)
    renamed = replace(episodes, support_y=order[episodes.support_y])
    near(learner.predict(renamed)[..., order], learner.predict(episodes))


# --------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("engine", ["loop", "batched", "dual"])
@pytest.mark.parametrize("name", LEARNERS)
def test_a_diverging_inner_rate(numbers, name, engine):
    if name == "Meta-SGD" and engine == "dual":
        return
    torch.manual_seed(0)
    episodes = numbers(regression=True)
    learner = LEARNERS[name](mlp(6, 8, 1).double(), inner_lr=1000, inner_steps=12, engine=engine)
    # ANIL's inner problem is linear: it grows by the same factor each step, 1e308 is further away
    learner.inner_lr = learner.inner_lr if name != "ANIL" else 1e60
    where = r"inner step \d+ of 12 is NaN or infinite at the (inner rate 1000|inner rate 1e\+60|learned inner rates)"
    with pytest.raises(InnerLoopDiverged, match=where):
        learner.predict(episodes)

    same = SimpleNamespace(key=("the same",), sample=lambda tasks, first: episodes)
    if name != "joint training":  # which adapts at test time alone
        with pytest.raises(TrainingDiverged, match=where):
            meta_train(learner, same, steps=1, progress=False)
    with pytest.raises(TrainingDiverged, match=where):
        evaluate(learner, same, episodes=2)


@pytest.mark.parametrize("engine", ["loop", "batched", "dual"])
@pytest.mark.parametrize("name", ["MAML", "Reptile"])
def test_a_gradient_that_overflows_before_the_loss_does(name, engine):
    """In float32 a loss of 1e30 is a number, its gradient is none; Adam would turn all weights into NaN."""
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 8, 6, generator=random), torch.randn(2, 8, generator=random)
    episodes = Episodes(x, y, x.flip(1), y.flip(1), 1, 8)
    caught = []
    for rate in torch.logspace(0, 3, 40).tolist():
        torch.manual_seed(0)
        learner = LEARNERS[name](mlp(6, 8, 1), inner_lr=rate, inner_steps=3, engine=engine)
        try:
            learner.meta_loss(episodes).backward()
        except InnerLoopDiverged as error:
            caught.append(str(error))
        else:
            assert all(p.grad.isfinite().all() for p in learner.parameters()), rate
    assert 0 < len(caught) < 40 and all("NaN or infinite" in message and "inner rate" in message for message in caught)


def frozen_head():
    model = mlp(6, 4, 3)
    model[2].requires_grad_(False)
    return model


BAD = [
    *(({"inner_steps": n}, r"inner_steps=.*whole number ≥ 1.*joint training \(MultiTask\)") for n in (0, 1.5, True)),
    *(({"inner_lr": rate}, r"\(inner_lr=.*> 0; at rate 0 nothing adapts") for rate in (0, -0.1, math.nan, math.inf)),
    *(({"test_steps": n}, r"\(test_steps=.*whole number ≥ 0") for n in (-1, 2.5, True)),
    ({"model": nn.Sequential(nn.ReLU())}, "no trainable parameter"),
    ({"model": mlp(6, 4, 3).requires_grad_(False)}, "no trainable parameter"),
    ({"model": frozen_head(), "adapt": "head"}, r"2\.weight, 2\.bias cannot adapt, as requires_grad is False"),
    ({"adapt": ("head.",)}, "no parameter begins with"),
]


@pytest.mark.parametrize("name", LEARNERS)
def test_bad_settings_are_refused(name):
    for settings, message in BAD:
        with pytest.raises(ValueError, match=message):
            LEARNERS[name](**{"model": mlp(6, 4, 3), **settings})


@pytest.mark.parametrize("name", LEARNERS)
def test_mismatched_ways(numbers, name):
    for episodes, out, message in (
        (numbers(5), 3, "the tasks have 5 classes, the model has 3 outputs"),
        (numbers(regression=True), 5, "real numbers, the model has 5 outputs; a regression needs one"),
    ):
        learner = LEARNERS[name](mlp(6, 4, out).double())
        for ask in (learner.predict, learner.meta_loss, learner.adapted):
            with pytest.raises(ValueError, match=message):
                ask(episodes)


def test_texts_for_a_model_of_tensors(sampler):
    with pytest.raises(ValueError, match=r"Sequential reads tensors, .* texts; give TextModel\(encoder, head\)"):
        MAML(mlp(6, 4, 3)).predict(sampler.sample(1))


def test_joint_training_refuses_what_it_cannot_name(words, small_vectors, numbers, sampler):
    def joint(classes, head=None):
        return MultiTask(TextModel(Averaged(small_vectors), head or mlp(8, 4, 3)), classes=classes)

    with pytest.raises(ValueError, match=r"'words' has classes that were not given: music, weather; pass classes="):
        joint(["bank", "food"]).meta_loss(sampler.sample(1))
    with pytest.raises(ValueError, match="needs episodes with class names"):
        MultiTask(mlp(6, 4, 3).double(), classes=["a", "b", "c"]).meta_loss(numbers())
    with pytest.raises(ValueError, match="must end in a Linear layer with a bias"):
        joint(words.classes, nn.Sequential(nn.Linear(8, 3), nn.Identity()))
    with pytest.raises(ValueError, match="must end in a Linear layer with a bias"):
        joint(words.classes, nn.Linear(8, 3, bias=False))


def test_adapted_needs_a_task_that_is_there(make, sampler):
    with pytest.raises(IndexError, match="task=5"):
        make("MAML").adapted(sampler.sample(2), task=5)


@pytest.mark.parametrize("sizes", [(0, 4, 3), (6, 0, 3), (6, 4, -1)])
def test_a_head_needs_sizes(sizes):
    with pytest.raises(ValueError, match=r"mlp\((dim=0|hidden=0|out=-1)\): must be a whole number ≥ 1"):
        mlp(*sizes)
