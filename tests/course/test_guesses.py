"""A reader's guess beside what was measured."""

from __future__ import annotations

import pytest

from metalearn_lib.course import guess
from metalearn_lib.scores import Score


@pytest.mark.parametrize(("yours", "measured", "said"), [
    (60, Score.of([0.5, 0.6, 0.7]), "measured: 60 %; your guess: 60 %, right"),
    (50.5, Score.of([0.5, 0.6, 0.7]), "your guess: 50.5 %, too low by 9.5"),
    (3, Score.of([0.5, 0.6]).minus(Score.of([0.6, 0.7])), "measured: −10 %; your guess: 3 %, too high by 13"),
    (None, 0.25, "measured: 0.25 %; your guess: none written"),
])  # fmt: skip
def test_what_a_guess_is_told(yours: float, measured: object, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    guess(yours, measured, unit="%")
    assert said in capsys.readouterr().out


def test_words_are_no_guess() -> None:
    with pytest.raises(TypeError, match="guess: 'many' is no number"):
        guess("many", 3)  # type: ignore[arg-type]
