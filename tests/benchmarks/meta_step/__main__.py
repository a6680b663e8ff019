"""`python -m tests.benchmarks.meta_step`: what `make benchmark` measures of a checkout beside learners x corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from metalearn_lib.choosing import provenance
from metalearn_lib.files import results_folder, root

from .. import speed
from .measure import measure
from .table import meta_step_tables

console = Console(width=None if Console().is_terminal else 150)


def main(
    out: Annotated[Path | None, typer.Option(help="data/results/; with --quick build/benchmark/.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One round each, the meta-step of small problems.")] = False,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="Of the meta-step: 1, then 2; 1 with --quick.")
    ] = None,
) -> None:
    """Episodes per second; time and memory of a meta-step beside other libraries: JSON files and a figure."""
    folder = out or (root() / "build" / "benchmark" if quick else results_folder())
    try:
        console.print("episodes per second ...")
        repeats = 1 if quick else speed.REPEATS
        console.print(speed.speed_table(speed.measure(folder / "speed.json", about=provenance(), repeats=repeats)))
        path, numbers = folder / "meta_step.json", threads or ([1] if quick else [1, 2])
        measured = measure(path, about=provenance(), threads=numbers, quick=quick, say=console.print)
        for table in meta_step_tables(measured):
            console.print(table)
    except KeyboardInterrupt:
        console.print("interrupted; what was measured is kept")
        raise typer.Exit(130) from None


if __name__ == "__main__":
    typer.run(main)
