"""`metalearn replicate`: chapters on several seeds, and which of their measured claims are upheld."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from metalearn_lib.course import chapter_list
from metalearn_lib.course.claims import REPLICATION
from metalearn_lib.course.console import console, say, stop
from metalearn_lib.course.running import report
from metalearn_lib.course.running.chapters import Chapter, Execution, UsageError, choose_parameters, find
from metalearn_lib.course.running.output import output_folder
from metalearn_lib.course.running.runner import Busy, Interrupted, Run
from metalearn_lib.files import root

from .store import Replication, Row, edition, seeds_text, stored_file, upheld_share

FIRM = 0.9  # the share of seeds that a sentence should be upheld on
_WEAKEST, _MOST_SEEDS = 10, 1000


def replicate(
    chapters: Annotated[list[str] | None, typer.Argument(help="Which chapters; all that have a seed.")] = None,
    seeds: Annotated[str, typer.Option(help="Which seeds: 0-9, or 0-4,7.")] = "0-9",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Chapters at once; without it, as many as cores and memory allow.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Another folder for all of it; build/replicate/ and data/results/ without."),
    ] = None,
) -> None:
    """Execute chapters on several seeds; store which measured claims each seed upholds, in replication.json."""
    try:
        picked, chosen = _with_seed(chapters or []), parse_seeds(seeds)
        folder = output_folder(out, "build/replicate")
        path = stored_file() if out is None else folder / REPLICATION
        Replication.read(path)  # one that cannot be read is told before hours are spent
        results = _execute(picked, chosen, jobs, folder, path)
        stored = Replication.read(path)
    except UsageError as error:
        stop(error, 2)
    except Interrupted as stopped:
        stop("interrupted; finished seeds are kept, the same command goes on from there", stopped.code)
    except (Busy, OSError) as error:
        stop(error, 1)
    _print(picked, stored)
    say(f"stored in {path.relative_to(root()) if path.is_relative_to(root()) else path}")
    if any(entry["status"] == "failed" for entry in results.values()):
        raise typer.Exit(1)


def parse_seeds(text: str) -> list[int]:
    """The seeds of ``0-4,7``, in order. Raises UsageError for what is no such list, or names a seed twice.

    >>> parse_seeds("0-2,7")
    [0, 1, 2, 7]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal()):
            raise UsageError(f"--seeds {text}: {part!r} is no seed and no range; write 0-9, or 0-4,7")
        if int(first) > int(last):
            raise UsageError(f"--seeds {text}: the range {part} runs backwards; write {last}-{first}")
        if int(last) - int(first) >= _MOST_SEEDS:
            raise UsageError(f"--seeds {text}: {part} names more than {_MOST_SEEDS:,} seeds; name fewer")
        seeds += range(int(first), int(last) + 1)
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise UsageError(f"--seeds {text}: {seeds_text(twice)} is named twice; name each seed once")
    return sorted(seeds)


def _with_seed(names: Sequence[str]) -> list[Chapter]:
    """The chapters that have a seed; each that was named must have one."""
    found = find(names)
    without = [chapter.name for chapter in found if "seed" not in chapter.parameters]
    if names and without:
        raise UsageError(f"{without[0]} has no parameter 'seed'; leave it out")
    return [chapter for chapter in found if chapter.name not in without]


def _execute(
    chapters: Sequence[Chapter], seeds: Sequence[int], jobs: int | None, folder: Path, path: Path
) -> dict[str, report.Report]:
    """Every chapter on every seed, the longest first; what each said is stored as soon as it is there."""
    new = report.new_report()
    editions = {chapter: edition(chapter) for chapter in chapters}
    seed_of = {
        Execution(
            chapter, choose_parameters([chapter], {"seed": seed}, named=True)[chapter.name], f"-seed-{seed}"
        ): seed
        for chapter in chapters
        for seed in seeds
    }

    def finished(execution: Execution, entry: report.Report) -> None:
        run = {
            "chapter": execution.chapter.name, "seed": seed_of[execution], **editions[execution.chapter],
            "date": entry["date"], "python": new["python"], "versions": new["versions"], "error": _error(entry),
        }  # fmt: skip
        stored = Replication.read(path)
        stored.add(run, entry.get("said", []))
        stored.write(path)

    run = Run(
        out=folder, jobs=jobs, keep_going=True, finished=finished,
        measured=report.measured(root() / "build"), minutes=lambda chapter: chapter_list.minutes(chapter.name),
    )  # fmt: skip
    return run.execute(list(seed_of))


def _error(entry: report.Report) -> str | None:
    """Where and why a chapter did not come to its end, in one line."""
    error = entry.get("error")
    if not error:
        return None
    return f"cell {error.get('cell', '?')}: {error['error'].strip().splitlines()[0]}"


def _print(chapters: Sequence[Chapter], stored: Replication) -> None:
    """The weakest claims of these chapters, where they stopped, and how each chapter stands."""
    parts = {chapter.name: stored.of(chapter.name) for chapter in chapters}
    table = Table(box=None, pad_edge=False)
    for head in ("chapter", "the weakest measured claims", "upheld", "smallest margin"):
        table.add_column(head, overflow="fold")
    shown = []  # what held everywhere, and has no number, is as firm as can be told
    for name, part in parts.items():
        for row in part.claims:
            said, seeds = len(row["upheld"]) + len(row["missed"]), len(part.seeds)
            if row["missed"] or row["margin"] is not None or said < seeds:
                note = f" (said on {said} of {seeds} seeds)" if said < seeds else ""
                margin = "–" if row["margin"] is None else f"{row['margin']:+.3g}"
                upheld = Text(f"{len(row['upheld'])} of {said}", style="red" if upheld_share([row]) < FIRM else "")
                shown.append((_strength(row), (name.partition("_")[0], Text(row["sentence"] + note), upheld, margin)))
    shown.sort(key=lambda pair: pair[0])
    weak = sum(share < FIRM for (share, _), _ in shown)
    for _, cells in shown[: max(weak, _WEAKEST)]:
        table.add_row(*cells)
    console.print(table)
    for run in (run for part in parts.values() for run in part.seeds if run["error"]):
        say(f"{run['chapter']}, seed {run['seed']}, did not come to its end: {run['error']}")
    for chapter in chapters:
        if older := stored.older(chapter):
            say(f"note: {chapter.name}, seeds {seeds_text(older)}: measured with an older edition of the library")
    table = Table(box=None, pad_edge=False)
    for head in ("chapter", "seeds", "measured claims", "upheld on every seed", "rate"):
        table.add_column(head, overflow="fold")
    for name, part in parts.items():
        every = sum(not row["missed"] for row in part.claims)
        rate = f"{upheld_share(part.claims):.1%}" if part.claims else "–"
        table.add_row(name, seeds_text([run["seed"] for run in part.seeds]), str(len(part.claims)), str(every), rate)
    console.print(table)


def _strength(row: Row) -> tuple[float, float]:
    """How firm a claim is: first by the share of seeds that upheld it, then by its smallest margin."""
    return upheld_share([row]), math.inf if row["margin"] is None else row["margin"]
