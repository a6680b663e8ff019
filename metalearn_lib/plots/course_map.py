"""The map of the course: fourteen chapters, what each builds on, three parts.   Chapter 00."""

from __future__ import annotations

from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from metalearn_lib.plots.style import PALETTE, canvas, styled


class Chapter(NamedTuple):
    """One chapter on the map: its title, the chapters to read first, its column and lane (0: lowest)."""

    title: str
    first: tuple[int, ...]
    column: int
    lane: float


CHAPTERS = (
    Chapter("Start here", (), 0, 5),
    Chapter("Background", (0,), 0, 3),
    Chapter("Meta-optimizers", (1,), 1, 6),
    Chapter("MAML and Reptile", (1,), 1, 4),
    Chapter("Metric-based", (1,), 1, 2),
    Chapter("Meta-networks", (3,), 2, 5),
    Chapter("Meta-embeddings", (4,), 2, 1),
    Chapter("Online and replay", (3,), 2, 3),
    Chapter("Distillation", (2,), 3, 6),
    Chapter("Transfer", (1,), 3, 0),
    Chapter("Sequence labels\nand relations", (3, 4), 3, 2),
    Chapter("Translation", (3,), 3, 4),
    Chapter("Choosing\na method", (3, 4), 4, 4),
    Chapter("Your own data", (12,), 4, 2),
)
PARTS = (
    ("Part 1 · The ground", 0, 0),
    ("Part 2 · Ways to learn to learn", 1, 2),
    ("Part 3 · At work on language", 3, 4),
)

WIDE, HIGH, STEP = 1.74, 0.56, 2.22  # box and column step, in inches; a lane is 0.72
LANE = 0.72


@styled
def course_map(*, title: str = "The course: an arrow means “read first”") -> Figure:
    """Draw the map of the course: fourteen chapters in three parts, arrows to what builds on each.

    Chapter: 00
    """
    right = 4 * STEP + WIDE
    figure = canvas(right + 0.5, 6 * LANE + HIGH + 1.15, title)
    axes = figure.subplots()
    axes.set(xlim=(-0.22, right + 0.22), ylim=(-0.42, 6 * LANE + HIGH + 0.52), aspect="equal")
    axes.set_axis_off()
    for (name, from_column, to_column), colour in zip(PARTS, PALETTE, strict=False):
        left, width = from_column * STEP - 0.16, (to_column - from_column) * STEP + WIDE + 0.32
        axes.add_patch(
            Rectangle((left, -0.36), width, 6 * LANE + HIGH + 0.84, facecolor=colour, alpha=0.09, linewidth=0)
        )
        axes.text(
            left + width / 2,
            6 * LANE + HIGH + 0.28,
            name,
            ha="center",
            va="center",
            weight="bold",
            color=colour,
        )
    for number, chapter in enumerate(CHAPTERS):
        _box(axes, number, chapter)
        for first in chapter.first:
            if chapter.column < 4 or first >= 12:
                _arrow(axes, CHAPTERS[first], chapter)
    _gather(axes)
    return figure


def _corner(chapter: Chapter) -> tuple[float, float]:
    return chapter.column * STEP, chapter.lane * LANE


def _box(axes: Axes, number: int, chapter: Chapter) -> None:
    part = next(part for part, (_, low, high) in enumerate(PARTS) if low <= chapter.column <= high)
    (x, y), colour = _corner(chapter), PALETTE[part]
    shape = FancyBboxPatch(
        (x, y),
        WIDE,
        HIGH,
        boxstyle="round,pad=0,rounding_size=0.09",
        facecolor="white",
        edgecolor=colour,
        linewidth=1.6,
        zorder=3,
    )
    axes.add_patch(shape)
    axes.text(
        x + 0.09,
        y + HIGH / 2,
        f"{number:02d}",
        va="center",
        fontsize=10,
        weight="bold",
        color=colour,
        zorder=4,
    )
    axes.text(x + 0.4, y + HIGH / 2, chapter.title, va="center", fontsize=9.2, linespacing=1.05, zorder=4)


def _arrow(axes: Axes, first: Chapter, then: Chapter) -> None:
    (x0, y0), (x1, y1) = _corner(first), _corner(then)
    if first.column == then.column:
        points, codes = [(x0 + WIDE / 2, y0), (x1 + WIDE / 2, y1 + HIGH)], [Path.MOVETO, Path.LINETO]
    else:
        # Bend only in a gap between two columns, where no box is: right after chapters of the first column,
        # and otherwise right before the target, along the lane of the chapter it comes from.
        start, end = (x0 + WIDE, y0 + HIGH / 2), (x1, y1 + HIGH / 2)
        early = first.column == 0
        bend = start[0] if early else x1 - (STEP - WIDE)
        after = bend + STEP - WIDE
        middle = (bend + after) / 2
        tip = (end[0] - 0.09, end[1])  # the arrowhead needs a straight end
        points = [
            start,
            (bend, start[1]),
            (middle, start[1]),
            (middle, end[1]),
            (min(after, tip[0]), end[1]),
            tip,
            end,
        ]
        codes = [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO, Path.LINETO]
    style: dict[str, Any] = {
        "arrowstyle": "-|>",
        "mutation_scale": 11,
        "color": "#444444",
        "linewidth": 1.2,
        "zorder": 2,
    }
    axes.add_patch(FancyArrowPatch(path=Path(points, codes), **style))


def _gather(axes: Axes) -> None:
    """All of chapters 02 to 11 meet in chapter 12: a brace instead of ten arrows."""
    x, (end, y) = 3 * STEP + WIDE + 0.12, _corner(CHAPTERS[12])
    axes.plot([x, x], [0.05, 6 * LANE + HIGH - 0.05], color="#444444", linewidth=1.2)
    for level in (0.05, 6 * LANE + HIGH - 0.05):
        axes.plot([x - 0.07, x], [level, level], color="#444444", linewidth=1.2)
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 11, "color": "#444444", "linewidth": 1.2}
    axes.add_patch(FancyArrowPatch((x, y + HIGH / 2), (end, y + HIGH / 2), shrinkA=0, shrinkB=0, **style))
