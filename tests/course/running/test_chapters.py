from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from metalearn_lib.course.running import chapters
from metalearn_lib.course.running.chapters import Chapter, UsageError, find


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(tmp_path / "notebooks"))
    return tmp_path / "notebooks"


def test_a_chapter_goes_by_several_names(write_notebook: Any) -> None:
    path = write_notebook("04_metric_based")
    write_notebook("14_other")
    write_notebook("glossary", parameters=None)
    for name in ("4", "04", "04_metric_based", str(path)):
        assert [chapter.path for chapter in find([name])] == [path]
    assert [chapter.name for chapter in find(["14", "4", "04"])] == ["14_other", "04_metric_based"]
    assert [chapter.name for chapter in find([])] == ["04_metric_based", "14_other", "glossary"]
    for unknown in ("5", "metric", "", "04_metric_based.ipynb"):
        with pytest.raises(UsageError, match="04_metric_based, 14_other, glossary"):
            find([unknown])


def test_no_course_here(folder: Path) -> None:
    with pytest.raises(UsageError, match="no notebooks folder"):
        find([])
    folder.mkdir()
    with pytest.raises(UsageError, match="no notebooks in"):
        find(["1"])
    (folder / "00_broken.ipynb").write_text("not json")
    with pytest.raises(UsageError, match=r"00_broken\.ipynb is not a readable notebook"):
        _ = find(["0"])[0].parameters


def test_only_what_differs_from_the_default_is_passed(write_notebook: Any) -> None:
    one = Chapter(write_notebook("00_one"))
    page = Chapter(write_notebook("glossary", parameters=None))
    given = {"profile": "quick", "seed": 2}
    assert chapters.choose_parameters([one, page], given, named=True) == {"00_one": {"seed": 2}, "glossary": {}}


def test_a_file_that_a_parameter_names_is_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.csv").write_text("text,label")
    monkeypatch.chdir(tmp_path)
    given = chapters.parse_parameters(["csv=mine.csv", "other=no.csv", "steps=3", "empty="])
    assert given == {"csv": str(tmp_path / "mine.csv"), "other": "no.csv", "steps": 3, "empty": ""}
