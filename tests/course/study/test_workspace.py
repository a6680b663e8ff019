"""Own copies of the chapters: made once, never overwritten, brought up to date beside what the learner wrote."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from metalearn_lib.course import cli
from metalearn_lib.course.records import MARKER, default_workspace
from metalearn_lib.course.study import commands as study
from metalearn_lib.course.study import workspace
from metalearn_lib.course.study.workspace import WorkspaceError, prepare
from metalearn_lib.files import root
from tests.course import cells

PICTURE = b"\x89PNG\xff\x00"
NAMES = {"04_metric.ipynb", "05_next.ipynb", "glossary.ipynb", "images/course.png", "quizzes/04.json"}


def notebook(words: str) -> str:
    solution = f"### BEGIN SOLUTION\nsecret({words!r})\n### END SOLUTION"
    return json.dumps(cells.notebook(cells.text(words), cells.code(solution, nbgrader=cells.marks("x", solution=True))))


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "notebooks"
    (folder / "images").mkdir(parents=True)
    (folder / "quizzes").mkdir()
    for name in ("04_metric", "05_next", "glossary"):
        (folder / f"{name}.ipynb").write_text(notebook(f"first edition of {name}"))
    (folder / "images" / "course.png").write_bytes(PICTURE)
    (folder / "quizzes" / "04.json").write_text("[]")
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(folder))
    monkeypatch.delenv("METALEARN_WORK", raising=False)
    return folder


@pytest.fixture
def work(course: Path) -> Path:
    return course.parent / "work"


def files(folder: Path) -> dict[str, bytes]:
    """All that a learner sees, and what it holds."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_own_copies_are_made_once(course: Path, work: Path) -> None:
    (said,) = prepare()
    assert "your own copies of 3 notebooks" in said and str(work) in said
    made = files(work)
    assert set(made) == NAMES and made["images/course.png"] == PICTURE
    assert b"YOUR CODE HERE" in made["04_metric.ipynb"] and not any(b"secret" in content for content in made.values())
    times = {name: (work / name).stat().st_mtime_ns for name in [*made, MARKER]}
    assert prepare() == []
    assert files(work) == made and times == {name: (work / name).stat().st_mtime_ns for name in times}


def test_nothing_that_was_written_is_lost(course: Path, work: Path) -> None:
    prepare()
    (work / "04_metric.ipynb").write_text("my work")
    (work / "notes.txt").write_text("mine")
    (course / "04_metric.ipynb").write_text(notebook("second edition"))
    (said,) = prepare()
    assert "yours was left as it is" in said
    (beside,) = work.glob("04_metric (new edition 20??-??-??).ipynb")
    assert beside.name in said and "second edition" in beside.read_text() and "secret" not in beside.read_text()
    assert (work / "04_metric.ipynb").read_text() == "my work" and (work / "notes.txt").read_text() == "mine"
    assert prepare() == [] and len(files(work)) == len(NAMES) + 2

    beside.write_text("my work on the second edition")
    (course / "04_metric.ipynb").write_text(notebook("third edition"))
    (said,) = prepare()
    (third,) = work.glob("04_metric (new edition * 2).ipynb")
    assert third.name in said and "third edition" in third.read_text()
    assert beside.read_text() == "my work on the second edition"


def test_refreshed_outputs_are_no_new_edition(course: Path, work: Path) -> None:
    prepare()
    (work / "04_metric.ipynb").write_text("my work")
    for name in ("04_metric", "05_next"):
        executed = (course / f"{name}.ipynb").read_text().replace('"execution_count": 1', '"execution_count": 7')
        (course / f"{name}.ipynb").write_text(executed.replace('"metadata": {}', '"metadata": {"a": 1}'))
    before = files(work)
    assert prepare() == [] and files(work) == before
    (course / "05_next.ipynb").write_text(notebook("second edition"))
    (said,) = prepare()
    assert "you had not changed your copy" in said and b"second edition" in files(work)["05_next.ipynb"]


def test_an_untouched_copy_is_brought_up_to_date(course: Path, work: Path) -> None:
    prepare()
    (course / "04_metric.ipynb").write_text(notebook("second edition"))
    (course / "06_more.ipynb").write_text(notebook("new"))
    (course / "images" / "course.png").write_bytes(b"\x89new")
    said = "\n".join(prepare())
    assert "04_metric.ipynb has a new edition; you had not changed your copy" in said
    assert "new in work/: 06_more" in said
    made = files(work)
    assert set(made) == NAMES | {"06_more.ipynb"} and b"second edition" in made["04_metric.ipynb"]
    assert made["images/course.png"] == b"\x89new" and prepare() == []


def test_a_changed_picture_of_the_learner_stays(course: Path, work: Path) -> None:
    prepare()
    (work / "images" / "course.png").write_bytes(b"mine")
    (course / "images" / "course.png").write_bytes(b"\x89new")
    (said,) = prepare()
    assert "course.png has a new edition; you have changed your copy, so it was left as it is" in said
    assert (work / "images" / "course.png").read_bytes() == b"mine" and prepare() == []


def test_a_renamed_copy_keeps_its_name_and_a_fresh_one_is_delivered(course: Path, work: Path) -> None:
    prepare()
    (work / "04_metric.ipynb").write_text("my work")
    (work / "04_metric.ipynb").rename(work / "my metric.ipynb")
    (said,) = prepare()
    assert "deleted or renamed" in said and (work / "my metric.ipynb").read_text() == "my work"
    assert b"first edition" in files(work)["04_metric.ipynb"] and prepare() == []


def test_a_chapter_that_left_the_course_stays_with_the_learner(course: Path, work: Path) -> None:
    prepare()
    (course / "05_next.ipynb").unlink()
    assert prepare() == [] and "05_next.ipynb" in files(work)


@pytest.mark.parametrize("marker", [None, "{", "[]", '{"delivered": 3}', '{"delivered": {"04_metric.ipynb": "x"}}'])
def test_a_lost_or_damaged_marker_costs_nothing(course: Path, work: Path, marker: str | None) -> None:
    prepare()
    (work / "04_metric.ipynb").write_text("my work")
    (work / MARKER).unlink() if marker is None else (work / MARKER).write_text(marker)
    said = "\n".join(prepare())
    assert ("was damaged" in said) == (marker is not None)
    assert (work / "04_metric.ipynb").read_text() == "my work"
    assert len(list(work.glob("04_metric (new edition *).ipynb"))) == 1 and len(files(work)) == len(NAMES) + 1
    assert prepare() == []


@pytest.mark.parametrize("count", range(6))
def test_a_kill_during_creation_is_made_good(
    course: Path, work: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    replace, written = os.replace, []

    def killed(temporary: Path, path: Path) -> None:
        if len(written) == count:
            raise KeyboardInterrupt
        written.append(path)
        replace(temporary, path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        prepare()
    assert list(work.rglob("*.partial"))
    prepare()
    assert set(files(work)) == NAMES and prepare() == []
    assert not list(work.rglob("*.partial")), "what was half-written is still there"


def test_a_kill_between_a_new_edition_and_the_marker(course: Path, work: Path) -> None:
    prepare()
    marker = (work / MARKER).read_bytes()
    (work / "04_metric.ipynb").write_text("my work")
    (course / "04_metric.ipynb").write_text(notebook("second edition"))
    (course / "05_next.ipynb").write_text(notebook("second edition"))
    prepare()
    before = files(work)
    (work / MARKER).write_bytes(marker)
    prepare()
    assert files(work) == before and prepare() == []


def test_a_real_kill(course: Path, work: Path) -> None:
    for number in range(40):
        (course / f"1{number:02d}_x.ipynb").write_text(notebook("x" * 200_000))
    command = [sys.executable, "-c", "from metalearn_lib.course.study import workspace; workspace.prepare()"]
    running = subprocess.Popen(command, cwd=root())
    until = time.monotonic() + 60
    while not list(work.glob("1*.ipynb")) and time.monotonic() < until:
        time.sleep(0.005)
    assert running.poll() is None, "it ended by itself, before it was killed"
    running.kill()
    running.wait()
    prepare()
    made = files(work)
    assert len(made) == len(NAMES) + 40 and all(json.loads(made[name]) for name in made if name.endswith(".ipynb"))
    assert prepare() == []


def test_only_one_prepares_at_a_time(course: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work.mkdir()
    monkeypatch.setattr(workspace, "_LOCK_SECONDS", 0.1)
    with FileLock(work / f"{MARKER}.lock"), pytest.raises(WorkspaceError, match="another `metalearn lab`"):
        prepare()


@pytest.mark.parametrize(("spoil", "said"), [
    (lambda course: (course.parent / "work").write_text("a file"),
     "is a file, but your own copies need a folder there; rename the file"),
    (lambda course: (course.parent / "work" / "images" / "course.png").mkdir(parents=True),
     "METALEARN_WORK=FOLDER metalearn lab"),
    (lambda course: (course / "04_metric.ipynb").write_text(notebook("x").replace("### END SOLUTION", "")),
     "04_metric.ipynb: cell 2: BEGIN SOLUTION without END SOLUTION"),
    (lambda course: (course / "04_metric.ipynb").write_text('{"cells"'), "04_metric.ipynb is not a readable notebook"),
    (shutil.rmtree, "no notebooks folder"),
])  # fmt: skip
def test_what_stops_it_is_said(course: Path, spoil: Callable[[Path], Any], said: str) -> None:
    spoil(course)
    result = CliRunner().invoke(cli.app, ["lab"])
    assert result.exit_code == 1 and said in result.stderr and "Traceback" not in result.output


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind an administrator")
def test_a_folder_that_is_read_only(course: Path, work: Path) -> None:
    prepare()
    (work / "04_metric.ipynb").unlink()
    work.chmod(0o555)
    try:
        with pytest.raises(WorkspaceError, match="make it writable"):
            prepare()
    finally:
        work.chmod(0o755)


def test_a_disk_that_refuses(course: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(WorkspaceError, match=r"cannot write .*work: Permission denied; make it writable"):
        prepare()
    assert files(work) == {}


def test_the_chapters_themselves_are_never_the_own_copies(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METALEARN_WORK", str(course))
    before = files(course)
    with pytest.raises(WorkspaceError, match="holds the chapters themselves"):
        prepare()
    assert files(course) == before


def test_another_folder_from_anywhere(course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("METALEARN_WORK", "mine")
    assert default_workspace() == (tmp_path / "elsewhere" / "mine").resolve()
    prepare()
    assert set(files(tmp_path / "elsewhere" / "mine")) == NAMES


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    seen: list[list[str]] = []
    monkeypatch.setattr(study, "_run", lambda command: (seen.append(command), 0)[1])
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    return seen


def test_lab_opens_the_own_copies(course: Path, work: Path, opened: list[list[str]]) -> None:
    result = CliRunner().invoke(cli.app, ["lab", "--no-browser", "--port", "9999"])
    assert result.exit_code == 0 and "your own copies" in result.stdout and set(files(work)) == NAMES
    assert opened[0][3:] == ["--notebook-dir", str(work), "--no-browser", "--port", "9999"]
    assert CliRunner().invoke(cli.app, ["lab"]).stdout == ""


def test_authors_open_the_chapters(course: Path, work: Path, opened: list[list[str]]) -> None:
    result = CliRunner().invoke(cli.app, ["lab", "--chapters", "--no-browser"])
    assert result.exit_code == 0 and not work.exists()
    assert opened[0][3:] == ["--notebook-dir", str(course), "--no-browser"]


def test_the_start_of_jupyterlab_works() -> None:
    command = [sys.executable, "-c", study._START, "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == metadata.version("jupyterlab")


# Stands in for JupyterLab: says that it runs, and when it is asked to end takes a moment to shut down, as that does.
SERVER = """
import signal, sys, time
def stop(*_):
    time.sleep(0.5)
    print("shut down", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, lambda *_: print("asked", flush=True))
print("runs", flush=True)
while True:
    time.sleep(0.1)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_a_signal_reaches_jupyterlab_which_is_waited_for(course: Path) -> None:
    code = "from metalearn_lib.course import cli; from metalearn_lib.course.study import commands\n"
    code += f"commands._START = {SERVER!r}; cli.app(['lab'])"
    running = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root(), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert running.stdout is not None
    try:
        for line in running.stdout:
            if line == "runs\n":
                break
        time.sleep(0.3)  # JupyterLab needs seconds to start; by then its parent has long been listening
        os.killpg(running.pid, signal.SIGINT)  # Ctrl-C: all programs of the terminal get it, and none ends unasked
        assert running.stdout.readline() == "asked\n" and running.poll() is None
        running.terminate()  # only the parent gets it
        assert running.stdout.read() == "shut down\n"
        assert running.wait(20) == 0
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.stdout.close()


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_a_killed_jupyterlab_is_a_failure() -> None:
    assert study._run([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]) == 137


def test_git_ignores_the_own_copies() -> None:
    assert "work/" in (root() / ".gitignore").read_text().splitlines()
