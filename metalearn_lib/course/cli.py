"""The `metalearn` command: what the Makefile calls, and what conda users call themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from metalearn_lib.files import root

from . import chapter_list, doctor, steps
from .book.build import book
from .classroom import commands as classroom
from .console import complain, console, errors, say, stop
from .replication.command import replicate
from .running import report
from .running.chapters import Execution, UsageError, choose_parameters, find, parse_parameters
from .running.output import absolute_folders, output_folder
from .running.runner import Busy, Interrupted, Run
from .running.worker import KERNEL_ENVIRONMENT
from .study import commands as study

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
data_app = typer.Typer(help="The corpora: what there is, fetching, verifying.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Chapters = Annotated[list[str] | None, typer.Argument(help="Which chapters: 4, 04, 04_metric_based; all without one.")]
Names = Annotated[list[str] | None, typer.Argument(help="Which corpora; without one, those of the chapters.")]


@app.callback()
def metalearn() -> None:
    """Learning to Learn from Text: run, check and explore the course."""
    absolute_folders()


@app.command()
def run(
    chapters: Chapters = None,
    profile: Annotated[str | None, typer.Option(help="quick (default) or full, the size of the papers.")] = None,
    device: Annotated[str | None, typer.Option(help="auto (default), cpu or cuda.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every chapter; 0 by default.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="name=value: another parameter of the chapters.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Chapters at once; without it, as many as cores and memory allow.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where executed chapters and report.json go; build/.")
    ] = None,
    cell_timeout: Annotated[int, typer.Option(min=0, help="Seconds a cell may take; 0: no limit.")] = 600,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on after a chapter that failed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Execute what has not changed, too.")] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="For authors: refresh the outputs in notebooks/.")
    ] = False,
) -> None:
    """Execute chapters, each in a process of its own; what has not changed is left as it is."""
    options = {"profile": profile, "device": device, "seed": seed}
    try:
        _check_choice("profile", profile, ("quick", "full"))
        _check_choice("device", device, ("auto", "cpu", "cuda"))
        picked = find(chapters or [])
        given = {name: value for name, value in options.items() if value is not None} | parse_parameters(param or [])
        if in_place and given:
            raise UsageError(f"--in-place executes with the defaults; leave out {', '.join(given)}")
        chosen = choose_parameters(picked, given, named=bool(chapters))
        folder = output_folder(out, "build")
        todo = Run(
            out=folder, jobs=jobs, cell_timeout=cell_timeout, keep_going=keep_going, force=force,
            measured=report.measured(folder), minutes=lambda chapter: chapter_list.minutes(chapter.name),
        )  # fmt: skip
        executions = [Execution(chapter, chosen[chapter.name]) for chapter in picked]
        results = todo.refresh(executions) if in_place else todo.execute(executions)
    except UsageError as error:
        stop(error, 2)
    except Interrupted as stopped:
        stop("interrupted; finished chapters are kept, the same command goes on from there", stopped.code)
    except (Busy, OSError) as error:
        stop(error, 1)
    report.print_table(results, console)
    failed = {name: entry["error"] for name, entry in results.items() if entry["status"] == "failed"}
    for name, failure in failed.items():
        report.print_failure(name, failure, errors)
    for sentence in report.over_budget(results):
        say(f"note: {sentence}")
    if not in_place:
        say(f"results in {_short(todo.out)}")
    if failed:
        raise typer.Exit(1)


def _check_choice(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise UsageError(f"--{name} {value}: choose {' or '.join(choices)}")


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


app.command()(replicate)


@app.command("doctor")
def examine() -> None:
    """Look at Python, packages, torch, data, memory, disk and JupyterLab; say what mends a fault."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "what", "found", "mend it with"):
        table.add_column(name, overflow="fold")
    findings = []
    with console.status("looking ..."):
        for finding in doctor.examine():
            findings.append(finding)
            mark = "[green]✓[/]" if finding.good else "[red]✗[/]"
            table.add_row(mark, finding.subject, finding.found, finding.mend)
    console.print(table)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(study.lab)
app.command()(study.progress)
app.command()(study.solution)
app.command()(classroom.assign)
app.command()(classroom.grade)
app.command()(book)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def benchmark(context: typer.Context) -> None:
    """Learners x corpora beside the published figures; writes data/results/ (options are the benchmark's own)."""
    raise typer.Exit(_call([sys.executable, "-m", "metalearn_lib.choosing", *context.args]))


@app.command()
def check() -> None:
    """Lint, types, unit tests, notebook checks and nbval: what must hold before a change goes in."""
    os.chdir(root())
    os.environ.update(KERNEL_ENVIRONMENT)  # as when the outputs were stored
    failed = [name for name, command in steps.steps() if not _step(name, command)]
    for sentence in report.over_budget(report.measured(root() / "build")):
        say(f"note: in the last run {sentence}")
    if failed:
        stop(f"failed: {', '.join(failed)}", 1)


def _step(name: str, command: list[str]) -> bool:
    console.print(f"[bold]{name}[/]: {' '.join(command[1:])}", highlight=False, soft_wrap=True)
    return _call(command) == 0


def _call(command: list[str]) -> int:
    try:
        return subprocess.call(command)
    except KeyboardInterrupt:  # the called program got it too, and has said what there is to say
        return 130


@data_app.command("list")
def list_data() -> None:
    """Every corpus: what it is, whether it is here, its licence."""
    from metalearn_lib import corpora

    table = Table(box=None, pad_edge=False)
    for name in ("name", "here", "for the chapters", "kind", "licence", "title"):
        table.add_column(name, overflow="fold")
    for name in corpora.names():
        about = corpora.describe(name)
        here = "✓" if corpora.is_present(name) else "–"
        table.add_row(name, here, "✓" if about.default else "–", about.kind, about.licence, about.title)
    console.print(table)


@data_app.command("fetch")
def fetch_data(
    names: Names = None, everything: Annotated[bool, typer.Option("--all", help="Every corpus of the catalog.")] = False
) -> None:
    """Fetch corpora into the data cache; what is already there is not fetched again."""
    from metalearn_lib import corpora

    _each_corpus(names, everything, "fetched", lambda name: corpora.fetch(name) and [])


@data_app.command("make")
def make_data() -> None:
    """Fetch what the chapters need, and make what they share: language models, encodings of posts (once, minutes)."""
    fetch_data()
    from . import artefacts

    try:
        failed = artefacts.make()
    except KeyboardInterrupt:
        stop("interrupted; what is ready is kept, the same command goes on from there", 130)
    for name, problem in failed.items():
        console.print(f"note: {name} makes its own: {problem}", markup=False, highlight=False, soft_wrap=True)


@data_app.command("verify")
def verify_data(
    names: Names = None, everything: Annotated[bool, typer.Option("--all", help="Every corpus of the catalog.")] = False
) -> None:
    """Compare the files of the data cache with the catalog's sizes and hashes."""
    from metalearn_lib import corpora

    _each_corpus(names, everything, "verified", corpora.verify)


def _each_corpus(names: list[str] | None, everything: bool, done: str, act: Any) -> None:
    from metalearn_lib import corpora

    known = corpora.names()
    for name in names or []:
        if name not in known:
            stop(f"unknown corpus {name!r}; the corpora are {', '.join(known)}", 2)
    wanted = names or [name for name in known if everything or corpora.describe(name).default]
    failed = []
    for name in wanted:
        try:
            problems = act(name)
        except KeyboardInterrupt:
            stop("interrupted; complete files are kept, nothing half-written", 130)
        except (OSError, ValueError, RuntimeError) as error:
            problems = [error]
        for problem in problems or []:
            complain(f"{name}: {problem}")
        if problems:
            failed.append(name)
    good = len(wanted) - len(failed)
    say(f"{good} of {len(wanted)} corpora {done}; cache: {corpora.cache_folder()}")
    if failed:
        stop(f"not {done}: {', '.join(failed)}; try: metalearn data fetch {' '.join(failed)}", 1)


if __name__ == "__main__":
    app()
