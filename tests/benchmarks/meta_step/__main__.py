"""`python -m tests.benchmarks.meta_step`: what `make benchmark` measures of a checkout beside learners x corpora."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from metalearn_lib.choosing.benchmark import about
from metalearn_lib.files import results_folder, root

from .. import speed as speeds
from . import meta_step as meta_steps
from .meta_step_table import meta_step_tables

console = Console(width=None if Console().is_terminal else 150)


def main(
    out: Annotated[Path | None, typer.Option(help="data/results/; with --quick build/benchmark/.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few rounds of small problems.")] = False,
    speed: Annotated[bool, typer.Option(help="Measure episodes per second, too.")] = True,
    meta_step: Annotated[bool, typer.Option(help="Measure the meta-step beside its peers, too.")] = True,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the meta-step; one with --quick.")] = 2,
) -> None:
    """The time and memory of a meta-step beside other libraries, episodes per second; JSON files and a figure."""
    folder = out or (root() / "build" / "benchmark" if quick else results_folder())
    try:
        if speed:
            console.print("episodes per second ...")
            speeds.measure(folder / "speed.json", about=about())
            console.print(speeds.speed_table(json.loads((folder / "speed.json").read_text(encoding="utf-8"))))
        if meta_step:
            into = folder / "meta_step.json"
            meta_steps.measure(into, about=about(), threads=1 if quick else threads, quick=quick, say=console.print)
            for table in meta_step_tables(json.loads(into.read_text(encoding="utf-8"))):
                console.print(table)
    except KeyboardInterrupt:
        console.print("interrupted; what was measured is kept")
        raise typer.Exit(130) from None


typer.run(main)
