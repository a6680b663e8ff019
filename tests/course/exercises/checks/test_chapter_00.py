"""What is special in chapter 00: its first exercise shows how a check speaks."""

from __future__ import annotations

import pytest

from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises.checks import CheckFailed
from metalearn_lib.files import root
from tests.notebooks.stored_notebook import StoredNotebook


def test_exercise_1_quotes_the_message_that_its_wrong_answer_gets() -> None:
    with pytest.raises(CheckFailed) as failure:
        check.episode_size(lambda n_way, k_shot, n_query: (k_shot, n_query, 1 / n_way))
    notebook = StoredNotebook(root() / "notebooks" / "00_start_here.ipynb")
    (task,) = [cell.source for cell in notebook.cells if cell.source.startswith("### Exercise 0.1")]
    assert f"\n> {failure.value}\n" in task
