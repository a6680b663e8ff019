"""Figures of the course: every function returns a matplotlib Figure, `show` displays it as exactly one PNG.

Colours are Okabe and Ito's colour-blind-safe set, and no colour carries a meaning alone: markers, line styles
and words go with it.
"""

from metalearn_lib.plots.adaptation import adaptation
from metalearn_lib.plots.episodes import episode_map, episode_table
from metalearn_lib.plots.matrices import heatmap, text_weights
from metalearn_lib.plots.results import compare, curves
from metalearn_lib.plots.style import show, style

__all__ = [
    "adaptation",
    "compare",
    "curves",
    "episode_map",
    "episode_table",
    "heatmap",
    "show",
    "style",
    "text_weights",
]
