"""One chapter in a process of its own: `python -m metalearn_lib.course.running.worker JOB`, started by the runner.

It says how far it is in JSON lines on its standard output. It ends, kernel included, when its standard input
closes: no kernel outlives the command that started it, however that command died.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from metalearn_lib.course.claims import RECORD

from .cleaning import clean, clean_text
from .notebook import quick_jsonschema, read_notebook, write_notebook

# A chapter that nobody watches: no sliders, no progress bars, and one thread, since the tensors of an episode are so
# small that a second thread costs more than it brings, and since sums of numbers depend on who adds them up. How many
# cores a long encoding of texts may use on top of that is METALEARN_THREADS, which the runner shares out.
KERNEL_ENVIRONMENT = {"METALEARN_HEADLESS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Job:
    """What to execute, and where to leave it."""

    source: str
    output: str
    parameters: dict[str, Any]
    cell_timeout: int
    in_place: bool


def main() -> None:
    say = _private_stdout()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    say(result=execute(Job(**json.loads(sys.argv[1])), say))


def execute(job: Job, say: Callable[..., None]) -> dict[str, Any]:
    """Execute a notebook, leave the cleaned result at ``job.output`` and return what there is to report."""
    quick_jsonschema()
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    raw, said, started = Path(job.output + ".raw"), Path(job.output + ".claims"), time.monotonic()
    os.environ[RECORD] = str(said)  # the kernel inherits it
    started_cells = [0]
    total = sum(cell.cell_type == "code" for cell in read_notebook(job.source).cells)
    numbers = count(1)  # of code cells

    def on_start(cell: Any, cell_index: int) -> None:
        started_cells.append(cell_index)
        if cell.cell_type == "code":
            say(cell=next(numbers), of=total)

    error: dict[str, Any] | None = None
    try:
        papermill.execute_notebook(
            job.source, str(raw), parameters=job.parameters, kernel_name="python3", language="python",
            progress_bar=False, cwd=str(Path(job.source).parent), execution_timeout=job.cell_timeout or None,
            kernel_manager_class=_this_python(), on_cell_start=on_start,
        )  # fmt: skip
    except PapermillExecutionError as failed:
        error = {"error": f"{failed.ename}: {failed.evalue}", "traceback": failed.traceback}
    except CellTimeoutError:
        error = {"error": f"the cell ran longer than {job.cell_timeout} s; allow more with --cell-timeout SECONDS"}
    except DeadKernelError:
        error = {"error": "the kernel died; most often the memory was not enough (try --jobs 1)"}
    seconds = time.monotonic() - started
    notebook = read_notebook(raw if raw.exists() else job.source)
    raw.unlink(missing_ok=True)
    durations = {c.id: c.metadata.get("papermill", {}).get("duration") or 0.0 for c in notebook.cells}
    clean(notebook, keep_injected=not job.in_place)
    if error is not None:
        error |= _place(notebook, started_cells[-1])
    elif job.in_place and (loud := _streams(notebook, "stderr")):
        what = f"the cell wrote to stderr, which must not be stored: {loud[0][1].strip()[:400]}"
        error = _place(notebook, loud[0][0]) | {"error": what}
    write_notebook(notebook, Path(job.output))
    slowest = sorted(range(len(notebook.cells)), key=lambda index: -durations[notebook.cells[index].id])[:3]
    return {
        "status": "failed" if error else "ok",
        "seconds": round(seconds, 1),
        **_costs(),
        "cells": total,
        "slowest": [
            _place(notebook, index) | {"seconds": round(durations[notebook.cells[index].id], 1)} for index in slowest
        ],
        **_said(said),
        "error": {key: _plain(value) for key, value in error.items()} if error else None,
    }


def _said(path: Path) -> dict[str, Any]:
    """How many claims held and how many did not, and every line that the chapter left in the record of its claims."""
    said: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            with suppress(ValueError):  # the last: a kernel may die in the middle of a line
                said.append(json.loads(line))
        path.unlink()
    holds = [line["holds"] for line in said if "holds" in line]
    return {"claims": sum(holds), "missed": len(holds) - sum(holds), "said": said}


def _place(notebook: Any, index: int) -> dict[str, Any]:
    """Which cell this is, counted in the notebook as its author sees it (an injected cell is nobody's)."""
    index = min(index, len(notebook.cells) - 1)
    injected = sum("injected-parameters" in c.metadata.get("tags", []) for c in notebook.cells[:index])
    return {"cell": index + 1 - injected, "source": notebook.cells[index].source}


def _streams(notebook: Any, name: str) -> list[tuple[int, str]]:
    """What was written to standard output or error: the cell's place, and the text."""
    outputs = [(index, o) for index, cell in enumerate(notebook.cells) for o in cell.get("outputs", [])]
    return [(index, o.text) for index, o in outputs if o.output_type == "stream" and o.name == name]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return clean_text(ANSI.sub("", value)) if isinstance(value, str) else value


def _this_python() -> type:
    """A kernel manager that starts this very Python, whatever "python3" is registered as on this machine."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class ThisPython(AsyncKernelManager):  # type: ignore[misc, unused-ignore]
        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3 (ipykernel)", language="python")

    return ThisPython


def _costs() -> dict[str, Any]:
    """CPU seconds of the kernel, which has ended, and of all that it started; the most memory that one of them held."""
    try:
        import resource
    except ImportError:  # Windows
        return {}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    return {"cpu_seconds": round(used.ru_utime + used.ru_stime, 1), "peak_mb": int(used.ru_maxrss * unit / 2**20)}


def _private_stdout() -> Callable[..., None]:
    """Keep the pipe to the runner to ourselves: what kernels and libraries print goes to standard error."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**message: Any) -> None:
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()

    return say


def _end_with_parent() -> None:
    import psutil

    while os.read(0, 1):  # not sys.stdin: a thread that waits in it would stop the interpreter from ending
        pass
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(3)


def command(job: Job) -> list[str]:
    """The command line that executes a job."""
    return [sys.executable, "-m", "metalearn_lib.course.running.worker", json.dumps(asdict(job))]


if __name__ == "__main__":
    main()
