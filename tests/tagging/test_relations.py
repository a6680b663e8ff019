"""Views of relations: what each of them lets a learner see; names of the course's set decide nothing."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from metalearn_lib import corpora
from metalearn_lib.corpora import Corpus, CorpusError, Details, Relation, Span, annotated
from metalearn_lib.encoders import Averaged, Transformer
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.evaluation import evaluate
from metalearn_lib.learners import Centroid, TfidfCentroid
from metalearn_lib.tagging import MarkedStates, relation_view

RIVER = Corpus(
    "river", ["the river Po crosses Turin , the Po"], ["crosses"],
    annotations=[Relation(Span(4, 12, "Q1"), Span(21, 26, "Q2"), "P177", (Span(33, 35, "Q1"),))],
)  # fmt: skip


def test_the_four_views():
    assert {view: relation_view(RIVER, view).texts[0] for view in ("sentence", "names", "masked", "marked")} == {
        "sentence": "the river Po crosses Turin , the Po",
        "names": "river Po ; Turin",
        "masked": "the X crosses Y , the X",
        "marked": "the ⟦river Po⟧ crosses ⟪Turin⟫ , the Po",
    }
    view = relation_view(RIVER, "masked")
    assert (view.labels, view.name, view.annotations) == (["crosses"], "river, masked", None)
    assert RIVER.texts[0].startswith("the river")


def test_mentions_that_overlap_are_masked_once():
    further = (Span(10, 12, "Q1"), Span(13, 26, "Q2"))
    inside = replace(RIVER, annotations=[replace(RIVER.annotations[0], further=further)])
    assert relation_view(inside, "masked").texts[0] == "the river X crosses Y , the Po"


@pytest.mark.parametrize(
    ("annotations", "view", "message"),
    [
        ([(Span(0, 3, "x"),)], "names", "marks tuple, not relations"),
        ([Details({})], "names", "marks Details, not relations"),
        (None, "names", "has no annotations"),
        ([Relation(Span(4, 12), Span(10, 12), "r")], "masked", "head and tail overlap in 'the river"),
        (RIVER.annotations, "entities", "use 'sentence', 'names', 'masked' or 'marked'"),
    ],
)
def test_what_has_no_such_view_is_refused(annotations, view, message):
    with pytest.raises(ValueError, match=message):
        relation_view(replace(RIVER, annotations=annotations), view)
    assert issubclass(CorpusError, ValueError)


def test_names_alone_decide_nothing_in_the_courses_relations():
    corpus = annotated.load("course_relations")
    sampler = {view: EpisodeSampler(relation_view(corpus, view), k_shot=5, seed=1) for view in ("names", "masked")}
    floors = {
        "tf-idf": {v: TfidfCentroid(relation_view(corpus, v)) for v in sampler},
        "GloVe": {v: Centroid(Averaged("glove")) for v in sampler},
    }
    for learners in floors.values():
        names, masked = (evaluate(learners[v], sampler[v], episodes=200) for v in ("names", "masked"))
        assert masked.beats(names, by=0.08)
        assert (
            names.mean < 0.45
        )  # chance is 0.2; which kinds of names (persons, firms, places) a relation has, they tell


@pytest.mark.mirror
def test_fewrels_heads_and_tails_do_not_overlap():
    mirror = os.environ.get("METALEARN_MIRROR", "")
    if not corpora.is_present("fewrel") and not Path(mirror, "fewrel", "val_wiki.json").is_file():
        pytest.skip(f"fewrel is neither in the cache nor in METALEARN_MIRROR={mirror}; metalearn data fetch fewrel")
    corpus = annotated.load("fewrel")
    view = relation_view(corpus, "marked")
    assert len(view) == 14_700 and view.domains == corpus.domains
    assert all("⟦" in text and "⟪" in text for text in view.texts)


def test_the_states_of_head_and_tail_are_a_view_of_two_marks():
    encoder = MarkedStates(Transformer("minilm", cache=False, progress=False), marks=2, sentence=True)
    assert encoder.embed(relation_view(RIVER, "marked")).shape == (1, 3 * 384)
