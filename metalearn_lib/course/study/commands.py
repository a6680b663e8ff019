"""What `metalearn lab`, `metalearn progress` and `metalearn solution` do; `cli` makes commands of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Annotated

import typer

from metalearn_lib.course.console import say, stop
from metalearn_lib.course.running.chapters import UsageError
from metalearn_lib.files import notebooks_folder, root

# `python -m jupyterlab`, started seconds sooner
_START = (
    "from metalearn_lib.course.running.notebook import quick_jsonschema; quick_jsonschema(); "
    "import sys; from jupyterlab.labapp import main; sys.exit(main())"
)


def lab(
    context: typer.Context,
    chapters: Annotated[
        bool, typer.Option("--chapters", help="For authors: open notebooks/ itself, not your own copies.")
    ] = False,
) -> None:
    """Open your own copies of the chapters, in work/, in JupyterLab (other options are JupyterLab's own).

    The copies are made once and never overwritten; of a chapter that has changed since, the new edition is laid
    beside yours.
    """
    from . import workspace

    folder = notebooks_folder()
    if not chapters:
        folder = workspace.default_workspace()
        try:
            for sentence in workspace.prepare(folder):
                say(sentence)
        except workspace.WorkspaceError as error:
            stop(error, 1)
    os.chdir(root())
    raise typer.Exit(_run([sys.executable, "-c", _START, "--notebook-dir", str(folder), *context.args]))


def progress() -> None:
    """Which self-checks and quizzes you have passed, chapter by chapter."""
    from metalearn_lib.course import records

    from . import progress as shown

    folder = records.find_workspace() or records.default_workspace()
    if not (folder / records.MARKER).exists():
        say(f"nothing is recorded yet: make your own copies of the chapters, in {folder}, with: metalearn lab")
        return
    try:
        say(shown.text(shown.rows(folder)))
    except UsageError as error:
        stop(error, 1)


def solution(
    chapter: Annotated[str, typer.Argument(help="Which chapter: 4, 04, 04_metric_based.")],
    exercise: Annotated[str | None, typer.Argument(help="Which exercise: 4.2 or 2; without one, a list.")] = None,
) -> None:
    """Show the solution of an exercise; without a number, which exercises the chapter has."""
    from ..exercises import copies as student

    try:
        say(student.solution(chapter, exercise))
    except UsageError as error:
        stop(error, 2)


def _run(command: list[str]) -> int:
    """Run JupyterLab until it ends, and return its exit code.

    Who asks this process to end (SIGTERM) asks JupyterLab, which shuts its kernels down first. Ctrl-C in a terminal
    reaches JupyterLab by itself: it asks whether that was meant, and is waited for.
    """
    process = subprocess.Popen(command)
    answers = {signal.SIGTERM: lambda *_: process.terminate(), signal.SIGINT: lambda *_: None}
    before = {number: signal.signal(number, answer) for number, answer in answers.items()}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
