"""Memory of a meta-step, in a process of its own: `python -m tests.benchmarks.meta_step.memory loop 8 2`.

The system's count of the most memory that a process ever held is the only one that sees everything, what libraries take
for themselves included; it never falls, so each case needs a fresh process. Only Linux tells it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_memory(name: str, tasks: int, *, threads: int, quick: bool = False) -> float | None:
    """Megabytes that a contestant's second-order meta-gradient of the CNN adds; None where the system does not tell."""
    if not _STATUS.exists():
        return None
    command = [sys.executable, "-m", __name__, name, str(tasks), str(threads), *(["quick"] if quick else [])]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def _megabytes(field: str) -> float:
    """VmRSS: what the process holds now; VmHWM: the most that it ever held."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def _main(name: str, tasks: str, threads: str, quick: str = "") -> None:
    import torch

    from .meta_step import contestants
    from .problems import FULL, QUICK, SECOND, problem

    torch.set_num_threads(int(threads))
    setting = QUICK if quick else FULL
    small = problem("CNN", QUICK, tasks=1, steps=QUICK.steps)
    contestants(small, SECOND)[name]()  # loads what a first call loads, so that only the meta-step itself is counted
    run = contestants(problem("CNN", setting, tasks=int(tasks), steps=setting.steps), SECOND)[name]
    before = _megabytes("VmRSS")
    run()
    print(round(_megabytes("VmHWM") - before, 1))


if __name__ == "__main__":
    _main(*sys.argv[1:])
