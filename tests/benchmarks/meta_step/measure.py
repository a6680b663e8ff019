"""How fast a meta-step is: each engine of the inner loop, and its peers, taking turns in one process.

One meta-step here is the meta-gradient, without sampling and without the step of the outer optimizer, on inputs drawn
from a normal distribution: the time of the arithmetic does not depend on what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from metalearn_lib.choosing import write_rows
from metalearn_lib.plots.style import png

from . import peers
from .added_memory import added_memory
from .contestants import ENGINES, contestants, differences, ours
from .figure import figure
from .problems import FULL, METHODS, MODELS, QUICK, SECOND, Setting, cases, multiply_adds, problem
from .timing import alternate, peak_gemm, quartiles

Row = dict[str, Any]


def measure(path: Path, *, about: Row, threads: int, quick: bool, say: Callable[[str], None]) -> Row:
    """Check that all compute the same, time every case, measure memory; write a JSON file and a figure beside it."""
    setting, before = QUICK if quick else FULL, torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rows, speeds = timed(setting, say)
        say("memory")
        memory = memory_rows(setting, threads=threads)
    finally:
        torch.set_num_threads(before)
    head = {
        "about": about | {"protocol": setting.protocol(), "threads": threads}, "rounds": setting.rounds,
        "gemm_gflops": [round(speed / 1e9, 1) for speed in speeds], "missing": peers.missing(),
    }  # fmt: skip
    write_rows(path, head, rows=rows, memory=memory)
    measured = head | {"rows": rows, "memory": memory}
    path.with_suffix(".png").write_bytes(png(figure(measured)))
    return measured


def timed(setting: Setting, say: Callable[[str], None]) -> tuple[list[Row], list[float]]:
    """A row for every contestant in every case; the best matrix product's operations per second, before and after."""
    apart = {what: differences(*what, setting) for what in ((m, how) for m in MODELS for how in METHODS)}
    speeds, rows = [peak_gemm(seconds=setting.rounds / 50)], list[Row]()
    for model, method, tasks, steps in cases(setting):
        say(f"{model}, {method}: {tasks} tasks, {steps} inner steps")
        for row in time_case(model, method, tasks, steps, setting):
            rows.append(row | {"difference": apart[model, method][row["by"]]})
    speeds.append(peak_gemm(seconds=setting.rounds / 50))
    for row in rows:
        needed = multiply_adds(row["model"], row["method"], setting, tasks=row["tasks"], steps=row["steps"])
        row["gemm_ms"] = round(1000 * 2 * needed / max(speeds), 4)
        row["share_of_gemm"] = round(row["gemm_ms"] / row["ms"][0], 4)
    return rows, speeds


def time_case(model: str, method: str, tasks: int, steps: int, setting: Setting) -> list[Row]:
    """One row for each contestant: milliseconds, and how many times as fast as the fastest peer, with quartiles.

    `over_loops` leaves out the one peer that takes all tasks at once. Ratios are taken round by round.
    """
    given = problem(model, setting, tasks=tasks, steps=steps)
    chosen = ours(given, method, "auto")
    times, busy = alternate(contestants(given, method), rounds=setting.rounds, patience=setting.patience)
    medians = {name: quartiles(seconds)[0] for name, seconds in times.items()}
    others = [name for name in times if name not in ENGINES]
    fastest = min(others, key=medians.__getitem__)
    fastest_loop = min((name for name in others if name != peers.AT_ONCE), key=medians.__getitem__)

    def faster(than: str, name: str) -> list[float]:
        ratios = [theirs / own for theirs, own in zip(times[than], times[name], strict=True)]
        return [round(x, 3) for x in quartiles(ratios)]

    return [
        {"model": model, "method": method, "tasks": tasks, "steps": steps, "by": name, "ours": name in ENGINES,
         "auto": chosen is not None and chosen[1] == name, "fastest_peer": name == fastest,
         "ms": [round(1000 * x, 4) for x in quartiles(seconds)], "over_peers": faster(fastest, name),
         "over_loops": faster(fastest_loop, name), "others_used": round(busy, 3)}
        for name, seconds in times.items()
    ]  # fmt: skip


def memory_rows(setting: Setting, *, threads: int) -> list[Row]:
    """Megabytes that the CNN's second-order meta-step adds to a fresh process, for growing numbers of tasks."""
    here = contestants(problem("CNN", QUICK, tasks=1, steps=1), SECOND)
    return [
        {"by": name, "ours": name in ENGINES, "tasks": n, "mb": added_memory(name, n, setting, threads=threads)}
        for name in setting.memory_of
        if name in here
        for n in setting.memory
    ]
