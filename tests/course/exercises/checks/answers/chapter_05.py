"""Answers to the exercises of chapter 05."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from metalearn_lib.course.exercises.checks import chapter_05 as checks
from metalearn_lib.meta_networks import delta_rule

NAMES: dict[str, Any] = {}
codes, delta = checks.rival_codes.reference, checks.corrected_weights.reference
share, training = checks.share_that_changes.reference, checks.writer_training.reference


def by_matrix(support: Tensor, labels: Tensor, n_way: int, phi: Any) -> Tensor:
    members = one_hot(labels, n_way).to(support.dtype)
    per_class = members.T @ phi(support) / members.sum(0)[:, None]
    others = (1 - torch.eye(n_way, dtype=support.dtype)) / (n_way - 1)
    return torch.cat([per_class, others @ per_class], dim=1)


def of_library(keys: Tensor, values: Tensor, rate: float, passes: int) -> Tensor:
    return delta_rule(keys[None], values[None], rate, passes=passes)[0]


def with_torch(draw: Any, start: Tensor, n_way: int, alpha: float, beta: float, rate: float, steps: int) -> Any:
    """The loop with an optimizer of torch."""
    tail, losses = start.clone().requires_grad_(), []
    optimizer = torch.optim.SGD([tail], lr=rate)
    for i in range(steps):
        support, labels, query, truth = draw(i)
        centres = torch.stack([support[labels == c].mean(0) for c in range(n_way)])
        written = centres + centres @ tail
        parts = [torch.nn.functional.cross_entropy(x @ written.T, y) for x, y in ((support, labels), (query, truth))]
        loss = alpha * parts[0] + beta * parts[1]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return tail.detach(), losses


def flat(*given: Any) -> Any:
    """Right for a few steps."""
    tail, losses = training(*given)
    return tail, losses if len(losses) < 6 else losses[:1].expand(len(losses))


def by_limit(keys: Tensor, values: Tensor, rate: float, passes: int) -> Tensor:
    """Right for a few passes; for many it gives the least-norm solution at once."""
    return delta(keys, values, rate, passes) if passes < 100 else (torch.linalg.pinv(keys) @ values).T


def drawn_again(draw: Any, *given: Any) -> Any:
    """Each episode is drawn twice."""
    return training(lambda i: (draw(i), draw(i))[1], *given)


def finished(finish: Any) -> Any:
    """What `finish` makes of the tail and the losses."""
    return lambda *given: finish(*training(*given))


CODES, DELTA, SWAP, TRAIN = "rival_codes", "corrected_weights", "share_that_changes", "writer_training"
RIGHT = [(CODES, by_matrix), (DELTA, of_library), (TRAIN, with_torch)]
WRONG = [
    (CODES, lambda *a: codes(*a).T, "a tensor of shape [3, 8] ([N, 2H]), got shape [8, 3]: the last two are swapped"),
    (CODES, lambda *a: codes(*a)[:, :4], "a tensor of shape [3, 8] ([N, 2H]), got shape [3, 4]"),
    (CODES, lambda *a: codes(*a).float(), "the dtype of the input, torch.float64, got torch.float32"),
    (DELTA, lambda *a: delta(*a).T, "a tensor of shape [2, 6] ([N, D]), got shape [6, 2]: the last two are swapped"),
    (CODES, lambda s, *a: codes(s.detach(), *a), "what φ reads, got one without a graph: keep to operations of torch"),
    (CODES, lambda s, *a: torch.tensor(codes(s, *a).numpy()), "your function raised RuntimeError"),
    (DELTA, lambda k, v, r, p: delta(k, v, r, min(p, 9)), "with 700 passes at a small rate I expected"),
    (DELTA, lambda k, v, r, p: delta(k, v, r, min(p, 500)), "with 700 passes at a small rate I expected"),
    (DELTA, lambda k, v, r, p: delta(k, v, r, p if p < 900 else 9), "with 3,000 passes I expected the least-norm solu"),
    (DELTA, by_limit, "with 700 passes at a small rate I expected"),
    (SWAP, lambda *a: bool(share(*a)), "I expected the number"),
    (TRAIN, lambda *a: training(*a)[0], "I expected two things, the trained tail and the losses, got a tensor"),
    (TRAIN, flat, "with 80 steps I expected a loss that falls by a fifth or more, got one that goes"),
    (TRAIN, finished(lambda tail, losses: (tail, losses[:3])), "with 80 steps I expected 80 losses"),
    (
        TRAIN,
        drawn_again,
        "with 4 steps I expected draw called once in each, with 0, 1, 2, 3, got draw called with 0, 0, 1",
    ),
    (
        TRAIN,
        finished(lambda tail, losses: (tail.requires_grad_(), losses)),
        "a tail without a graph, got one that asks",
    ),
    (
        TRAIN,
        finished(lambda tail, losses: (tail, losses.requires_grad_())),
        "losses without a graph, got one that asks",
    ),
]
HIDDEN: list[Any] = []
