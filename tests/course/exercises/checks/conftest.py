"""What every chapter's checks must do with right and with wrong answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.checks import CheckFailed
from tests.notebooks.stored_notebook import StoredNotebook


@pytest.fixture
def passes(capsys: pytest.CaptureFixture[str]) -> Callable[[str, Any], None]:
    """A right answer passes the shown and the hidden cases, with one line each."""

    def passes(name: str, answer: Any) -> None:
        getattr(check, name)(answer)
        getattr(check, name)(answer, cases="hidden")
        shown, hidden = capsys.readouterr().out.splitlines()
        assert re.fullmatch(rf"✓ {name}: (1 property holds|\d+ properties hold)", shown)
        assert re.fullmatch(rf"✓ {name}: \d+ more, hidden", hidden)

    return passes


@pytest.fixture
def is_told() -> Callable[..., None]:
    """A wrong answer is told, in one short paragraph, what is wrong; a hint that it names is in the notebook."""

    def is_told(notebook: StoredNotebook, name: str, answer: Any, says: str, **cases: str) -> None:
        with pytest.raises(CheckFailed) as failure:
            getattr(check, name)(answer, **cases)
        message = str(failure.value)
        assert says in message
        assert message.startswith(f"{name}: ")
        assert message.endswith(".")
        assert len(message) < 400
        assert "\n" not in message
        (exercise,) = [e for e in exercises(notebook.raw["cells"]) if name in e.checks]
        assert all(int(k) <= len(exercise.hints) for k in re.findall(r"see hint (\d)", message))

    return is_told
