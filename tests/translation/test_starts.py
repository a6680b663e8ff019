"""Tasks of pairs, and starts made by the learners of chapter 03, for the tagger and for sequences."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from metalearn_lib.corpora.translations import Pair
from metalearn_lib.learners import MAML, MultiTask, Reptile
from metalearn_lib.training import meta_train
from metalearn_lib.translation import EditCodec, PairSampler, PieceCodec, Seq2Seq, fine_tuned

TEXTS = [f"{a}{b}{c}" for a in "bdfg" for b in "aeo" for c in ("ja", "jo", "ne")]
TASKS = {target: [Pair(text, text, text.replace("j", target)) for text in TEXTS] for target in "xyz"}
CODEC = EditCodec([pair for pairs in TASKS.values() for pair in pairs], coverage=1.0, radius=2)
EXAMPLES = {name: CODEC.examples(pairs) for name, pairs in TASKS.items()}


def sampler(**options: int) -> PairSampler:
    return PairSampler(EXAMPLES, **({"k_support": 4, "n_query": 4, "rows": 5, "seed": 0} | options))


def test_an_episode_depends_on_seed_and_number_alone() -> None:
    drawn = sampler().sample(3, first=2)
    assert drawn.support_x.shape == (3, 20, 5) and drawn.support_y.shape == drawn.query_y.shape == (3, 20)
    alone = sampler().sample(1, first=3)
    assert torch.equal(alone.support_x[0], drawn.support_x[1]) and torch.equal(alone.query_y[0], drawn.query_y[1])
    assert not torch.equal(sampler(seed=1).sample(3, first=2).support_x, drawn.support_x)
    keys = [
        sampler().key,
        sampler(seed=1).key,
        sampler(rows=4).key,
        PairSampler({"x": EXAMPLES["x"]}, k_support=4, n_query=4, rows=5).key,
    ]
    assert len(set(keys)) == 4 and keys[0] == sampler().key


def test_support_and_query_share_no_pair() -> None:
    marked = {"t": [(torch.full((3, 1), n), torch.full((3,), n)) for n in range(9)]}
    drawn = PairSampler(marked, k_support=4, n_query=4, rows=3).sample(20)
    for support, query in zip(drawn.support_y.tolist(), drawn.query_y.tolist(), strict=True):
        assert not set(support) & set(query) and len(set(support)) == len(set(query)) == 4


def test_tasks_that_are_too_small_are_named() -> None:
    with pytest.raises(ValueError, match="the task 'x' has 180 rows in 36 pairs, too few for 100 of support and 100"):
        sampler(k_support=20, n_query=20)
    with pytest.raises(ValueError, match="there are no tasks"):
        PairSampler({}, k_support=1, n_query=1, rows=1)
    with pytest.raises(ValueError, match="too few"):
        PairSampler({"x": []}, k_support=1, n_query=1, rows=1)


def test_a_meta_learned_start_is_neutral_where_joint_training_mixes_the_targets() -> None:
    """Before adapting, first-order MAML copies j or hesitates; after a few pairs it writes the task's own letter."""
    start = MAML(CODEC.model(hidden=32), first_order=True, inner_steps=5, inner_lr=2.0)
    meta_train(start, sampler(), steps=60, tasks_per_step=3, lr=1e-2, progress=False)
    episodes = sampler(seed=7).sample(12)
    after = (start.predict(episodes).argmax(-1) == episodes.query_y).double().mean()
    before = (start.predict(episodes, steps=0).argmax(-1) == episodes.query_y).double().mean()
    assert after > 0.98 > 0.95 > before


@pytest.mark.parametrize("learner", [Reptile, MultiTask])
def test_the_other_learners_take_the_same_tasks(learner: type) -> None:
    trained = learner(CODEC.model(hidden=16), inner_steps=2, inner_lr=0.5)
    history = meta_train(trained, sampler(), steps=3, tasks_per_step=2, progress=False)
    assert len(history.losses) == 3 and trained.adapted(sampler().sample(1)) is not trained.model


def test_a_step_of_first_order_maml_on_sequences_is_that_of_plain_torch() -> None:
    codec = PieceCodec([text for pair in TASKS["x"] for text in pair], pieces=270, length=6)
    model = Seq2Seq(len(codec), codec.length, dim=8).double()
    tasks = PairSampler({"x": codec.examples(TASKS["x"])}, k_support=3, n_query=2, rows=codec.length).sample(1)
    learner = MAML(model, first_order=True, inner_steps=2, inner_lr=0.3)
    learner.meta_loss(tasks).backward()
    found = {name: p.grad for name, p in model.named_parameters()}
    adapted = copy.deepcopy(model)
    optimizer = torch.optim.SGD(adapted.parameters(), lr=0.3)
    for x, y in [(tasks.support_x[0], tasks.support_y[0])] * 2:
        optimizer.zero_grad()
        cross_entropy(adapted(x), y).backward()
        optimizer.step()
    optimizer.zero_grad()
    cross_entropy(adapted(tasks.query_x[0]), tasks.query_y[0]).backward()
    assert learner.inner.engine == "loop"
    for name, p in adapted.named_parameters():
        assert torch.allclose(p.grad, found[name], atol=1e-9), name


def test_fine_tuning_is_seeded_and_can_mix_old_tasks_in() -> None:
    model = CODEC.model(hidden=16)
    one, same, other = (fine_tuned(model, EXAMPLES["x"], steps=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one[2].weight, same[2].weight) and not torch.equal(one[2].weight, other[2].weight)
    mixed = fine_tuned(model, EXAMPLES["x"], steps=5, mixed=EXAMPLES["y"])
    assert not torch.equal(one[2].weight, mixed[2].weight)
    assert torch.equal(fine_tuned(model, EXAMPLES["x"], steps=0)[2].weight, model[2].weight)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": -1}, "steps"),
        ({"lr": 0.0}, "lr"),
        ({"mixed_share": 1.0}, "mixed_share"),
        ({"pairs_per_step": 0}, "pairs"),
    ],
)
def test_fine_tuning_refuses_what_trains_nothing(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fine_tuned(CODEC.model(), EXAMPLES["x"], **({"steps": 1} | options))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no examples"):
        fine_tuned(CODEC.model(), [], steps=1)
