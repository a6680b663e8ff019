"""The meta-step's measurements as one figure of four panels."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metalearn_lib.plots.style import FLOOR, LINES, MARKERS, PALETTE, canvas, styled

from .meta_step_table import AUTO, growth, main_size, of, select
from .problems import METHODS, MODELS, SECOND

Row = dict[str, Any]
_LOOKS = {name: (PALETTE[i], MARKERS[i], LINES[i]) for i, name in enumerate(("dual", "batched", "loop"))}
_PEERS = ((FLOOR, "X", "--"), (PALETTE[3], "D", ":"))


@styled
def figure(measured: Row) -> Figure:
    """Speed over the fastest peer, growth with tasks and with inner steps, memory: what `meta_step.measure` wrote."""
    drawn = canvas(10, 7.6, _finding(measured))
    panels = drawn.subplots(2, 2).flatten()
    rows = measured["rows"]
    tasks, steps = main_size(rows)
    _ratios(panels[0], rows)
    panels[0].set_title(f"{tasks} tasks, {steps} inner steps", fontsize=11)
    looks = dict(_LOOKS)
    for axes, what, other in ((panels[1], "tasks", f"{steps} inner steps"), (panels[2], "steps", f"{tasks} tasks")):
        for name, points in growth(rows, what).items():
            colour, marker, line = looks.setdefault(name, _PEERS[0])
            low, high = ([row["ms"][i] for row in points.values()] for i in (1, 2))
            axes.fill_between(list(points), low, high, color=colour, alpha=0.18, linewidth=0)
            label = name if name in _LOOKS else f"{name} (fastest peer)"
            times = [row["ms"][0] for row in points.values()]
            axes.plot(list(points), times, color=colour, marker=marker, linestyle=line, label=label)
        axes.set_title(f"MLP, {SECOND}, {other}", fontsize=11)
        _logarithmic(axes, list(points), "tasks" if what == "tasks" else "inner steps", "milliseconds a meta-step")
    panels[1].legend(loc="upper left", fontsize=8)  # serves the panel below it too, which shows the same lines
    _memory(panels[3], measured["memory"], looks)
    return drawn


def _finding(measured: Row) -> str:
    """The title says what was found, whatever that is."""
    rows = measured["rows"]
    tasks, steps = main_size(rows)
    found = []
    for model in MODELS:
        row = of(select(rows, model=model, method=SECOND, tasks=tasks, steps=steps), AUTO)
        if row:
            found.append(f"{row['over_peers'][0]:.1f} times as fast as the fastest peer on the {model} ({row['by']})")
    return f"The meta-step of second order: {', '.join(found)}"


def _ratios(axes: Axes, rows: list[Row]) -> None:
    tasks, steps = main_size(rows)
    labels = [(model, method) for model in MODELS for method in METHODS]
    for place, (model, method) in enumerate(labels):
        here = select(rows, model=model, method=method, tasks=tasks, steps=steps)
        for name, (colour, marker, _) in _LOOKS.items():
            row = of(here, name)
            if row:
                middle, low, high = row["over_peers"]
                axes.plot([low, high], [place, place], color=colour, linewidth=2.2)
                axes.plot(middle, place, marker, color=colour, label=name if place == 0 else None)
    axes.axvline(1, color=FLOOR, linestyle="--", linewidth=1.4)
    axes.set_yticks(range(len(labels)), [f"{model}, {method}" for model, method in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [tick for tick in (0.25, 0.5, 1, 2, 4, 8, 16) if low <= tick <= high or tick == 1]
    axes.set_xticks(ticks, [f"×{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("times as fast as the fastest peer (dashed), median and quartiles")
    axes.legend(loc="lower right", fontsize=9)


def _memory(axes: Axes, rows: list[Row], looks: dict[str, Any]) -> None:
    known = [row for row in rows if row["mb"]]  # neither unknown nor too little for a logarithmic axis
    for name in dict.fromkeys(row["by"] for row in known):
        points = select(known, by=name)
        colour, marker, line = looks.get(name) or _PEERS[1]
        values = [row["mb"] for row in points]
        axes.plot(
            [row["tasks"] for row in points], values, color=colour, marker=marker, linestyle=line, label=name
        )  # fmt: skip
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
