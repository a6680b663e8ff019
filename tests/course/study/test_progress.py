"""Progress: recorded in a workspace and nowhere else, by several notebooks at once, whatever the file looks like."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from metalearn_lib.course import cli, records
from metalearn_lib.course.study import progress
from tests.course.cells import code, marks, notebook, text


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / records.MARKER).write_text("{}")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(tmp_path / "notebooks"))
    monkeypatch.delenv("METALEARN_WORK", raising=False)
    monkeypatch.setattr(records, "_told", set())
    return folder


def stored(folder: Path) -> Any:
    return json.loads((folder / records.FILE).read_text(encoding="utf-8"))


def test_outside_a_workspace_nothing_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records.record("exercise", "4.2", passed=True)
    assert not list(tmp_path.iterdir())


def test_what_was_passed_stays_passed(workspace: Path) -> None:
    records.record("exercise", "4.2", passed=False)
    assert stored(workspace)["exercise"]["4.2"]["passed"] is False
    records.record("exercise", "4.2", passed=True)
    passed = stored(workspace)
    assert passed["exercise"]["4.2"]["passed"] is True and passed["exercise"]["4.2"]["attempts"] == 2
    records.record("exercise", "4.2", passed=False)
    assert stored(workspace) == passed
    records.record("quiz", "04", passed=True)
    assert stored(workspace) == passed | {"quiz": stored(workspace)["quiz"]}


def test_a_folder_inside_the_workspace_belongs_to_it(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "mine" / "deep").mkdir(parents=True)
    monkeypatch.chdir(workspace / "mine" / "deep")
    records.record("exercise", "4.2", passed=True)
    assert "4.2" in stored(workspace)["exercise"]


def test_notebooks_that_report_at_once_lose_nothing(workspace: Path) -> None:
    code = (
        "import sys; from metalearn_lib.course import records\n"
        "for n in range(15): records.record('exercise', f'{sys.argv[1]}.{n}', passed=True)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=workspace) for n in range(4)]
    assert [one.wait(timeout=60) for one in running] == [0] * 4
    assert set(stored(workspace)["exercise"]) == {f"{n}.{m}" for n in range(4) for m in range(15)}


@pytest.mark.parametrize("content", [b'{"exercise": {"4.1": {"pas', b"", b"[1]", b'{"exercise": 3}', b"\xff\xfe{}"])
def test_a_damaged_file_is_put_aside(workspace: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / records.FILE).write_bytes(content)
    records.record("exercise", "4.2", passed=True)
    (aside,) = workspace.glob("progress.damaged-*.json")
    assert aside.read_bytes() == content and list(stored(workspace)["exercise"]) == ["4.2"]
    said = capsys.readouterr().out
    assert "progress.json was damaged" in said and aside.name in said


def test_two_damaged_files_are_both_kept(workspace: Path) -> None:
    for content in ("{", "{{"):
        (workspace / records.FILE).write_text(content)
        assert records.records(workspace) == {}
    assert {path.read_text() for path in workspace.glob("progress.damaged-*.json")} == {"{", "{{"}


def test_what_this_edition_does_not_know_is_kept(workspace: Path) -> None:
    (workspace / records.FILE).write_text('{"badge": {"x": {"y": 1}}, "exercise": {"4.2": {"attempts": "many"}}}')
    records.record("exercise", "4.2", passed=True)
    found = stored(workspace)
    assert found["badge"] == {"x": {"y": 1}} and found["exercise"]["4.2"]["passed"] is True


def test_a_file_that_cannot_be_written_stops_nobody(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / records.FILE).mkdir()  # works for an administrator too, whom permissions do not bind
    records.record("exercise", "4.2", passed=True)
    records.record("exercise", "4.3", passed=True)
    said = capsys.readouterr().out
    assert said.count("progress was not recorded") == 1 and "make the folder writable" in said
    assert records.records(workspace) == {}


def test_a_lock_that_is_held_stops_nobody(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(records, "_LOCK_SECONDS", 0.1)
    with FileLock(workspace / f".{records.FILE}.lock"):
        records.record("exercise", "4.2", passed=True)
    assert "another program has held" in capsys.readouterr().out and not (workspace / records.FILE).exists()


def test_a_kill_while_writing_leaves_the_old_file(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records.record("exercise", "4.1", passed=True)
    before = stored(workspace)
    monkeypatch.setattr("metalearn_lib.course.running.cleaning.os.replace", lambda a, b: 1 / 0)
    records.record("exercise", "4.2", passed=True)
    assert stored(workspace) == before


@pytest.fixture
def course(workspace: Path) -> Path:
    notebooks = workspace.parent / "notebooks"
    (notebooks / "quizzes").mkdir(parents=True)
    cells = []
    for n in (2, 10):
        task = f"### Exercise 4.{n} · A task · ●○○ difficulty · ●○○ importance · 5 min · 1 point"
        cells += [text(task, tags=["exercise"])]
        cells += [code("check.mine(mine)", nbgrader=marks(f"ex-4-{n}-check", grade=True, points=1))]
    for name, content in (("04_metric", cells), ("05_plain", []), ("glossary", [])):
        (notebooks / f"{name}.ipynb").write_text(json.dumps(notebook(*content)))
    (notebooks / "quizzes" / "04.json").write_text("[]")
    return notebooks


def test_progress_is_shown_chapter_by_chapter(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records.record("exercise", "4.10", passed=True)
    records.record("exercise", "4.7", passed=False)  # of an edition that had this exercise
    records.record("quiz", "04", passed=False)
    progress.show()
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "04_metric   self-checks 1 of 3: · 4.2  ✗ 4.7  ✓ 4.10   quiz ✗"
    assert "05_plain" not in said and "glossary" not in said
    result = CliRunner().invoke(cli.app, ["progress"])
    assert result.exit_code == 0 and result.stdout == said


def test_progress_from_another_folder(course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records.record("quiz", "04", passed=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "quiz ✓" in CliRunner().invoke(cli.app, ["progress"]).stdout
    monkeypatch.setenv("METALEARN_WORK", str(tmp_path / "nothing"))
    result = CliRunner().invoke(cli.app, ["progress"])
    assert result.exit_code == 0 and "nothing is recorded yet" in result.stdout and "metalearn lab" in result.stdout


def test_progress_is_shown_even_if_the_file_is_damaged(course: Path, workspace: Path) -> None:
    (workspace / records.FILE).write_text('{"exercise"')
    result = CliRunner().invoke(cli.app, ["progress"])
    assert result.exit_code == 0 and "was damaged" in result.stdout and "self-checks 0 of 2" in result.stdout
