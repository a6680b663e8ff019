"""What `metalearn assign` and `metalearn grade` do, for a class; `cli` makes commands of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from metalearn_lib.course.console import complain, say, stop
from metalearn_lib.course.running.chapters import UsageError, find


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
        for sentence in write(find(chapters), to, due=due or [], force=force):
            say(sentence)
    except UsageError as error:
        stop(error, 2)
    except OSError as error:
        stop(error, 1)
    say(f"hand out {to / 'release'}; keep source and rubric to yourself; then: metalearn grade {to}")


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
    from .course import assignment_name, read_course
    from .grade import grade as run
    from .results import write_results
    from .submission import Unreadable
    from .workers import ChapterFails, Limits

    limits = Limits(cell_seconds=cell_seconds, seconds=seconds, memory_mb=memory)
    failed = False
    try:
        course = read_course(folder)
        names = [assignment_name(name) for name in chapter or course]
        if unknown := set(names) - set(course):
            stop(f"--chapter {min(unknown)}: handed out from {folder} were {', '.join(course) or 'none'}", 2)
        for name in names:
            assignment, started = course[name], time.monotonic()
            if not assignment.submissions(folder):
                say(f"{name}: nothing in {folder / 'submitted'}/STUDENT/{name}")
                continue
            try:
                parts, grades = run(assignment, folder, limits=limits, jobs=jobs, full=full, tell=say)
            except (ChapterFails, Unreadable) as error:
                complain(f"error: {name}: {error}")
                failed = True
                continue
            table = write_results(assignment, folder, parts, grades, tell=say)
            lost = sum(not one.readable for one in grades)
            unread = f", {lost} not readable (see the notes)" if lost else ""
            say(f"{name}: {len(grades)} submissions in {time.monotonic() - started:.0f} s{unread}; grades in {table}")
    except UsageError as error:
        stop(error, 2)
    except OSError as error:
        stop(error, 1)
    except KeyboardInterrupt:
        stop("interrupted; the same command grades again", 130)
    if failed:
        raise typer.Exit(1)
