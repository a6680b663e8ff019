"""Episodes: a map of the vectors of one task, and a table of its texts.   Chapters 00, 04."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from metalearn_lib.plots.style import FLOOR, MARKERS, PALETTE, canvas, styled, wrap

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus
    from metalearn_lib.episodes import Episodes


@styled
def episode_map(
    encoder: Callable[[Tensor, Corpus | None], Tensor], episode: Episodes, *, title: str, task: int = 0
) -> Figure:
    """Draw one task in the plane of its vectors' two main directions (PCA).

    Queries are small filled markers, support examples large outlined ones, prototypes stars; each class has a
    colour and a marker. A ring marks each query whose nearest prototype (in the full space, not only on the
    picture) is another class's.

    Raises:
        ValueError: the task is not in the batch, there are more than 8 classes, or a vector is not finite.

    Chapter: 04
    """
    _check_task("episode_map", episode, task)
    if episode.n_way > len(MARKERS):
        raise ValueError(f"episode_map: n_way={episode.n_way} is more than the colours; use n_way ≤ {len(MARKERS)}")
    support = _vectors(encoder(episode.support_x[task : task + 1], episode.pool))  # [N·K, D]
    query = _vectors(encoder(episode.query_x[task : task + 1], episode.pool))  # [N·Q, D]
    if not (np.isfinite(support).all() and np.isfinite(query).all()):
        raise ValueError("episode_map: the encoder gave a vector that is not finite; check its input and its weights")
    support_y, query_y = episode.support_y[task].numpy(), episode.query_y[task].numpy()
    centres = np.stack([support[support_y == label].mean(0) for label in range(episode.n_way)])  # [N, D]
    nearest = ((query[:, None] - centres) ** 2).sum(-1).argmin(1)  # [N·Q]

    both = np.concatenate([support, query])
    middle = both.mean(0)
    _, sizes, directions = np.linalg.svd(both - middle, full_matrices=False)
    shares = 100 * sizes**2 / max((sizes**2).sum(), 1e-12)
    plane = [(vectors - middle) @ directions[:2].T for vectors in (support, query, centres)]

    figure = canvas(8.4, 4.9, title)
    axes = figure.subplots()
    handles = []
    for label, name in enumerate(episode.classes[task]):
        colour, marker = PALETTE[label], MARKERS[label]
        of_support, of_query = plane[0][support_y == label], plane[1][query_y == label]
        axes.plot(*of_query.T, marker, color=colour, markersize=5.5, alpha=0.85)
        axes.plot(
            *of_support.T,
            marker,
            markerfacecolor="white",
            markeredgecolor=colour,
            markeredgewidth=2,
            markersize=10,
        )
        axes.plot(*plane[2][label], "*", color=colour, markeredgecolor="black", markersize=19, zorder=4)
        handles.append(Line2D([], [], marker=marker, linestyle="", color=colour, label=wrap(name, 22)))
    wrong = plane[1][nearest != query_y]
    axes.plot(
        *wrong.T,
        "o",
        markerfacecolor="none",
        markeredgecolor="black",
        markersize=12,
        markeredgewidth=1.1,
        zorder=3,
    )
    handles += [
        _key(MARKERS[0], 5.5, FLOOR, FLOOR, "query"),
        _key(MARKERS[0], 10, "white", FLOOR, "support example"),
        _key("*", 15, FLOOR, "black", "prototype: mean of\nthe support examples"),
        _key("o", 12, "none", "black", f"query nearer to another\nprototype: {len(wrong)} of {len(query)}"),
    ]
    axes.set_xlabel(f"main direction ({shares[0]:.0f} % of the variance)")
    axes.set_ylabel(f"second direction ({shares[1]:.0f} %)" if len(shares) > 1 else "")
    axes.set(xticklabels=[], yticklabels=[])
    axes.tick_params(length=0)
    axes.margins(0.09)
    legend = axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, labelspacing=0.75
    )
    for entry in legend.get_texts():
        entry.set_parse_math(False)
    return figure


@styled
def episode_table(
    episodes: Episodes,
    *,
    title: str,
    task: int = 0,
    queries: int = 1,
    characters: int = 170,
    hide_queries: bool = False,
) -> Figure:
    """Draw the texts of one task as a table: the support examples of each class, then some queries.

    `queries` is how many queries of each class are shown, `characters` where a text is cut;
    `hide_queries` prints "?" for their classes and letters them in the order of their texts, for guessing.

    Raises:
        ValueError: the task is not in the batch, or a count is out of its range.

    Chapter: 00
    """
    _check_task("episode_table", episodes, task)
    if queries < 0 or characters < 20:
        raise ValueError(f"episode_table: queries={queries} must be ≥ 0 and characters={characters} ≥ 20")
    names = episodes.classes[task]
    support_y, query_y = episodes.support_y[task].tolist(), episodes.query_y[task].tolist()
    rows = [
        ("support", names[y], PALETTE[y % 8], t) for y, t in zip(support_y, episodes.support_texts(task), strict=True)
    ]
    shown: list[tuple[str, str, str, str]] = []
    taken = dict.fromkeys(range(len(names)), 0)
    for label, text in zip(query_y, episodes.query_texts(task), strict=True):
        taken[label] += 1
        if taken[label] <= queries:
            known = ("query", "?", FLOOR, text) if hide_queries else ("query", names[label], PALETTE[label % 8], text)
            shown.append(known)
    if hide_queries:
        shown.sort(key=lambda row: row[3])
        shown = [(f"query {_letter(i)}", *row[1:]) for i, row in enumerate(shown)]
    rows += shown

    cells = [(role, wrap(name, 17), colour, wrap(_snippet(text, characters), 92)) for role, name, colour, text in rows]
    lines = [max(name.count("\n"), text.count("\n")) + 1 for _, name, _, text in cells]
    gap, line = 0.13, 0.175  # inches
    total = sum(gap + line * count for count in lines) + 0.3
    figure = canvas(9, total + 0.35 + 0.22 * wrap(title, 85).count("\n"), title)
    axes = figure.subplots()
    axes.set(xlim=(0, 9), ylim=(total, 0))
    axes.set_axis_off()
    for x, heading in ((0, "role"), (0.85, "class"), (2.35, "text")):
        axes.text(x, 0.02, heading, va="top", fontsize=9.5, color=FLOOR)
    y = 0.26
    for (role, name, colour, text), count in zip(cells, lines, strict=True):
        axes.plot([0, 9], [y, y], color="#D0D0D0", linewidth=0.8)
        axes.text(0, y + gap / 2, role, va="top", fontsize=9.5, weight="bold" if role == "support" else "normal")
        axes.text(0.85, y + gap / 2, name, va="top", fontsize=9.5, color=colour, weight="bold", parse_math=False)
        axes.text(2.35, y + gap / 2, text, va="top", fontsize=9.5, parse_math=False)
        y += gap + line * count
    return figure


def _check_task(function: str, episodes: Episodes, task: int) -> None:
    if not 0 <= task < len(episodes):
        raise ValueError(
            f"{function}: task={task} is not in this batch of {len(episodes)}; use 0 … {len(episodes) - 1}"
        )


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def _vectors(batch: Tensor) -> np.ndarray:
    return batch[0].detach().cpu().double().numpy()


def _key(marker: str, size: float, face: str, edge: str, label: str) -> Line2D:
    return Line2D(
        [],
        [],
        marker=marker,
        markersize=size,
        linestyle="",
        markerfacecolor=face,
        markeredgecolor=edge,
        label=label,
    )


def _snippet(text: str, characters: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= characters else flat[:characters].rsplit(" ", 1)[0] + "…"
