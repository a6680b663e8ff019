"""The table in which a person enters points: whatever a spreadsheet makes of it, nothing that was written is lost."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metalearn_lib.course.classroom.course import Assignment
from metalearn_lib.course.classroom.grade import Grade
from metalearn_lib.course.classroom.release import Graded
from metalearn_lib.course.classroom.results import write_results
from metalearn_lib.course.cli import app
from metalearn_lib.course.running.chapters import UsageError

from .conftest import RIGHT, HandIn

ASSIGNMENT = Assignment("ch04", "04_tiny")
PARTS = [Graded(0, "ex-4-4", 4, True, "4.4 · Why"), Graded(1, "ex-4-5", 2, True, "4.5 · What")]
ANSWERS = {"ann": "=Since the\nmean moves; it does.", "Jörg": "Größe, naïve", "-x": "No idea."}
Table = list[dict[str, str]]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "by_hand" / "ch04.csv"
    path.parent.mkdir()
    return path


def results(table: Path, answers: dict[str, str] | None = None, unread: tuple[str, ...] = ()) -> dict[str, str]:
    """Grade again; the points that each student has for 4.4."""
    grades = [
        Grade(name, {"ex-4-4": None, "ex-4-5": 0.0}, {"ex-4-5": "not answered"}, {"ex-4-4": text})
        for name, text in (ANSWERS if answers is None else answers).items()
    ]
    grades += [Grade(name, dict.fromkeys(("ex-4-4", "ex-4-5"), 0.0), readable=False) for name in unread]
    written = write_results(ASSIGNMENT, table.parents[1], PARTS, grades).read_text(encoding="utf-8")
    return {row["student"].lstrip("'"): row["ex-4-4"] for row in csv.DictReader(io.StringIO(written))}


def rows_of(table: Path, delimiter: str = ",") -> Table:
    text = table.read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def saved(rows: Table, delimiter: str, *, head: list[str] | None = None, quoting: int = csv.QUOTE_MINIMAL) -> str:
    """The table as another program writes it."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\r\n", quoting=quoting)
    writer.writerow(head or list(rows[0]))
    writer.writerows(row.values() for row in rows)
    return file.getvalue()


def backups(table: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(table.parent.glob("ch04.csv.bak*"))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "mac-roman"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("points", ["3.5", "3,5", " 3.5 "])
def test_points_are_read_as_any_spreadsheet_saves_them(table: Path, encoding: str, delimiter: str, points: str) -> None:
    assert set(results(table, {"ann": ANSWERS["ann"]}).values()) == {"to be graded by hand"}
    rows = rows_of(table)
    rows[0] |= {"points": points, "comment": "gut gemacht, schön"}
    table.write_bytes(raw := saved(rows, delimiter).encode(encoding))
    assert results(table, {"ann": ANSWERS["ann"]}) == {"ann": "3.5"}
    assert table.read_bytes() == raw, "nothing new, so the file is as the person saved it"
    assert not backups(table)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: saved(rows, ";", head=[name.upper() for name in rows[0]]),
        lambda rows: saved(rows, ",", head=[name.title() for name in rows[0]]),
        lambda rows: saved(rows, ",", quoting=csv.QUOTE_ALL),
        lambda rows: saved(rows, ";", head=[f" {name} " for name in rows[0]]),
        lambda rows: "\r\n;;;\r\n" + saved(rows, ";").replace("\r\n", "\r\n\r\n") + ";;;;\r\n",
        lambda rows: saved([dict(reversed(row.items())) for row in rows], "\t"),
        lambda rows: saved([{"": "", **row, "mark": "A"} for row in rows], ","),
        lambda rows: saved([{key: row[key] for key in ("points", "part", "student")} for row in rows], ";"),
        lambda rows: saved(rows, ",").replace("'=", "="),
        lambda rows: saved(rows, ",").replace("\r\n", "\r"),
    ],
    ids=["capitals", "titles", "quoted", "spaces", "blank", "reordered", "more", "fewer", "formula", "old-mac"],
)
def test_points_are_read_from_any_table(table: Path, change: object) -> None:
    results(table)
    rows = rows_of(table)
    for row, points in zip(rows, ("3.5", "2", "0"), strict=True):
        row["points"] = points
    table.write_bytes(raw := change(rows).encode())  # type: ignore[operator]
    assert results(table) == {"ann": "3.5", "Jörg": "2", "-x": "0"}
    assert table.read_bytes() == raw


def test_cells_left_out_at_the_end_of_a_row(table: Path) -> None:
    table.write_text("student,part,points,of,comment\nann,ex-4-4,3\n", encoding="utf-8")
    assert results(table, {"ann": "a"}) == {"ann": "3"}


def test_rows_of_who_is_away_are_kept(table: Path) -> None:
    """A folder that is moved, or a notebook that is damaged, for one run."""
    results(table)
    rows = rows_of(table)
    for row in rows:
        row |= {"points": "1.5", "comment": f"to {row['student']}"}
    table.write_text(raw := saved(rows, ",").replace("\r\n", "\n"), encoding="utf-8")
    assert results(table, {"ann": ANSWERS["ann"]}, unread=("Jörg",)) == {"ann": "1.5", "Jörg": "0"}
    assert table.read_text(encoding="utf-8") == raw
    assert results(table) == {"ann": "1.5", "Jörg": "1.5", "-x": "1.5"}


def test_new_answers_are_added_and_the_old_table_stays_beside(table: Path) -> None:
    old = "Part;Student;Points;Note;;answer\nex-4-4;ann;3,5;ask her;x;old\nex-9;zoe;77;;;\n;Mean:;;;;\n"
    table.write_bytes(old.encode("cp1252"))
    assert results(table) == {"ann": "3.5", "Jörg": "to be graded by hand", "-x": "to be graded by hand"}
    answer = "'" + ANSWERS["ann"]
    text = table.read_bytes().decode("utf-8")
    assert text.startswith("\ufeffPart;Student;Points;Note;;answer\n")  # Excel takes it for UTF-8
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    assert lines[1] == ["ex-4-4", "ann", "3,5", "ask her", "x", answer]
    assert lines[2:4] == [["ex-9", "zoe", "77", "", "", ""], ["", "Mean:", "", "", "", ""]]
    assert lines[4:] == [["ex-4-4", "Jörg", "", "", "", "Größe, naïve"], ["ex-4-4", "'-x", "", "", "", "No idea."]]
    assert backups(table) == [old.encode("cp1252")]


def test_no_older_copy_is_lost(table: Path) -> None:
    for number in range(3):
        results(table, {"ann": f"answer {number}"})
    assert [b"answer 0" in backups(table)[0], b"answer 1" in backups(table)[1], len(backups(table))] == [True, True, 2]
    table.write_bytes(backups(table)[0])
    results(table, {"ann": "answer 3"})
    assert len(backups(table)) == 2  # it is there already


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name;mark\nann;3\n", "no column student, part, points; found name, mark"),
        ("student;part\nann;ex-4-4\n", "no column points"),
        ("student,part,points,points\nann,ex-4-4,3,4\n", "more than one column points"),
        ("student,part,points\nann,ex-4-4,3,5\n", "line 2: 4 cells, but 3 columns; .* write 3.5, not 3,5"),
        ('student,part,points\n"ann,ex-4-4,3\n', "quotation mark"),
        ("\n\n", "is empty"),
        ("student;part;points\nann;ex-4-4;5\n", "line 2: '5' for ann ex-4-4 is not a number from 0 to 4"),
        ("student;part;points\nann;ex-4-4;-1\n", "'-1' .* is not a number from 0 to 4"),
        ("student;part;points\nann;ex-4-4;good\n", "'good' .* is not a number"),
        ("student;part;points\nann;ex-4-4;nan\n", "'nan' .* is not a number"),
        ("student;part;points\nann;ex-4-4;03. Mai\n", "'03. Mai' .* is not a number"),
        ("student;part;points\nann;ex-4-4;2\n'ann;ex-4-4;3\n", "line 3: there are two numbers of points"),
        ("PK\x03\x04", "a workbook"),
    ],
)
def test_what_cannot_be_read_is_refused_and_left_alone(table: Path, text: str, says: str) -> None:
    table.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=says) as raised:
        results(table)
    assert str(table) in str(raised.value) and "left as it is" in str(raised.value)
    assert table.read_text(encoding="utf-8") == text and not backups(table)


def test_a_comment_reaches_the_student(table: Path) -> None:
    results(table, {"ann": "a", "bob": "b"})
    rows = rows_of(table)
    rows[0] |= {"points": "3", "comment": "Good, but <why>?"}
    table.write_text(saved(rows, ","), encoding="utf-8")
    results(table, {"ann": "a", "bob": "b"})
    pages = [
        (table.parents[1] / "feedback" / name / "ch04" / "04_tiny.html").read_text(encoding="utf-8")
        for name in ("ann", "bob")
    ]
    assert "Good, but &lt;why&gt;?" in pages[0] and "will be read by a person" in pages[1]


def test_the_command_reads_the_table_before_it_grades(course: Path, hand_in: HandIn) -> None:
    hand_in("ann", **RIGHT, words="=Since the mean moves.")
    command = ["grade", str(course), "--cell-seconds", "2", "--memory", "400"]
    assert CliRunner().invoke(app, command).exit_code == 0
    path = course / "by_hand" / "ch04.csv"
    new = path.read_text(encoding="utf-8")
    assert "ann,ex-4-4,,4,,'=Since" in new
    path.write_text(new.replace("ex-4-4,,", "ex-4-4,4.5,") + "zoe,ex-4-4,2,4,,gone\n", encoding="utf-8")
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2 and "'4.5' for ann ex-4-4 is not a number from 0 to 4" in refused.stderr
    assert "running" not in refused.stdout
    path.write_text(path.read_text(encoding="utf-8").replace("4.5", "3.5"), encoding="utf-8")
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0 and "these rows are kept, but not counted: line 3 (zoe ex-4-4)" in done.stdout
    assert "as you left it" not in done.stdout
    path.write_text(path.read_text(encoding="utf-8").replace("mean moves", "?"), encoding="utf-8")
    assert "as you left it, it is ch04.csv.bak" in CliRunner().invoke(app, command).stdout
    assert "ann,13.5,14,0," in (course / "grades" / "ch04.csv").read_text(encoding="utf-8")
