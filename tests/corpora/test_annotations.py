"""Spans, relations and roles: half-open stretches of characters, inside their texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib.corpora import Corpus, CorpusError, Details, PredicateRoles, Relation, Span
from metalearn_lib.corpora.annotations import spans


@given(st.text(min_size=1, max_size=30), st.data())
def test_a_span_cuts_out_what_lies_between_its_ends(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert text[:start] + Span(start, end).cut(text) + text[end:] == text


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 2)])
def test_a_span_that_marks_nothing_is_refused(start, end):
    with pytest.raises(CorpusError, match=rf"Span\({start}, {end}, 'x'\).*0 ≤ start < end"):
        Span(start, end, "x")


def test_every_kind_names_its_spans():
    head, tail, again = Span(0, 1, "Q1"), Span(2, 3, "Q2"), Span(4, 5, "Q1")
    assert list(spans(Relation(head, tail, "P26", (again,)))) == [head, tail, again]
    assert list(spans((head, tail))) == [head, tail]
    assert list(spans((PredicateRoles(head, (tail,)), PredicateRoles(again)))) == [head, tail, again]
    assert list(spans(())) == list(spans(Details({"title": "T"}))) == []


@pytest.mark.parametrize("wrong", [None, {"slots": []}, "text", [Span(0, 1)], (Span(0, 1), "x")])
def test_what_is_no_annotation_is_refused(wrong):
    with pytest.raises(CorpusError, match="an annotation is a tuple of Span, a Relation"):
        list(spans(wrong))


def test_annotations_go_with_their_texts():
    texts = ["from the AP comes this story", "she works for the AP"]
    roles = (PredicateRoles(Span(12, 17, "come.03"), (Span(9, 11, "ARG2"), Span(23, 28, "ARG1"))),)
    corpus = Corpus("two", texts, ["x", "y"], annotations=[roles, Relation(Span(0, 3), Span(18, 20), "employer")])
    second, first = corpus.subset([1, 0]).annotations
    assert first[0].predicate.cut(texts[0]) == "comes"
    assert [argument.cut(texts[0]) for argument in first[0].arguments] == ["AP", "story"]
    assert (second.head.cut(texts[1]), second.tail.cut(texts[1])) == ("she", "AP")
    assert corpus.only("y").annotations == [second]
