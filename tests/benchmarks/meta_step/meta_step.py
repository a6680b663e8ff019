"""How fast a meta-step is: each engine of the inner loop, and its peers, taking turns in one process.

One meta-step here is the meta-gradient, without sampling and without the step of the outer optimizer, on inputs drawn
from a normal distribution: the time of the arithmetic does not depend on what the numbers mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import torch

from metalearn_lib.files import write_text
from metalearn_lib.inner_loop import EngineRefused, InnerLoop
from metalearn_lib.inner_loop.choice import EngineName
from metalearn_lib.plots.style import png

from . import peers
from .figure import figure
from .memory import peak_memory
from .peers import AT_ONCE, PEERS, Gradient, MetaGradient
from .problems import (
    ANIL,
    FIRST,
    FULL,
    METHODS,
    MODELS,
    QUICK,
    REPTILE,
    SECOND,
    Problem,
    Setting,
    multiply_adds,
    problem,
)
from .timing import alternate, peak_gemm, quartiles

Row = dict[str, Any]
ENGINES: tuple[EngineName, ...] = tuple(name for name in get_args(EngineName) if name != "auto")
TOLERANCE = 1e-9  # how far a meta-gradient may be from the loop by hand, in float64


def ours(given: Problem, method: str, engine: EngineName) -> tuple[MetaGradient, str] | None:
    """The meta-gradient by one engine of the inner loop, and the engine's name; None where it refuses the model."""
    adapt = "head" if method == ANIL else "all"
    try:
        loop = InnerLoop(given.model, steps=given.steps, first_order=method == FIRST, adapt=adapt, engine=engine)
    except EngineRefused:
        return None
    run = loop.displacement if method == REPTILE else loop.gradients
    return lambda: run(given.tasks, given.rate)[1], loop.engine_for(len(given.tasks.support_x))


def contestants(given: Problem, method: str) -> dict[str, MetaGradient]:
    """Everyone who can compute this meta-gradient here: our engines first, then the peers that are installed."""
    found: dict[str, MetaGradient] = {}
    for engine in ENGINES:
        if made := ours(given, method, engine):
            found[engine] = made[0]
    missing = peers.missing()
    for name, (package, make) in PEERS.items():
        if package not in missing and (run := make(given, method)):
            found[name] = run
    return found


def differences(model: str, method: str, setting: Setting) -> dict[str, float]:
    """How far each contestant's meta-gradient of two tasks is from the loop by hand, in float64.

    Raises:
        RuntimeError: one is further away than 1e-9, or lacks a parameter; then there is nothing to compare.
    """
    given = problem(model, setting, tasks=2, steps=setting.steps, dtype=torch.float64)
    everyone, found = contestants(given, method), {}
    reference = {name: value.clone() for name, value in everyone["loop by hand"]().items()}
    for name, run in everyone.items():
        found[name] = distance(run(), reference)
        if not found[name] <= TOLERANCE:
            raise RuntimeError(f"{name} is {found[name]:.1e} from the loop by hand ({model}, {method}); "
                               f"what differs by more than {TOLERANCE:.0e} must not be timed against it")  # fmt: skip
    return found


def distance(found: Gradient, reference: Gradient) -> float:
    """The largest difference of any entry; infinite where the parameters are not the same."""
    if found.keys() != reference.keys():
        return float("inf")
    return max(float((found[name] - reference[name]).abs().max()) for name in reference)


def cases(setting: Setting) -> Iterator[tuple[str, str, int, int]]:
    """Model, method, tasks and inner steps of everything that is timed: the main cases first."""
    every = [(model, method) for model in MODELS for method in METHODS]
    found = [(*what, setting.tasks, setting.steps) for what in every]
    found += [(*what, few, setting.steps) for few in setting.few for what in every]
    found += [("MLP", SECOND, tasks, setting.steps) for tasks in setting.more_tasks]
    found += [("MLP", SECOND, setting.tasks, steps) for steps in setting.more_steps]
    yield from dict.fromkeys(found)


def time_case(model: str, method: str, tasks: int, steps: int, setting: Setting) -> list[Row]:
    """One row for each contestant: milliseconds, and how many times as fast as the fastest peer, with quartiles.

    `over_loops` leaves out the one peer that takes all tasks at once. Ratios are taken round by round.
    """
    given = problem(model, setting, tasks=tasks, steps=steps)
    chosen = ours(given, method, "auto")
    times, busy = alternate(contestants(given, method), rounds=setting.rounds, patience=setting.patience)
    medians = {name: quartiles(seconds)[0] for name, seconds in times.items()}
    peers = [name for name in times if name not in ENGINES]
    fastest = min(peers, key=medians.__getitem__)
    fastest_loop = min((name for name in peers if name != AT_ONCE), key=medians.__getitem__)

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


def measure(path: Path, *, about: Row, threads: int, quick: bool, say: Callable[[str], None]) -> None:
    """Check that all compute the same, time every case, measure memory; write a JSON file and a figure beside it."""
    setting, before = QUICK if quick else FULL, torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = measured(setting, threads=threads, say=say)
    finally:
        torch.set_num_threads(before)
    head = {"about": about | {"protocol": setting.protocol(), "threads": threads}} | result
    tables = {name: head.pop(name) for name in ("rows", "memory")}
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}")]
    for name, rows in tables.items():  # a row a line, so that a difference between two files can be read
        lines.append(f'"{name}": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]")
    write_text(",\n".join(lines) + "\n}\n", path)
    path.with_suffix(".png").write_bytes(png(figure(head | tables)))


def measured(setting: Setting, *, threads: int, say: Callable[[str], None]) -> Row:
    """What `measure` writes, but for the provenance."""
    apart = {what: differences(*what, setting) for what in ((m, how) for m in MODELS for how in METHODS)}
    gemm_seconds = setting.rounds / 50
    speeds, rows = [peak_gemm(seconds=gemm_seconds)], list[Row]()
    for model, method, tasks, steps in cases(setting):
        say(f"{model}, {method}: {tasks} tasks, {steps} inner steps")
        for row in time_case(model, method, tasks, steps, setting):
            rows.append(row | {"difference": apart[model, method][row["by"]]})
    speeds.append(peak_gemm(seconds=gemm_seconds))
    for row in rows:
        needed = multiply_adds(row["model"], row["method"], setting, tasks=row["tasks"], steps=row["steps"])
        row["gemm_ms"] = round(1000 * 2 * needed / max(speeds), 4)
        row["share_of_gemm"] = round(row["gemm_ms"] / row["ms"][0], 4)
    say("memory")
    return {
        "rounds": setting.rounds, "gemm_gflops": [round(speed / 1e9, 1) for speed in speeds],
        "missing": peers.missing(), "rows": rows, "memory": memory(setting, threads=threads),
    }  # fmt: skip


def memory(setting: Setting, *, threads: int) -> list[Row]:
    """Megabytes that the CNN's second-order meta-step adds to a fresh process, for growing numbers of tasks."""
    here = contestants(problem("CNN", QUICK, tasks=1, steps=1), SECOND)
    return [
        {"by": name, "ours": name in ENGINES, "tasks": tasks,
         "mb": peak_memory(name, tasks, threads=threads, quick=setting is QUICK)}
        for name in setting.memory_of
        if name in here
        for tasks in setting.memory
    ]  # fmt: skip
