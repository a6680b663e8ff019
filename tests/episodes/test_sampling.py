"""Samplers: N classes × K shots, disjoint, seeded, uniform; bad input."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metalearn_lib import DomainSampler, EpisodeSampler, RegressionSampler
from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes.draws import choose


def corpus(*sizes: int) -> Corpus:
    labels = [f"c{i}" for i, size in enumerate(sizes) for _ in range(size)]
    order = np.random.default_rng(0).permutation(len(labels))
    return Corpus("unequal", [f"text {i}" for i in range(len(labels))], [labels[i] for i in order])


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(6, 40), min_size=2, max_size=7),
    k=st.integers(1, 3),
    q=st.integers(1, 3),
    tasks=st.integers(1, 5),
    first=st.integers(0, 10**6),
    seed=st.integers(-5, 2**40),
    data=st.data(),
)
def test_every_episode_is_n_ways_of_k_shots_and_q_queries_apart(sizes, k, q, tasks, first, seed, data):
    pool = corpus(*sizes)
    n = data.draw(st.integers(2, len(sizes)))
    episodes = EpisodeSampler(pool, n_way=n, k_shot=k, n_query=q, seed=seed).sample(tasks, first=first)
    assert episodes.support_x.shape == episodes.support_y.shape == (tasks, n * k)
    assert episodes.query_x.shape == episodes.query_y.shape == (tasks, n * q)
    for task in range(tasks):
        names = episodes.classes[task]
        assert len(set(names)) == n
        support, query = episodes.support_x[task].tolist(), episodes.query_x[task].tolist()
        assert len({*support, *query}) == n * (k + q)
        assert [pool.labels[i] for i in support] == [names[y] for y in episodes.support_y[task].tolist()]
        assert [pool.labels[i] for i in query] == [names[y] for y in episodes.query_y[task].tolist()]


def test_another_process_draws_the_same_episodes():
    script = (
        "from metalearn_lib import EpisodeSampler; from metalearn_lib.corpora import Corpus\n"
        "pool = Corpus('x', [str(i) for i in range(60)], [str(i % 3) for i in range(60)])\n"
        "drawn = EpisodeSampler(pool, n_way=2, k_shot=1, n_query=2, seed=3).sample(4).query_x.tolist()\n"
    )
    here = {}
    exec(script, here)
    there = subprocess.check_output([sys.executable, "-c", script + "print(drawn)"], text=True)
    assert there.strip() == str(here["drawn"])


def test_classes_and_examples_are_drawn_uniformly():
    """Counts of 6,000 draws lie within 5 standard deviations, also for the order of the draw."""
    pool = corpus(8, 16, 24, 8)
    episodes = EpisodeSampler(pool, n_way=2, k_shot=1, n_query=2, seed=0).sample(6000)
    ways = Counter(name for names in episodes.classes for name in names)
    assert all(abs(count - 3000) < 5 * (6000 * 0.25) ** 0.5 for count in ways.values())
    members = Counter(i for i in episodes.support_x.flatten().tolist() if pool.labels[i] == "c2")
    expected = sum(members.values()) / 24
    assert len(members) == 24
    assert all(abs(count - expected) < 5 * expected**0.5 for count in members.values())
    pairs = Counter(zip(episodes.support_x[:, 0].tolist(), episodes.query_x[:, 0].tolist(), strict=True))
    small = {p: c for p, c in pairs.items() if pool.labels[p[0]] == "c0"}
    assert len(small) == 8 * 7


@given(st.integers(1, 30), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_choose_is_a_permutation_when_all_are_taken(size, seed):
    random = np.random.default_rng(seed).random((4, size))
    drawn = choose(random, np.full(4, size))
    assert (np.sort(drawn, axis=1) == np.arange(size)).all()


def test_overlap_is_possible_only_when_asked_for():
    pool = corpus(6, 6)
    clean = EpisodeSampler(pool, n_way=2, k_shot=3, n_query=3).sample(50)
    leaky = EpisodeSampler(pool, n_way=2, k_shot=3, n_query=3, allow_overlap=True).sample(50)
    shared = [
        [bool(set(s.tolist()) & set(q.tolist())) for s, q in zip(e.support_x, e.query_x, strict=True)]
        for e in (clean, leaky)
    ]
    assert not any(shared[0])
    assert any(shared[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_way": 4}, "has 3 classes; use 2 ≤ n_way ≤ 3"),
        ({"n_way": 1}, "use 2 ≤ n_way"),
        ({"n_way": 3, "k_shot": 5, "n_query": 15}, r"1 of 3 classes .* fewer than 20 examples: c1 \(9\)"),
    ],
)
def test_bad_input_names_value_rule_and_way_out(options, message):
    with pytest.raises(ValueError, match=message):
        EpisodeSampler(corpus(30, 9, 40), **options)


@pytest.fixture
def reviews() -> Corpus:
    rows = [(d, y, i) for d in ("alien", "brazil", "casablanca") for y in ("negative", "positive") for i in range(8)]
    rows += [("dumbo", "negative", i) for i in range(3)]
    return Corpus(
        "reviews",
        [f"{d} {y} {i}" for d, y, i in rows],
        [y for _, y, _ in rows],
        domains=[d for d, _, _ in rows],
        ratings=[(1.0 if y == "positive" else -1.0) * (i + 1) for _, y, i in rows],
    )


def test_a_domain_is_a_task_and_labels_keep_their_meaning(reviews):
    sampler = DomainSampler(reviews, k_shot=3, n_query=4, seed=0, skip_small=True)
    episodes = sampler.sample(40)
    assert sampler.domains == ["alien", "brazil", "casablanca"]
    for task in range(40):
        texts = episodes.support_texts(task) + episodes.query_texts(task)
        assert len(set(texts)) == 14
        assert len({t.split()[0] for t in texts}) == 1
        assert episodes.classes[task] == ["negative", "positive"]
    assert len({episodes.support_texts(t)[0].split()[0] for t in range(40)}) == 3


def test_small_domains_are_named(reviews):
    with pytest.raises(ValueError, match=r"1 of 4 domains .*dumbo"):
        DomainSampler(reviews, k_shot=3, n_query=4)
    with pytest.raises(ValueError, match="4 of 4 domains"):
        DomainSampler(reviews, k_shot=8, n_query=4, skip_small=True)
    with pytest.raises(ValueError, match="has no domains"):
        DomainSampler(corpus(9, 9))


def test_regression_targets_are_the_ratings(reviews):
    sampler = RegressionSampler(reviews.only(["negative", "positive"]).subset(range(48)), k_shot=5, n_query=6, seed=1)
    episodes = sampler.sample(10)
    assert episodes.support_y.shape == (10, 5) and episodes.query_y.dtype == torch.float32
    for task in range(10):
        for text, rating in zip(episodes.query_texts(task), episodes.query_y[task].tolist(), strict=True):
            sign = 1 if "positive" in text else -1
            assert rating == sign * (int(text.split()[-1]) + 1)
    with pytest.raises(ValueError, match="has no ratings"):
        RegressionSampler(corpus(9, 9))
    with pytest.raises(ValueError, match=r"dumbo \(3\)"):
        RegressionSampler(reviews, k_shot=2, n_query=2)
