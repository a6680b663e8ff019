"""Which chapter starts next: as many at once as cores and memory allow, the longest first."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .chapters import Chapter, Execution

UNKNOWN_MB = 2500  # what a chapter may hold that has not been measured yet
SPARE_MB = 500  # left to the machine


def free_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_mb() -> int:
    """Memory that is free now, or can be made free."""
    import psutil

    return int(psutil.virtual_memory().available / 2**20)


@dataclass
class Schedule:
    """The chapters that wait, and the cores and the memory that are left for them.

    ``measured`` are entries of earlier reports by chapter; ``minutes`` stand in for a chapter that has none.
    """

    waiting: list[Execution]
    jobs: int | None = None  # at once; None: as many as cores
    cores: int = field(default_factory=free_cores)
    memory_mb: int = field(default_factory=available_mb)
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    minutes: Callable[[Chapter], float] = lambda chapter: 0.0
    running: dict[Execution, int] = field(default_factory=dict)  # and the cores that each may use

    def __post_init__(self) -> None:
        self.waiting = sorted(self.waiting, key=lambda execution: -self._seconds(execution.chapter))  # stable

    def start(self) -> tuple[Execution, int] | None:
        """The next chapter and the cores it may use; None while there is no room for another.

        The first that fits into the memory, in the order of `waiting`; alone, a chapter may take what there is.
        """
        free_slots = min((self.jobs or self.cores) - len(self.running), len(self.waiting))
        left = self.memory_mb - SPARE_MB - sum(map(self._memory, self.running))
        fitting = [execution for execution in self.waiting if self._memory(execution) <= left or not self.running]
        if free_slots <= 0 or not fitting:
            return None
        free_cores = self.cores - sum(self.running.values())
        self.running[fitting[0]] = max(1, free_cores // free_slots)
        self.waiting.remove(fitting[0])
        return fitting[0], self.running[fitting[0]]

    def end(self, execution: Execution, result: dict[str, Any] | None = None) -> None:
        """Give back what a chapter used; where it came to its end, learn what it took."""
        del self.running[execution]
        if result is not None and result.get("status") == "ok":
            self.measured[execution.chapter.name] = result

    def _seconds(self, chapter: Chapter) -> float:
        entry = self.measured.get(chapter.name, {})
        return float(entry.get("cpu_seconds") or entry.get("seconds") or self.minutes(chapter))

    def _memory(self, execution: Execution) -> int:
        return int(self.measured.get(execution.chapter.name, {}).get("peak_mb") or UNKNOWN_MB)
