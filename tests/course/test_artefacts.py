"""What the chapters share is made by their own tagged cells: once, again when they change, never in the way."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from metalearn_lib import corpora
from metalearn_lib.course import artefacts, cli
from metalearn_lib.course.running.chapters import Chapter, chapters

SAY = "from pathlib import Path\nlog = Path(FOLDER) / 'log'\n"
WRITE = "print('not for the terminal')\nwith log.open('a') as file:\n    file.write('NAME ')"


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two chapters with tagged cells and one without, in a course of their own; the cache is empty."""
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(tmp_path / "notebooks"))
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "data"))
    (tmp_path / "notebooks").mkdir()
    for name in ("01_one", "02_two"):
        write(tmp_path, name)
    nbformat.write(new_notebook(cells=[new_code_cell("raise SystemExit")]), tmp_path / "notebooks" / "03_none.ipynb")
    return tmp_path


def write(folder: Path, name: str, *more: str) -> None:
    tagged = [SAY.replace("FOLDER", repr(str(folder))), WRITE.replace("NAME", name), *more]
    cells = [new_markdown_cell("# A chapter"), new_code_cell("raise ValueError('has no tag')")]
    cells += [new_code_cell(source, metadata={"tags": ["artefact"]}) for source in tagged]
    nbformat.write(new_notebook(cells=cells), folder / "notebooks" / f"{name}.ipynb")


def log(folder: Path) -> list[str]:
    path = folder / "log"
    return path.read_text().split() if path.exists() else []


def test_tagged_cells_are_executed_once_and_quietly(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert artefacts.make() == {} and log(course) == ["01_one", "02_two"]
    assert "not for the terminal" not in capsys.readouterr().out
    assert artefacts.make() == {} and log(course) == ["01_one", "02_two"]


def test_a_chapter_that_changed_is_executed_again(course: Path) -> None:
    artefacts.make()
    write(course, "02_two", "pass")
    artefacts.make()
    assert log(course) == ["01_one", "02_two", "02_two"]


def test_another_format_or_library_makes_all_anew(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artefacts.make()
    monkeypatch.setattr("metalearn_lib.language_models.artefacts.FORMAT", -1)
    artefacts.make()
    monkeypatch.setattr("torch.__version__", "0.1")
    artefacts.make()
    assert len(log(course)) == 6


def test_a_cell_that_fails_leaves_its_chapter_for_the_next_time(course: Path) -> None:
    write(course, "01_one", "1 / 0")
    assert artefacts.make() == {"01_one": "ZeroDivisionError: division by zero"}
    assert log(course) == ["01_one", "02_two"]
    write(course, "01_one")
    assert artefacts.make() == {} and log(course) == ["01_one", "02_two", "01_one"]


def test_an_interruption_keeps_what_is_ready(course: Path) -> None:
    write(course, "02_two", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        artefacts.make()
    write(course, "02_two")
    artefacts.make()
    assert log(course) == ["01_one", "02_two", "02_two"]


def test_in_a_folder_that_cannot_be_written_nothing_is_made(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (course / "file").write_text("no folder")
    monkeypatch.setenv("METALEARN_DATA", str(course / "file"))
    assert artefacts.make() == {} and log(course) == []


def test_without_the_notebooks_there_is_nothing_to_make(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(course / "nowhere"))
    assert artefacts.make() == {}


def test_the_command_fetches_and_makes(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(corpora, "fetch", fetched.append)
    write(course, "02_two", "1 / 0")
    result = CliRunner().invoke(cli.app, ["data", "make"])
    assert result.exit_code == 0 and "newsgroups" in fetched and log(course) == ["01_one", "02_two"]
    assert "note: 02_two makes its own: ZeroDivisionError" in result.stdout
    monkeypatch.setattr(artefacts, "make", interrupted)
    result = CliRunner().invoke(cli.app, ["data", "make"])
    assert result.exit_code == 130 and "what is ready is kept" in result.stderr


def interrupted() -> None:
    raise KeyboardInterrupt


WITH_ARTEFACTS = [chapter for chapter in chapters() if artefacts.tagged(chapter)]


def test_the_chapters_with_models_and_encodings_are_there() -> None:
    assert {chapter.name[:2] for chapter in WITH_ARTEFACTS} >= {"01", "04", "06", "08", "09"}


@pytest.mark.parametrize("chapter", WITH_ARTEFACTS, ids=lambda chapter: chapter.name)
def test_tagged_cells_need_no_others(chapter: Chapter) -> None:
    tree = ast.parse("\n".join(artefacts.tagged(chapter)))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    there = {node.id for node in names if not isinstance(node.ctx, ast.Load)} | set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            there.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            there.add(node.name)
        elif isinstance(node, ast.arg):
            there.add(node.arg)
    assert {node.id for node in names} <= there
