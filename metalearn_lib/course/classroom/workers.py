"""Runs submissions in sandbox processes, some at once, and turns what they say into a result for every check."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from metalearn_lib.course.running.worker import KERNEL_ENVIRONMENT
from metalearn_lib.files import root

from ..exercises.cells import is_answer, is_check
from .needed import names_of
from .release import Cell
from .submission import Restored

# what a submission may see of the environment: no tokens, no passwords
_PASSED_ON = {
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH", "MPLCONFIGDIR",
}  # fmt: skip


class ChapterFails(RuntimeError):
    """A cell of the chapter itself fails, so nothing can be graded."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use."""

    cell_seconds: float = 30
    seconds: float = 180
    memory_mb: int = 3000


@dataclass
class Outcome:
    """What came of a submission: for each check None (passed) or why not, and what else there is to say."""

    checks: dict[str, str | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Sandbox:
    """A process that has run the chapter's own cells and waits for submissions. Not shared between threads."""

    def __init__(self, cells: Sequence[Cell], prefix: Sequence[int]) -> None:
        self.prefix = [{"index": index, "source": cells[index]["source"]} for index in prefix]
        self.answered = set[str]().union(*(names_of(cell["source"]).makes for cell in cells if is_answer(cell)))
        self.process: subprocess.Popen[bytes] | None = None
        self.open = contextlib.ExitStack()
        self.closed = False

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True
        self.stop()

    def start(self) -> None:
        """Start the process and let it run the chapter's own cells.

        Raises:
            ChapterFails: one of them fails, or grading was interrupted.
        """
        if self.closed:
            raise ChapterFails("interrupted")
        environment = {key: value for key, value in os.environ.items() if key in _PASSED_ON or key[:9] == "METALEARN"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root()), environment.get("PYTHONPATH")]))
        self.open.enter_context(contextlib.suppress(OSError))  # of closing, where not all had been sent
        errors = self.open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        folder = tempfile.TemporaryDirectory(prefix="metalearn-grade-", ignore_cleanup_errors=True)
        place = self.open.enter_context(folder)  # whatever is left behind goes with it
        environment |= KERNEL_ENVIRONMENT | {"MPLBACKEND": "Agg", "TMPDIR": place, "IPYTHONDIR": place}
        process = subprocess.Popen(
            [sys.executable, "-m", "metalearn_lib.course.classroom.sandbox"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=place, env=environment,
            start_new_session=True,
        )  # fmt: skip
        self.process = self.open.enter_context(process)
        self.open.callback(process.kill)
        self.send(prefix=self.prefix)
        while (message := self.receive()) is not None:
            if "ready" in message:
                return
            if "failed" in message:
                self.stop()
                error = message["error"]
                raise ChapterFails(
                    f"cell {message['failed'] + 1} of the chapter itself fails: {error['kind']}: {error['text']}; "
                    "metalearn doctor says what is missing here"
                )
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()[-500:]
        self.stop()
        raise ChapterFails(f"the process that runs the chapter's own cells ended; {said or 'it said nothing'}")

    def send(self, **message: Any) -> None:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any] | None:
        """The next message; None when the process has ended."""
        assert self.process is not None and self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def stop(self) -> None:
        self.process = None
        self.open.close()

    def grade(self, restored: Restored, plan: Sequence[int], limits: Limits) -> Outcome:
        """Run the planned cells of one submission that this process has not run; never raises for its sake.

        Where a cell ends its process, the others run again without it, in a new copy, within the same time.
        """
        todo, checks = list(plan), [index for index in plan if is_check(restored.cells[index])]
        outcome = Outcome({restored.name(index): _NOT_REACHED for index in checks})
        ends = time.monotonic() + limits.seconds
        while True:
            if self.process is None:
                before = time.monotonic()
                self.start()
                ends += time.monotonic() - before  # the chapter's own time is not the student's
            left = ends - time.monotonic()
            how, at = self._attempt(restored, todo, limits, left, outcome) if left > 1 else ("overtime", None)
            if how == "done":
                return outcome
            why = _ENDED[how].format(limits=limits)
            if how == "overtime" or at is None:
                late = {name: f"{_NOT_REACHED}: {why}" for name, it in outcome.checks.items() if it == _NOT_REACHED}
                outcome.checks |= late
                return outcome
            todo.remove(at)
            outcome.notes.append(f"{restored.name(at)}: {why}; the rest was graded without it")
            if at in checks:
                outcome.checks[restored.name(at)] = why

    def _attempt(
        self, restored: Restored, todo: Sequence[int], limits: Limits, left: float, outcome: Outcome
    ) -> tuple[str, int | None]:
        """Run cells once, write the results into ``outcome``; how it ended ("done", or see _ENDED) and in which."""
        at: int | None = None
        try:
            self.send(**self._job(restored, todo, limits, left))
            while (message := self.receive()) is not None:
                if message.get("start") in todo:
                    at = message["start"]
                elif "end" in message:
                    _note(restored, message, outcome)
                elif message["ended"] == "done" or message["ended"] in _ENDED:
                    return message["ended"], at
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            pass  # it ended, or something in it spoke in its name
        self.stop()  # it was ended from inside, and starts anew with the next
        return "crashed", at

    def _job(self, restored: Restored, todo: Sequence[int], limits: Limits, left: float) -> dict[str, Any]:
        cells = []
        for index in todo:
            check = is_check(restored.cells[index])
            seconds = min(limits.cell_seconds, left) if check or restored.by_student(index) else left
            cell = {"index": index, "source": restored.cells[index]["source"], "check": check, "seconds": seconds}
            cells.append(cell)
        guarded = [name for name in _called(cells) if name.partition(".")[0] not in self.answered]
        return {"cells": cells, "guarded": guarded, "seconds": left, "memory_mb": limits.memory_mb}


_NOT_REACHED = "not reached"
_ENDED = {
    "endless": "it ran longer than {limits.cell_seconds:g} s and could only be ended from outside",
    "memory": "it needed more than {limits.memory_mb} MB of memory",
    "crashed": "it ended its process (os._exit, or a crash of compiled code)",
    "overtime": "the submission ran longer than {limits.seconds:g} s",
}


def _note(restored: Restored, message: dict[str, Any], outcome: Outcome) -> None:
    """What came of a cell."""
    index, said = message["end"], _said(message["error"])
    if is_check(restored.cells[index]):
        outcome.checks[restored.name(index)] = said
        for name in message["replaced"]:
            _once(outcome.notes, f"{name}, which the checks use, had been replaced; its original was put back")
    elif said and restored.by_student(index):
        _once(outcome.notes, f"{restored.name(index)}: {said}")


def _said(error: dict[str, str] | None) -> str | None:
    if error is None:
        return None
    if error["kind"] == "NotImplementedError" and not error["text"]:
        return "not answered yet"
    if error["kind"] in ("CheckFailed", "CellTimeout"):
        return error["text"]
    return f"{error['kind']}: {error['text']}" if error["text"] else error["kind"]


def _once(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _called(cells: Sequence[dict[str, Any]]) -> list[str]:
    """The functions that check cells call, and the modules that these are of: ``check``, ``check.prototypes``."""
    found: set[str] = set()
    for cell in cells:
        for node in ast.walk(ast.parse(cell["source"])) if cell["check"] else ():
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)):
                    found |= {name, f"{name}.{attribute}"}
                case ast.Call(func=ast.Name(id=name)):
                    found.add(name)
    return sorted(found)
