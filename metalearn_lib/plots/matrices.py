"""Weights to look at: a matrix with its values printed, a text whose words are shaded.   Chapters 01, 04."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from metalearn_lib.plots.style import canvas, styled, wrap


@styled
def heatmap(
    matrix: ArrayLike,
    rows: Sequence[str],
    cols: Sequence[str],
    *,
    title: str,
    xlabel: str = "",
    ylabel: str = "",
    fmt: str = ".2f",
) -> Figure:
    """Draw a matrix (attention, confusion) as shaded cells with each value printed in its cell.

    Above 16 columns the numbers would not fit and a colour bar takes their place.

    Raises:
        ValueError: the matrix is not two-dimensional, is empty, or its shape is not len(rows) × len(cols).

    Chapter: 01
    """
    values = np.asarray(matrix, dtype=float)
    if values.shape != (len(rows), len(cols)) or values.size == 0:
        raise ValueError(
            f"heatmap: the matrix has shape {values.shape}, but the labels are {len(rows)} rows and {len(cols)} columns"
        )
    row_labels, col_labels = (
        [wrap(str(name), 22) for name in rows],
        [wrap(str(name), 24 if len(cols) > 6 else 16) for name in cols],
    )
    longest = max(len(line) for label in col_labels for line in label.split("\n"))
    upright = longest * len(cols) > 60
    width = min(10.0, max(6.0, 2.4 + 0.62 * len(cols)))
    figure = canvas(width, 1.3 + 0.36 * len(rows) + (0.075 * longest if upright else 0.3), title)
    axes = figure.subplots()
    image = axes.imshow(values, cmap="cividis", aspect="auto")
    axes.set_xticks(range(len(cols)), col_labels, rotation=90 if upright else 0)
    axes.set_yticks(range(len(rows)), row_labels)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.grid(visible=False)
    if len(cols) > 16:
        figure.colorbar(image, ax=axes)
        return figure
    shade = matplotlib.colors.Normalize(float(values.min()), float(values.max()))
    for (row, col), value in np.ndenumerate(values):
        dark = float(shade(float(value))) < 0.55
        axes.text(
            col,
            row,
            format(value, fmt),
            ha="center",
            va="center",
            fontsize=9,
            color="white" if dark else "black",
        )
    return figure


@styled
def text_weights(words: Sequence[str], weights: ArrayLike, *, title: str, label: str = "weight") -> Figure:
    """Draw a text whose words are shaded by their weights, the heaviest tenth underlined.

    Raises:
        ValueError: there are no words, or not exactly one finite weight for each.

    Chapter: 04
    """
    values = np.asarray(weights, dtype=float)
    if not len(words) or values.shape != (len(words),) or not np.isfinite(values).all():
        raise ValueError(
            f"text_weights: {len(words)} words and weights of shape {values.shape}; "
            "pass one finite number for each word"
        )
    width, line_height, left = 8.0, 0.29, 0.12
    # Words are measured before the figure has its height: the height depends on where the lines break.
    ruler = FigureCanvasAgg(Figure(figsize=(width, 1), dpi=100))
    inches = [_inches(ruler, word) for word in words]
    places, x, y = [], left, 0
    for size in inches:
        if x + size > width - left and x > left:
            x, y = left, y + 1
        places.append((x, y))
        x += size + 0.13
    header = 0.38 + 0.22 * wrap(title, int(width * 9.5)).count("\n")
    height = header + line_height * (y + 1) + 0.75
    figure = Figure(figsize=(width, height))
    figure.suptitle(wrap(title, int(width * 9.5)), x=0.012, y=1 - 0.06 / height, ha="left", va="top")
    axes = figure.add_axes((0, 0.7 / height, 1, line_height * (y + 1) / height), xlim=(0, width), ylim=(y + 0.9, -0.1))
    axes.set_axis_off()
    norm = matplotlib.colors.Normalize(min(0.0, float(values.min())), max(float(values.max()), 1e-12))
    shades = matplotlib.colormaps["Blues"]
    heavy = np.quantile(values, 0.9)
    for word, value, size, (x, y) in zip(words, values, inches, places, strict=True):
        colour = shades(0.75 * norm(value))
        axes.add_patch(matplotlib.patches.Rectangle((x - 0.04, y), size + 0.08, 0.8, color=colour, linewidth=0))
        axes.text(
            x,
            y + 0.4,
            word,
            va="center",
            fontsize=10.5,
            parse_math=False,
            color="white" if float(norm(float(value))) > 0.8 else "black",
        )
        if value >= heavy and value > values.min():
            axes.plot([x, x + size], [y + 0.82, y + 0.82], color="black", linewidth=1.4)
    bar = figure.add_axes((0.3, 0.42 / height, 0.4, 0.12 / height))
    scale = np.linspace(norm.vmin or 0, norm.vmax or 1, 64)
    bar.imshow([scale], cmap=shades, norm=norm, aspect="auto", extent=(scale[0], scale[-1], 0, 1), alpha=0.75)
    bar.set(yticks=[], xlabel=f"{label} (the heaviest tenth is underlined)")
    bar.grid(visible=False)
    bar.spines[:].set_visible(False)
    bar.tick_params(labelsize=8.5, pad=1)
    bar.xaxis.label.set_fontsize(9)
    return figure


def _inches(ruler: FigureCanvasAgg, word: str) -> float:
    text = ruler.figure.text(0, 0, word, fontsize=10.5, parse_math=False)
    return float(text.get_window_extent().width) / 100
