"""Every guard finds the leak it is for, names it, and is silent where there is none."""

from __future__ import annotations

import pytest
import torch

from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes import Episodes, EpisodeSampler, guards

TRAIN = Corpus("train", ["a cat", "a dog", "a bird"], ["x", "x", "y"])
VALID = Corpus("valid", ["a fish"], ["v"])
TEST = Corpus("test", ["A  Dog", "a cow"], ["z", "y"])


def test_the_same_text_in_two_splits_is_found_and_named():
    leak = guards.same_text_in_two_splits(TRAIN, VALID, TEST)
    assert leak and leak.count == 1
    assert repr(leak) == ("LEAK (the same text in two splits): 1, for example 'a dog' in train (x) and test (z)")
    assert not guards.same_text_in_two_splits(TRAIN, VALID)
    assert repr(guards.same_text_in_two_splits(TRAIN)) == "no leak (the same text in two splits)"


def test_the_same_class_in_two_splits_is_found_and_named():
    leak = guards.same_class_in_two_splits(TRAIN, VALID, TEST)
    assert leak.count == 1 and leak.examples == ("'y' in train and test",)
    assert not guards.same_class_in_two_splits(TRAIN, VALID)


def test_repeated_texts_tell_contradictions_apart():
    corpus = Corpus("c", ["a", "A", "b", "b", "c"], ["x", "x", "x", "y", "x"])
    leak = guards.repeated_texts(corpus)
    assert leak.count == 2 and dict(leak.kinds) == {"same label": 1, "different labels": 1}
    assert not guards.repeated_texts(corpus.without_duplicates())


def test_check_disjoint_raises_with_everything_it_found():
    guards.check_disjoint(TRAIN, VALID, Corpus("test", ["new"], ["z"]))
    with pytest.raises(guards.LeakageError, match=r"(?s)'y' in train and test.*'a dog'"):
        guards.check_disjoint(TRAIN, VALID, TEST)
    copied = Corpus("test", ["a cat"], ["z"])
    guards.check_disjoint(TRAIN, VALID, copied, texts=False)
    with pytest.raises(guards.LeakageError, match=r"without_duplicates"):
        guards.check_disjoint(TRAIN, VALID, copied)


def _episodes(support, query, pool=None):
    support, query = torch.tensor(support), torch.tensor(query)
    labels = torch.tensor([[0, 1]] * len(support))
    return Episodes(support, labels, query, labels, n_way=2, k_shot=1, pool=pool)


def test_support_and_query_by_example_and_by_text():
    pool = Corpus("pool", ["a", "b", "A", "c", "d"], list("xyxyx"))
    assert not guards.support_query_overlap(_episodes([[0, 1]], [[4, 3]], pool))
    leak = guards.support_query_overlap(_episodes([[0, 1]], [[2, 1]], pool))
    assert leak.count == 2 and dict(leak.kinds) == {"same example": 1, "same text": 1}
    assert "query 0 of task 0: 'A'" in repr(leak)


def test_overlap_counts_within_a_task_only():
    pool = Corpus("pool", list("abcd"), list("xyxy"))
    assert not guards.support_query_overlap(_episodes([[0, 1], [2, 3]], [[2, 3], [0, 1]], pool))


def test_episodes_made_of_tensors_are_compared_by_value_and_have_no_names():
    same = _episodes([[[0.0, 1.0], [2.0, 3.0]]], [[[2.0, 3.0], [0.0, 1.0]]])
    assert guards.support_query_overlap(same).count == 2
    assert not guards.support_query_overlap(_episodes([[[0.0, 1.0], [2.0, 3.0]]], [[[9.0, 1.0], [2.0, 9.0]]]))
    with pytest.raises(ValueError, match="made from tensors"):
        same.support_texts()


def test_the_sampler_passes_and_the_common_mistake_is_caught():
    pool = Corpus("pool", [f"text {i}" for i in range(40)], [f"c{i % 4}" for i in range(40)])
    proper = EpisodeSampler(pool, n_way=3, k_shot=2, n_query=4, seed=1)
    mistaken = EpisodeSampler(pool, n_way=3, k_shot=2, n_query=4, seed=1, allow_overlap=True)
    assert not guards.support_query_overlap(proper.sample(50))
    assert guards.support_query_overlap(mistaken.sample(50)).kinds["same example"] > 50


def test_long_texts_are_shortened_in_reports():
    long = "word " * 100
    leak = guards.same_text_in_two_splits(Corpus("a", [long], ["x"]), Corpus("b", [long], ["y"]))
    assert len(repr(leak)) < 200 and "…" in repr(leak)
