"""Episodes of several shots in turn: the same whatever the batch, and a key that names all they depend on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib.choosing import AnyShots
from metalearn_lib.corpora import Corpus
from metalearn_lib.evaluation import evaluate
from metalearn_lib.learners import TfidfCentroid

WORDS = ("sun", "song", "bank", "soup", "bus")
CORPUS = Corpus(
    "toy", [f"{w} {w}{i} word{i % 7}" for w in WORDS for i in range(12)], [w for w in WORDS for _ in range(12)]
)


def sampler(**options: object) -> AnyShots:
    return AnyShots(CORPUS, **{"block": 6, "n_way": 5, "n_query": 4, "seed": 0} | options)  # type: ignore[arg-type]


def test_shots_take_turns_and_there_are_as_many_classes_as_the_corpus_has() -> None:
    drawn = [sampler(n_way=15).sample(2, first=first) for first in (0, 4, 6, 24, 30)]
    assert [(e.n_way, e.k_shot) for e in drawn] == [(5, 1), (5, 1), (5, 2), (5, 5), (5, 1)]


@given(st.integers(0, 70), st.sampled_from([1, 2, 3, 6]))
def test_an_episode_is_the_same_in_every_batch(number: int, batch: int) -> None:
    alone = sampler().sample(1, first=number)
    place = number % batch
    together = sampler().sample(batch, first=number - place)
    assert alone.k_shot == together.k_shot
    assert torch.equal(alone.support_x[0], together.support_x[place])
    assert torch.equal(alone.query_x[0], together.query_x[place])


def test_scores_of_different_batches_are_the_same_so_that_their_pairing_is_true() -> None:
    learner = TfidfCentroid(CORPUS)
    one, two = (evaluate(learner, sampler(), episodes=24, batch=batch) for batch in (6, 2))
    assert one.values.tolist() == two.values.tolist()
    assert (one > two).paired


def test_a_batch_with_different_shots_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"episodes 4 … 7 have different shots.*batches that divide 6"):
        sampler().sample(4, first=4)


@pytest.mark.parametrize("wrong", [{"block": 0}, {"shots": ()}])
def test_nothing_to_draw_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"need block ≥ 1 and a number of shots"):
        sampler(**wrong)


@pytest.mark.parametrize("other", [{"block": 3}, {"shots": (1, 5)}, {"seed": 1}, {"n_way": 4}, {"n_query": 3}])
def test_whatever_draws_other_episodes_has_another_key(other: dict[str, object]) -> None:
    assert sampler(**other).key != sampler().key
