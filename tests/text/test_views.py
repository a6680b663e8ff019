"""A truncated view: the first tokens of each text, in its own characters; everything else as it was."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metalearn_lib import corpora
from metalearn_lib.corpora import Corpus, Details, Relation, Span
from metalearn_lib.encoders import Averaged
from metalearn_lib.text import WordVectors, tokenize, truncated

# What the tokenizer treats in a way of its own, and pieces that only look like it.
PIECES = [
    "it's",
    '"',
    '"Ω',
    "...",
    "<br />",
    '<B"R />',
    "<br",
    "/>",
    " ",
    "\n\t",
    "\x85",
    ";",
    ":",
    "a",
    "İß",
    "(B)",
    "?!",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)


def of(*texts: str, **fields) -> Corpus:
    return Corpus("toy", texts, ["label"] * len(texts), **fields)


@settings(deadline=None, max_examples=300)
@given(text=TEXTS, words=st.integers(1, 6))
@example(text='say "hello" there', words=2)
@example(text="one<br />two three", words=2)
def test_the_first_tokens_are_kept_as_they_were_written(text, words):
    cut = truncated(of(text), words=words).texts[0]
    assert text.startswith(cut)
    if len(tokenize(text)) <= words:
        assert cut == text
    elif "Σ" not in text:  # its lower case depends on what follows
        assert tokenize(cut) == tokenize(text)[:words]
        assert tokenize(cut[:-1]) != tokenize(cut) or cut.endswith('"')  # nothing behind the last token


@settings(deadline=None)
@given(texts=st.lists(TEXTS, max_size=4), words=st.integers(1, 6), more=st.integers(0, 3))
def test_a_view_of_a_longer_view_is_the_view(texts, words, more):
    longer = truncated(of(*texts), words=words + more)
    assert truncated(longer, words=words).texts == truncated(of(*texts), words=words).texts


def test_the_corpus_is_left_alone_and_all_else_is_the_same():
    corpus = Corpus(
        "toy", ["A b c", "d"], ["x", "y"], domains=["p", "q"], ratings=[1, 2], official=["train", "test"],
        annotations=[(Span(0, 1, "city"),), Details({"title": "T"})], published={"s": {"train": ["x"]}},
        licence="CC0", citation="Me", split_sizes=(1, 1, 0),
    )  # fmt: skip
    before = corpus.identity
    view = truncated(corpus, words=2)
    assert (view.name, list(view.texts)) == ("toy, 2 words", ["A b", "d"]) and view.texts[1] is corpus.texts[1]
    assert replace(view, texts=corpus.texts).identity == before == replace(corpus).identity != view.identity
    for name in ("published", "licence", "citation", "split_sizes"):
        assert getattr(view, name) == getattr(corpus, name)
    assert truncated(corpus, words=1).name == "toy, 1 word"


def test_a_view_is_made_once_and_goes_with_its_corpus():
    corpus = of("a b c")
    view = truncated(corpus, words=2)
    assert truncated(corpus, words=2) is view is not truncated(corpus, words=1)
    assert truncated(of("a b c"), words=2) is not view
    gone = weakref.ref(view)
    del corpus, view
    gc.collect()
    assert gone() is None


def test_an_encoder_prepares_a_view_once():
    corpus, vectors = of("a b", "b a"), WordVectors.from_array(["a", "b"], np.eye(2))
    encoder = Averaged(vectors)
    first = encoder.inputs(truncated(corpus, words=1))
    assert encoder.inputs(truncated(corpus, words=1)) is first
    assert encoder.embed(truncated(corpus, words=1)).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("words", [0, -1, 2.5, True, "3", None])
def test_a_view_has_at_least_one_word(words):
    with pytest.raises(ValueError, match=r"truncated\(words=.*whole number ≥ 1"):
        truncated(of("a b"), words=words)


def test_a_marked_place_is_not_cut_off():
    text = "from Bern to Rome today"
    for annotation in ((Span(5, 9, "city"), Span(13, 17, "city")), Relation(Span(5, 9), Span(13, 17), "way")):
        corpus = of("short", text, annotations=[Details({}), annotation])
        assert truncated(corpus, words=4).annotations == corpus.annotations
        for _ in range(2):
            with pytest.raises(
                ValueError, match=r"text 1 of 'toy' has marks behind its first 3 words.*annotations=None"
            ):
                truncated(corpus, words=3)


def test_real_texts():
    corpus = corpora.load("newsgroups").at_most(5)
    view = truncated(corpus, words=50)
    assert view.identity != corpus.identity and view.classes == corpus.classes
    for cut, text in zip(view.texts, corpus.texts, strict=True):
        assert text.startswith(cut) and tokenize(cut) == tokenize(text)[:50]
