"""Every writer: invariants, gradients, learning, bad input. References of single methods stand in their own file."""

from dataclasses import replace

import pytest
import torch

from metalearn_lib import EpisodeSampler, evaluate, meta_train
from metalearn_lib.encoders import Averaged, Encoder, Frozen, Identity, Projected
from metalearn_lib.episodes import Episodes
from metalearn_lib.learners.baselines import Centroid
from metalearn_lib.meta_networks import (
    ConditionallyShifted,
    DeepSets,
    FastWeights,
    FiLM,
    FiLMWriter,
    LastLayer,
    LowRank,
    Mahalanobis,
    MetaNetworks,
    SetAttentionWriter,
    TaskIdNetwork,
    WordWriter,
    Writer,
    swap_test,
)
from tests.learners import invariants

WRITERS = {
    "set attention": lambda e, words: SetAttentionWriter(e, hidden=8),
    "FiLM": lambda e, words: FiLMWriter(e, hidden=8),
    "low rank": lambda e, words: Writer(e, DeepSets(e.dim, hidden=8), LowRank(16, e.dim, rank=2)),
    "deep sets": lambda e, words: Writer(e, DeepSets(e.dim, hidden=8), LastLayer(16, e.dim)),
    "Mahalanobis": lambda e, words: Mahalanobis(e),
    "shifted": lambda e, words: ConditionallyShifted(e, hidden=8, keys=4),
    "Meta Networks": lambda e, words: MetaNetworks(e, hidden=4, keys=4),
    "Hebb": lambda e, words: FastWeights(e),
    "delta": lambda e, words: FastWeights(e, rule="delta"),
    "words": lambda e, words: WordWriter(words, Frozen(e.encoder), hidden=4, nearest=3),
    "words alone": lambda e, words: WordWriter(words, Frozen(e.encoder), hidden=4, nearest=3, dense_weight=None),
}
START_AT_CENTROID = ("set attention", "FiLM", "low rank", "deep sets", "shifted", "Meta Networks")


@pytest.fixture
def make(words, small_vectors):
    """A fresh writer over the small corpus of sentences, by name; every weight a little away from zero."""

    def build(name, *, moved=True):
        torch.manual_seed(0)
        writer = WRITERS[name](Projected(Averaged(small_vectors)), words).eval()
        if moved:
            with torch.no_grad():
                for parameter in writer.parameters():
                    parameter += 0.1 * torch.randn_like(parameter)
        return writer

    return build


@pytest.fixture
def episodes(words):
    return EpisodeSampler(words, n_way=3, k_shot=3, n_query=4, seed=0).sample(2)


@pytest.mark.parametrize("name", WRITERS)
def test_renaming_the_classes_renames_the_logits(make, episodes, name):
    invariants.renaming_the_classes_renames_the_logits(make(name), episodes, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", WRITERS)
def test_the_order_of_the_support_set_does_not_matter(make, episodes, name):
    invariants.the_order_of_the_support_set_does_not_matter(make(name), episodes, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", WRITERS)
def test_a_query_has_a_logit_a_class_whatever_the_other_queries_and_tasks(make, words, episodes, name):
    second = EpisodeSampler(words, n_way=3, k_shot=3, n_query=4, seed=0).sample(1, first=1)
    invariants.other_queries_and_tasks_do_not_matter(make(name), episodes, second)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(("n_way", "k_shot"), [(2, 1), (4, 5)])
def test_any_number_of_ways_and_shots(make, words, name, n_way, k_shot):
    tasks = EpisodeSampler(words, n_way=n_way, k_shot=k_shot, n_query=3, seed=0).sample(2)
    assert make(name).predict(tasks).shape == (2, 3 * n_way, n_way)


@pytest.mark.parametrize("name", START_AT_CENTROID)
def test_an_untrained_writer_is_the_class_mean(make, episodes, name, small_vectors):
    expected = Centroid(Averaged(small_vectors)).predict(episodes)
    torch.testing.assert_close(make(name, moved=False).predict(episodes), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", WRITERS)
def test_the_loss_weighs_the_support_set_and_the_queries(make, episodes, name):
    learner = make(name)
    losses = {}
    for alpha, beta in ((1.0, 0.0), (0.0, 1.0), (0.3, 0.7)):
        learner.task_weight, learner.meta_weight = alpha, beta
        losses[alpha] = learner.meta_loss(episodes).item()
    assert losses[0.3] == pytest.approx(0.3 * losses[1.0] + 0.7 * losses[0.0], rel=1e-5)
    truth = learner.predict(episodes).flatten(0, 1)
    assert losses[0.0] == pytest.approx(torch.nn.functional.cross_entropy(truth, episodes.query_y.flatten()).item())


@pytest.mark.parametrize("name", WRITERS)
def test_the_meta_loss_reaches_every_trainable_parameter_and_gradients_match_differences(make, episodes, name):
    learner = make(name).double()
    learner.task_weight = 0.5
    for module in learner.modules():
        if isinstance(module, Encoder):
            module.inputs(episodes.pool)
            for key, (state, value) in list(module._prepared.items()):
                module._prepared[key] = state, value.double() if value.is_floating_point() else value
    learner.meta_loss(episodes).backward()
    generator = torch.Generator().manual_seed(0)
    for parameter_name, parameter in learner.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, parameter_name
        flat, grad = parameter.data.view(-1), parameter.grad.view(-1)
        at, losses = int(torch.randint(len(flat), (1,), generator=generator)), []
        kept = flat[at].item()
        for step in (1e-5, -1e-5):
            flat[at] = kept + step
            losses.append(learner.meta_loss(episodes).item())
        flat[at] = kept
        assert grad[at].item() == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-3, abs=1e-6), parameter_name


@pytest.mark.parametrize(
    "build",
    [
        lambda e: SetAttentionWriter(e),
        lambda e: FiLMWriter(e),
        lambda e: Mahalanobis(e),
        lambda e: ConditionallyShifted(e),
        lambda e: MetaNetworks(e),
        lambda e: FastWeights(e),
    ],
    ids=["set attention", "FiLM", "Mahalanobis", "shifted", "Meta Networks", "Hebb"],
)
def test_training_solves_what_class_means_cannot(puzzle, halves, build):
    train, test = halves
    torch.manual_seed(0)
    learner = build(Projected(puzzle[1]))
    meta_train(learner, train, steps=300, tasks_per_step=8, lr=0.02, progress=False)
    assert evaluate(Centroid(puzzle[1]), test, episodes=100).mean < 0.45
    after = evaluate(learner, test, episodes=100)
    assert after.mean > 0.85, f"{learner.name}: {after}"


@pytest.mark.parametrize("name", WRITERS)
def test_an_empty_support_class_and_a_label_beyond_the_ways_are_refused(make, episodes, name):
    with pytest.raises(ValueError, match="no support example"):
        make(name).predict(replace(episodes, support_y=torch.zeros_like(episodes.support_y)))
    with pytest.raises(ValueError, match="labels go from 0 to 2"):
        make(name).predict(replace(episodes, support_y=episodes.support_y + 1))


@pytest.mark.parametrize("name", WRITERS)
def test_written_weights_that_are_not_finite_are_refused(make, episodes, name):
    learner = make(name)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(ValueError, match="NaN or infinity"):
        learner.predict(episodes)


def test_weights_of_other_tasks_are_refused(make, episodes):
    learner = make("set attention")
    with pytest.raises(ValueError, match="written for 2 tasks cannot serve 1"):
        learner.classify(learner.written(episodes), episodes.query_x[:1], episodes.pool)


def test_a_tail_that_reads_other_codes_is_refused():
    with pytest.raises(ValueError, match="codes of 16 numbers, the tail reads 8"):
        Writer(Identity(4), DeepSets(4, hidden=8), FiLM(8, 4))


@pytest.mark.parametrize(
    "losses",
    [{"task_weight": -1}, {"meta_weight": 0}, {"task_weight": float("nan")}, {"meta_weight": float("inf")}],
)
def test_loss_weights_that_teach_nothing_are_refused(losses):
    with pytest.raises(ValueError, match="one of them > 0"):
        SetAttentionWriter(Identity(4), **losses)


@pytest.mark.parametrize(
    "build",
    [
        lambda: FastWeights(Identity(4), rule="oja"),
        lambda: FastWeights(Identity(4), passes=0),
        lambda: SetAttentionWriter(Identity(4), hidden=0),
        lambda: ConditionallyShifted(Identity(4), keys=0),
        lambda: LowRank(4, 4, rank=0),
    ],
)
def test_bad_options_are_refused(build):
    with pytest.raises(ValueError):
        build()


def test_the_swap_test_tells_a_task_id_from_a_support_set(make, words, episodes, small_vectors):
    assert swap_test(make("set attention"), episodes) == 1
    torch.manual_seed(0)
    assert swap_test(TaskIdNetwork(Averaged(small_vectors), words), episodes) == 0


def test_the_swap_test_refuses_one_task_and_equal_ones(make, episodes):
    learner = make("set attention")
    with pytest.raises(ValueError, match="two or more"):
        swap_test(learner, EpisodeSampler(episodes.pool, n_way=3, k_shot=3, n_query=4, seed=0).sample(1))
    x, y = (part[:1].expand(2, -1) for part in (episodes.support_x, episodes.support_y))
    with pytest.raises(ValueError, match="task 0 has the support texts"):
        swap_test(learner, replace(episodes, support_x=x, support_y=y))


def test_a_task_id_learns_its_tasks_and_knows_nothing_of_new_ones(puzzle):
    corpus, table = puzzle
    known, new = corpus.only(corpus.classes[:8]), corpus.only(corpus.classes[8:])
    torch.manual_seed(0)
    network = TaskIdNetwork(Projected(table), known)
    train = EpisodeSampler(known, n_way=5, k_shot=1, n_query=10, seed=0)
    meta_train(network, train, steps=300, tasks_per_step=8, lr=0.02, progress=False)
    assert evaluate(network, train, episodes=100).mean > 0.8
    assert abs(evaluate(network, train.on(new, seed=1), episodes=200).mean - 0.2) < 0.05


def test_writers_read_tensors_too():
    x = torch.randn(2, 6, 4)
    y = torch.arange(3).repeat(2, 2)
    tasks = Episodes(x, y, torch.randn(2, 6, 4), y, n_way=3, k_shot=2)
    assert SetAttentionWriter(Identity(4)).predict(tasks).shape == (2, 6, 3)
    with pytest.raises(ValueError, match="names of classes"):
        TaskIdNetwork(Identity(4), _letters()).predict(tasks)


def _letters():
    from metalearn_lib.corpora import Corpus

    return Corpus("letters", list("abcd"), list("aabb"))
