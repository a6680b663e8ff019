"""Who a corpus is: all that is known of each text, the same in every process."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from metalearn_lib.corpora import Corpus, Details, Span

FULL = Corpus(
    "films", ["a", "b"], ["x", "y"], domains=["d", "e"], ratings=[1.0, 2.0], annotations=[(Span(0, 1),), ()],
    official=["train", "test"],
)  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"texts": ["a", "c"]},
        {"labels": ["x", "x"]},
        {"domains": ["d", "d"]},
        {"domains": None},
        {"ratings": [1.0, 2.5]},
        {"annotations": [(Span(0, 1, "x"),), ()]},
        {"annotations": [Details({"a": "b"}), ()]},
        {"official": ["train", "train"]},
    ],
)
def test_every_field_counts(change: dict[str, object]) -> None:
    assert replace(FULL, **change).identity != FULL.identity  # type: ignore[arg-type]


def test_name_licence_and_kind_of_sequence_do_not_count() -> None:
    same = replace(FULL, name="other", licence="CC0", texts=("a", "b"), ratings=np.array([1, 2], np.float32))
    assert same.identity == FULL.identity == FULL.subset([0, 1]).identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((["a\0b", "c"], ["x", "y"]), (["a", "b\0c"], ["x", "y"])),
        ((['a", "b', "c"], ["x", "y"]), (["a", 'b", "c'], ["x", "y"])),
        ((["a", "b"], ["b", "a"]), (["a", "b"], ["a", "b"])),
    ],
)
def test_a_separator_inside_a_text_is_no_separator(one: tuple[list[str], ...], other: tuple[list[str], ...]) -> None:
    assert Corpus("c", *one).identity != Corpus("c", *other).identity


def test_half_a_surrogate_pair_is_a_text_like_any_other() -> None:
    from metalearn_lib import EpisodeSampler, TfidfCentroid, evaluate
    from metalearn_lib.classification import accuracy

    labels = list("aaaabbbb")
    tweets = Corpus("tweets", [f"cut tweet \ud83d {label} {i}" for i, label in enumerate(labels)], labels)
    sampler = EpisodeSampler(tweets, n_way=2, k_shot=1, n_query=1)
    assert evaluate(TfidfCentroid(tweets), sampler, episodes=3).key is not None
    assert accuracy(tweets.labels, tweets).mean == 1


def test_another_process_agrees() -> None:
    corpus = "Corpus('c', ['ä', '\\ud800'], ['x', 'y'], ratings=[.1, 1])"
    code = f"from metalearn_lib.corpora import Corpus; print({corpus}.identity)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert told == Corpus("other", ["ä", "\ud800"], ["x", "y"], ratings=[0.1, 1]).identity
