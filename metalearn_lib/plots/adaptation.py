"""Adaptation: one small regression task, and what a network makes of it after 0, 1, 5, … steps.   Chapter 03."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from metalearn_lib.plots.style import FLOOR, LINES, PALETTE, canvas, styled


@styled
def adaptation(
    x: Sequence[float],
    truth: Sequence[float],
    panels: Mapping[str, Mapping[int, Any]],
    *,
    points: tuple[Any, Any],
    title: str,
    xlabel: str = "input",
    ylabel: str = "output",
) -> Figure:
    """Draw the true function, the support points (inputs, targets) of a task, and predictions by number of steps.

    `panels` maps the name of a learner to {steps: predictions}, each as long as `x`; the panels stand side by
    side. Lines of more steps are darker, and each has its own style. Raises ValueError for no panels, or a line that is
    not as long as `x`.   Chapter: 03
    """
    if not panels:
        raise ValueError("adaptation: no panels; pass {learner: {steps: predictions}}")
    lines = {f"{name} after {steps} steps": line for name, panel in panels.items() for steps, line in panel.items()}
    for name, line in {"the truth": truth, **lines}.items():
        if np.shape(line) != (len(x),):
            raise ValueError(f"adaptation: {name} has shape {np.shape(line)}, x has {len(x)} values; pass one for each")
    figure = canvas(8.6, 4.0, title)
    all_axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    order = sorted({steps for panel in panels.values() for steps in panel})
    for axes, (name, panel) in zip(all_axes, panels.items(), strict=True):
        axes.set_title(name, fontsize=11)
        axes.plot(x, truth, color=FLOOR, linewidth=5, alpha=0.3, label="the task")
        for rank, steps in enumerate(order):
            if steps in panel:
                share = 1 if len(order) == 1 else 0.35 + 0.65 * rank / (len(order) - 1)
                label = "before" if steps == 0 else f"after {steps} step{'s' * (steps > 1)}"
                style = LINES[len(order) - 1 - rank] if rank else LINES[5]
                axes.plot(x, panel[steps], color=PALETTE[0], alpha=share, linestyle=style, label=label)
        axes.plot(*points, "o", color=PALETTE[1], markersize=7, markeredgecolor="white", label="support", zorder=4)
        axes.set_xlabel(xlabel)
    all_axes[0].set_ylabel(ylabel)
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure
