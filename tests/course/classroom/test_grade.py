"""From handing out to grades: right, half-right and wrong work, loops and crashes, limits and tricks."""

from __future__ import annotations

import csv
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from metalearn_lib.course.classroom.needed import TAG
from metalearn_lib.course.classroom.workers import Limits, Sandbox
from metalearn_lib.course.cli import app
from metalearn_lib.files import root
from tests.course.cells import code

from .conftest import RIGHT, HandIn, change_file, find, grades_of, points

FORGER = """import os
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b'FORGED')
        except OSError:
            pass
    return 0"""
TRAP = "import signal; signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True: pass"


def test_a_class_of_all_kinds(course: Path, hand_in: HandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    hand_in("right", **RIGHT, words="Since the mean moves.")
    hand_in("half", mean=RIGHT["mean"], double="return 2 * abs(x)", total="return 9.0")
    hand_in("wrong", mean="return x[0]", double="return x", total="return None")
    hand_in("nothing")
    hand_in("typo", mean="return sum(x / len(x)", double=RIGHT["double"], total=RIGHT["total"])
    hand_in("loop", **RIGHT | {"double": "while True: pass"})
    hand_in("trap", **RIGHT | {"double": TRAP})
    hand_in("exit", **RIGHT | {"double": "import os; os._exit(0)"})
    hand_in("segfault", **RIGHT | {"double": "import ctypes; ctypes.string_at(0)"})
    hand_in("hog", **RIGHT | {"double": "return bytearray(10**9)"})
    hand_in("sysexit", **RIGHT | {"double": "raise SystemExit"})
    for name, words in (
        ("forger", r'{"end": 1}\n[1]\n'),
        ("herald", r'{"start": 99}\n'),
        ("liar", r'{"ended": "well"}\n'),
    ):
        hand_in(name, **RIGHT | {"double": FORGER.replace("FORGED", words)})
    hand_in("killer", **RIGHT | {"double": "import os; os.kill(os.getppid(), 9)"})

    assert "ch04: 15 submissions" in (said := CliRunner().invoke(
        app, ["grade", str(course), "--cell-seconds", "2", "--seconds", "20", "--memory", "400"]
    )).stdout, said.output  # fmt: skip
    assert not list(scratch.iterdir())
    with (course / "grades" / "ch04.csv").open(encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    columns = ("points", "ex-4-1-check", "ex-4-2-check", "ex-4-3-check")
    got = {name: tuple(row[column] for column in columns) for name, row in rows.items()}
    bad_double = ("5", "3", "0", "2")
    assert got == {
        "right": ("10", "3", "5", "2"),
        "half": ("5", "3", "0", "2"),
        "wrong": ("0", "0", "0", "0"),
        "nothing": ("0", "0", "0", "0"),
        "typo": ("2", "0", "0", "2"),  # double's check needs mean
        "loop": bad_double, "trap": bad_double, "exit": bad_double, "segfault": bad_double, "hog": bad_double,
        "sysexit": bad_double, "forger": bad_double, "herald": bad_double, "liar": bad_double, "killer": bad_double,
    }  # fmt: skip
    assert rows["right"]["ex-4-4"] == "to be graded by hand" and rows["right"]["open by hand"] == "4"
    assert rows["nothing"]["ex-4-4"] == "0" and rows["nothing"]["of"] == "14"
    for name, words in {
        "loop": "ran longer than 2 s", "trap": "ended from outside", "exit": "ended its process",
        "segfault": "ended its process", "hog": "MemoryError", "killer": "ended its process", "nothing": "not answered",
    }.items():  # fmt: skip
        page = (course / "feedback" / name / "ch04" / "04_tiny.html").read_text(encoding="utf-8")
        assert words in page, page


def test_tagged_cells_and_full_execution_give_the_same_grades(course: Path, hand_in: HandIn) -> None:
    def own_cells(notebook: dict[str, Any]) -> None:
        for number, source in enumerate(("import time\ntime.sleep(60)", "def helper(x):\n    return scores[x]")):
            notebook["cells"].insert(6, code(source) | {"id": f"mine-{number}"})

    hand_in("right", **RIGHT)
    hand_in("half", mean=RIGHT["mean"], double="return 3", total=RIGHT["total"])
    hand_in("helper", **RIGHT | {"total": "return helper(x)"}, change=own_cells)
    hand_in("wrong", mean="return 0")
    seen: dict[bool, list[str]] = {True: [], False: []}
    found = {full: grades_of(course, full=full, tell=seen[full].append) for full in (True, False)}
    for grades in found.values():
        assert [points(grades[name])[:3] for name in ("right", "half", "helper", "wrong")] == [
            [3, 5, 2], [3, 0, 2], [3, 5, 2], [0, 0, 0]
        ]  # fmt: skip
    assert seen[True][0] == "running 5 cells of the chapter" and seen[False][0] == "running 3 cells of the chapter"
    assert not found[False]["helper"].notes  # the cell that sleeps is not run
    assert "ran longer than 2 s" in found[True]["helper"].notes[0]
    assert not [said for said in seen[False] if "other cells" in said]


def test_an_answer_may_use_any_cell_of_the_chapter(course: Path, hand_in: HandIn) -> None:
    """It ran on the student's machine, so it runs here, in a second round with all cells."""
    uses = RIGHT | {"total": "return experiment[0] + scores[x]"}
    hand_in("right", **RIGHT)
    hand_in("uses", **uses)
    hand_in("slow", **uses, change=lambda n: n["cells"].insert(6, code("while True: pass") | {"id": "mine"}))
    hand_in("typo", **RIGHT | {"total": "return score[x]"})
    hand_in("tries", **RIGHT | {"total": RIGHT["total"] + "\ntotal(experiment[0])"})
    said: list[str] = []
    found = grades_of(course, tell=said.append, limits=Limits(cell_seconds=5, seconds=3, memory_mb=400))
    assert points(found["right"])[:3] == points(found["uses"])[:3] == [3, 5, 2] and not found["uses"].notes
    assert (
        points(found["typo"])[:3] == [3, 5, 0] and "name 'score' is not defined" in found["typo"].said["ex-4-3-check"]
    )
    assert points(found["slow"])[:3] == [3, 5, 0]  # what passed without the other cells keeps its points
    assert "what slow, uses wrote uses other cells, too: running all cells" in said


def test_other_cells_that_fail_cost_nobody_points(course: Path, hand_in: HandIn) -> None:
    change_file(course, ("chart = [", "import no_such_module; chart = ["))
    hand_in("right", **RIGHT)
    hand_in("uses", **RIGHT | {"total": "return experiment[0] + scores[x]"})
    found = grades_of(course)
    assert points(found["right"])[:3] == [3, 5, 2] and points(found["uses"])[:3] == [3, 5, 0]
    assert "which cannot be run here: cell 6 of the chapter itself fails" in found["uses"].notes[0]


def test_a_chapter_without_the_tags_runs_all_cells(course: Path, hand_in: HandIn) -> None:
    change_file(course, (TAG, "another"))
    hand_in("right", **RIGHT)
    said: list[str] = []
    assert points(grades_of(course, tell=said.append)["right"])[:3] == [3, 5, 2]
    assert any("running all cells" in text for text in said)


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        ("return scores[x]", "return scores[0]", r"own answers do not pass.*ex-4-3-check: KeyError"),
        ("import math", "import no_such_module", r"cell 2 of the chapter itself fails: ModuleNotFoundError.*doctor"),
    ],
)
def test_a_chapter_that_fails_itself(course: Path, hand_in: HandIn, good: str, bad: str, says: str) -> None:
    hand_in("right", **RIGHT)
    change_file(course, (good, bad))
    result = CliRunner().invoke(app, ["grade", str(course)])
    assert result.exit_code == 1 and re.search(says, result.stderr)


def test_checks_are_put_back(course: Path, hand_in: HandIn) -> None:
    """A submission that replaces the check, or a function of the check's module."""
    for part in ("source", "release"):
        more = "import operator as check\ndef sure(x):\n    assert x"
        pairs = [("seed = 0", f"seed = 0\n{more}"), ("assert double(half) == 3", "sure(check.eq(double(4), 8))")]
        change_file(course, *pairs, part=part)
    change_file(course, ("assert double(-1) == -2", "pass"))

    def cheat(notebook: dict[str, Any]) -> None:
        find(notebook, "ex-4-2-answer")["source"] += "\ncheck.eq = lambda a, b: True\nsure = print"

    hand_in("cheat", **RIGHT | {"double": "return 0"}, change=cheat)
    hand_in("right", **RIGHT)
    found = grades_of(course)
    assert points(found["right"])[:3] == [3, 5, 2] and points(found["cheat"])[:3] == [3, 0, 2]
    for name in ("check.eq", "sure"):
        assert f"{name}, which the checks use, had been replaced; its original was put back" in found["cheat"].notes


def test_time_of_a_submission_is_limited(course: Path, hand_in: HandIn) -> None:
    slow = "import time; time.sleep(0.9)\n    "
    hand_in("slow", mean=slow + RIGHT["mean"], double=slow + RIGHT["double"], total=slow + RIGHT["total"])
    hand_in("right", **RIGHT)
    found = grades_of(course, limits=Limits(cell_seconds=5, seconds=2.5, memory_mb=400))
    assert points(found["right"])[:3] == [3, 5, 2]
    assert points(found["slow"])[0] == 3 and points(found["slow"])[2] == 0
    assert "ran longer than 2.5 s" in found["slow"].said["ex-4-3-check"]


def test_a_submission_sees_no_secrets_and_no_other(
    course: Path, hand_in: HandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "secret")
    look = "import os, pathlib\n    assert 'SOME_TOKEN' not in os.environ\n    return sum(x) / len(x)"
    leave = (
        "import pathlib\n    mark = pathlib.Path('mark')\n    assert x < 0 or not mark.exists() and len(numbers) == 3\n"
        "    mark.touch(); numbers.append(0); return 2 * x"
    )
    for name in ("a", "b", "c"):
        hand_in(name, mean=look, double=leave)
    found = grades_of(course, jobs=1)
    assert [points(found[name])[:3] for name in "abc"] == [[3, 5, 0]] * 3


def test_a_sandbox_ends_with_its_block() -> None:
    with Sandbox([code("x = 1")], [0]) as box:
        box.start()
        process = box.process
    assert process is not None and process.poll() is not None


def test_nothing_to_grade(course: Path, tmp_path: Path) -> None:
    assert "nothing in" in CliRunner().invoke(app, ["grade", str(course)]).stdout
    missing = CliRunner().invoke(app, ["grade", str(tmp_path / "nowhere")])
    assert missing.exit_code == 2 and "metalearn assign 04 --to" in missing.stderr
    wrong = CliRunner().invoke(app, ["grade", str(course), "--chapter", "3"])
    assert wrong.exit_code == 2 and "handed out from" in wrong.stderr


def test_cells_of_the_chapter_leave_no_files(course: Path, hand_in: HandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    change_file(course, ("scores = {}", "scores = {}\nopen('left.txt', 'w').close()"))
    hand_in("right", **RIGHT)
    monkeypatch.chdir(course)
    assert points(grades_of(course)["right"])[:3] == [3, 5, 2]
    assert not list(course.rglob("left.txt")) and not (root() / "left.txt").exists()
