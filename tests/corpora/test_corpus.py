"""Subsets and splits: disjoint, complete, seeded, and refused with a reason where they cannot be made; identity."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib.corpora import Corpus, CorpusError, Details, Span
from metalearn_lib.episodes import guards

NAMES = st.text("abcxyz.é ", min_size=1, max_size=6)


def _corpus(classes=10, each=4, **fields):
    labels = [f"c{k:02}" for k in range(classes) for _ in range(each)]
    return Corpus("toy", [f"text {i}" for i in range(len(labels))], labels, **fields)


@st.composite
def corpora_with_classes(draw, least=3):
    classes = draw(st.lists(NAMES, min_size=least, max_size=25, unique=True))
    labels = [label for label in classes for _ in range(draw(st.integers(1, 4)))]
    return Corpus("drawn", [f"text {i}" for i in range(len(labels))], labels)


@given(corpora_with_classes(), st.integers(0, 2**32))
def test_random_class_splits_are_disjoint_complete_and_seeded(corpus, seed):
    parts = corpus.split_classes(seed=seed)
    assert not guards.same_class_in_two_splits(*parts)
    assert sorted(label for part in parts for label in part.classes) == corpus.classes
    assert sum(map(len, parts)) == len(corpus)
    assert [part.texts for part in parts] == [part.texts for part in corpus.split_classes(seed=seed)]
    assert [part.name for part in parts] == ["drawn/train", "drawn/valid", "drawn/test"]


@given(corpora_with_classes(), st.data())
def test_class_splits_have_the_sizes_asked_for(corpus, data):
    n = len(corpus.classes)
    train = data.draw(st.integers(1, n - 2))
    valid = data.draw(st.integers(1, n - train - 1))
    test = data.draw(st.integers(1, n - train - valid))
    parts = corpus.split_classes(sizes=(train, valid, test), seed=data.draw(st.integers(0, 99)))
    assert [len(part.classes) for part in parts] == [train, valid, test]
    assert not guards.same_class_in_two_splits(*parts)


@given(corpora_with_classes(), st.integers(0, 1000))
def test_a_split_does_not_depend_on_the_order_of_the_texts(corpus, seed):
    turned = corpus.subset(reversed(range(len(corpus))))
    assert [p.classes for p in turned.split_classes(seed=seed)] == [p.classes for p in corpus.split_classes(seed=seed)]


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), max_size=60), st.integers(0, 99))
def test_text_splits_are_disjoint_and_complete_even_with_copies(rows, seed):
    corpus = Corpus("drawn", [text for text, _ in rows], [label for _, label in rows])
    parts = corpus.split_texts([0.5, 0.25, 0.25], seed=seed)
    assert sorted(text for part in parts for text in part.texts) == sorted(corpus.texts)
    assert not guards.same_text_in_two_splits(*parts)


def test_text_splits_are_stratified_in_fractions_that_add_up():
    parts = _corpus(classes=3, each=40).split_texts([0.8, 0.2], seed=3)
    assert [set(part.counts().values()) for part in parts] == [{32}, {8}]
    for fractions in ([], [0.5, 0.4], [1.5, -0.5], [0.5, 0.6]):
        with pytest.raises(CorpusError, match=r"add up to 1"):
            _corpus().split_texts(fractions)


def test_another_seed_gives_another_split():
    corpus = _corpus(classes=20)
    assert len({tuple(corpus.split_classes(seed=seed)[2].classes) for seed in range(20)}) > 15


def test_the_published_split_is_the_default():
    published = {
        "01": {"train": ["c00", "c01"], "valid": ["c02"], "test": ["c03"]},
        "02": {"train": ["c03"], "valid": ["c02"], "test": ["c00"]},
    }
    corpus = _corpus(classes=4, published=published)
    assert [part.classes for part in corpus.split_classes()] == [["c00", "c01"], ["c02"], ["c03"]]
    assert [part.classes for part in corpus.split_classes("02")] == [["c03"], ["c02"], ["c00"]]
    assert [len(part.classes) for part in corpus.split_classes(seed=5)] == [2, 1, 1]
    with pytest.raises(CorpusError, match=r"'03'.*'01', '02'"):
        corpus.split_classes("03")
    smaller = corpus.only(["c00", "c02", "c03"])
    assert smaller.split_classes()[0].classes == ["c00"]
    with pytest.raises(CorpusError, match=r"no class is left for 'valid'"):
        corpus.only(["c00", "c03"]).split_classes()


def test_usual_sizes_hold_as_long_as_all_classes_are_there():
    corpus = _corpus(classes=46, split_sizes=(26, 8, 12))
    assert [len(part.classes) for part in corpus.split_classes()] == [26, 8, 12]
    assert [len(part.classes) for part in corpus.split_classes(seed=2)] == [26, 8, 12]
    assert [len(part.classes) for part in corpus.only(corpus.classes[:10]).split_classes()] == [6, 2, 2]


def test_classes_may_be_listed():
    lists = {"train": ["c00", "c03"], "valid": iter(["c01"]), "test": ("c02",)}
    parts = _corpus(classes=5).split_classes(labels=lists)
    assert [part.classes for part in parts] == [["c00", "c03"], ["c01"], ["c02"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": (5, 5, 5)}, "10 classes"),
        ({"sizes": (5, 0, 5)}, "three sizes"),
        ({"sizes": (5, 5)}, "three sizes"),
        ({"split": "01"}, "no published split '01'; it has none"),
        ({"seed": 1, "labels": {"train": ["c0"], "valid": ["c1"], "test": ["c2"]}}, "one of"),
        ({"labels": {"train": ["c00"], "valid": ["c01"]}}, "give 'train', 'valid' and 'test'"),
        ({"labels": {"train": ["c00"], "valid": ["c01"], "test": ["c99"]}}, "no such class: 'c99'"),
        ({"labels": {"train": ["c00"], "valid": ["c01"], "test": ["c00"]}}, "'c00' is in 'train' and 'test'"),
        ({"labels": {"train": ["c00"], "valid": [], "test": ["c02"]}}, "no class is left for 'valid'"),
    ],
)
def test_impossible_splits_are_refused_with_the_reason(options, message):
    with pytest.raises(CorpusError, match=message):
        _corpus().split_classes(**options)
    with pytest.raises(CorpusError, match="2 classes"):
        _corpus(classes=2).split_classes()


def test_domains_are_split_like_classes():
    corpus = Corpus("films", list("abcdefghij"), ["x", "y"] * 5, domains=[f"d{i // 2}" for i in range(10)])
    parts = corpus.split_domains(sizes=(3, 1, 1), seed=1)
    seen = [set(part.domains) for part in parts]
    assert [len(domains) for domains in seen] == [3, 1, 1] and len(set.union(*seen)) == 5
    with pytest.raises(CorpusError, match=r"no domains"):
        _corpus().split_domains()


FULL = Corpus(
    "films", ["a", "b", "c"], ["x", "y", "x"], domains=["p", "q", "p"], ratings=[1.0, -1.0, 0.5],
    annotations=[(Span(0, 1, "s"),), (), ()], official=["train", "test", "valid"], licence="L", citation="C",
)  # fmt: skip


def test_subset_takes_every_field_along():
    part = FULL.subset([2, 0], "part")
    assert (part.name, part.texts, part.labels, part.domains) == ("part", ["c", "a"], ["x", "x"], ["p", "p"])
    assert (part.ratings, part.official) == ([0.5, 1.0], ["valid", "train"])
    assert part.annotations == [(), (Span(0, 1, "s"),)]
    assert (part.licence, part.citation) == ("L", "C")
    none = FULL.subset([])
    assert len(none) == 0
    for corpus, outside in ((FULL, 3), (FULL, -1), (none, 0)):
        with pytest.raises(CorpusError, match=rf"index {outside} is outside"):
            corpus.subset([outside])


def test_only_by_label_and_domain():
    corpus = Corpus("all", ["a", "b", "c"], ["x", "y", "x"], domains=["p", "p", "q"])
    assert corpus.only("x").texts == ["a", "c"]
    assert corpus.only(["x"], domains="q").texts == ["c"]
    assert corpus.only(domains=["p"]).texts == ["a", "b"]
    with pytest.raises(CorpusError, match=r"no class 'z'; it has 'x', 'y'"):
        corpus.only(["x", "z"])
    with pytest.raises(CorpusError, match=r"no domain 'r'"):
        corpus.only(domains="r")


def test_sizes():
    corpus = Corpus("sizes", list("abcdef"), ["x"] * 4 + ["y", "z"])
    assert corpus.counts() == {"x": 4, "y": 1, "z": 1} and corpus.classes == ["x", "y", "z"]
    assert corpus.min_size(2).classes == ["x"] and len(corpus.min_size(5)) == 0
    assert corpus.at_most(2, seed=1).counts() == {"x": 2, "y": 1, "z": 1}
    assert corpus.at_most(2, seed=1).texts == corpus.at_most(2, seed=1).texts
    with pytest.raises(CorpusError):
        corpus.at_most(0)


def test_small_domains_are_left_out():
    corpus = Corpus("d", list("abcde"), ["x", "y", "x", "x", "y"], domains=["p", "p", "q", "p", "r"])
    assert corpus.min_domain(1).texts == ["a", "b", "d"] and len(corpus.min_domain(2)) == 0


def test_texts_are_cut_by_words():
    corpus = Corpus("long", ["one  two\tthree", "one", ""], ["x", "y", "z"]).truncated(2)
    assert corpus.texts == ["one two", "one", ""]
    with pytest.raises(CorpusError):
        corpus.truncated(0)


def test_texts_with_marked_places_are_not_cut():
    marked = Corpus("m", ["to  Bern now"], ["x"], annotations=[(Span(4, 8, "city"),)])
    with pytest.raises(CorpusError, match=r"annotations of 'm' mark places.*annotations=None"):
        marked.truncated(2)
    told = Corpus("m", ["to  Bern now"], ["x"], annotations=[Details({"title": "T"})])
    assert told.truncated(2).annotations == told.annotations


def test_copies_are_dropped():
    corpus = Corpus("copies", ["A b", "a  B", "c"], ["x", "y", "z"])
    assert corpus.without_duplicates().texts == ["A b", "c"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"texts": ["a"], "labels": ["x", "y"]}, "2 labels for 1 texts"),
        ({"texts": "ab", "labels": ["x", "y"]}, "texts is one string"),
        ({"texts": ["a", None], "labels": ["x", "y"]}, "found None"),
        ({"texts": ["a", "b"], "labels": ["x", 3]}, "found 3"),
        ({"texts": ["a"], "labels": ["x"], "domains": []}, "0 domains"),
        ({"texts": ["ab"], "labels": ["x"], "annotations": [(Span(1, 3),)]}, "outside its text of 2 characters: 'ab'"),
        (
            {"texts": ["ab"], "labels": ["x"], "annotations": [{"slots": []}]},
            "an annotation is a tuple of Span, .* not",
        ),
    ],
)
def test_a_corpus_that_does_not_fit_together_is_refused(fields, message):
    with pytest.raises(CorpusError, match=message):
        Corpus("bad", **fields)


def test_a_corpus_is_itself_and_nothing_else():
    one, other = _corpus(), _corpus()
    assert one != other and len({one, other}) == 2
    assert repr(one) == "Corpus('toy': 40 texts, 10 classes)"


@pytest.mark.parametrize(
    "change",
    [
        {"texts": ["a", "c", "c"]},
        {"labels": ["x", "x", "x"]},
        {"domains": ["p", "p", "p"]},
        {"domains": None},
        {"ratings": [1.0, -1.5, 0.5]},
        {"annotations": [(Span(0, 1, "t"),), (), ()]},
        {"annotations": [Details({"a": "b"}), (), ()]},
        {"official": ["train", "train", "valid"]},
    ],
)
def test_every_field_counts(change):
    assert replace(FULL, **change).identity != FULL.identity


def test_name_licence_and_kind_of_sequence_do_not_count():
    ratings = np.array(FULL.ratings, np.float32)
    same = replace(FULL, name="other", licence="CC0", texts=tuple(FULL.texts), ratings=ratings)
    assert same.identity == FULL.identity == FULL.subset([0, 1, 2]).identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((["a\0b", "c"], ["x", "y"]), (["a", "b\0c"], ["x", "y"])),
        ((['a", "b', "c"], ["x", "y"]), (["a", 'b", "c'], ["x", "y"])),
        ((["a", "b"], ["b", "a"]), (["a", "b"], ["a", "b"])),
    ],
)
def test_a_separator_inside_a_text_is_no_separator(one, other):
    assert Corpus("c", *one).identity != Corpus("c", *other).identity


def test_half_a_surrogate_pair_is_a_text_like_any_other():
    from metalearn_lib import EpisodeSampler, TfidfCentroid, evaluate
    from metalearn_lib.classification import accuracy

    labels = list("aaaabbbb")
    tweets = Corpus("tweets", [f"cut tweet \ud83d {label} {i}" for i, label in enumerate(labels)], labels)
    sampler = EpisodeSampler(tweets, n_way=2, k_shot=1, n_query=1)
    assert evaluate(TfidfCentroid(tweets), sampler, episodes=3).key is not None
    assert accuracy(tweets.labels, tweets).mean == 1


def test_another_process_agrees():
    corpus = "Corpus('c', ['ä', '\\ud800'], ['x', 'y'], ratings=[.1, 1])"
    code = f"from metalearn_lib.corpora import Corpus; print({corpus}.identity)"
    told = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
    assert told == Corpus("other", ["ä", "\ud800"], ["x", "y"], ratings=[0.1, 1]).identity
