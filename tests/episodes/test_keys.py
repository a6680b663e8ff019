"""A key names all that episodes depend on; sizes are whole numbers; what does not fit into memory is not drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from metalearn_lib import DomainSampler, EpisodeSampler, RegressionSampler, SinusoidSampler
from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes import TaskSampler, positions

FILMS = Corpus(
    "films", [f"text {i}" for i in range(48)], ["bad", "good"] * 24, domains=["a", "b", "c"] * 16,
    ratings=[float(i % 5) for i in range(48)],
)  # fmt: skip
SHUFFLED = replace(FILMS, domains=[*"abc"] * 8 + [*"cab"] * 8)
OTHER_RATINGS = replace(FILMS, ratings=[float(i % 4) for i in range(48)])


def test_other_domains_are_other_episodes_and_another_key() -> None:
    one, other = (DomainSampler(corpus, k_shot=1, n_query=1) for corpus in (FILMS, SHUFFLED))
    assert not np.array_equal(one.sample(20).support_x, other.sample(20).support_x)
    assert one.key != other.key
    assert one.key == DomainSampler(FILMS, k_shot=1, n_query=1, skip_small=True).key  # nothing was small
    assert one.key == DomainSampler(replace(FILMS, name="other"), k_shot=1, n_query=1).key


def test_other_ratings_are_another_key() -> None:
    one, other = (RegressionSampler(corpus, k_shot=1, n_query=1) for corpus in (FILMS, OTHER_RATINGS))
    assert one.key != other.key
    assert one.key != RegressionSampler(SHUFFLED, k_shot=1, n_query=1).key


def test_a_sampler_of_ones_own_is_known_by_its_groups() -> None:
    def sampler(rows: int) -> TaskSampler:
        groups = {label: group[:rows] for label, group in positions(FILMS.labels).items()}
        return TaskSampler(FILMS, groups, n_way=2, k_shot=1, n_query=1, seed=0)

    assert sampler(9).key == sampler(9).key != sampler(10).key


MAKERS: dict[str, Any] = {
    "classes": lambda **options: EpisodeSampler(FILMS, **{"n_way": 2, "n_query": 2, **options}),
    "domains": lambda **options: DomainSampler(FILMS, **{"k_shot": 1, "n_query": 1, **options}),
    "ratings": lambda **options: RegressionSampler(FILMS, **{"k_shot": 1, "n_query": 1, **options}),
    "waves": SinusoidSampler,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_an_episode_depends_on_seed_and_number_alone(kind: str) -> None:
    whole = MAKERS[kind](seed=7).sample(10)
    for number in range(10):
        alone = MAKERS[kind](seed=7).sample(first=number)
        for part in ("support_x", "support_y", "query_x", "query_y"):
            assert torch.equal(getattr(alone, part)[0], getattr(whole, part)[number])
    assert not torch.equal(MAKERS[kind](seed=8).sample(10).support_x, whole.support_x)


@pytest.mark.parametrize("value", [2.5, 2.0, True, "2", None, 0, -1, np.float64(2.0), np.bool_(True)])
@pytest.mark.parametrize("kind", MAKERS)
def test_sizes_are_whole_numbers(kind: str, value: object) -> None:
    for name in ("k_shot", "n_query", *(["n_way"] if kind == "classes" else [])):
        with pytest.raises(ValueError, match=rf"{name}=.*must be a whole number ≥ 1"):
            MAKERS[kind](**{name: value})


@pytest.mark.parametrize("kind", MAKERS)
def test_a_seed_is_a_whole_number(kind: str) -> None:
    for seed in (1.5, True, None, "0"):
        with pytest.raises(ValueError, match=r"seed=.*must be a whole number$"):
            MAKERS[kind](seed=seed)
    assert MAKERS[kind](seed=-3).sample(2).support_x.shape[0] == 2


@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_asked_for_is_a_whole_number(kind: str) -> None:
    for name, least, values in (("tasks", 1, (2.5, True, None, 0)), ("first", 0, (1.5, None, -1))):
        for value in values:
            with pytest.raises(ValueError, match=rf"sample\({name}=.*must be a whole number ≥ {least}"):
                MAKERS[kind]().sample(**{name: value})


@pytest.mark.parametrize("kind", MAKERS)
def test_numpy_integers_are_whole_numbers_and_give_the_same_key(kind: str) -> None:
    plain, wide = MAKERS[kind](k_shot=1, seed=3), MAKERS[kind](k_shot=np.int64(1), seed=np.uint8(3))
    assert plain.key == wide.key and list(map(type, plain.key)) == list(map(type, wide.key))
    drawn = [sampler.sample(tasks, first=np.int32(4)) for sampler, tasks in ((plain, 2), (wide, np.int64(2)))]
    assert np.array_equal(drawn[0].support_x, drawn[1].support_x)


@pytest.mark.parametrize("kind", MAKERS)
def test_more_than_memory_holds_is_refused_before_it_is_drawn(kind: str) -> None:
    with pytest.raises(ValueError, match=r"sample\(tasks=1000000000\): .* GB, .* free; draw them in batches"):
        MAKERS[kind]().sample(10**9)
