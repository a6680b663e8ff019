"""Results: dots with intervals against a floor, and curves with bands.   All chapters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metalearn_lib.plots.style import FLOOR, LINES, MARKERS, PALETTE, SETTINGS, canvas, styled, wrap
from metalearn_lib.plots.zoom import Panel, Row, is_near, span, zoom
from metalearn_lib.scores import Measured, Score

RULE: dict[str, Any] = {"color": FLOOR, "linewidth": 1.4}  # a line that all methods are compared with
# A number beside its interval, on a white ground, so that no line runs through it. It takes no part in the layout:
# `zoom` makes room for it.
GROUND = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
NUMBER: dict[str, Any] = {
    "textcoords": "offset points", "xytext": (0, 0), "va": "center", "fontsize": 9.5, "bbox": GROUND, "in_layout": False
}  # fmt: skip

SHARES = "shares"  # the kind of numbers that are drawn in percent

# Where a method stands against the floor.
STANDING: dict[str, dict[str, Any]] = {
    "above the floor": {"marker": "o", "color": PALETTE[0]},
    "no clear difference": {"marker": "s", "color": FLOOR, "markerfacecolor": "white"},
    "below the floor": {"marker": "v", "color": PALETTE[1]},
    "control": {"marker": "D", "color": PALETTE[-1], "markerfacecolor": "white"},
    "the floor": {"marker": "|", "color": FLOOR},
    "method": {"marker": "o", "color": PALETTE[0]},
}


@styled
def compare(
    scores: Mapping[str, Measured] | Mapping[str, Mapping[str, Measured]],
    *,
    title: str,
    floor: str | None = None,
    controls: Sequence[str] = (),
    chance: float | None = None,
    xlabel: str | None = None,
) -> Figure:
    """Draw one row per method: a dot for the mean, a bar for the 95 % interval, a dashed line for the floor.

    A mapping of mappings, such as {"1 shot": {...}, "5 shots": {...}}, gives one panel per outer name, the
    methods in the same rows. `floor` names the row to beat; each marker says whether the 95 % interval of
    the (paired) difference lies above 0, below 0 or around it. `controls` name rows that could take the win away (a
    random start, raw vectors): grey diamonds, without such a standing. The axis ends where the numbers end, not at 0
    and 100; `chance`, a share between 0 and 1, is dotted where it lies near them, and otherwise told in the legend.
    Shares are drawn in percent, other numbers (errors, correlations) as they are; such panels have an axis of their
    own. Without `xlabel` the figure says what the intervals are over: episodes, texts or trainings. Raises ValueError
    for no scores, both kinds in one panel, a `floor` or control that is in none, or a `chance` that is no share.

    Chapter: 04
    """
    nested = any(isinstance(value, Mapping) for value in scores.values())
    panels: dict[str, Mapping[str, Any]] = dict(scores) if nested else {"": scores}  # type: ignore[arg-type]
    rows = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    if not rows:
        raise ValueError("compare: no scores; pass {name: Score}")
    for option, names in (("floor", [] if floor is None else [floor]), ("controls", controls)):
        if missing := [name for name in names if name not in rows]:
            raise ValueError(f"compare: {option}: {missing[0]!r} is not among the scores; it must be one of {rows}")
    kinds = [_kind(*panel.values()) for panel in panels.values()]
    if chance is not None and not (0 <= chance <= 1 and SHARES in kinds):
        raise ValueError(f"compare(chance={chance!r}): must be a share, 0 ≤ chance ≤ 1, beside scores that are shares")

    labels = [wrap(name, 30) for name in rows]
    row_height = max(0.36, 0.1 + 0.17 * max(label.count("\n") + 1 for label in labels))
    height = (1.75 if len(panels) == 1 else 2.2) + row_height * len(rows)  # panels need a second line below the axis
    figure = canvas(8 if len(panels) < 3 else 10, height, title)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    alike: dict[str, list[Panel]] = {kind: [] for kind in kinds}  # these share an axis
    seen: set[str] = set()
    for panel_axes, kind, (panel_name, panel) in zip(axes, kinds, panels.items(), strict=True):
        panel_axes.set_title(panel_name, fontsize=11)
        drawn = []
        for row, name in enumerate(rows):
            if name in panel:
                standing = _standing(panel[name], panel.get(floor) if floor else None, control=name in controls)
                seen.add(standing)
                drawn.append(_dot(panel_axes, row, panel[name], standing))
        lines = []
        if floor is not None and floor in panel:
            lines = [_scale(panel[floor]) * panel[floor].mean]
            panel_axes.axvline(lines[0], linestyle="--", zorder=1, **RULE)
        alike[kind].append(Panel(panel_axes, drawn, lines))
        panel_axes.grid(axis="y", visible=False)
        panel_axes.tick_params(axis="y", length=0)
        panel_axes.ticklabel_format(axis="x", useOffset=False)
    axes[0].set_yticks(range(len(rows)), labels)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)

    spans = {kind: span(group, share=kind == SHARES) for kind, group in alike.items()}
    where = ""
    if chance is not None:
        low, high = spans[SHARES]
        if is_near(100 * chance, low, high):
            spans[SHARES] = min(low, 100 * chance), max(high, 100 * chance)
            for shown in alike[SHARES]:
                shown.axes.axvline(100 * chance, linestyle=":", zorder=1, **RULE)
                shown.lines.append(100 * chance)
        else:
            where = f": {'left' if 100 * chance < low else 'right'} of the axis"

    said = [_measured(panel, floor, controls) for panel in panels.values()]
    together = len(panels) > 1 and len({how for _, how in said}) == 1 and xlabel is None
    for panel_axes, (what, how) in zip(axes, said, strict=True):
        text = xlabel if xlabel is not None else what if together else f"{what}, {how}"
        panel_axes.set_xlabel(wrap(text, 60 // len(panels)))
    in_legend = [standing for standing in STANDING if standing in seen - {"method", "the floor"}]
    handles = [
        Line2D(
            [], [], label=standing if standing == "control" else f"{standing} (95 %)", markeredgewidth=1.6,
            **STANDING[standing],
        )
        for standing in in_legend
    ]  # fmt: skip
    if floor is not None:
        handles.append(Line2D([], [], linestyle="--", label=wrap(f"floor: {floor}", 40), **RULE))
    if chance is not None:
        handles.append(Line2D([], [], linestyle=":", label=f"chance, {100 * chance:.0f} %{where}", **RULE))
    if handles or together:
        _legend(figure, handles, heading=wrap(said[0][1], 90) if together else None)
    figure.draw_without_rendering()
    for kind, group in alike.items():
        zoom(group, *spans[kind], share=kind == SHARES)
    return figure


def _kind(*scores: Measured) -> str:
    """Panels of one kind share an axis; raises ValueError where shares share a panel with other numbers."""
    if len({score.share for score in scores}) > 1:
        raise ValueError("compare: shares and other numbers in one panel; give each kind a panel of its own")
    return SHARES if scores[0].share else type(scores[0]).__name__


def _scale(score: Measured) -> int:
    """Shares are drawn in percent."""
    return 100 if score.share else 1


def _standing(score: Measured, floor: Measured | None, *, control: bool) -> str:
    if score is floor:
        return "the floor"
    if control:
        return "control"
    if floor is None:
        return "method"
    if score > floor:
        return "above the floor"
    return "below the floor" if floor > score else "no clear difference"


def _dot(axes: Axes, row: int, score: Measured, standing: str) -> Row:
    scale, look = _scale(score), STANDING[standing]
    mean = scale * score.mean
    interval = [scale * score.low, scale * score.high]
    axes.plot(interval, [row, row], color=look["color"], linewidth=2.4, solid_capstyle="butt")
    axes.plot(mean, row, linestyle="", markersize=8, markeredgewidth=1.6, clip_on=False, **look)
    low, high = (end if math.isfinite(end) else mean for end in interval)  # a single text has no interval
    return Row(mean, low, high, axes.annotate(_number(score), (high, row), **NUMBER))


def _number(score: Measured) -> str:
    """Percent with one decimal, other means with three digits."""
    if score.share:
        return f"{100 * score.mean:.1f}"
    text = f"{score.mean:,.0f}" if abs(score.mean) >= 1000 else f"{score.mean:.3g}"
    return text.replace("-", "−")


def _legend(figure: Figure, handles: list[Line2D], *, heading: str | None) -> None:
    """Below the axes, in as many columns, up to three, as the figure is wide."""
    for columns in range(max(1, min(len(handles), 3)), 0, -1):
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, title=heading,
            title_fontsize=SETTINGS["axes.labelsize"],
        )  # fmt: skip
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def _measured(panel: Mapping[str, Measured], floor: str | None, controls: Sequence[str]) -> tuple[str, str]:
    """What was measured, and how; what the intervals are over where the scores agree, the floor and controls apart."""
    first, *_ = panel.values()
    what = "mean" if isinstance(first, Score) else type(first).__name__.lower()
    beside = [score for name, score in panel.items() if name == floor or name in controls]
    methods = _over([score for score in panel.values() if not any(score is other for other in beside)] or beside)
    others = _over(beside) if beside else methods
    apart = (
        f" ({' and '.join(['floor'] * (floor in panel) + ['controls'] * (len(beside) > (floor in panel)))}:{others})"
    )
    how = f"95 % interval{methods}{apart if methods and others and methods != others else ''}"
    return ("mean accuracy (%)" if first.share else what), how


def _over(scores: Sequence[Measured]) -> str:
    """ " over 1,000 episodes", " over episodes" where their numbers differ, nothing where the scores do not agree."""
    kinds = {score.over if isinstance(score, Score) else "" for score in scores}
    numbers = {f"{len(score.values):,} " for score in scores if isinstance(score, Score)}
    if len(kinds) > 1 or "" in kinds:
        return ""
    return f" over {numbers.pop() if len(numbers) == 1 else ''}{kinds.pop()}"


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
