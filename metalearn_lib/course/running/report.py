"""`report.json` and the table of a run: what ran, how long, how much memory, how many claims held."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metalearn_lib.files import write_text

from .chapters import versions

NAME = "report.json"
SECONDS, MEGABYTES = 90, 3000  # what a chapter may take in the quick profile on two cores
_REPORTED = (
    "metalearn-lib",
    "torch",
    "torchtext",
    "transformers",
    "numpy",
    "scikit-learn",
    "gensim",
    "papermill",
)

Report = dict[str, Any]


def new_report() -> Report:
    """An empty report, with what was used."""
    packages = {name: versions()[name] for name in _REPORTED if name in versions()}
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": packages,
        "chapters": {},
    }


def read_report(folder: Path) -> Report:
    """The report of the last run into this folder; an empty one if there is none that can be read."""
    try:
        report: Report = json.loads((folder / NAME).read_text(encoding="utf-8"))
        report["chapters"].items()
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return new_report()
    return new_report() | {"chapters": report["chapters"]}


def write_report(report: Report, folder: Path) -> None:
    report["chapters"] = dict(sorted(report["chapters"].items()))
    write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", folder / NAME)


def is_unchanged(entry: Report | None, fingerprint: str, notebook: Path) -> bool:
    """Whether a chapter was executed to its end from exactly this, and its result lies there as written."""
    return (
        entry is not None
        and entry.get("status") == "ok"
        and entry.get("fingerprint") == fingerprint
        and notebook.is_file()
        and file_hash(notebook) == entry.get("sha256")
    )


def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def print_table(results: dict[str, Report], console: Console) -> None:
    """One row for each chapter of this run."""
    table = Table(box=None, pad_edge=False)
    for name, justify in (("chapter", "left"), ("status", "left"), ("time", "right"), ("memory", "right"),
                          ("claims", "right"), ("slowest cell", "left")):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for name, entry in results.items():
        slow = entry.get("slowest") or []
        table.add_row(
            name,
            Text(entry["status"], style={"failed": "red", "ok": "green"}.get(entry["status"], "dim")),
            f"{entry['seconds']:.1f} s" if "seconds" in entry else "–",
            f"{entry['peak_mb']:,} MB" if entry.get("peak_mb") else "–",
            str(entry.get("claims", "–")),
            f"cell {slow[0]['cell']}, {slow[0]['seconds']:.1f} s" if slow else "–",
        )
    console.print(table)


def print_failure(name: str, error: Report, console: Console) -> None:
    """Chapter, cell, its source and the error."""
    console.print(f"\n{name}, cell {error.get('cell', '?')} failed:", style="bold red", markup=False)
    for line in (error.get("source") or "").splitlines():
        console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(error["error"], style="red", markup=False, highlight=False, soft_wrap=True)


def over_budget(report: Report) -> list[str]:
    """Sentences on the chapters of the quick profile that took more time or memory than a chapter may."""
    said = []
    for name, entry in report["chapters"].items():
        if entry.get("options", {}).get("profile", "quick") != "quick":
            continue
        if entry.get("seconds", 0) > SECONDS:
            said.append(f"{name} took {entry['seconds']:.0f} s; a chapter may take {SECONDS} s")
        if (entry.get("peak_mb") or 0) > MEGABYTES:
            said.append(f"{name} held {entry['peak_mb']:,} MB; a chapter may hold {MEGABYTES:,} MB")
    return said
