"""The floors: what each looks up, and what it does with the unknown."""

from __future__ import annotations

import pytest

from metalearn_lib.corpora.translations import Pair
from metalearn_lib.translation import Copy, TranslationMemory, WordTable, chrf, score

PAIRS = [
    Pair("save changes", "guardar cambios", "gardar cambios"),
    Pair("save the page", "guardar la página", "gardar a páxina"),
    Pair("the page", "la página", "a páxina"),
    Pair("no such user", "no existe", "non existe ese usuario"),
]


def test_the_word_table_votes_by_position_and_copies_the_rest() -> None:
    table = WordTable([*PAIRS, Pair("", "la", "á")])
    assert table.translate(["guardar la página, existe; no-op", ""]) == ["gardar a páxina, existe; no-op", ""]
    assert WordTable(PAIRS, least=3).words == {}
    assert WordTable([Pair("", "l'home", "o home")]).translate(["l'home"]) == ["l'home"]  # one word, and two
    assert WordTable([Pair("", "יציאה", "خروج")]).translate(["יציאה!"]) == ["خروج!"]


def test_the_memory_answers_with_the_nearest_pair() -> None:
    memory = TranslationMemory(PAIRS)
    assert memory.translate(["guardar cambio", "las páginas", "漢字"]) == ["gardar cambios", "a páxina", "漢字"]
    assert memory.translate([]) == [] and memory.name == "memory of 4 pairs"
    assert [memory.translate([pair.source])[0] for pair in PAIRS] == [pair.target for pair in PAIRS]
    assert memory.translate(["la página"] * 300) == ["a páxina"] * 300


def test_a_score_is_the_mean_of_chrf_and_compares_in_pairs() -> None:
    copied, looked_up = score(Copy(), PAIRS), score(WordTable(PAIRS), PAIRS)
    assert copied.mean == pytest.approx(sum(chrf(pair.source, pair.target) for pair in PAIRS) / 4)
    assert (copied.name, copied.over, copied.share) == ("copy", "texts", True)
    assert looked_up.minus(copied).paired and looked_up.key == copied.key
    assert score(Copy(), PAIRS[:3]).key != copied.key


@pytest.mark.parametrize("floor", [WordTable, TranslationMemory])
def test_without_pairs_there_is_nothing_to_look_up(floor: type) -> None:
    with pytest.raises(ValueError, match=f"{floor.__name__}: there are no pairs"):
        floor([])


def test_a_translator_that_loses_a_text_is_refused() -> None:
    class Lossy(Copy):
        def translate(self, texts: object) -> list[str]:
            return ["one"]

    with pytest.raises(ValueError, match="copy gave 1 translations of 4 texts"):
        score(Lossy(), PAIRS)
