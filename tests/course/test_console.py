"""The first and the last moment of a command: Ctrl-C, closed output, a terminal without Unicode."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metalearn_lib.files import root

COMMAND = [sys.executable, "-m", "metalearn_lib.course"]


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize("after", ["import sys", "from metalearn_lib.course.console import say"])
def test_ctrl_c_in_the_first_second_is_quiet(after: str) -> None:
    """The signal comes while the commands are imported: at the moment when the first or the last module is."""
    code = (
        "import builtins, os, signal, sys\nfrom metalearn_lib.course.__main__ import main\n"
        "before = builtins.__import__\n"
        "def slow(name, *rest):\n"
        f"    if name == {'typer' if 'sys' in after else 'workspace'!r} or 'doctor' in str(rest[2:3]):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return before(name, *rest)\n"
        "builtins.__import__ = slow\nsys.argv[1:] = ['data', 'list']\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root(), check=False)
    assert done.returncode == 130 and "Traceback" not in done.stderr, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_ctrl_c_at_work_is_quiet() -> None:
    running = subprocess.Popen(
        [*COMMAND, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root()
    )
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode in (130, 0, 1) and "Traceback" not in said, said


def test_closed_output_stops_nobody() -> None:
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "data", "list"],
                          capture_output=True, text=True, cwd=root(), check=False)  # fmt: skip
    assert done.returncode == 0 and not done.stderr


def test_without_unicode_marks_become_letters() -> None:
    plain = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*COMMAND, "data", "list"], env=plain, capture_output=True, text=True, cwd=root(), check=False
    )
    assert done.returncode == 0 and not done.stderr and "licence" in done.stdout
    assert " + " in done.stdout or " - " in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="limits are POSIX")
def test_output_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    limited = f"ulimit -f 0; exec {shlex.join(COMMAND)} data list >{tmp_path / 'out'}"
    done = subprocess.run(["sh", "-c", limited], stderr=subprocess.PIPE, text=True, cwd=root(), check=False)
    assert done.returncode == 1 and "error: " in done.stderr and "Traceback" not in done.stderr, done
