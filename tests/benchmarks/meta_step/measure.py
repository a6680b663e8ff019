"""How fast a meta-step is: each engine of the inner loop, and its peers, taking turns in one process.

One meta-step here is the meta-gradient, without sampling and without the step of the outer optimizer, on inputs drawn
from a normal distribution: the time of the arithmetic does not depend on what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from metalearn_lib.choosing import write_rows
from metalearn_lib.plots.style import png

from . import peers
from .added_memory import added_memory
from .contestants import ENGINES, contestants, differences, ours
from .figure import figure
from .peers import MetaGradient
from .problems import FULL, METHODS, MODELS, QUICK, SECOND, Setting, cases, multiply_adds, problem
from .timing import alternate, peak_gemm, quartiles

Row = dict[str, Any]


def measure(path: Path, *, about: Row, threads: Sequence[int], quick: bool, say: Callable[[str], None]) -> Row:
    """Check that all compute the same, time every case at each number of threads, measure memory; write it down.

    A JSON file, and a figure beside it.
    """
    setting, before = QUICK if quick else FULL, torch.get_num_threads()
    apart = {what: differences(*what, setting) for what in product(MODELS, METHODS)}
    rows, failed, speeds = list[Row](), list[Row](), dict[str, list[float]]()
    try:
        for number in threads:
            torch.set_num_threads(number)
            gemm = [peak_gemm(seconds=setting.rounds / 100)]
            found = list(timed(setting, failed, lambda what, n=number: say(f"{n} thread{'s' * (n > 1)}: {what}")))
            gemm.append(peak_gemm(seconds=setting.rounds / 100))
            rows += [{"threads": number} | row | share_of(row, max(gemm), setting) for row in found]
            speeds[str(number)] = [round(speed / 1e9, 1) for speed in gemm]
        say("memory")
        memory = memory_rows(setting, threads=threads[-1])
    finally:
        torch.set_num_threads(before)
    for row in rows:
        row["difference"] = apart[row["model"], row["method"]].get(row["by"])
    head = {
        "about": about | {"protocol": setting.protocol(), "threads": list(threads)}, "rounds": setting.rounds,
        "gemm_gflops": speeds, "missing": peers.missing(), "failed": failed,
    }  # fmt: skip
    write_rows(path, head, rows=rows, memory=memory)
    measured = head | {"rows": rows, "memory": memory}
    path.with_suffix(".png").write_bytes(png(figure(measured)))
    return measured


def timed(setting: Setting, failed: list[Row], say: Callable[[str], None]) -> Iterator[Row]:
    """A row for every contestant in every case; `failed` receives one for each peer, model and method that fails."""
    for model, method, tasks, steps in cases(setting):
        say(f"{model}, {method}: {tasks} tasks, {steps} inner steps")
        given = problem(model, setting, tasks=tasks, steps=steps)
        everyone, reasons = contestants(given, method)
        for name, why in reasons.items():
            row = {"model": model, "method": method, "by": name, "why": why}
            if row not in failed:
                failed.append(row)
        chosen = ours(given, method, "auto")
        for row in time_case(everyone, chosen[1] if chosen else None, setting):
            yield {"model": model, "method": method, "tasks": tasks, "steps": steps} | row


def share_of(row: Row, speed: float, setting: Setting) -> Row:
    """What the matrix products of this case would take at the best product's speed, and its share of the time."""
    needed = multiply_adds(row["model"], row["method"], setting, tasks=row["tasks"], steps=row["steps"])
    milliseconds = 1000 * 2 * needed / speed
    return {"gemm_ms": round(milliseconds, 4), "share_of_gemm": round(milliseconds / row["ms"][0], 4)}


def time_case(everyone: Mapping[str, MetaGradient], chosen: str | None, setting: Setting) -> list[Row]:
    """One row for each contestant: milliseconds, and how many times as fast as the fastest peer, with quartiles.

    `chosen` is what engine="auto" takes. `over_loops` leaves out the one peer that takes all tasks at once. Ratios are
    taken round by round.
    """
    times, busy = alternate(everyone, rounds=setting.rounds, seconds=setting.seconds, patience=setting.patience)
    medians = {name: quartiles(seconds)[0] for name, seconds in times.items()}
    others = [name for name in times if name not in ENGINES]
    fastest = min(others, key=medians.__getitem__)
    fastest_loop = min((name for name in others if name != peers.AT_ONCE), key=medians.__getitem__)

    def faster(than: str, name: str) -> list[float]:
        ratios = [theirs / own for theirs, own in zip(times[than], times[name], strict=True)]
        return [round(x, 3) for x in quartiles(ratios)]

    return [
        {"by": name, "ours": name in ENGINES, "auto": name == chosen, "fastest_peer": name == fastest,
         "ms": [round(1000 * x, 4) for x in quartiles(seconds)], "over_peers": faster(fastest, name),
         "over_loops": faster(fastest_loop, name), "rounds": len(seconds), "others_used": round(busy, 3)}
        for name, seconds in times.items()
    ]  # fmt: skip


def memory_rows(setting: Setting, *, threads: int) -> list[Row]:
    """Megabytes that the CNN's second-order meta-step adds to a fresh process, for growing numbers of tasks."""
    here, _ = contestants(problem("CNN", QUICK, tasks=1, steps=1), SECOND)
    return [
        {"by": name, "ours": name in ENGINES, "tasks": n, "mb": added_memory(name, n, setting, threads=threads)}
        for name in setting.memory_of
        if name in here
        for n in setting.memory
    ]
