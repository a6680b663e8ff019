"""Figures of the course: every function returns a figure, `show` displays it as exactly one PNG, or as HTML.

Colours are Okabe and Ito's colour-blind-safe set, and no colour carries a meaning alone: markers, line styles
and words go with it. A figure of your own looks the same with `canvas`, `PALETTE`, `MARKERS` and `FLOOR`.
"""

from metalearn_lib.plots.adaptation import adaptation
from metalearn_lib.plots.diagram import diagram
from metalearn_lib.plots.episodes import episode_map
from metalearn_lib.plots.matrices import heatmap
from metalearn_lib.plots.results import compare, curves
from metalearn_lib.plots.style import FLOOR, MARKERS, PALETTE, TextFigure, canvas, show, style
from metalearn_lib.plots.texts import episode_table, text_weights

__all__ = [
    "FLOOR", "MARKERS", "PALETTE", "TextFigure", "adaptation", "canvas", "compare", "curves",
    "diagram", "episode_map", "episode_table", "heatmap", "show", "style", "text_weights",
]  # fmt: skip
