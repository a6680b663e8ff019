"""Marks: what was marked is found again, at its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib.corpora import Span
from metalearn_lib.tagging import mark, marked, unmark


@given(st.text("ab é日", min_size=2, max_size=20), st.data())
def test_marks_are_read_as_they_were_written(text, data):
    spans = []
    for _ in range(data.draw(st.integers(1, 2))):
        start = data.draw(st.integers(0, len(text) - 1))
        spans.append(Span(start, data.draw(st.integers(start + 1, len(text)))))
    written = mark(text, spans)
    assert unmark(written) == (text, [(span.start, span.end) for span in spans])
    assert marked(written) == spans[0].cut(text)


@pytest.mark.parametrize(
    ("text", "spans", "message"),
    [
        ("ab", [], "0 spans"),
        ("ab", [Span(0, 1)] * 3, "3 spans"),
        ("ab", [Span(1, 3)], "ends outside its text of 2"),
        ("a⟧b", [Span(0, 1)], "holds one of the signs"),
    ],
)
def test_what_cannot_be_marked_is_refused(text, spans, message):
    with pytest.raises(ValueError, match=message):
        mark(text, spans)


@pytest.mark.parametrize("text", ["", "plain", "⟦open", "shut⟧", "⟦⟧empty", "only the ⟪second⟫", "⟧wrong⟦", "⟦a⟧ ⟪b"])
def test_a_text_without_a_marked_place_is_refused(text):
    with pytest.raises(ValueError, match="no place is marked"):
        unmark(text)
