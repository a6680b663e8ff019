"""One corpus known, another tested: which classes and texts are where, and that the corpora are as the notes say."""

from __future__ import annotations

import pytest

from metalearn_lib import corpora
from metalearn_lib.choosing import FLOORS, across
from metalearn_lib.choosing.bench import Bench
from metalearn_lib.corpora import Corpus, same_text_key
from metalearn_lib.encoders import Averaged
from metalearn_lib.text import WordVectors


def test_no_text_of_the_test_is_known_and_every_known_class_trains_or_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    split = {"01": {"train": ["a"], "valid": ["b"], "test": ["c"]}}
    known = Corpus("clinc150", ["one", "Two  words", "three", "four"], ["a", "a", "b", "c"], published=split)
    test = Corpus("hwu64", ["two words", "five"], ["x", "y"])
    monkeypatch.setattr(across.corpora, "load", {"clinc150": known, "hwu64": test}.__getitem__)
    train, valid, tested = across.ACROSS["clinc150→hwu64"].parts("clinc150→hwu64", "01")
    assert (train.texts, train.classes, valid.classes) == (["one", "four"], ["a", "c"], ["b"])
    assert tested is test


@pytest.mark.mirror
@pytest.mark.parametrize("name", list(across.ACROSS))
def test_the_notes_count_the_texts_that_stand_in_both(name: str) -> None:
    source = across.ACROSS[name]
    if not all(corpora.is_present(part) for part in (across.KNOWN, source.tested_on)):
        pytest.skip("needs CLINC150 and the corpus it is tested on: METALEARN_MIRROR or network")
    train, valid, test = source.parts(name, "01")
    known = {same_text_key(text) for text in (*train.texts, *valid.texts)}
    assert known.isdisjoint(map(same_text_key, test.texts))
    assert len(corpora.load(across.KNOWN)) - len(train) - len(valid) == source.in_both
    assert f"{source.in_both} texts" in source.remark and "banking domain" in source.remark
    assert (len(train.classes), len(valid.classes)) == (100, 50)
    assert min(test.counts().values()) >= across.SHAPE.queries + max(across.SHAPE.shots)


def test_every_learner_is_a_recipe_with_the_floors_first(words: WordVectors, texts: Corpus) -> None:
    assert tuple(across.LEARNERS)[:2] == FLOORS
    bench = Bench(texts, None, Averaged(words), quick=True)
    own = ("MiniLM centred", "MiniLM, logistic regression")
    assert [across.LEARNERS[name](bench).name for name in own] == ["encoder, centred", "logistic regression"]
