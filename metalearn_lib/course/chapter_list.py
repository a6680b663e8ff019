"""The list of chapters, `chapters.toml`, and the tables of README and `notebooks/instructors.md` that follow from it.

python -m metalearn_lib.course.chapter_list      prints both, with what the last `metalearn run` measured
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from metalearn_lib.files import root


@dataclass(frozen=True)
class Entry:
    """One chapter, or page without a number: what it is about, what to read before, minutes to read and to exercise."""

    number: str
    slug: str
    title: str
    about: str
    after: tuple[str, ...]
    here: bool  # in this edition
    any_of: tuple[str, ...] = ()  # to read before, too, as many as one likes
    read: int = 0
    exercises: int = 0

    @property
    def name(self) -> str:
        """The name of its notebook."""
        return "_".join(filter(None, (self.number, self.slug)))

    @property
    def heading(self) -> str:
        return " ".join(filter(None, (self.number, self.title)))


@cache
def entries() -> tuple[Entry, ...]:
    """All chapters of the course in order, the ones to come too; last the glossary."""
    listed = tomllib.loads((Path(__file__).with_name("chapters.toml")).read_text(encoding="utf-8"))["chapter"]
    lists = [{name: tuple(fields.get(name, ())) for name in ("after", "any_of")} for fields in listed]
    return tuple(Entry(**{**fields, **others}) for fields, others in zip(listed, lists, strict=True))


def minutes(name: str) -> int:
    """Minutes to read the notebook of this name; 0 for one that is not in the list."""
    return next((entry.read for entry in entries() if entry.name == name), 0)


def needed(number: str) -> set[str]:
    """All chapters to read before this one, what they need included."""
    entry = next(entry for entry in entries() if entry.number == number)
    direct = {*entry.after, *entry.any_of}
    return direct.union(*map(needed, direct))


def readme_table(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """The chapters of this edition; CPU minutes and memory from the entries of a report, where it has them."""
    rows = []
    for entry in entries():
        if entry.here:
            seconds, peak = (measured.get(entry.name, {}).get(key) for key in ("cpu_seconds", "peak_mb"))
            costs = [f"{seconds / 60:.1f} min" if seconds else "–", f"{peak / 1000:.1f} GB" if peak else "–"]
            link = f"[{entry.heading}](notebooks/{entry.name}.ipynb)"
            rows.append([link, entry.about, *([f"{entry.read} min", *costs] if entry.number else "–––")])
    return table(["chapter", "what it is about", "to read", "to execute", "memory"], rows)


def instructors_table() -> str:
    """All numbered chapters, with what to read before and the minutes of those that this edition holds."""
    rows = []
    for entry in entries():
        if entry.number:
            name = f"[{entry.heading}]({entry.name}.ipynb)" if entry.here else f"{entry.heading} (to come)"
            times = [str(entry.read), str(entry.exercises)] if entry.here else ["", ""]
            before = ", ".join(entry.after) or "–"
            if entry.any_of:
                before += f", and any of {entry.any_of[0]} to {entry.any_of[-1]}"
            rows.append([name, before, *times])
    return table(["chapter", "read it after", "to read and do, minutes", "exercises, minutes"], rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(row)} |".replace("  |", " |") for row in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


if __name__ == "__main__":
    from metalearn_lib.course.running.report import measured

    print(readme_table(measured(root() / "build")), instructors_table(), sep="\n\n")
