"""Executes chapters, each in a worker process: only what changed, and nothing is lost when interrupted."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any

import filelock
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from metalearn_lib.course.console import console, say
from metalearn_lib.files import root, write_text
from metalearn_lib.fingerprint import Library

from . import report as reports
from .chapters import Chapter, Execution
from .fingerprint import file_hash, fingerprint
from .output import refuse_foreign
from .schedule import Schedule
from .worker import KERNEL_ENVIRONMENT, Job, command


class Busy(RuntimeError):
    """Another run is writing into the same folder."""


class Interrupted(Exception):
    """Ctrl-C or a request to end; ``code`` is the exit code that says so."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.code = 128 + signal_number


@dataclass
class Run:
    """One call of `metalearn run` or `replicate`: where the results go, and how they are made."""

    out: Path
    jobs: int | None = None  # chapters at once; None: as many as cores and memory allow
    cell_timeout: int = 600
    keep_going: bool = False
    force: bool = False
    measured: Mapping[str, reports.Report] = field(default_factory=dict)  # what chapters took in earlier runs
    minutes: Callable[[Chapter], float] = lambda chapter: 0.0  # how long a chapter may take that was never measured
    finished: Callable[[Execution, reports.Report], None] = lambda execution, entry: None  # called as each is there
    _results: dict[str, reports.Report] = field(default_factory=dict)

    def execute(self, executions: Sequence[Execution]) -> dict[str, reports.Report]:
        """Execute what has changed; return an entry for each execution by its name, in order.

        Raises:
            UsageError: in ``out`` lies a file that no run wrote, under the name of a chapter or of the report.
            Busy: another run is writing into ``out``.
            Interrupted: by Ctrl-C or SIGTERM; what was finished is kept, and nothing half-written.
        """
        known = reports.read_report(self.out)["chapters"]
        refuse_foreign(self.out, {e.file: "sha256" in known.get(e.name, {}) for e in executions})
        with _locked(self.out), _signals():
            report, todo = reports.read_report(self.out), []
            library = Library(root())
            prints = {e: fingerprint(e.chapter, e.parameters, library) for e in executions}
            for execution in executions:
                entry = report["chapters"].get(execution.name)
                if not self.force and reports.is_unchanged(entry, prints[execution], self.out / execution.file):
                    self._results[execution.name] = entry | {"status": "unchanged"}
                    self.finished(execution, entry)
                else:
                    todo.append(execution)

            def finish(execution: Execution, result: reports.Report, made: Path) -> None:
                target, before = self.out / execution.file, report["chapters"].get(execution.name, {})
                options = {**execution.chapter.parameters, **execution.parameters}
                result |= {"fingerprint": prints[execution], "options": options, "date": date.today().isoformat()}
                if made.exists():
                    aside = reports.keep_edited(before, target)
                    if aside is not None:
                        say(f"{target.name} had been changed since it was written; yours is kept as {aside.name}")
                    result["sha256"] = file_hash(made)
                    result["before"] = file_hash(target) if target.exists() else None
                else:
                    result |= {key: before[key] for key in ("sha256", "before") if key in before}
                report["chapters"][execution.name] = self._results[execution.name] = result
                reports.write_report(report, self.out)  # first, so that a run that is killed here knows its own files
                if made.exists():
                    os.replace(made, target)
                self.finished(execution, result)

            with tempfile.TemporaryDirectory(dir=self.out, prefix=_WORK) as work:
                self._work(todo, Path(work), finish, in_place=False)
            reports.write_report(report, self.out)
        return {e.name: self._results.get(e.name, {"status": "not run"}) for e in executions}

    def refresh(self, executions: Sequence[Execution]) -> dict[str, reports.Report]:
        """Execute chapters with their defaults and store the outputs in the notebooks, if all went well."""

        def finish(execution: Execution, result: reports.Report, made: Path) -> None:
            if result["status"] == "ok":
                write_text(made.read_text(encoding="utf-8"), execution.chapter.path)
            self._results[execution.name] = result

        with _signals(), tempfile.TemporaryDirectory() as work:
            self._work(executions, Path(work), finish, in_place=True)
        return {e.name: self._results.get(e.name, {"status": "not run"}) for e in executions}

    def _work(self, executions: Sequence[Execution], work: Path, finish: Any, *, in_place: bool) -> None:
        """Keep as many workers busy as there is room for, until all chapters are done or one failed."""
        schedule = Schedule(list(executions), self.jobs, measured=dict(self.measured), minutes=self.minutes)
        running: dict[Execution, tuple[subprocess.Popen[str], TaskID]] = {}
        events: queue.Queue[tuple[Execution, dict[str, Any]]] = queue.Queue()
        with _bars() as bars:
            try:
                while schedule.waiting or running:
                    while started := schedule.start():
                        execution, cores = started
                        worker = self._start(execution, cores, work, events, in_place=in_place)
                        running[execution] = worker, bars.add_task(execution.name, total=None)
                        if bars.disable:
                            say(f"{execution.name} ...")
                    execution, event = events.get()
                    if "cell" in event:
                        bars.update(running[execution][1], completed=event["cell"], total=event["of"])
                        continue
                    worker, bar = running.pop(execution)
                    _close(worker)
                    worker.wait()
                    result = event["result"]
                    schedule.end(execution, result)
                    finish(execution, result, work / execution.file)
                    bars.remove_task(bar)
                    seconds = f", {result['seconds']:.1f} s" if "seconds" in result else ""
                    say(f"{execution.name}: {result['status']}{seconds}")
                    if result["status"] == "failed" and not self.keep_going:
                        schedule.waiting.clear()
            finally:  # closing its standard input ends a worker with its kernel
                for worker, _ in running.values():
                    _close(worker)
                for worker, _ in running.values():
                    with suppress(subprocess.TimeoutExpired):
                        worker.wait(10)

    def _start(
        self, execution: Execution, cores: int, work: Path, events: Any, *, in_place: bool
    ) -> subprocess.Popen[str]:
        job = Job(
            source=str(execution.chapter.path), output=str(work / execution.file), in_place=in_place,
            parameters=dict(execution.parameters), cell_timeout=self.cell_timeout,
        )  # fmt: skip
        log = (work / f"{execution.name}.log").open("w+", encoding="utf-8")
        worker = subprocess.Popen(
            command(job), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, **KERNEL_ENVIRONMENT, "METALEARN_THREADS": str(cores)},
            start_new_session=True,  # Ctrl-C in the terminal is for us: we end our workers
        )  # fmt: skip

        def listen() -> None:
            assert worker.stdout is not None
            last: dict[str, Any] = {}
            for line in worker.stdout:
                last = json.loads(line)
                events.put((execution, last))
            if "result" not in last:
                log.seek(0)
                tail = log.read().strip().splitlines()[-5:]
                error = {"error": "\n".join(["the worker process died", *tail]), "source": ""}
                events.put((execution, {"result": {"status": "failed", "error": error}}))
            log.close()

        threading.Thread(target=listen, daemon=True).start()
        return worker


_WORK = ".work-"


def _close(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.close()


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the folder for ourselves. The system frees the lock of a dead process, so none is ever stale."""
    out.mkdir(parents=True, exist_ok=True)
    holder, lock = out / ".running", filelock.FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        who = holder.read_text(encoding="utf-8").strip() if holder.exists() else "unknown"
        raise Busy(
            f"another run (process {who}) is writing into {out}; wait for it, or choose another folder with --out"
        ) from None
    try:
        for left in out.glob(f"{_WORK}*"):  # of a run that was killed
            shutil.rmtree(left)
        for left in out.glob(f".{reports.NAME}.*"):
            left.unlink()
        holder.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def _signals() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into `Interrupted`, so that everything is put in order on the way out."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for again in numbers:
            signal.signal(again, signal.SIG_IGN)  # a second Ctrl-C must not disturb the putting in order
        raise Interrupted(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _bars() -> Progress:
    """A bar for each chapter that runs, on a terminal."""
    cells = (MofNCompleteColumn(), TextColumn("cells"), TimeElapsedColumn())
    columns = (TextColumn("{task.description}"), BarColumn(), *cells)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
