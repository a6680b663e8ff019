"""One evaluation for every learner: accuracy or macro-F1 per episode, 95 % intervals, paired comparison.

An accuracy over few-shot episodes means little without its interval, and a difference between two learners is best
seen on the same episodes: what is hard for one is hard for the other, so the noise cancels.   Chapters 01, 04, 12
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor

from metalearn_lib.episodes import Episodes, Sampler
from metalearn_lib.errors import check_options
from metalearn_lib.modules import HasModes, evaluating
from metalearn_lib.progress import progress_bar
from metalearn_lib.scores import Score

Metric = Literal["accuracy", "macro_f1", "mse"]


class Learner(HasModes, Protocol):
    """What can be evaluated: it adapts to the support sets of episodes and answers their queries."""

    name: str

    @property
    def device(self) -> torch.device: ...

    def predict(self, episodes: Episodes) -> Tensor:
        """Outputs [T, N·Q, N] for the queries; must not look at `query_y`."""


def evaluate(
    learner: Learner,
    sampler: Sampler,
    *,
    episodes: int = 1000,
    batch: int = 50,
    first: int = 0,
    metric: Metric | None = None,
    progress: bool = False,
) -> Score:
    """Adapt to the support set of each episode, predict its queries, and score.   Chapter: 04

    `metric`: by default "accuracy", or for a regression "mse", the mean squared error; "macro_f1" is the other one.
    Draws episodes number `first` … `first + episodes - 1` in batches; no gradient is kept and the learner's
    training mode is restored. Raises ValueError if a prediction is not finite, or the metric does not fit the targets.
    """
    if metric not in (None, "accuracy", "macro_f1", "mse"):
        raise ValueError(f"evaluate(metric={metric!r}): use 'accuracy', 'macro_f1' or 'mse'")
    check_options("evaluate", episodes=episodes, batch=batch)
    if episodes < 2:
        raise ValueError(f"evaluate(episodes={episodes}): need episodes ≥ 2, or there is no interval")
    values: list[Tensor] = []
    with evaluating(learner):
        for start in progress_bar(range(0, episodes, batch), f"evaluate {learner.name}", show=progress):
            tasks = sampler.sample(min(batch, episodes - start), first=first + start).to(learner.device)
            logits = learner.predict(tasks)
            if not torch.isfinite(logits).all():
                raise ValueError(
                    f"evaluate: {learner.name} predicted NaN or infinity in episodes {first + start} …; "
                    "check its inputs"
                )
            metric = _metric(metric, tasks.query_y)
            values.append(_score(logits, tasks.query_y, tasks.n_way, metric).cpu())
    key = (*sampler.key, first, metric)
    share = metric != "mse"
    return Score.of(torch.cat(values).numpy(), name=learner.name, key=key, share=share, over="episodes")


def _metric(asked: Metric | None, truth: Tensor) -> Metric:
    """The metric that fits the targets; raises ValueError where the one asked for does not."""
    regression = truth.is_floating_point()
    if asked is not None and regression != (asked == "mse"):
        kind = "real numbers, so use 'mse'" if regression else "classes, so use 'accuracy' or 'macro_f1'"
        raise ValueError(f"evaluate(metric={asked!r}): the targets of these episodes are {kind}")
    return asked or ("mse" if regression else "accuracy")


def _score(logits: Tensor, truth: Tensor, n_way: int, metric: Metric) -> Tensor:
    """Outputs [T, M, N] and true classes or numbers [T, M] → a value per episode [T]."""
    if metric == "mse":
        return (logits[..., 0] - truth).double().square().mean(1)
    predicted = logits.argmax(-1)
    if metric == "accuracy":
        return (predicted == truth).double().mean(1)
    ways = torch.arange(n_way, device=truth.device)
    p, t = predicted[..., None] == ways, truth[..., None] == ways  # [T, M, N]
    hits = (p & t).sum(1).double()
    return (2 * hits / (p.sum(1) + t.sum(1)).clamp(min=1)).mean(1)
