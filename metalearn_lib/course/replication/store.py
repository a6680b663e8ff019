"""`data/results/replication.json`: on which seeds each measured claim was upheld, and the scores of these trainings.

Three tables, a row a line: a `seeds` row says what a chapter was executed from on one seed, and why it did not come to
its end; a `claims` row belongs to a sentence; a `scores` row to a mean that the chapter gave to `replicated`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from metalearn_lib.course.claims import REPLICATION
from metalearn_lib.course.running.chapters import Chapter, UsageError
from metalearn_lib.course.running.fingerprint import cells_hash, library_hash
from metalearn_lib.files import results_folder, root, write_rows
from metalearn_lib.fingerprint import Library

Row = dict[str, Any]
_ABOUT = {
    "made by": "metalearn replicate",
    "seeds": "cells and library: hashes of the chapter's code and of what it reaches; error: why it stopped",
    "claims": "upheld, missed: seeds; margin: the smallest, in the unit of the number; null where there is none",
    "scores": "means: over the episodes of one training, by seed",
}
_NEEDED = {
    "seeds": {"chapter", "seed", "cells", "library"},
    "claims": {"chapter", "sentence", "upheld", "missed", "margin", "numbers", "margins"},
    "scores": {"chapter", "name", "row", "means"},
}


def stored_file() -> Path:
    """Where the course keeps it."""
    return results_folder() / REPLICATION


def edition(chapter: Chapter) -> Row:
    """What a measurement of a chapter depends on: the hashes of its cells and of what they reach."""
    cells = cells_hash(chapter)
    return {"cells": cells[:16], "library": _reached(chapter.path, cells)[:16]}


@cache
def _reached(path: Path, cells: str) -> str:
    """Read once by a process for a chapter with these cells: several of its figures may ask."""
    return library_hash(Chapter(path), _library())


@cache
def _library() -> Library:
    return Library(root())


@dataclass
class Replication:
    """The three tables; a row of claims or scores holds its numbers by seed."""

    seeds: list[Row] = field(default_factory=list)
    claims: list[Row] = field(default_factory=list)
    scores: list[Row] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Replication:
        """What a file holds; nothing where it is absent. Raises UsageError for a file that cannot be read."""
        if not path.exists():
            return cls()
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            for name, keys in _NEEDED.items():
                if missing := [sorted(keys - row.keys()) for row in stored[name] if keys - row.keys()]:
                    raise ValueError(f"a row of {name} lacks {', '.join(missing[0])}")
            return cls(**{name: stored[name] for name in _NEEDED})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path.name} cannot be read ({type(error).__name__}: {error}); bring back an earlier one, or move it "
                "away to begin anew"
            ) from error

    def write(self, path: Path) -> None:
        """Write the file as a whole or not at all."""
        write_rows(path, {"about": _ABOUT}, seeds=self.seeds, claims=self.claims, scores=self.scores)

    def add(self, run: Row, said: Sequence[Row]) -> None:
        """Put what a chapter said on a seed in the place of what it said before; other cells begin a chapter anew."""
        chapter, seed = run["chapter"], run["seed"]
        of_chapter = [row for row in self.seeds if row["chapter"] == chapter]
        outdated = {row["seed"] for row in of_chapter if row["cells"] != run["cells"]}
        self._forget(chapter, {seed, *outdated})
        self.seeds.append(run)
        for line in _one_for_each_sentence(said):
            empty: Row = {"upheld": [], "missed": [], "margin": None, "numbers": {}, "margins": {}}
            row = _row(self.claims, {"chapter": chapter, "sentence": line["text"]}, empty)
            where = "upheld" if line["holds"] else "missed"
            row[where] = sorted([*row[where], seed])
            for name, value in (("numbers", line["number"]), ("margins", line["slack"])):
                if value not in ("", None):
                    row[name] = _by_seed(row[name] | {str(seed): value})
        for line in said:
            if line["kind"] == "score":
                for name, mean in line["means"].items():
                    row = _row(self.scores, {"chapter": chapter, "name": line["name"], "row": name}, {"means": {}})
                    row["means"] = _by_seed(row["means"] | {str(seed): mean})
        self._put_in_order()

    def of(self, chapter: str) -> Replication:
        """What is stored of the chapter of this name."""
        tables = {name: [row for row in getattr(self, name) if row["chapter"] == chapter] for name in _NEEDED}
        return Replication(**tables)

    def older(self, chapter: Chapter) -> list[int]:
        """The seeds on which a chapter was executed before its cells, or what they reach, changed."""
        now = edition(chapter)
        return [row["seed"] for row in self.of(chapter.name).seeds if not now.items() <= row.items()]

    def _forget(self, chapter: str, seeds: set[int]) -> None:
        keys = set(map(str, seeds))
        self.seeds = [row for row in self.seeds if row["chapter"] != chapter or row["seed"] not in seeds]
        for row in [*self.claims, *self.scores]:
            for name, values in row.items() if row["chapter"] == chapter else ():
                if isinstance(values, list):
                    row[name] = [seed for seed in values if seed not in seeds]
                elif isinstance(values, dict):
                    row[name] = {seed: value for seed, value in values.items() if seed not in keys}

    def _put_in_order(self) -> None:
        """An order that does not depend on which execution was finished first."""
        self.seeds.sort(key=lambda row: (row["chapter"], row["seed"]))
        self.claims = [row for row in self.claims if row["upheld"] or row["missed"]]
        self.claims.sort(key=lambda row: (row["chapter"], row["sentence"]))
        for row in self.claims:
            row["margin"] = min(row["margins"].values(), default=None)
        self.scores = [row for row in self.scores if row["means"]]
        self.scores.sort(key=lambda row: (row["chapter"], row["name"], row["row"]))


def upheld_share(claims: Sequence[Row]) -> float:
    """Of all times that these sentences were claimed, the share in which they held."""
    upheld, missed = (sum(len(row[where]) for row in claims) for where in ("upheld", "missed"))
    return upheld / (upheld + missed)


def seeds_text(seeds: Sequence[int]) -> str:
    """Seeds as people write them.

    >>> seeds_text([0, 1, 2, 4, 7, 8])
    '0–2, 4, 7–8'
    """
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ", ".join(f"{part[0]}–{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def _one_for_each_sentence(said: Sequence[Row]) -> list[Row]:
    """The measured claims; a sentence that was claimed several times holds where it held each time."""
    weakest: dict[str, Row] = {}
    for line in said:
        if line["kind"] == "measured":
            weakest[line["text"]] = min(weakest.get(line["text"], line), line, key=_strength)
    return list(weakest.values())


def _strength(line: Row) -> tuple[bool, float]:
    return line["holds"], float("inf") if line["slack"] is None else line["slack"]


def _row(rows: list[Row], key: Row, empty: Row) -> Row:
    """The row with this key, or a new one."""
    for row in rows:
        if key.items() <= row.items():
            return row
    rows.append(key | empty)
    return rows[-1]


def _by_seed(values: Row) -> Row:
    return dict(sorted(values.items(), key=lambda item: int(item[0])))
