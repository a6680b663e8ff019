"""few_shot.json: what was measured, with what it depends on, when, and on which kind of machine.   Chapter 12"""

from __future__ import annotations

import json
import platform
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from metalearn_lib import __version__
from metalearn_lib.choosing.fingerprint import fingerprint
from metalearn_lib.choosing.recipes import RECIPES
from metalearn_lib.choosing.settings import SETTINGS
from metalearn_lib.files import write_rows

Row = dict[str, Any]
_PACKAGES = ("torch", "transformers", "scikit-learn", "numpy", "scipy")
_PROTOCOL = "5-way, 15 queries a class, accuracy in %; half_width and over: 95 % intervals over episodes"


class Store:
    """One row for each corpus, split, learner and number of shots; `fingerprint` says what a row depends on."""

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self.path, self._force = path, force
        self._new = set[tuple[object, ...]]()  # what was measured since
        self.rows: list[Row] = self._read().get("results", [])

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            return {"about": stored["about"], "results": list(stored["results"])}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path.name} cannot be read ({error}); delete it to start again") from error

    def has(self, corpus: str, split: str, learner: str, shots: int, episodes: int, quick: bool) -> bool:
        """True where this was measured with as many episodes, the same settings and the same code."""
        same = {"episodes": episodes, "quick": quick, "fingerprint": fingerprint(learner, corpus)}
        key = (corpus, split, learner, shots)
        measured = any(_key(row) == key and same.items() <= row.items() for row in self.rows)
        return measured and (key in self._new or not self._force)

    def stale(self) -> int:
        """How many rows come from other code."""
        return sum(row["fingerprint"] != fingerprint(row["learner"], row["corpus"]) for row in self.rows)

    def add(self, row: Row) -> None:
        """Put the row in the place of its older self and write the file, whole or not at all."""
        mark = fingerprint(row["learner"], row["corpus"])
        row = row | {"fingerprint": mark, "date": date.today().isoformat()}
        self._new.add(_key(row))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".work-{self.path.name}.lock")):  # two runs may go on at once
            stored = self._read()
            kept = [other for other in stored.get("results", ()) if _key(other) != _key(row)]
            self.rows = sorted([*kept, row], key=_order)
            about = stored.get("about", {}) | {"protocol": _PROTOCOL} | provenance()
            write_rows(self.path, {"about": about}, results=self.rows)


def _key(row: Row) -> tuple[object, ...]:
    return (row["corpus"], row["split"], row["learner"], row["shots"])


def _order(row: Row) -> tuple[object, ...]:
    places = [
        list(names).index(name) if name in names else len(names)
        for names, name in ((SETTINGS, row["corpus"]), (RECIPES, row["learner"]))
    ]
    return (*places, row["shots"], row["split"])


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
