"""Where the axis of a row of dots begins and ends, and on which side of its interval each number stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.text import Annotation

GAP = 7  # points between the end of an interval and its number
MARGIN = 0.04  # of the width, beside the outermost interval


@dataclass(frozen=True)
class Row:
    """What is drawn of one score: its mean and interval, in the units of the axis, and its number."""

    mean: float
    low: float
    high: float
    number: Annotation


@dataclass(frozen=True)
class Panel:
    """Rows on one axes, and the values at which lines run through them."""

    axes: Axes
    rows: list[Row]
    lines: list[float]


def span(panels: Sequence[Panel], *, share: bool) -> tuple[float, float]:
    """The lowest and the highest value of panels that share an axis; at least 2 points, or 5 % of the value, apart."""
    ends = [end for panel in panels for end in (*panel.lines, *(x for row in panel.rows for x in (row.low, row.high)))]
    low, high = min(ends), max(ends)
    least = 2.0 if share else 0.05 * max(abs(low), abs(high)) or 1.0
    missing = max(0.0, least - (high - low)) / 2
    return _inside(low - missing, high + missing, share)


def is_near(value: float, low: float, high: float) -> bool:
    """Whether a line at this value lengthens the span by less than a third."""
    return max(low - value, value - high) < (high - low) / 3


def zoom(panels: Sequence[Panel], low: float, high: float, *, share: bool) -> None:
    """Give panels one axis, a little longer than low … high and with room for the numbers; shares end at 0 and 100.

    A number stands right of its interval; where a line would run through it or the axis ends, left; else above the
    dot. The layout has to be done before: how much of an axis a number takes depends on its width.
    """
    points = panels[0].axes.figure.dpi / 72
    rows = []  # with the lines through them, and as shares of the axis: the number's width, the gap beside it
    for panel in panels:
        pixels = panel.axes.get_window_extent().width
        gap = min(GAP * points / pixels, 0.2)  # whatever it takes, two numbers and gaps are less than the axis
        for row in panel.rows:
            width = row.number.get_window_extent().width + 3 * points  # a line beside it does not touch it
            rows.append((row, panel.lines, min(width / pixels, 0.25), gap))
    places = [0] * len(rows)
    begin, end = _inside(low, high, share)
    for _ in range(40):  # room for the numbers makes the axis longer, and so the room that they need
        taken = []
        for number, (row, lines, width, gap) in enumerate(rows):
            width, gap = width * (end - begin), gap * (end - begin)
            stretches = [
                (row.high + gap, row.high + gap + width),
                (row.low - gap - width, row.low - gap),
                (row.mean - width / 2, row.mean + width / 2),
            ]
            free = [place for place, stretch in enumerate(stretches) if _is_free(*stretch, lines, share)]
            places[number] = next((place for place in free if place >= places[number]), 0)
            taken.append(stretches[places[number]])
        pad = MARGIN * (end - begin)
        begin = min(low - pad, *(left for left, _ in taken))
        end = max(high + pad, *(right for _, right in taken))
        begin, end = _inside(begin, end, share)
    for panel in panels:
        panel.axes.set_xlim(begin, end)
    for (row, *_), place in zip(rows, places, strict=True):
        row.number.xy = ((row.high, row.low, row.mean)[place], row.number.xy[1])
        row.number.set(position=((GAP, 0), (-GAP, 0), (0, 2 * GAP))[place], ha=("left", "right", "center")[place])


def _inside(low: float, high: float, share: bool) -> tuple[float, float]:
    return (max(low, 0.0), min(high, 100.0)) if share else (low, high)


def _is_free(left: float, right: float, lines: Sequence[float], share: bool) -> bool:
    """Whether a number between these values covers no line and stays on the axis."""
    return not any(left <= line <= right for line in lines) and not (share and (left < 0 or right > 100))
