"""Several trainings: each with a seed of its own and apart from the others; the score has its interval over them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from metalearn_lib import (
    EpisodeSampler,
    Learner,
    NearestNeighbour,
    Prototypical,
    Reptile,
    SinusoidSampler,
    evaluate,
    meta_train,
    mlp,
    trainings,
)
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Convolutional, Frozen, Projected, WordAverage
from metalearn_lib.errors import TrainingDiverged
from metalearn_lib.learners.base import NotTrainable
from metalearn_lib.optimise import seeded, weights_of
from metalearn_lib.text import WordVectors

OPTIONS: dict[str, Any] = {"steps": 4, "tasks_per_step": 2, "progress": False}
Build = Callable[[], Learner]


@pytest.fixture
def episodes(texts: Corpus) -> Callable[[int], EpisodeSampler]:
    return lambda seed: EpisodeSampler(texts, n_way=2, k_shot=2, n_query=3, seed=seed)


@pytest.fixture
def build(words: WordVectors) -> Build:
    return lambda: Prototypical(Convolutional(words, widths=(1,), channels=3, dropout=0.3))


def same(a: Learner, b: Learner) -> bool:
    one, two = weights_of(a), weights_of(b)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_each_training_is_the_one_that_its_seed_says(build: Build, episodes: Any) -> None:
    runs = trainings(build, episodes, seeds=(5, 3), **OPTIONS)
    assert runs.seeds == (5, 3) and [len(history.losses) for history in runs.histories] == [4, 4]
    for seed, learner, history in zip(runs.seeds, runs.learners, runs.histories, strict=True):
        with seeded(seed):
            alone = build()
        assert meta_train(alone, episodes(seed), seed=seed, **OPTIONS) == history
        assert same(alone, learner)
    assert not same(*runs.learners)


def test_the_global_generators_are_left_as_they_were(build: Build, episodes: Any) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    trainings(build, episodes, seeds=(0, 1), **OPTIONS)
    with pytest.raises(TrainingDiverged):
        trainings(build, episodes, seeds=(0, 1), **{**OPTIONS, "lr": 1e30, "steps": 50})
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]


def test_the_score_is_over_trainings_and_paired_by_seed(build: Build, episodes: Any, words: WordVectors) -> None:
    test = episodes(99)
    runs = trainings(build, episodes, **OPTIONS)
    score = runs.score(test, episodes=20)
    alone = [evaluate(learner, test, episodes=20) for learner in runs.learners]
    assert score.values.tolist() == [each.mean for each in alone] and score.over == "trainings"
    assert score.name == alone[0].name
    other = trainings(lambda: Prototypical(Projected(WordAverage(words), dim=2)), episodes, **OPTIONS)
    assert (score > other.score(test, episodes=20)).paired
    floor = evaluate(NearestNeighbour(WordAverage(words)), test, episodes=20)
    against = score > floor
    assert against.paired and against.difference == pytest.approx(score.mean - floor.mean)
    assert against.high - against.low == pytest.approx(score.high - score.low)
    with pytest.raises(ValueError, match="same sampler and number of episodes"):
        _ = score > evaluate(NearestNeighbour(WordAverage(words)), test, episodes=21)


def test_a_regression_is_scored_by_its_error() -> None:
    samplers = [SinusoidSampler(k_shot=3, n_query=3, seed=seed) for seed in range(3)]
    runs = trainings(lambda: Reptile(mlp(1, 4, 1), inner_steps=1), samplers.__getitem__, seeds=(0, 1), **OPTIONS)
    assert runs.score(samplers[2], episodes=5).share is False


def test_each_training_has_its_own_checkpoint(build: Build, episodes: Any, tmp_path: Any) -> None:
    path = tmp_path / "run.safetensors"
    first = trainings(build, episodes, seeds=(0, 1), checkpoint=path, **OPTIONS)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run-0.safetensors", "run-1.safetensors"]
    again = trainings(build, episodes, seeds=(0, 1), checkpoint=str(path), **OPTIONS)  # goes on from the end
    assert all(map(same, first.learners, again.learners)) and first.histories == again.histories
    with pytest.raises(ValueError, match="not a file"):
        trainings(build, episodes, checkpoint=tmp_path, **OPTIONS)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([], "two different seeds"),
        ([1], "two different seeds"),
        ([1, 2, 1], "two different seeds"),
        ([0, 0.5], "seed=0.5.*whole number"),
    ],
)
def test_seeds_are_two_different_whole_numbers(build: Build, episodes: Any, seeds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trainings(build, episodes, seeds=seeds, **OPTIONS)


def test_trainings_that_are_not_apart_are_refused(build: Build, episodes: Any, words: WordVectors) -> None:
    with pytest.raises(ValueError, match="sampler draws the same episodes for two seeds"):
        trainings(build, lambda _: episodes(0), **OPTIONS)
    shared = Convolutional(words, widths=(1,), channels=3)
    before = weights_of(shared)
    with pytest.raises(ValueError, match=r"'encoder\..*' to two learners; make the learner .* inside build"):
        trainings(lambda: Prototypical(shared), episodes, **OPTIONS)
    assert all(torch.equal(value, before[name]) for name, value in weights_of(shared).items())
    frozen = Frozen(WordAverage(words))
    assert trainings(lambda: Prototypical(Projected(frozen, dim=2)), episodes, **OPTIONS).learners
    with pytest.raises(NotTrainable):
        trainings(lambda: NearestNeighbour(frozen), episodes, **OPTIONS)
    with pytest.raises(TypeError, match="seed"):
        trainings(build, episodes, seed=3, **OPTIONS)
