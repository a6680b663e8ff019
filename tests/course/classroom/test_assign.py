"""Handing out: what is in the files, what is not, and that nbgrader would have made the same."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from typer.testing import CliRunner

from metalearn_lib.course.classroom.assign import assign
from metalearn_lib.course.classroom.course import Assignment, hours_late, parse_due, read_course
from metalearn_lib.course.cli import app
from metalearn_lib.course.running.chapters import Chapter, UsageError
from tests.course.cells import code

from .conftest import HandIn, find, tiny_chapter


def read(course: Path, part: str) -> dict[str, Any]:
    return json.loads((course / part / "ch04" / "04_tiny.ipynb").read_text(encoding="utf-8"))


def change_chapter(chapter: Chapter, change: Any) -> Chapter:
    notebook = tiny_chapter()
    change(notebook)
    chapter.path.write_text(json.dumps(notebook), encoding="utf-8")
    return Chapter(chapter.path)


def test_what_is_handed_out(course: Path) -> None:
    for part in ("source", "release"):
        nbformat.validate(nbformat.from_dict(read(course, part)))
    source, release = read(course, "source"), read(course, "release")
    assert "return 2 * x" in find(source, "ex-4-2-answer")["source"] and "BEGIN HIDDEN" in json.dumps(source)
    secrets = ("SOLUTION", "HIDDEN", "return 2 * x", "double(-1)", "Because of the mean")
    assert not [secret for secret in secrets if secret in json.dumps(release)]
    assert (
        find(release, "ex-4-2-answer")["source"]
        == "def double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    )
    assert find(release, "ex-4-2-check")["metadata"]["editable"] is False
    assert [cell["id"] for cell in release["cells"]] == [cell["id"] for cell in source["cells"]]
    rubric = (course / "rubric" / "ch04.md").read_text(encoding="utf-8")
    for words in (
        "14 points",
        "| `ex-4-2-check` | 5 |",
        "return 2 * x",
        "Because of the mean",
        "2026-12-01",
        "by hand",
    ):
        assert words in rubric, rubric
    compile((course / "nbgrader_config.py").read_text(encoding="utf-8"), "nbgrader_config.py", "exec")
    assert read_course(course) == {"ch04": Assignment("ch04", "04_tiny", "2026-12-01T23:59:00+00:00")}


@pytest.mark.filterwarnings("ignore")  # of nbgrader's own imports
def test_nbgrader_would_hand_out_the_same(course: Path) -> None:
    """The steps of `nbgrader generate_assignment`, as nbgrader lists them, without those that need its database."""
    from nbgrader.converters import GenerateAssignment

    expected, about = nbformat.from_dict(tiny_chapter()), {"nbgrader": {}}
    for step in GenerateAssignment().preprocessors:
        if step.__name__ not in ("IncludeHeaderFooter", "InstantiateTests", "SaveCells"):
            expected, about = step().preprocess(expected, about)
    ours = read(course, "release")["cells"]
    assert ours == json.loads(json.dumps(expected["cells"]))


def test_nbgrader_grades_with_our_gradebook(chapter: Chapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "class"
    monkeypatch.setenv("PATH", str(tmp_path))  # nbgrader's and alembic's programs need not be there
    assert len(assign([chapter], folder, due=["2026-12-01"])) == 1
    handed_in = folder / "submitted" / "ann" / "ch04"
    shutil.copytree(folder / "release" / "ch04", handed_in)
    path = handed_in / "04_tiny.ipynb"
    answer = "    # YOUR CODE HERE\\n    raise NotImplementedError()"
    path.write_text(path.read_text(encoding="utf-8").replace(answer, "    return 2 * x", 2), encoding="utf-8")
    nbgrader(folder, "autograde", "ch04", "--create")
    with sqlite3.connect(folder / "gradebook.db") as database:
        due = database.execute("select name, duedate from assignment").fetchall()
        scores = database.execute("select auto_score from grade order by auto_score desc").fetchall()
    database.close()
    assert due[0][0] == "ch04" and due[0][1].startswith("2026-12-01 23:59")
    assert sum(score or 0 for (score,) in scores) == 0  # mean is wrong, so double's number is
    changed = change_chapter(chapter, lambda n: n["cells"].pop(6))
    notes = assign([changed], folder, force=True)
    assert "gradebook.db keeps the old ch04" in notes[-1]


def nbgrader(folder: Path, *words: str) -> None:
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder)}
    called = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert called.returncode == 0, called.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.update(cells=[code("1") | {"id": "a"}]), "no graded exercises"),
        (lambda n: find(n, "ex-4-2-check")["metadata"]["nbgrader"].update(grade_id="ex-4-1-check"), "used twice"),
        (lambda n: find(n, "ex-4-2-check")["metadata"]["nbgrader"].update(points=0), "needs a number above 0"),
        (lambda n: find(n, "ex-4-2-check")["metadata"]["nbgrader"].update(grade_id=""), "write it with letters"),
        (lambda n: find(n, "ex-4-2-answer").update(source="### BEGIN SOLUTION\n1"), "without END SOLUTION"),
        (lambda n: n["cells"][1].update(source="### BEGIN SOLUTION\n1\n### END SOLUTION"), "cell 2: BEGIN SOLUTION in"),
    ],
)
def test_a_chapter_that_cannot_be_handed_out(chapter: Chapter, tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        assign([change_chapter(chapter, change)], tmp_path / "class")
    assert not (tmp_path / "class").exists()


def test_a_source_does_not_change_under_handed_in_work(chapter: Chapter, course: Path, hand_in: HandIn) -> None:
    assign([chapter], course, due=["2026-12-24"])  # nothing handed in
    hand_in("ann")
    assign([chapter], course)  # nothing changed, the date stays
    assert read_course(course)["ch04"].due == "2026-12-24T23:59:00+00:00"
    changed = change_chapter(chapter, lambda n: n["cells"].append(code("1") | {"id": "new"}))
    with pytest.raises(UsageError, match="1 students have handed in"):
        assign([changed], course)
    assign([changed], course, force=True)
    assert len(read(course, "release")["cells"]) == len(tiny_chapter()["cells"]) + 1


def test_images_go_along(chapter: Chapter, course: Path) -> None:
    (chapter.path.parent / "images").mkdir()
    (chapter.path.parent / "images" / "map.png").write_bytes(b"png")
    linked = change_chapter(chapter, lambda n: n["cells"][0].update(source="![a](images/map.png) ![b](../secret.png)"))
    assign([linked], course)
    assert (course / "release" / "ch04" / "images" / "map.png").read_bytes() == b"png"


def test_due_dates(tmp_path: Path) -> None:
    names = ["ch03", "ch04"]
    assert parse_due(["2026-12-01T18:00+01:00"], names) == dict.fromkeys(names, "2026-12-01T18:00:00+01:00")
    assert parse_due(["2026-12-01", "4=2026-12-24"], names)["ch04"] == "2026-12-24T23:59:00+00:00"
    for wrong, message in (("tomorrow", "write 2026-12-01"), ("05=2026-12-01", "not among ch03, ch04")):
        with pytest.raises(UsageError, match=message):
            parse_due([wrong], names)
    due = Assignment("ch04", "04_tiny", "2026-12-01T12:00:00+00:00")
    assert hours_late(due, tmp_path) is None
    for stamp, late in (
        ("2026-12-01 14:30:00.5 UTC", 2.5), ("2026-12-01 12:00:00 Europe/Berlin", 0), ("soon", None),
        ("2026-12-01 14:00:00 Nowhere/At_all", None),
    ):  # fmt: skip
        (tmp_path / "timestamp.txt").write_text(stamp, encoding="utf-8")
        assert hours_late(due, tmp_path) == (None if late is None else pytest.approx(late, abs=0.01))


def test_the_command(chapter: Chapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_gradebook: None) -> None:
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(chapter.path.parent))
    folder = tmp_path / "class"
    done = CliRunner().invoke(app, ["assign", "04", "--to", str(folder), "--due", "2026-12-01"])
    assert done.exit_code == 0 and "14 points in 4 parts (1 graded by hand), due 2026-12-01" in done.stdout
    for words in (["05", "--to", str(folder)], ["04", "--to", str(chapter.path)], ["04", "--to", "x", "--due", "x"]):
        assert CliRunner().invoke(app, ["assign", *words]).exit_code == 2
