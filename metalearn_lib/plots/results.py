"""Results: dots with intervals against a floor, and curves with bands.   All chapters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metalearn_lib.plots.style import FLOOR, LINES, MARKERS, PALETTE, canvas, styled, wrap

if TYPE_CHECKING:
    from metalearn_lib.scores import Measured

# A number beside its dot, on a white ground, so that no line runs through it.
GROUND = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
BESIDE: dict[str, Any] = {"xytext": (7, 0), "textcoords": "offset points", "va": "center", "fontsize": 9.5}
RULE: dict[str, Any] = {"color": FLOOR, "linewidth": 1.4}  # a line that all methods are compared with

# Where a method stands against the floor.
STANDING: dict[str, dict[str, Any]] = {
    "above the floor": {"marker": "o", "color": PALETTE[0]},
    "no clear difference": {"marker": "s", "color": FLOOR, "markerfacecolor": "white"},
    "below the floor": {"marker": "v", "color": PALETTE[1]},
    "the floor": {"marker": "|", "color": FLOOR},
    "method": {"marker": "o", "color": PALETTE[0]},
}


@styled
def compare(
    scores: Mapping[str, Measured] | Mapping[str, Mapping[str, Measured]],
    *,
    title: str,
    floor: str | None = None,
    chance: float | None = None,
    xlabel: str = "accuracy (%), mean and 95 % interval",
) -> Figure:
    """Draw one row per method: a dot for the mean, a bar for the 95 % interval, a dashed line for the floor.

    A mapping of mappings, such as {"1 shot": {...}, "5 shots": {...}}, gives one panel per outer name, the
    methods in the same rows. `floor` names the row to beat; each marker says whether the 95 % interval of
    the (paired) difference lies above 0, below 0 or around it. `chance`, a share between 0 and 1, is dotted. Shares
    are drawn in percent, other numbers (errors, correlations) as they are; such panels have an axis of their own.
    Raises ValueError for no scores, both kinds in one panel, or a `floor` that is in none.   Chapter: 04
    """
    nested = any(isinstance(value, Mapping) for value in scores.values())
    panels: dict[str, Mapping[str, Any]] = dict(scores) if nested else {"": scores}  # type: ignore[arg-type]
    rows = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    if not rows:
        raise ValueError("compare: no scores; pass {name: Score}")
    if floor is not None and floor not in rows:
        raise ValueError(f"compare: floor={floor!r} is not among the scores; it must be one of {rows}")

    labels = [wrap(name, 30) for name in rows]
    row_height = max(0.36, 0.1 + 0.17 * max(label.count("\n") + 1 for label in labels))
    height = (1.75 if len(panels) == 1 else 2.2) + row_height * len(rows)  # panels need a second line below the axis
    figure = canvas(8 if len(panels) < 3 else 10, height, title)
    scales = {name: _scale(*panel.values()) for name, panel in panels.items()}
    alike = len(set(scales.values())) == 1
    axes = figure.subplots(1, len(panels), sharey=True, sharex=alike, squeeze=False)[0]
    seen: set[str] = set()
    for panel_axes, (panel_name, panel) in zip(axes, panels.items(), strict=True):
        panel_axes.set_title(panel_name, fontsize=11)
        for row, name in enumerate(rows):
            if name in panel:
                standing = _standing(panel[name], panel.get(floor) if floor else None)
                seen.add(standing)
                _dot(panel_axes, row, panel[name], standing)
        if floor is not None and floor in panel:
            panel_axes.axvline(scales[panel_name] * panel[floor].mean, linestyle="--", zorder=1, **RULE)
        if chance is not None:
            panel_axes.axvline(scales[panel_name] * chance, linestyle=":", zorder=1, **RULE)
        panel_axes.grid(axis="y", visible=False)
        panel_axes.margins(x=0.11 + 0.06 * len(panels))
        panel_axes.set_xlabel(wrap(xlabel, 60 // len(panels)))
        panel_axes.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(rows)), labels)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)

    in_legend = [standing for standing in STANDING if standing in seen - {"method", "the floor"}]
    handles = [
        Line2D([], [], label=f"{standing} (95 %)", markeredgewidth=1.6, **STANDING[standing]) for standing in in_legend
    ]
    if floor is not None:
        handles.append(Line2D([], [], linestyle="--", label=wrap(f"floor: {floor}", 40), **RULE))
    if chance is not None:
        handles.append(Line2D([], [], linestyle=":", label=f"chance, {100 * chance:.0f} %", **RULE))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3))
    return figure


def _scale(*scores: Measured) -> int:
    """100 for shares, which are drawn in percent; raises ValueError where they share a panel with other numbers."""
    if len({score.share for score in scores}) > 1:
        raise ValueError("compare: shares and other numbers in one panel; give each kind a panel of its own")
    return 100 if scores[0].share else 1


def _standing(score: Measured, floor: Measured | None) -> str:
    if floor is None:
        return "method"
    if score is floor:
        return "the floor"
    if score > floor:
        return "above the floor"
    return "below the floor" if floor > score else "no clear difference"


def _dot(axes: Axes, row: int, score: Measured, standing: str) -> None:
    scale, look = _scale(score), STANDING[standing]
    interval = [scale * score.low, scale * score.high]
    axes.plot(interval, [row, row], color=look["color"], linewidth=2.4, solid_capstyle="butt")
    axes.plot(scale * score.mean, row, linestyle="", markersize=8, markeredgewidth=1.6, **look)
    number = f"{100 * score.mean:.1f}" if score.share else f"{score.mean:.3g}"
    axes.annotate(number, (scale * score.high, row), bbox=GROUND, **BESIDE)


@styled
def curves(
    x: Sequence[float],
    lines: Mapping[str, Any],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    floor: str | float | None = None,
    floor_label: str = "floor",
    logx: bool = False,
    logy: bool = False,
) -> Figure:
    """Draw lines with 95 % bands, each with its own colour, marker and line style.

    `lines` maps a name to (mean, low, high), each as long as `x`, or to the means alone. `floor` is
    the name of one of the lines, drawn grey and dashed, or a value, a dashed line called `floor_label`.
    Numbers are drawn as they are given: pass percent for percent. Raises ValueError for no lines, a line whose length
    is not that of `x`, or a floor that names no line.   Chapter: 01
    """
    if not lines:
        raise ValueError("curves: no lines; pass {name: (mean, low, high)}")
    if isinstance(floor, str) and floor not in lines:
        raise ValueError(f"curves: floor={floor!r} is not among the lines; it must be one of {list(lines)} or a number")
    figure = canvas(8, 4.3, title)
    axes = figure.subplots()
    at = np.asarray(x, dtype=float)
    looks = itertools.cycle(zip(PALETTE, MARKERS, LINES, strict=True))
    for name, given in lines.items():
        values = np.atleast_2d(np.asarray(given, dtype=float))
        if values.shape not in ((1, len(at)), (3, len(at))):
            raise ValueError(
                f"curves: {name!r} has shape {np.shape(given)}, x has {len(at)} values; "
                f"pass (mean, low, high), each of {len(at)}"
            )
        look: dict[str, Any] = {"color": FLOOR, "linestyle": "--"}
        if name != floor:
            look = dict(zip(("color", "marker", "linestyle"), next(looks), strict=True))
            look["markevery"] = max(1, len(at) // 12)  # markers on a long line would hide it
        if len(values) == 3:
            axes.fill_between(at, values[1], values[2], color=look["color"], alpha=0.18, linewidth=0)
        axes.plot(at, values[0], label=wrap(name, 24), **look)
    if isinstance(floor, int | float):
        axes.axhline(floor, linestyle="--", label=wrap(floor_label, 24), **RULE)
    if logx:
        axes.set_xscale("log")
        if len(at) <= 8:  # the points themselves say more than powers of ten
            axes.set_xticks(at, [f"{value:g}" for value in at])
            axes.minorticks_off()
    if logy:
        axes.set_yscale("log")
    axes.set(xlabel=xlabel, ylabel=wrap(ylabel, 44))
    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return figure
