"""Episodes: a map of the vectors of one task.   Chapter 04."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from metalearn_lib.plots.style import FLOOR, MARKERS, PALETTE, canvas, styled, wrap
from metalearn_lib.plots.texts import check_task

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
    picture) is another class's. Raises ValueError where the task is not in the batch, there are more than 8 classes, or
    a vector is not finite.   Chapter: 04
    """
    check_task("episode_map", episode, task)
    if episode.n_way > len(MARKERS):
        raise ValueError(f"episode_map: n_way={episode.n_way} is more than the colours; use n_way ≤ {len(MARKERS)}")
    support, query = (
        encoder(rows[task : task + 1], episode.pool)[0].double().numpy(force=True)  # [N·K, D], [N·Q, D]
        for rows in (episode.support_x, episode.query_x)
    )
    if not (np.isfinite(support).all() and np.isfinite(query).all()):
        raise ValueError("episode_map: the encoder gave a vector that is not finite; check its input and its weights")
    support_y, query_y = episode.support_y[task].numpy(), episode.query_y[task].numpy()
    centres = np.stack([support[support_y == label].mean(0) for label in range(episode.n_way)])  # [N, D]
    nearest = ((query[:, None] - centres) ** 2).sum(-1).argmin(1)  # [N·Q]

    both = np.concatenate([support, query])
    middle, names = both.mean(0), [wrap(name, 22) for name in episode.classes[task]]
    _, sizes, directions = np.linalg.svd(both - middle, full_matrices=False)
    shares = 100 * sizes**2 / max((sizes**2).sum(), 1e-12)
    plane = [(vectors - middle) @ directions[:2].T for vectors in (support, query, centres)]

    figure = canvas(8.4, 4.9, title)
    axes = figure.subplots()
    look: dict[str, Any] = {"linestyle": "", "markerfacecolor": "white", "markeredgewidth": 2}
    for label, colour in zip(range(episode.n_way), PALETTE, strict=False):
        of_support, of_query, centre = plane[0][support_y == label], plane[1][query_y == label], plane[2][label]
        axes.plot(*of_query.T, MARKERS[label], color=colour, markersize=5.5, alpha=0.85)
        axes.plot(*of_support.T, MARKERS[label], color=colour, markersize=10, **look)
        axes.plot(*centre, "*", color=colour, markeredgecolor="black", markersize=19, zorder=4)
    wrong = plane[1][nearest != query_y]
    ring: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": "black", "markersize": 12}
    axes.plot(*wrong.T, "o", markeredgewidth=1.1, zorder=3, **ring)
    axes.set_xlabel(f"main direction ({shares[0]:.0f} % of the variance)")
    axes.set_ylabel(f"second direction ({shares[1]:.0f} %)" if len(shares) > 1 else "")
    axes.set(xticklabels=[], yticklabels=[])
    axes.tick_params(length=0)
    axes.margins(0.09)

    def key(marker: str, label: str, **look: Any) -> Line2D:
        return Line2D([], [], marker=marker, label=label, **{"linestyle": "", "color": FLOOR} | look)

    handles = [
        *(key(*of_class, color=colour) for *of_class, colour in zip(MARKERS, names, PALETTE, strict=False)),
        key(MARKERS[0], "query", markersize=5.5),
        key(MARKERS[0], "support example", markersize=10, **look),
        key("*", "prototype: mean of\nthe support examples", markersize=15, markeredgecolor="black"),
        key("o", f"query nearer to another\nprototype: {len(wrong)} of {len(query)}", **ring),
    ]
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}
    for entry in axes.legend(handles=handles, labelspacing=0.75, **place).get_texts():
        entry.set_parse_math(False)
    return figure
