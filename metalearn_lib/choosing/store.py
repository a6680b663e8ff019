"""few_shot.json: what was measured, with what it depends on, when, and on which kind of machine.   Chapter 12"""

from __future__ import annotations

import json
import platform
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock

from metalearn_lib import __version__
from metalearn_lib.choosing.fingerprint import fingerprint
from metalearn_lib.choosing.recipes import RECIPES
from metalearn_lib.choosing.settings import SETTINGS
from metalearn_lib.files import write_rows

Row = dict[str, Any]
_PACKAGES = ("torch", "transformers", "scikit-learn", "numpy", "scipy")
_PROTOCOL = "accuracy in %; ways are classes, queries and shots are of each; half_width and over: 95 % over episodes"
VERSION = 2  # of the file: 1 had neither ways nor queries, which were 5 and 15


class Cell(NamedTuple):
    """What a row is about; two rows of one cell are the same measurement, made again."""

    corpus: str
    split: str
    learner: str
    ways: int
    queries: int
    shots: int


class Store:
    """One row for each cell; `fingerprint` says what code, corpus and setting it depends on.

    Raises ValueError for a file that is damaged, or of a newer version; one of version 1 is read as 5-way, 15 queries.
    """

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self.path, self._force = path, force
        self._new = set[tuple[object, ...]]()  # what was measured since
        self.rows: list[Row] = self._read().get("results", [])

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            version = int(stored.get("version", 1))
            rows = [_migrated(row) if version == 1 else row for row in stored["results"]]
            for row in rows:
                _cell(row)  # names what a row lacks
            about = dict(stored["about"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.path.name} cannot be read ({error!r}); delete it to start again") from error
        if version > VERSION:
            raise ValueError(
                f"{self.path.name} is of version {version}, this library reads 1 to {VERSION}: take the library that "
                "wrote it, or another folder with --out"
            )
        return {"about": about, "results": rows}

    def has(self, cell: Cell, episodes: int, quick: bool) -> bool:
        """True where this was measured with as many episodes, the same settings and the same code."""
        same = {"episodes": episodes, "quick": quick, "fingerprint": fingerprint(cell.learner, cell.corpus)}
        measured = any(_cell(row) == cell and same.items() <= row.items() for row in self.rows)
        return measured and (cell in self._new or not self._force)

    def stale(self) -> int:
        """How many rows come from other code."""
        return sum(row["fingerprint"] != fingerprint(row["learner"], row["corpus"]) for row in self.rows)

    def add(self, row: Row) -> None:
        """Put the row in the place of its older self and write the file, whole or not at all."""
        mark = fingerprint(row["learner"], row["corpus"])
        row = row | {"fingerprint": mark, "date": date.today().isoformat()}
        self._new.add(_cell(row))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".work-{self.path.name}.lock")):  # two runs may go on at once
            stored = self._read()
            kept = [other for other in stored.get("results", ()) if _cell(other) != _cell(row)]
            self.rows = sorted([*kept, row], key=_order)
            about = stored.get("about", {}) | {"protocol": _PROTOCOL} | provenance()
            write_rows(self.path, {"version": VERSION, "about": about}, results=self.rows)


def _cell(row: Row) -> Cell:
    return Cell(*(row[name] for name in Cell._fields))


def _migrated(row: Row) -> Row:
    """A row of version 1."""
    cell = Cell(**{name: row[name] for name in Cell._fields if name in row}, ways=5, queries=15)
    return cell._asdict() | {name: value for name, value in row.items() if name not in Cell._fields}


def _order(row: Row) -> tuple[object, ...]:
    places = [
        list(names).index(name) if name in names else len(names)
        for names, name in ((SETTINGS, row["corpus"]), (RECIPES, row["learner"]))
    ]
    return (*places, row["corpus"], row["ways"], row["queries"], row["shots"], row["split"])


def provenance() -> dict[str, Any]:
    """Date, versions and kind of machine; no names of hosts or folders."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "versions": {"metalearn-lib": __version__} | {name: metadata.version(name) for name in _PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"),
        "threads": torch.get_num_threads(),
    }
