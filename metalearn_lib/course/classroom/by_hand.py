"""Points that a person gives: the table `by_hand/ch04.csv`, in whatever way a spreadsheet saved it.

The table is the person's. Its rows and columns stay, known here or not; only the answers in it are brought up to date.
It is written again only if something changes, and the file as it was stays beside it.
"""

from __future__ import annotations

import copy
import csv
import io
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from metalearn_lib.corpora.catalog import CorpusError
from metalearn_lib.corpora.tables import likely_delimiter, likely_encoding, read_rows, read_text
from metalearn_lib.course.running.chapters import UsageError
from metalearn_lib.files import write_text

from .release import Graded

COLUMNS = ("student", "part", "points", "of", "comment", "answer")
_NEEDED = COLUMNS[:3]
Key = tuple[str, str]  # a student and a part, see `key_of`


class ByHand:
    """The table of an assignment as it lies there; empty where there is none.

    Raises:
        UsageError: it is no table, or lacks a column that is needed. The file is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.delimiter, self.head = path, ",", list(COLUMNS)
        self.rows: list[tuple[int, list[str]]] = []  # each with its line in the file
        if path.exists():
            self._read()
        names = [name.casefold() for name in self.head]
        self.at = {name: names.index(name) for name in COLUMNS if name in names}
        if missing := [name for name in _NEEDED if name not in self.at]:
            self._refuse(f"no column {', '.join(missing)}; found {', '.join(self.head)}")
        if twice := [name for name in COLUMNS if names.count(name) > 1]:
            self._refuse(f"more than one column {twice[0]}")

    def entered(self, parts: Sequence[Graded]) -> dict[Key, float]:
        """The points that stand in the table.

        Raises:
            UsageError: points that are no number from 0 to what the part is worth, or two numbers for one answer.
        """
        most = {part.grade_id: part.points for part in parts if part.by_hand}
        found: dict[Key, float] = {}
        for line, key, row in self._keyed():
            text = self._cell(row, "points")
            if not text or key[1] not in most:
                continue
            points = _number(text)
            if not 0 <= points <= most[key[1]]:
                self._refuse(f"{text!r} for {' '.join(key)} is not a number from 0 to {most[key[1]]:g}", line)
            if found.setdefault(key, points) != points:
                self._refuse(f"there are two numbers of points for {' '.join(key)}; take one out", line)
        return found

    def comments(self) -> dict[Key, str]:
        """What the person wrote to a student about a part, in the column `comment`."""
        return {key: text for _, key, row in self._keyed() if (text := self._cell(row, "comment"))}

    def not_counted(self, answers: Mapping[Key, object]) -> list[str]:
        """Rows with points or a comment for which there is no answer now: they are kept."""
        return [
            f"line {line} ({' '.join(key)})"
            for line, key, row in self._keyed()
            if key not in answers and (self._cell(row, "points") or self._cell(row, "comment"))
        ]

    def update(self, answers: Mapping[Key, tuple[float, str]]) -> Path | None:
        """Bring the answers, and what each is worth, up to date; if that changed the file, where the old one is."""
        before = copy.deepcopy(self.rows)
        rows = {key: row for _, key, row in self._keyed()}
        for key, (worth, answer) in answers.items():
            row = rows.get(key)
            if row is None:
                row = [""] * len(self.head)
                row[self.at["student"]], row[self.at["part"]] = plain(key[0]), key[1]
                self.rows.append((0, row))
            if "of" in self.at and _number(self._cell(row, "of")) != worth:
                row[self.at["of"]] = f"{worth:g}"
            if "answer" in self.at and _words(self._cell(row, "answer")) != _words(answer):
                row[self.at["answer"]] = plain(answer)
        if self.rows == before:
            return None
        kept = _keep(self.path) if self.path.exists() else None
        # with a byte order mark: spreadsheets take a file without one for the local code page
        table = csv_text([self.head, *(row for _, row in self.rows)], self.delimiter)
        write_text("\ufeff" + table, self.path)
        return kept

    def _read(self) -> None:
        try:
            text = read_text(self.path, likely_encoding(self.path.read_bytes()))
            self.delimiter = likely_delimiter(text, COLUMNS)
            (_, self.head), *rows = read_rows(self.path, text, self.delimiter)
        except CorpusError as error:
            raise UsageError(f"{error}; the table is left as it is") from None
        width = len(self.head)
        for line, cells in rows:
            if len(cells) > width:
                way_out = f"put a cell that holds {self.delimiter!r} into quotation marks, and write 3.5, not 3,5"
                self._refuse(f"{len(cells)} cells, but {width} columns; {way_out}", line)
            self.rows.append((line, cells + [""] * (width - len(cells))))  # spreadsheets leave out the last ones

    def _keyed(self) -> Iterator[tuple[int, Key, list[str]]]:
        for line, row in self.rows:
            yield line, key_of(self._cell(row, "student"), self._cell(row, "part")), row

    def _cell(self, row: Sequence[str], name: str) -> str:
        return row[self.at[name]].strip() if name in self.at else ""

    def _refuse(self, what: str, line: int | None = None) -> NoReturn:
        place = f"{self.path}, line {line}" if line else str(self.path)
        raise UsageError(f"{place}: {what}. The table is left as it is; its columns are {', '.join(COLUMNS)}")


def key_of(student: str, part: str) -> Key:
    """How an answer is found again, with or without the mark of `plain`."""
    return student.strip().lstrip("'"), part


def plain(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def csv_text(rows: Sequence[Sequence[str]], delimiter: str = ",") -> str:
    """A table as the text of a CSV file."""
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan


def _words(text: str) -> list[str]:
    """What does not change when a spreadsheet reads an answer and saves it."""
    return text.lstrip("'").split()


def _keep(path: Path) -> Path:
    """A copy of the file beside it: `ch04.csv.bak`, or `.bak2`, … where an older copy is another."""
    content = path.read_bytes()
    names = (f"{path.name}.bak{number if number > 1 else ''}" for number in itertools.count(1))
    kept = next(kept for kept in map(path.with_name, names) if not kept.exists() or kept.read_bytes() == content)
    kept.write_bytes(content)
    return kept
