"""A diagram of a computation: what flows where, what is learned, how the gradient returns.   Chapters 00, 02, 03."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from metalearn_lib.plots.style import PALETTE, canvas, styled

KINDS = {"data": "#E3E3E3", "computed": "#FFFFFF", "learned": "#FFE3B3"}
_MEANING = {"data": "data", "computed": "computed", "learned": "learned across tasks"}
_DASHED = (0, (4, 2))


@styled
def diagram(
    boxes: Mapping[str, tuple[float, float, str]],
    arrows: Sequence[tuple[str, str, str]],
    *,
    back: Sequence[tuple[str, str, str]] = (),
    back_label: str = "gradient, backwards",
    title: str,
    width: float = 8.6,
    height: float = 3.4,
) -> Figure:
    """Boxes with arrows between them; what returns, such as gradients, is `back`, dashed and curved.

    `boxes` maps the text of a box (it may hold a line break and mathematics) to its column and row, of any unit, rows
    counted downwards, and its kind: "data", "computed" or "learned". An arrow is (from, to, what flows), the last may
    be empty. `back_label` is what the key calls the arrows of `back`. Raises ValueError for another kind, and for an
    arrow that ends at no box.

    >>> figure = diagram(
    ...     {"support": (0, 0, "data"), "learner": (1, 0, "learned"), "loss": (2, 0, "computed")},
    ...     [("support", "learner", ""), ("learner", "loss", "predictions")],
    ...     back=[("loss", "learner", "gradient")], title="A loss moves the learner",
    ... )

    Chapter: 00, 02, 03
    """
    for name, (_, _, kind) in boxes.items():
        if kind not in KINDS:
            raise ValueError(f"diagram: the box {name!r} is of the kind {kind!r}; use {', '.join(KINDS)}")
    for name in [end for arrow in (*arrows, *back) for end in arrow[:2]]:
        if name not in boxes:
            raise ValueError(f"diagram: an arrow touches {name!r}, which is no box; boxes are {', '.join(boxes)}")
    figure = canvas(width, height, title)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0.13, 1, 0.75))
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(0, 0.75 * height), xticks=[], yticks=[])  # inches
    across = _inches({name: column for name, (column, _, _) in boxes.items()}, 0.9, width - 0.9)
    curve = max((0.15 * abs(across[start] - across[end]) for start, end, _ in back), default=0.0)  # how high it rises
    down = _inches({name: -row for name, (_, row, _) in boxes.items()}, 0.45, 0.75 * height - max(0.4, curve + 0.2))
    place = {name: (across[name], down[name]) for name in boxes}
    drawn = {
        name: axes.text(
            *place[name], name, ha="center", va="center", zorder=3,
            bbox={"boxstyle": "round,pad=0.55", "facecolor": KINDS[kind], "edgecolor": "#333333"},
        )
        for name, (_, _, kind) in boxes.items()
    }  # fmt: skip
    for start, end, label in arrows:
        _arrow(axes, place, drawn, start, end, label, color="#333333", line="-", bend=0.0)
    for start, end, label in back:
        bend = 0.3 if place[end] < place[start] else -0.3
        _arrow(axes, place, drawn, start, end, label, color=PALETTE[1], line=_DASHED, bend=bend)
    kinds = {kind for _, _, kind in boxes.values()}
    key: list[Patch | Line2D] = [
        Patch(facecolor=face, edgecolor="#333333", label=_MEANING[kind])
        for kind, face in KINDS.items()
        if kind in kinds
    ]
    if back:
        key.append(Line2D([], [], color=PALETTE[1], linestyle=_DASHED, label=back_label))
    figure.legend(handles=key, loc="lower center", ncols=len(key))
    return figure


def _inches(numbers: Mapping[str, float], low: float, high: float) -> dict[str, float]:
    """Columns or rows → places between two ends; all at the middle where they are equal."""
    least, most = min(numbers.values()), max(numbers.values())
    if least == most:
        return dict.fromkeys(numbers, (low + high) / 2)
    return {name: low + (high - low) * (number - least) / (most - least) for name, number in numbers.items()}


def _arrow(
    axes: Axes,
    place: Mapping[str, tuple[float, float]],
    drawn: Mapping[str, Text],
    start: str,
    end: str,
    label: str,
    *,
    color: str,
    line: str | tuple[int, tuple[int, int]],
    bend: float,
) -> None:
    """One arrow from box to box; `place` is where a box stands, `line` a line style of matplotlib."""
    (x0, y0), (x1, y1) = place[start], place[end]
    axes.annotate(
        "", xy=(x1, y1), xytext=(x0, y0), zorder=2,
        arrowprops={
            "arrowstyle": "-|>", "color": color, "linestyle": line, "linewidth": 1.6, "mutation_scale": 14,
            "patchA": drawn[start].get_bbox_patch(), "patchB": drawn[end].get_bbox_patch(), "shrinkA": 2, "shrinkB": 2,
            "connectionstyle": f"arc3,rad={bend}",
        },
    )  # fmt: skip
    if label:  # at the middle of the curve, half the way to its control point, which stands `bend` aside of the chord
        middle = ((x0 + x1 + bend * (y1 - y0)) / 2, (y0 + y1 - bend * (x1 - x0)) / 2)
        white = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
        axes.text(*middle, label, ha="center", va="center", color=color, fontsize=9.5, zorder=4, bbox=white)
