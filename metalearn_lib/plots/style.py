"""The look of every figure, and `show`, which turns one into a single output of its cell.   All chapters."""

from __future__ import annotations

import base64
import io
import re
import textwrap
from dataclasses import dataclass
from typing import Any, TypeAlias

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

# Okabe & Ito (2008), ordered so that neighbours differ most; yellow is left out: it vanishes on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
LINES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 2)), (0, (1, 1)), (0, (4, 1, 1, 1, 1, 1)), "-")
FLOOR = "#555555"
DPI = 100  # 800 pixels for the usual 8 inches: sharp enough to read, light enough to store in a notebook

SETTINGS: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.facecolor": "white",
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "figure.titlesize": 12.5,
    "figure.titleweight": "bold",
    "font.size": 10.5,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 6.5,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


def style() -> None:
    """Set the look of the course for every later figure, pyplot's own included.   Chapter: 00"""
    matplotlib.rcParams.update(SETTINGS)


# As a decorator: a drawing function has the look of the course and leaves the caller's settings alone.
styled = matplotlib.rc_context(SETTINGS)


@dataclass(frozen=True)
class TextFigure:
    """A figure made of text: HTML in a notebook, plain text in a terminal; readable on light and dark pages."""

    title: str
    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


Drawing: TypeAlias = Figure | TextFigure


def show(figure: Drawing) -> None:
    """Display a figure, as one PNG or as HTML, with its title or its text as the text alternative, and close it.

    Outside a notebook nothing is displayed; the figure is closed all the same. Raises TypeError for what is no figure.

    Chapter: 00
    """
    if not isinstance(figure, Drawing):
        raise TypeError(f"show: expected a figure, got {type(figure).__name__}; pass what a plots function returned")
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import display
    from matplotlib import pyplot

    if InteractiveShell.initialized():
        display(picture(figure), raw=True)  # type: ignore[no-untyped-call]
    if isinstance(figure, Figure):
        pyplot.close(figure)


def picture(figure: Drawing) -> dict[str, str]:
    """A figure as a notebook output: the PNG and, for those who cannot see it, its title; or HTML and plain text."""
    if isinstance(figure, TextFigure):
        return {"text/html": figure.html, "text/plain": figure.text}
    return {"image/png": base64.b64encode(png(figure)).decode(), "text/plain": f"[figure: {title_of(figure)}]"}


def png(figure: Figure) -> bytes:
    """The bytes of a figure as a PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    small = io.BytesIO()
    # 256 colours are enough for drawings, and save two thirds of the bytes in every stored notebook.
    with Image.open(buffer) as image:
        few = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(small, format="png", optimize=True)
    return small.getvalue()


def title_of(figure: Figure) -> str:
    """The title of a figure on one line: its own, else that of its first axes that has one."""
    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    return " ".join(next((title for title in titles if title), "untitled").split())


def canvas(width: float, height: float, title: str) -> Figure:
    """An empty Figure of so many inches, laid out without overlaps, its title wrapped to the width.

    It is made without pyplot, so that a notebook cannot draw it a second time at the end of the cell.
    """
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    if title:
        figure.suptitle(wrap(title, int(width * 9.5)), x=0.012, ha="left")
    return figure


def wrap(text: str, width: int) -> str:
    """Break a text into lines of at most `width` characters, long words after dots and hyphens.

    >>> wrap("meta-trained prototypes", 14)
    'meta-trained\\nprototypes'
    >>> wrap("talk.politics.mideast", 17)
    'talk.politics.\\nmideast'
    """
    lines = [line for part in text.split("\n") for line in _Wrapper(width).wrap(part) or [""]]
    return "\n".join(lines)


class _Wrapper(textwrap.TextWrapper):
    def _split(self, text: str) -> list[str]:
        """Words and spaces; a long word in pieces that end with its dots and hyphens, none longer than a line."""
        words = re.split("( )", " ".join(text.split()))
        pieces = [re.split(r"(?<=[./_-])(?=[A-Za-z])", w) if len(w) > min(self.width, 14) else [w] for w in words]
        return [p[n : n + self.width] for word in pieces for p in word for n in range(0, len(p), self.width)]
