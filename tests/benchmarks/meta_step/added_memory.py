"""Memory of a meta-step, measured in a process of its own.

The system's count of the most memory that a process ever held is the only one that sees everything, what libraries take
for themselves included; it never falls, so each case needs a fresh process. Only Linux tells it.
"""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

import torch

from .contestants import one
from .problems import QUICK, SECOND, Setting, problem

_STATUS = Path("/proc/self/status")


def added_memory(name: str, tasks: int, setting: Setting, *, threads: int) -> float | None:
    """Megabytes that a contestant's second-order meta-gradient of the CNN adds; None where the system does not tell."""
    if not _STATUS.exists():
        return None
    with get_context("spawn").Pool(1) as fresh:
        return fresh.apply(_added_here, (name, tasks, setting, threads))


def _added_here(name: str, tasks: int, setting: Setting, threads: int) -> float:
    torch.set_num_threads(threads)
    small = problem("CNN", QUICK, tasks=1, steps=QUICK.steps)
    one(small, SECOND, name)()  # loads what a first call loads, so that only the meta-step itself is counted
    run = one(problem("CNN", setting, tasks=tasks, steps=setting.steps), SECOND, name)
    before = _megabytes("VmRSS")  # what the process holds now
    run()
    return round(_megabytes("VmHWM") - before, 1)  # the most that it ever held


def _megabytes(field: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024
