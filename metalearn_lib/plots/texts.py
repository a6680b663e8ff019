"""Figures made of text: the texts of one episode as a table, a text whose words are shaded.   Chapters 00, 04."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from html import escape
from string import ascii_uppercase
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from numpy.typing import ArrayLike

from metalearn_lib.plots.style import PALETTE, TextFigure

if TYPE_CHECKING:
    from metalearn_lib.episodes import Episodes

_LEFT = 'style="text-align:left;vertical-align:top"'  # notebooks set tables to the right
_PLAIN = 'class="mathjax_ignore tex2jax_ignore"'  # "$5 or $6" in a text is no formula


def episode_table(
    episodes: Episodes,
    *,
    title: str,
    task: int = 0,
    queries: int = 1,
    characters: int = 170,
    hide_queries: bool = False,
) -> TextFigure:
    """Show the texts of one task as a table: the support examples of each class, then some queries.

    `queries` is how many queries of each class are shown, `characters` where a text is cut;
    `hide_queries` prints "?" for their classes and letters them in the order of their texts, for guessing. Raises
    ValueError where the task is not in the batch, or a count is out of its range.   Chapter: 00
    """
    check_task("episode_table", episodes, task)
    if queries < 0 or characters < 20:
        raise ValueError(f"episode_table: queries={queries} must be ≥ 0 and characters={characters} ≥ 20")
    names = episodes.classes[task]
    support = zip(episodes.support_y[task].tolist(), episodes.support_texts(task), strict=True)
    rows = [("support", label, text) for label, text in support]
    asked, texts = episodes.query_y[task].tolist(), episodes.query_texts(task)
    first = [place for place, label in enumerate(asked) if asked[:place].count(label) < queries]
    shown = [("query", asked[place], texts[place]) for place in first]
    if hide_queries:
        shown.sort(key=lambda row: row[2])
        letters = [*ascii_uppercase, *map(str, range(27, len(shown) + 1))]
        shown = [(f"query {letter}", -1, text) for letter, (_, _, text) in zip(letters, shown, strict=False)]
    lines, html = [title], [f'<table {_PLAIN}><caption style="text-align:left"><b>{escape(title)}</b></caption>']
    head = "".join(f'<th scope="col" {_LEFT}>{heading}</th>' for heading in ("role", "class", "text"))
    html.append(f"<thead><tr>{head}</tr></thead><tbody>")
    for role, label, text in rows + shown:
        name, snippet = "?" if label < 0 else names[label], _snippet(text, characters)
        colour = "transparent" if label < 0 else PALETTE[label % len(PALETTE)]
        lines.append(f"{role:8}  {name:24}  {snippet}")
        html.append(
            f'<tr><th scope="row" {_LEFT}>{role}</th>'
            f'<td {_LEFT}><span style="border-left:0.7em solid {colour};padding-left:0.4em">{escape(name)}</span></td>'
            f"<td {_LEFT}>{escape(snippet)}</td></tr>"
        )
    return TextFigure(title, "\n".join([*html, "</tbody></table>"]), "\n".join(lines))


def text_weights(words: Sequence[str], weights: ArrayLike, *, title: str, label: str = "weight") -> TextFigure:
    """Show a text whose words are shaded by their weights, the heaviest tenth underlined.   Chapter: 04

    Raises ValueError where there are no words, or not exactly one finite weight for each.
    """
    values = np.asarray(weights, dtype=float)
    if not len(words) or values.shape != (len(words),) or not np.isfinite(values).all():
        raise ValueError(
            f"text_weights: {len(words)} words and weights of shape {values.shape}; "
            "pass one finite number for each word"
        )
    heavy = (values >= np.quantile(values, 0.9)) & (values > values.min())
    shade = matplotlib.colors.Normalize(min(0.0, float(values.min())), max(float(values.max()), 1e-12))
    digits = max(0, 2 - math.floor(math.log10(max(float(abs(values).max()), 1e-12))))  # three of the largest weight
    numbers = [f"{value:.{digits}f}" for value in values]
    shaded, plain = [], []
    for word, value, number, underlined in zip(words, values, numbers, heavy, strict=True):
        # The darkest shade is light enough for black letters, in dark pages too: the text brings its own white paper.
        colour = matplotlib.colors.to_hex(matplotlib.colormaps["Blues"](0.6 * shade(value)))
        text = f"<u>{escape(word)}</u>" if underlined else escape(word)
        shaded.append(f'<span style="background:{colour}" title="{escape(label)} {number}">{text}</span>')
        plain.append(f"*{word}*" if underlined else word)
    order = np.argsort(-values, kind="stable")
    first = ", ".join(f"{words[place]} {numbers[place]}" for place in order[:5])
    legend = f"{label} from {numbers[order[-1]]} to {numbers[order[0]]}: the darker, the heavier"
    html = (
        f'<figure {_PLAIN} style="margin:0"><figcaption><b>{escape(title)}</b></figcaption>\n'
        '<p style="background:#ffffff;color:#000000;padding:0.6em;line-height:1.8;overflow-wrap:anywhere">'
        + "\n".join(shaded)
        + f"</p>\n<p><small>{escape(legend)}; the heaviest tenth is underlined. Heaviest: {escape(first)}.</small></p>"
        "</figure>"
    )
    lines = [title, textwrap.fill(" ".join(plain), 100), f"{legend}; the heaviest tenth in stars. Heaviest: {first}."]
    return TextFigure(title, html, "\n".join(lines))


def check_task(function: str, episodes: Episodes, task: int) -> None:
    """Raise ValueError unless the batch has this task."""
    if not 0 <= task < len(episodes):
        last = len(episodes) - 1
        raise ValueError(f"{function}: task={task} is not in this batch of {last + 1}; use 0 … {last}")


def _snippet(text: str, characters: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= characters else flat[:characters].rsplit(" ", 1)[0] + "…"
