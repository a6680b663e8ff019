"""The meta-step's measurements as one figure of four panels."""

from __future__ import annotations

from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metalearn_lib.plots.style import FLOOR, LINES, MARKERS, PALETTE, canvas, styled

from .problems import METHODS, MODELS, SECOND
from .table import AUTO, few_and_many, growth, select, threads_of

Row = dict[str, Any]
_LOOKS = {name: (PALETTE[i], MARKERS[i], LINES[i]) for i, name in enumerate(("dual", "batched", "loop"))}
_PEERS = ((FLOOR, "X", "--"), (PALETTE[3], "D", ":"))


@styled
def figure(measured: Row) -> Figure:
    """Speed over the fastest peer, growth with tasks and with inner steps, memory: what `measure` wrote."""
    rows, most = measured["rows"], threads_of(measured["rows"])[-1]
    tasks, steps = f"{rows[0]['tasks']} tasks", f"{rows[0]['steps']} inner steps"
    drawn = canvas(10, 7.6, _finding(rows))
    ratios, by_tasks, by_steps, memory = drawn.subplots(2, 2).flatten()
    looks = dict(_LOOKS)
    _ratios(ratios, select(rows, auto=True, steps=rows[0]["steps"]))
    ratios.set_title(f"{AUTO}, {steps}", fontsize=11)
    here, at = select(rows, threads=most), f"{most} thread{'s' * (most > 1)}"
    _growth(by_tasks, growth(here, "tasks"), looks, "tasks")
    by_tasks.set_title(f"MLP, {SECOND}, {steps}, {at}", fontsize=11)
    by_tasks.legend(loc="upper left", fontsize=8)  # serves the panel below it too, which shows the same lines
    _growth(by_steps, growth(here, "steps"), looks, "inner steps")
    by_steps.set_title(f"MLP, {SECOND}, {tasks}, {at}", fontsize=11)
    _memory(memory, measured["memory"], looks)
    return drawn


def _finding(rows: list[Row]) -> str:
    """The title says what was found, whatever that is: the least and the most, not the best cell alone."""
    found = []
    for model in MODELS:
        ratios = sorted(row["over_peers"][0] for row in select(rows, auto=True, model=model, method=SECOND))
        found.append(f"{ratios[0]:.1f} to {ratios[-1]:.1f} times as fast as the fastest peer on the {model}")
    return f"The meta-step of second order: {', '.join(found)}"


def _ratios(axes: Axes, rows: list[Row]) -> None:
    """A line for each model and method; on it the fewest and the most tasks, on each number of threads."""
    labels, tasks = list(product(MODELS, METHODS)), few_and_many(rows)
    kinds = list(product(threads_of(rows), dict.fromkeys((tasks[0], tasks[-1]))))
    for place, (model, method) in enumerate(labels):
        for kind, (threads, number) in enumerate(kinds):
            (row,) = select(rows, model=model, method=method, threads=threads, tasks=number)
            colour, marker, height = PALETTE[kind], MARKERS[kind], place + 0.18 * (kind - (len(kinds) - 1) / 2)
            middle, low, high = row["over_peers"]
            label = f"{number} task{'s' * (number > 1)}, {threads} thread{'s' * (threads > 1)}"
            axes.plot([low, high], [height, height], color=colour, linewidth=2.2)
            axes.plot(middle, height, marker, color=colour, markersize=5, label=label if place == 0 else None)
    axes.axvline(1, color=FLOOR, linestyle="--", linewidth=1.4)
    axes.set_yticks(range(len(labels)), [f"{model}, {method}" for model, method in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [tick for tick in (0.25, 0.5, 1, 2, 4, 8, 16) if low <= tick <= high or tick == 1]
    axes.set_xticks(ticks, [f"×{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("times as fast as the fastest peer (dashed), median and quartiles")
    axes.legend(loc="lower right", fontsize=8)


def _growth(axes: Axes, lines: dict[str, dict[int, Row]], looks: dict[str, Any], what: str) -> None:
    for name, rows in lines.items():
        colour, marker, line = looks.setdefault(name, _PEERS[0])
        middle, low, high = zip(*(row["ms"] for row in rows.values()), strict=True)
        axes.fill_between(list(rows), low, high, color=colour, alpha=0.18, linewidth=0)
        label = name if name in _LOOKS else f"{name} (fastest peer)"
        axes.plot(list(rows), middle, color=colour, marker=marker, linestyle=line, label=label)
    _logarithmic(axes, list(next(iter(lines.values()))), what, "milliseconds a meta-step")


def _memory(axes: Axes, rows: list[Row], looks: dict[str, Any]) -> None:
    known = [row for row in rows if row["mb"]]  # neither unknown nor too little for a logarithmic axis
    for name in dict.fromkeys(row["by"] for row in known):
        colour, marker, line = looks.get(name) or _PEERS[1]
        at, megabytes = zip(*((row["tasks"], row["mb"]) for row in select(known, by=name)), strict=True)
        axes.plot(at, megabytes, color=colour, marker=marker, linestyle=line, label=name)
    axes.set_title(f"CNN, {SECOND}", fontsize=11)
    _logarithmic(axes, sorted({row["tasks"] for row in rows}), "tasks", "megabytes that a meta-step adds")
    if known:
        axes.legend(loc="best", fontsize=9)


def _logarithmic(axes: Axes, at: list[int], xlabel: str, ylabel: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(at, [str(value) for value in at])
    axes.minorticks_off()
    low, high = axes.get_ylim()
    ticks = [m * 10.0**e for e in range(-3, 5) for m in (1, 2, 5) if low <= m * 10.0**e <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set(xlabel=xlabel, ylabel=ylabel)
