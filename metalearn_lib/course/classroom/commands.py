"""`metalearn assign` and `metalearn grade`, for a class."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from metalearn_lib.course.running.chapters import UsageError, find

app = typer.Typer()
console = Console()
errors = Console(stderr=True)


def _stop(message: object, code: int) -> NoReturn:
    errors.print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command()
def assign(
    chapters: Annotated[list[str], typer.Argument(help="Which chapters: 4, 04, 04_metric_based.")],
    to: Annotated[Path, typer.Option("--to", help="The folder of the class; made where it is missing.")],
    due: Annotated[
        list[str] | None, typer.Option(help="2026-12-01 for all, or 04=2026-12-01T18:00+01:00; may be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a chapter that students have handed in.")] = False,
) -> None:
    """For a class: chapters as nbgrader assignments, with hidden tests, rubric and due dates."""
    from .assign import assign as write

    try:
        said = write(find(chapters), to, due=due or [], force=force)
    except UsageError as error:
        _stop(error, 2)
    except OSError as error:
        _stop(error, 1)
    for sentence in said:
        _say(sentence)
    _say(f"hand out {to / 'release'}; keep source and rubric to yourself; then: metalearn grade {to}")


@app.command()
def grade(
    folder: Annotated[Path, typer.Argument(help="The folder that `metalearn assign` wrote.")],
    chapter: Annotated[list[str] | None, typer.Option(help="Only this one (4, 04, ch04); may be repeated.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Submissions graded at once.")] = 2,
    cell_seconds: Annotated[float, typer.Option(min=1, help="Seconds a cell of a submission may take.")] = 30,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds a submission may take.")] = 180,
    memory: Annotated[int, typer.Option(min=100, help="MB of memory that a submission may take.")] = 3000,
    full: Annotated[bool, typer.Option("--full", help="Run every cell, not only what the checks need.")] = False,
) -> None:
    """For a class: grade DIR/submitted/STUDENT/ch04/; writes DIR/grades, DIR/by_hand and DIR/feedback."""
    from .course import read_course
    from .grade import grade as run
    from .results import write_results
    from .submission import Unreadable
    from .workers import ChapterFails, Limits

    limits = Limits(cell_seconds=cell_seconds, seconds=seconds, memory_mb=memory)
    failed = False
    try:
        course = read_course(folder)
        names = [f"ch{int(name):02d}" if name.isdecimal() else name for name in chapter or course]
        for name in names:
            if name not in course:
                raise UsageError(f"--chapter {name}: handed out from {folder} were {', '.join(course) or 'none'}")
        for name in names:
            assignment, started = course[name], time.monotonic()
            if not assignment.submissions(folder):
                _say(f"{name}: nothing in {folder / 'submitted'}/STUDENT/{name}")
                continue
            try:
                parts, grades = run(assignment, folder, limits=limits, jobs=jobs, full=full, tell=_say)
            except (ChapterFails, Unreadable) as error:
                errors.print(f"error: {name}: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
                failed = True
                continue
            table = write_results(assignment, folder, parts, grades, tell=_say)
            lost = sum(not one.readable for one in grades)
            unread = f", {lost} not readable (see the notes)" if lost else ""
            _say(f"{name}: {len(grades)} submissions in {time.monotonic() - started:.0f} s{unread}; grades in {table}")
    except UsageError as error:
        _stop(error, 2)
    except OSError as error:
        _stop(error, 1)
    except KeyboardInterrupt:
        _stop("interrupted; the same command grades again", 130)
    if failed:
        raise typer.Exit(1)
