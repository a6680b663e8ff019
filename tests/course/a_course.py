"""A course of a test's own: a folder of small notebooks, and the commands that execute them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil

from metalearn_lib.files import root

# the command, for a library that nobody edits while the test runs
METALEARN = (
    "from metalearn_lib.course.__main__ import main; from metalearn_lib.fingerprint import Source; "
    "Source.code = 'fixed'; main()"
)


class Course:
    """A course folder and the command line on it."""

    def __init__(self, folder: Path, command: str = "run") -> None:
        self.command = command
        self.out = folder / "build"
        self.env = os.environ | {"METALEARN_NOTEBOOKS": str(folder / "notebooks"), "PYTHONPATH": str(root())}

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", METALEARN, self.command, *arguments]
        if "--in-place" not in arguments:
            words += ["--out", str(self.out)]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=self.env | env, stdout=pipe, stderr=pipe, text=True, start_new_session=True)

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **env)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def report(self) -> dict[str, Any]:
        chapters: dict[str, Any] = json.loads((self.out / "report.json").read_text())["chapters"]
        return chapters

    def files(self) -> set[str]:
        return {path.name for path in self.out.iterdir()} - {".lock"}

    def outputs(self, name: str) -> str:
        notebook = nbformat.read(self.out / f"{name}.ipynb", as_version=4)
        return "".join(o.get("text", "") for c in notebook.cells if c.cell_type == "code" for o in c.outputs)


def wait_for(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)


def children(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)
