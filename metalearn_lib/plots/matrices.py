"""A matrix to look at, such as attention or confusion, with its values printed.   Chapters 01, 04."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
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

    Above 16 columns the numbers would not fit and a colour bar takes their place. Raises ValueError where the matrix is
    empty or its shape is not len(rows) × len(cols).   Chapter: 01
    """
    values = np.asarray(matrix, dtype=float)
    if values.shape != (len(rows), len(cols)) or values.size == 0:
        raise ValueError(
            f"heatmap: the matrix has shape {values.shape}, but the labels are {len(rows)} rows and {len(cols)} columns"
        )
    row_labels = [wrap(str(name), 22) for name in rows]
    col_labels = [wrap(str(name), 24 if len(cols) > 6 else 16) for name in cols]
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
    dark = np.asarray(image.norm(values)) < 0.55
    for (row, col), value in np.ndenumerate(values):
        colour = "white" if dark[row, col] else "black"
        axes.text(col, row, format(value, fmt), ha="center", va="center", fontsize=9, color=colour)
    return figure
