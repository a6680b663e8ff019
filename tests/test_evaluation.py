"""Scores, intervals, paired comparison; metrics against scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metalearn_lib import Episodes, EpisodeSampler, Score, SinusoidSampler, evaluate
from metalearn_lib.corpora import Corpus
from metalearn_lib.evaluation import _score
from metalearn_lib.learners import Learner


def test_the_interval_is_students():
    from scipy import stats

    values = np.random.default_rng(0).random(40)
    score = Score.of(values)
    low, high = stats.t.interval(0.95, 39, loc=values.mean(), scale=stats.sem(values))
    assert (score.low, score.high) == pytest.approx((low, high), abs=1e-9)


def test_the_interval_covers_the_truth_19_times_in_20():
    random = np.random.default_rng(1)
    hits = [s.low < 0.6 < s.high for s in (Score.of(random.binomial(75, 0.6, size=100) / 75) for _ in range(2000))]
    assert 0.935 < np.mean(hits) < 0.965


def test_pairing_finds_what_independent_scores_hide():
    random = np.random.default_rng(0)
    hardness = random.normal(0.6, 0.2, size=200)
    a, b = hardness + 0.01 + 0.01 * random.normal(size=200), hardness + 0.01 * random.normal(size=200)
    paired = Score.of(a, key=("same",)) > Score.of(b, key=("same",))
    unpaired = Score.of(a, key=("one",)) > Score.of(b, key=("two",))
    assert paired and paired.paired
    assert not unpaired and not unpaired.paired
    assert "paired" in str(paired) and "points" in str(paired)


def test_unpaired_comparison_is_welchs():
    from scipy import stats

    random = np.random.default_rng(3)
    a, b = random.normal(1, 1, 30), random.normal(0, 3, 12)
    comparison = Score.of(a).minus(Score.of(b))
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (comparison.low, comparison.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_beats_asks_for_a_margin():
    a, b = Score.of([0.6, 0.62, 0.61, 0.6], key=("k",)), Score.of([0.5, 0.52, 0.5, 0.51], key=("k",))
    assert a > b and b < a and not b > a
    assert a.beats(b, by=0.05) and not a.beats(b, by=0.2)
    constant, same = Score.of([0.5, 0.5, 0.5]), Score.of([0.5, 0.5, 0.5])
    assert not constant > same and not same > constant


@pytest.mark.parametrize("values", [[], [0.5], [0.5, float("nan")], [[0.1, 0.2], [0.3, 0.4]]])
def test_values_that_make_no_score_are_refused(values):
    with pytest.raises(ValueError, match="at least two finite values"):
        Score.of(values)


@given(st.integers(2, 5), st.integers(1, 20), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_metrics_agree_with_scikit_learn(n_way, n_query, seed):
    from sklearn.metrics import accuracy_score, f1_score

    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(n_way), n_query)
    predicted = random.integers(n_way, size=truth.shape)
    t, p = torch.tensor(truth)[None], torch.nn.functional.one_hot(torch.tensor(predicted), n_way)[None].float()
    assert _score(p, t, n_way, "accuracy").item() == pytest.approx(accuracy_score(truth, predicted))
    f1 = f1_score(truth, predicted, average="macro", labels=range(n_way), zero_division=0)
    assert _score(p, t, n_way, "macro_f1").item() == pytest.approx(f1)


class Oracle(Learner):
    """Knows `share` of the answers."""

    name = "oracle"

    def __init__(self, share: float = 1.0) -> None:
        super().__init__()
        self.share = share

    def predict(self, episodes: Episodes) -> torch.Tensor:
        right = torch.nn.functional.one_hot(episodes.query_y, episodes.n_way).float()
        known = torch.arange(right.shape[1]) < self.share * right.shape[1]
        return right * known[:, None]


@pytest.fixture
def sampler() -> EpisodeSampler:
    corpus = Corpus("x", [str(i) for i in range(80)], [str(i % 4) for i in range(80)])
    return EpisodeSampler(corpus, n_way=4, k_shot=1, n_query=5, seed=0)


def test_evaluate_counts_right_answers_whatever_the_batch(sampler):
    assert evaluate(Oracle(), sampler, episodes=20).mean == 1.0
    half = evaluate(Oracle(0.5), sampler, episodes=20, batch=7)
    assert half.mean == pytest.approx(0.5)  # class 0, which the rest is taken for, lies in the known half
    assert len(half.values) == 20
    assert (evaluate(Oracle(), sampler, episodes=20, batch=3) > half).paired


def test_other_episodes_are_not_paired_and_the_training_mode_is_left_alone(sampler):
    learner = Oracle().train()
    assert not (evaluate(learner, sampler, episodes=20) > evaluate(Oracle(0.5), sampler, episodes=20, first=20)).paired
    assert learner.training


def test_evaluate_refuses_nonsense(sampler):
    class Broken(Oracle):
        def predict(self, episodes: Episodes) -> torch.Tensor:
            return super().predict(episodes) * float("nan")

    with pytest.raises(ValueError, match="NaN or infinity in episodes 0"):
        evaluate(Broken(), sampler, episodes=2)
    with pytest.raises(ValueError, match="metric='auc'"):
        evaluate(Oracle(), sampler, episodes=2, metric="auc")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="episodes ≥ 2"):
        evaluate(Oracle(), sampler, episodes=1)


class Line(Learner):
    """Predicts the right number, and `off` more."""

    name = "line"

    def __init__(self, off: float = 0.0) -> None:
        super().__init__()
        self.off = off

    def predict(self, episodes: Episodes) -> torch.Tensor:
        return episodes.query_y[..., None] + self.off


def test_a_regression_is_scored_by_its_squared_error():
    sampler = SinusoidSampler(k_shot=2, n_query=3, seed=0)
    exact, near, far = (evaluate(Line(off), sampler, episodes=20, batch=7) for off in (0.0, 0.1, 2.0))
    assert exact.mean == 0 and near.mean == pytest.approx(0.01, abs=1e-6) and far.mean == pytest.approx(4, abs=1e-5)
    assert evaluate(Line(2.0), sampler, episodes=20, metric="mse").values.tolist() == far.values.tolist()
    assert near < far and not far < near and (near < far).paired
    assert not far.share and str(far).startswith("4 ± ")
    assert str(far > near).startswith("+3.99, 95 % interval +3.99 … +3.99, paired")  # an error has no points


def test_a_task_counts_as_one_value_whatever_its_targets():
    class Zero(Line):
        def predict(self, episodes: Episodes) -> torch.Tensor:
            return torch.zeros(*episodes.query_y.shape, 1)

    sampler = SinusoidSampler(k_shot=2, n_query=6, seed=1)
    score, truth = evaluate(Zero(), sampler, episodes=10, batch=4), sampler.sample(10).query_y.double()
    assert score.values == pytest.approx(truth.square().mean(1).numpy(), abs=1e-9)


def test_the_metric_must_fit_the_targets(sampler):
    with pytest.raises(ValueError, match=r"metric='mse'.*classes, so use 'accuracy' or 'macro_f1'"):
        evaluate(Oracle(), sampler, episodes=2, metric="mse")
    for metric in ("accuracy", "macro_f1"):
        with pytest.raises(ValueError, match=rf"metric='{metric}'.*real numbers, so use 'mse'"):
            evaluate(Line(), SinusoidSampler(), episodes=2, metric=metric)
    with pytest.raises(ValueError, match="NaN or infinity"):
        evaluate(Line(float("inf")), SinusoidSampler(), episodes=2)
