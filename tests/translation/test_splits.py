"""Parts share no English string; a split by language shares all of them."""

from __future__ import annotations

import pytest

from metalearn_lib.corpora import CorpusError
from metalearn_lib.corpora.translations import Parallel
from metalearn_lib.translation import english_key, leaked, split_english, split_languages

STRINGS = [f"{verb} the {thing}" for verb in ("Open", "open", "shut", "sell") for thing in "abcdefghijklmnopqrst"]
SIGNS = Parallel("signs", {code: {english: f"{code} {english}" for english in STRINGS} for code in ("es", "gl", "fi")})


def test_parts_share_no_english_string_whatever_the_case() -> None:
    parts = split_english(SIGNS, (0.6, 0.2, 0.2), seed=3)
    keys = [{english_key(english) for english in part.english} for part in parts]
    assert sum(map(len, keys)) == len(set().union(*keys)) == 60 and sum(map(len, parts)) == len(SIGNS)
    assert [leaked(parts[0], part) for part in parts[1:]] == [0, 0]
    assert 0.4 < len(keys[0]) / 60 < 0.8 and parts[0].name == "signs/part1"


def test_a_string_is_in_the_same_part_of_every_corpus() -> None:
    whole, some = (split_english(each, (0.5, 0.5)) for each in (SIGNS, SIGNS.only(["gl"], english=STRINGS[::3])))
    for part, other in zip(some, whole, strict=True):
        assert set(part.english) <= set(other.english)
    assert split_english(SIGNS, (0.5, 0.5), seed=1)[0].english != whole[0].english


def test_a_split_by_language_leaks() -> None:
    train, test = split_languages(SIGNS, ["gl"])
    assert (train.languages, test.languages, leaked(train, test)) == (["es", "fi"], ["gl"], 1.0)
    with pytest.raises(CorpusError, match="no language is left"):
        split_languages(SIGNS, ["es", "gl", "fi"])
    with pytest.raises(CorpusError, match="no language 'xx'"):
        split_languages(SIGNS, ["xx"])


@pytest.mark.parametrize("fractions", [(), (0.5, 0.6), (1.0, 0.0), (-1, 2)])
def test_fractions_that_are_none(fractions: tuple[float, ...]) -> None:
    with pytest.raises(CorpusError, match="positive fractions"):
        split_english(SIGNS, fractions)


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(CorpusError, match="part 2 of 'signs' is empty"):
        split_english(SIGNS, (0.9999, 0.0001))
