"""A class's folder: which chapters were handed out from it, when they are due, and where things lie in it.

nbgrader_config.py   gradebook.db   course.json
source/ch04/04_metric_based.ipynb     with answers and hidden tests: not for students
release/ch04/04_metric_based.ipynb    to hand out
rubric/ch04.md                        points, what is asked, model answers
submitted/STUDENT/ch04/…ipynb         what comes back (nbgrader's layout)
grades/ch04.csv   by_hand/ch04.csv   feedback/STUDENT/ch04/…html
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from metalearn_lib.course.running.chapters import UsageError
from metalearn_lib.files import write_text


@dataclass(frozen=True)
class Assignment:
    """One chapter that was handed out."""

    name: str  # ch04
    notebook: str  # 04_metric_based
    due: str | None = None  # with its offset, as datetime.isoformat writes it

    def file(self, folder: Path, part: str) -> Path:
        """Its notebook in a part of the folder, "source" or "release"."""
        return folder / part / self.name / f"{self.notebook}.ipynb"

    def by_hand(self, folder: Path) -> Path:
        return folder / "by_hand" / f"{self.name}.csv"

    def submissions(self, folder: Path) -> list[Path]:
        """The folders that hold something of this assignment, one for each student, in order."""
        found = (folder / "submitted").glob(f"*/{self.name}")
        return sorted(path for path in found if path.is_dir() and not path.parent.name.startswith("."))


def read_course(folder: Path) -> dict[str, Assignment]:
    """What was handed out from a folder, by name.

    Raises:
        UsageError: nothing was, or its course.json is damaged.
    """
    path = folder / "course.json"
    if not path.exists():
        raise UsageError(f"{folder} is not the folder of a class; make one with: metalearn assign 04 --to {folder}")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["assignments"]
        return {entry["name"]: Assignment(**entry) for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is damaged ({error!r}); write it anew with: metalearn assign … --to {folder}"
        ) from error


def write_course(folder: Path, course: dict[str, Assignment]) -> None:
    """Write course.json, assignments in order."""
    entries = [asdict(course[name]) for name in sorted(course)]
    write_text(json.dumps({"assignments": entries}, indent=1) + "\n", folder / "course.json")


def assignment_name(chapter: str) -> str:
    """``ch04`` of ``4``, ``04`` and ``ch04``."""
    return f"ch{int(chapter):02d}" if chapter.isdecimal() else chapter


def parse_due(pairs: Sequence[str], names: Collection[str]) -> dict[str, str]:
    """``["2026-12-01"]`` for all, or ``["03=2026-11-20", "04=2026-12-01T18:00+01:00"]``, by assignment name.

    A day alone means its last minute, a time without an offset is UTC.

    Raises:
        UsageError: not a date, or for a chapter that is not handed out.

    >>> parse_due(["2026-12-01"], ["ch04"])
    {'ch04': '2026-12-01T23:59:00+00:00'}
    """
    found: dict[str, str] = {}
    for pair in pairs:
        chapter, equals, text = pair.rpartition("=")
        name = assignment_name(chapter)
        if equals and name not in names:
            raise UsageError(f"--due {pair}: {chapter} is not among {', '.join(names)}")
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(f"--due {pair}: write 2026-12-01, or 04=2026-12-01T18:00+01:00") from None
        if len(text) == len("2026-12-01"):
            moment = datetime.combine(moment.date(), time(23, 59))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found |= dict.fromkeys([name] if equals else names, moment.isoformat())
    return found


def hours_late(assignment: Assignment, folder: Path) -> float | None:
    """Hours after the due date, by nbgrader's timestamp.txt; None without a due date or a readable timestamp."""
    stamp = folder / "timestamp.txt"
    if assignment.due is None or not stamp.is_file():
        return None
    words = stamp.read_text(encoding="utf-8", errors="replace").split()
    try:
        zone = ZoneInfo(words[2]) if len(words) > 2 else UTC
        moment = datetime.fromisoformat(" ".join(words[:2]))
    except (ValueError, LookupError, OSError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return max(0.0, (moment - datetime.fromisoformat(assignment.due)).total_seconds() / 3600)
