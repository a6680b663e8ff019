"""The process in which submissions run: it executes the chapter's own cells once, then every submission in a copy.

Started by `workers`, it reads a JSON line with the cells of the chapter, says "ready", then reads a line for each
submission, which runs in a forked child: a copy of the memory, in a folder of its own, with limits on time, memory and
file size. What a child does to itself (an endless loop, a crash, `os._exit`) ends the child, not this process. What it
does to the machine is another matter: this is no jail, see notebooks/instructors.md.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import psutil

GRACE = 3.0  # seconds between asking a cell to stop and ending its process
Say = Callable[..., None]


class CellTimeout(BaseException):
    """Raised in a cell that ran too long; no ``except Exception`` catches it."""


def main() -> None:
    say = _private(1, (1,))
    order = json.loads(_line() or "{}")
    shell = _shell()
    for cell in order["prefix"]:
        if error := _run(shell, cell["source"]):
            say(failed=cell["index"], error=error)
            return
    say(ready=True)
    while line := _line():
        _submission(shell, json.loads(line), say)


def _submission(shell: Any, job: dict[str, Any], say: Say) -> None:
    """Run the cells of one submission in a forked child; say each result, and how the child ended."""
    (read, write), (heard, hear) = os.pipe(), os.pipe()
    folder = tempfile.mkdtemp(prefix="metalearn-grade-")
    child = os.fork()
    if child == 0:
        os.close(read)
        os.close(hear)
        try:
            _child(shell, job, folder, _private(write, (0, 1, 2)), heard)
        finally:
            os._exit(0)
    for pipe in (write, heard):
        os.close(pipe)
    try:
        how = _watch(child, read, hear, job, say)
    finally:
        _end(child)
        for pipe in (read, hear):
            os.close(pipe)
        shutil.rmtree(folder, ignore_errors=True)
    say(ended=how)


def _watch(child: int, read: int, hear: int, job: dict[str, Any], say: Say) -> str:
    """Pass the child's messages on until it ends or has to be ended; why, in a word."""
    process = psutil.Process(child)
    rest, since = b"", time.monotonic()
    cell_ends = since + job["seconds"]
    while True:
        now = time.monotonic()
        if now - since > job["seconds"]:
            return "overtime"
        if now > cell_ends + GRACE:
            return "endless"
        if _memory_mb(process) > job["memory_mb"]:
            return "memory"
        if not select.select([read], [], [], 0.1)[0]:
            if process.status() == psutil.STATUS_ZOMBIE:  # a grandchild may still hold the pipe
                return "crashed"
            continue
        data = os.read(read, 1 << 16)
        if not data:
            return "crashed"
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if message.get("done"):
                return "done"
            if not message.keys() & {"start", "end"}:
                continue
            say(**message)
            cell_ends = time.monotonic() + message.get("seconds", job["seconds"])
            with contextlib.suppress(BrokenPipeError):
                os.write(hear, b"." if "start" in message else b"")


def _memory_mb(process: Any) -> float:
    try:
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 2**20
    except psutil.Error:  # one of them has ended just now
        return 0


def _end(child: int) -> None:
    """End the child, its process group and its children."""
    with contextlib.suppress(psutil.Error):
        for one in psutil.Process(child).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                one.kill()
    for end in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            end(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def _child(shell: Any, job: dict[str, Any], folder: str, say: Say, heard: int) -> None:
    """In the fork: take the limits, run the cells, say what came of each."""
    os.setsid()
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    with contextlib.suppress(OSError, AttributeError):  # Linux: end with the process that watches
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    _limit(job)
    guarded = {name: _look(shell, name) for name in job["guarded"]}
    for cell in job["cells"]:
        say(start=cell["index"], seconds=cell["seconds"])
        os.read(heard, 1)  # it is known where we are, whatever the cell does to the process that watches
        replaced = _put_back(shell, guarded) if cell["check"] else []
        say(end=cell["index"], error=_run_within(shell, cell["source"], cell["seconds"]), replaced=replaced)
    say(done=True)
    os._exit(0)  # no exit handlers: a submission may have left some


def _look(shell: Any, name: str) -> Any:
    """What ``check`` or ``check.prototypes`` is; None where it is not there."""
    module, _, attribute = name.partition(".")
    it = shell.user_ns.get(module)
    return getattr(it, attribute, None) if attribute else it


def _put_back(shell: Any, guarded: dict[str, Any]) -> list[str]:
    """Give what a check uses its own meaning again; the names that had another."""
    replaced = []
    for name, it in guarded.items():  # in order: a module before its functions
        if it is not None and _look(shell, name) is not it:
            replaced.append(name)
            module, _, attribute = name.partition(".")
            if attribute:
                setattr(shell.user_ns[module], attribute, it)
            else:
                shell.user_ns[name] = it
    return replaced


def _limit(job: dict[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    file_bytes = 200 * 2**20
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    with contextlib.suppress(OSError, ValueError):  # Linux: a clean MemoryError before the process must be ended
        pages = int(open("/proc/self/statm", encoding="ascii").read().split()[0])  # noqa: SIM115
        space = pages * resource.getpagesize() + int(job["memory_mb"]) * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (space, space))


def _run_within(shell: Any, source: str, seconds: float) -> dict[str, str] | None:
    """Execute a cell as `_run` does, and stop it in time."""
    late, error = False, None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal late
        late = True
        raise CellTimeout

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again each second, where the first was caught
    try:
        error = _run(shell, source)
    except CellTimeout:  # just before or after the cell
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"kind": "CellTimeout", "text": f"ran longer than {seconds:g} s and was stopped"} if late else error


def _shell() -> Any:
    """IPython without a kernel: magics work, nothing is shown, no history is kept."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Quiet(InteractiveShell):
        def showtraceback(self, *args: Any, **kwargs: Any) -> None: ...

        def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None: ...

    # history has a thread of its own, which would not survive a fork
    return Quiet.instance(config=Config({"HistoryManager": {"enabled": False}}))


def _run(shell: Any, source: str) -> dict[str, str] | None:
    """Execute a cell; None, or the kind and the text of its error."""
    result = shell.run_cell(source, store_history=False)
    error = result.error_before_exec or result.error_in_exec
    if error is None:
        return None
    text = f"{error.msg} (line {error.lineno})" if isinstance(error, SyntaxError) else str(error)[:2000]
    return {"kind": type(error).__name__, "text": text}


def _line() -> bytes:
    """One line of standard input, unbuffered: a fork must not find half of the next one in a buffer."""
    found = bytearray()
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        found += byte
    return bytes(found)


def _private(descriptor: int, to_nowhere: tuple[int, ...]) -> Say:
    """Keep a pipe for messages; what cells print goes nowhere."""
    pipe, nowhere = os.dup(descriptor), os.open(os.devnull, os.O_RDWR)
    for shown in to_nowhere:
        os.dup2(nowhere, shown)
    os.close(nowhere)

    def say(**message: Any) -> None:
        data = json.dumps(message, default=str).encode() + b"\n"
        while data:
            data = data[os.write(pipe, data) :]

    return say


if __name__ == "__main__":
    main()
