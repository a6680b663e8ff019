"""`report.json` and the table of a run: what ran, how long, how much memory, how many claims held."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metalearn_lib.course.claims import MISSED
from metalearn_lib.files import write_text

from .chapters import UsageError, versions
from .fingerprint import file_hash

NAME = "report.json"
CPU_SECONDS, MEGABYTES = 60, 3000  # what a chapter may take in the quick profile, shared artefacts being there
_REPORTED = ("metalearn-lib", "torch", "torchtext", "transformers", "numpy", "scikit-learn", "gensim", "papermill")

Report = dict[str, Any]


def new_report() -> Report:
    """An empty report, with what was used."""
    packages = {name: versions()[name] for name in _REPORTED if name in versions()}
    system = f"{platform.system()} {platform.machine()}"
    return {"python": platform.python_version(), "system": system, "versions": packages, "chapters": {}}


def read_report(folder: Path) -> Report:
    """The report of the last run into this folder; an empty one if there is none.

    Raises:
        UsageError: `report.json` is there, and no run wrote it.
    """
    path = folder / NAME
    if not path.exists():
        return new_report()
    try:
        report: Report = json.loads(path.read_text(encoding="utf-8"))
        good = all(isinstance(entry, dict) for entry in report["chapters"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        good = False
    if not good:
        raise UsageError(f"{path} is no report of a run; move it away, or choose another folder with --out")
    return new_report() | {"chapters": report["chapters"]}


def measured(folder: Path) -> dict[str, Report]:
    """What the last run measured, by chapter, of those that came to their end; nothing where there is no report."""
    try:
        found: dict[str, Report] = read_report(folder)["chapters"]
    except UsageError:
        return {}
    return {name: entry for name, entry in found.items() if entry.get("status") == "ok"}


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


def keep_edited(entry: Report, notebook: Path) -> Path | None:
    """Where a person has changed a result since it was written, put it aside as `NAME.ipynb.bak`; where it is now."""
    if not notebook.exists() or file_hash(notebook) in (entry.get("sha256"), entry.get("before")):
        return None
    names = (notebook.with_name(f"{notebook.name}.bak{number or ''}") for number in range(1000))
    aside = next(path for path in names if not path.exists())
    return notebook.rename(aside)


def print_table(results: dict[str, Report], console: Console) -> None:
    """One row for each chapter of this run; under them the claims that did not hold."""
    table = Table(box=None, pad_edge=False)
    for name, justify in (("chapter", "left"), ("status", "left"), ("time", "right"), ("CPU", "right"),
                          ("memory", "right"), ("claims", "right"), ("slowest cell", "left")):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for name, entry in results.items():
        slow = entry.get("slowest") or []
        table.add_row(
            name,
            Text(entry["status"], style={"failed": "red", "ok": "green"}.get(entry["status"], "dim")),
            f"{entry['seconds']:.1f} s" if "seconds" in entry else "–",
            f"{entry['cpu_seconds']:.1f} s" if "cpu_seconds" in entry else "–",
            f"{entry['peak_mb']:,} MB" if entry.get("peak_mb") else "–",
            _claims(entry),
            f"cell {slow[0]['cell']}, {slow[0]['seconds']:.1f} s" if slow else "–",
        )
    console.print(table)
    for name, entry in results.items():
        for line in entry.get("said", ()):
            if not line.get("holds", True):
                number = f"  [{line['number']}]" if line["number"] else ""
                missed = f"{MISSED} {name}: {line['text']}{number}"
                console.print(missed, markup=False, highlight=False, soft_wrap=True)


def _claims(entry: Report) -> str:
    """ "43", or "41 of 43" where some did not hold."""
    held, missed = entry.get("claims", "–"), entry.get("missed")
    return f"{held} of {held + missed}" if missed else str(held)


def print_failure(name: str, error: Report, console: Console) -> None:
    """Chapter, cell, its source and the error."""
    console.print(f"\n{name}, cell {error.get('cell', '?')} failed:", style="bold red", markup=False)
    for line in (error.get("source") or "").splitlines():
        console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(error["error"], style="red", markup=False, highlight=False, soft_wrap=True)


def over_budget(entries: Mapping[str, Report]) -> list[str]:
    """Sentences on the chapters of the quick profile that took more time or memory than a chapter may."""
    said = []
    for name, entry in entries.items():
        if entry.get("options", {}).get("profile", "quick") != "quick":
            continue
        if entry.get("cpu_seconds", 0) > CPU_SECONDS:
            said.append(f"{name} took {entry['cpu_seconds']:.0f} s of CPU; a chapter may take {CPU_SECONDS} s")
        if (entry.get("peak_mb") or 0) > MEGABYTES:
            said.append(f"{name} held {entry['peak_mb']:,} MB; a chapter may hold {MEGABYTES:,} MB")
    return said
