"""The map of the course, drawn from the list of chapters: what each builds on, in three parts.   Chapter 00

python -m metalearn_lib.course.course_map      draws notebooks/images/course.png anew
"""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from metalearn_lib.files import notebooks_folder
from metalearn_lib.plots.style import PALETTE, canvas, png, styled

from .chapter_list import Entry, entries

PARTS = (
    ("Part 1 · The ground", 0, 0),
    ("Part 2 · Ways to learn to learn", 1, 2),
    ("Part 3 · At work on language", 3, 4),
)
PLACES = {  # column and lane (0: lowest) of each chapter; an arrow runs along the lane of the chapter it comes from
    "00": (0, 5), "01": (0, 3), "02": (1, 6), "03": (1, 4), "04": (1, 2), "05": (2, 5), "06": (2, 1), "07": (2, 3),
    "08": (3, 6), "09": (3, 1), "10": (3, 2.5), "11": (3, 4), "12": (4, 4), "13": (4, 2), "14": (2, 0),
}  # fmt: skip
WIDE, HIGH, STEP, LANE = 1.78, 0.56, 2.26, 0.72  # box, distance of columns and of lanes, in inches
TOP, RIGHT = 6 * LANE + HIGH, 4 * STEP + WIDE
_LINE: dict[str, Any] = {"color": "#444444", "linewidth": 1.2, "zorder": 2}


@styled
def course_map() -> Figure:
    """Draw the chapters as boxes in three parts, with an arrow from each to what builds on it; dashed: to come.

    Chapter: 00
    """
    chapters = {entry.number: entry for entry in entries() if entry.number}
    to_come = "" if all(entry.here for entry in chapters.values()) else "; dashed: still to come"
    figure = canvas(RIGHT + 0.5, TOP + 1.15, f"The course: an arrow means “read first”{to_come}")
    axes = figure.subplots()
    axes.set(xlim=(-0.22, RIGHT + 0.22), ylim=(-0.42, TOP + 0.52), aspect="equal")
    axes.set_axis_off()
    for (name, first, last), colour in zip(PARTS, PALETTE, strict=False):
        left, wide = first * STEP - 0.16, (last - first) * STEP + WIDE + 0.32
        axes.add_patch(Rectangle((left, -0.36), wide, TOP + 0.84, facecolor=colour, alpha=0.09, linewidth=0))
        axes.text(left + wide / 2, TOP + 0.28, name, ha="center", va="center", weight="bold", color=colour)
        for entry in chapters.values():
            if first <= PLACES[entry.number][0] <= last:
                _box(axes, entry, colour)
    for entry in chapters.values():
        if entry.any_of:
            _gather(axes, entry)
        else:
            for earlier in entry.after:
                _arrow(axes, earlier, entry.number)
    return figure


def _corner(number: str) -> tuple[float, float]:
    column, lane = PLACES[number]
    return column * STEP, lane * LANE


def _box(axes: Axes, entry: Entry, colour: str) -> None:
    x, y = _corner(entry.number)
    shape = FancyBboxPatch((x, y), WIDE, HIGH, "round,pad=0,rounding_size=0.09", facecolor="white", edgecolor=colour)
    shape.set(linewidth=1.6, linestyle="-" if entry.here else (0, (4, 2)), zorder=3)
    axes.add_patch(shape)
    axes.text(x + 0.09, y + HIGH / 2, entry.number, va="center", fontsize=10, weight="bold", color=colour, zorder=4)
    title = textwrap.fill(entry.title, 16)
    axes.text(x + 0.4, y + HIGH / 2, title, va="center", fontsize=9.2, linespacing=1.05, zorder=4)


def _arrow(axes: Axes, earlier: str, later: str) -> None:
    """Straight down inside a column; else along the lane, and to the other lane in the gap before the box."""
    (x0, y0), (x1, y1) = _corner(earlier), _corner(later)
    if x0 == x1:
        _head(axes, [(x0 + WIDE / 2, y0), (x1 + WIDE / 2, y1 + HIGH)], [Path.MOVETO, Path.LINETO])
    else:
        bend, start, end = x1 - (STEP - WIDE), y0 + HIGH / 2, y1 + HIGH / 2
        middle, tip = bend + (STEP - WIDE) / 2, x1 - 0.09  # the head of the arrow needs a straight end
        points = [(x0 + WIDE, start), (bend, start), (middle, start), (middle, end), (tip, end), (x1, end)]
        _head(axes, points, [Path.MOVETO, Path.LINETO, *[Path.CURVE4] * 3, Path.LINETO])


def _gather(axes: Axes, entry: Entry) -> None:
    """What builds on any of the chapters before: a brace instead of many arrows."""
    x, y = _corner(entry.number)
    brace, middle = x - STEP + WIDE + 0.12, y + HIGH / 2
    axes.plot([brace - 0.07, brace, brace, brace - 0.07], [0.05, 0.05, TOP - 0.05, TOP - 0.05], **_LINE)
    _head(axes, [(brace, middle), (x, middle)], [Path.MOVETO, Path.LINETO])


def _head(axes: Axes, points: list[tuple[float, float]], codes: list[Any]) -> None:
    axes.add_patch(FancyArrowPatch(path=Path(points, codes), arrowstyle="-|>", mutation_scale=11, **_LINE))


if __name__ == "__main__":
    (notebooks_folder() / "images" / "course.png").write_bytes(png(course_map()))
