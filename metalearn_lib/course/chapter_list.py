"""The list of chapters, `chapters.toml`: what each is about, what to read before, its minutes."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


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
