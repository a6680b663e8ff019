"""Answers to the exercises of chapter 06."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from metalearn_lib.course.exercises.checks import chapter_06 as checks
from metalearn_lib.meta_embeddings import average
from metalearn_lib.text import WordVectors


def library_average(a: Tensor, b: Tensor) -> Tensor:
    """The library leaves words out that no source knows; put their rows of zeros back."""
    words = [str(i) for i in range(len(a))]
    made = average([WordVectors.from_array(words, x.numpy()) for x in (a, b)])
    return made.table[made.encode(words)].to(a.dtype)


def divided_by_none(a: Tensor, b: Tensor) -> Tensor:
    width = max(a.shape[1], b.shape[1])
    total = sum(pad(x, (0, width - x.shape[1])) for x in (a, b))
    return total / (a.any(1).float() + b.any(1).float())[:, None]


def nan_where_nobody_knows(mapped: Tensor, known: Tensor, score: Tensor) -> Tensor:
    attention = (mapped @ score).masked_fill(~known, -torch.inf).softmax(1)
    return mapped.shape[1] * (attention[..., None] * mapped).sum(1)


def first_padded(a: Tensor, b: Tensor) -> Tensor:
    a = torch.cat([a, a.new_zeros(len(a), b.shape[1] - a.shape[1])], dim=1)
    count = a.any(1).to(a.dtype) + b.any(1).to(a.dtype)
    return (a + b) / count.clamp(min=1)[:, None]


def second_padded(a: Tensor, b: Tensor) -> Tensor:
    return first_padded(b, a)


def by_length(a: Tensor, b: Tensor) -> Tensor:
    return checks._averaged(lambda table: table.norm(dim=1) > 0)(a, b)


def filled_low(mapped: Tensor, known: Tensor, score: Tensor) -> Tensor:
    """A very low number instead of −∞; no NaN, and the zeros of unknown words stay."""
    attention = (mapped @ score).masked_fill(~known, -1e9).softmax(1) * known
    return mapped.shape[1] * torch.einsum("vn,vnd->vd", attention, mapped)


weights = checks.learn_weights.reference


def with_torch(episodes: Any, start: Tensor, n_way: int, rate: float) -> tuple[Tensor, Tensor]:
    theta, thetas, losses = start.clone().requires_grad_(), [], []
    optimizer = torch.optim.SGD([theta], lr=rate)
    for support, labels, query, truth in episodes:
        loss = cross_entropy(checks._logits(theta, support, labels, query, n_way), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        thetas.append(theta.detach().clone())
        losses.append(loss)
    return torch.stack(thetas), torch.stack(losses)


def flat(episodes: Any, *rest: Any) -> tuple[Tensor, Tensor]:
    """Right for a few episodes."""
    thetas, losses = weights(episodes, *rest)
    return thetas, losses if len(episodes) < 9 else losses.mean().expand(len(episodes))


AVERAGE, MASKED, CARTE, BOTH, WEIGHTS = (
    "average_of_known",
    "masked_dynamic",
    "fit_a_la_carte",
    "flattering_and_honest",
    "learn_weights",
)
RIGHT = [
    (AVERAGE, library_average),
    (AVERAGE, by_length),
    (MASKED, filled_low),
    (BOTH, lambda *a: torch.tensor(checks.flattering_and_honest.reference(*a))),
    (WEIGHTS, with_torch),
    (WEIGHTS, lambda *a: (weights(*a)[0], weights(*a)[1].tolist())),
]
WRONG = [
    (
        BOTH,
        lambda *a: (checks._known_pairs(*a), checks._filled(*a, rho=checks._pearson)),
        "for the second number, I expected 1, got 0.907: this is the correlation of the values; rank both first",
    ),
    (AVERAGE, divided_by_none, "finite numbers, got NaN: a division by zero"),
    (AVERAGE, first_padded, "the first table may be the narrower one, or the second; pad whichever it is; see hint 3"),
    (AVERAGE, second_padded, "with 2 and 3 dimensions your function raised RuntimeError"),
    (AVERAGE, lambda *a: library_average(*a).float(), "the dtype of the input, torch.float64, got torch.float32"),
    (MASKED, nan_where_nobody_knows, "or the mean of nothing; see hint 2"),
    (CARTE, lambda means, *_: means, "([D, D]), got shape [12, 3]; see hint 2"),
    (
        CARTE,
        lambda *a: checks.fit_a_la_carte.reference(*a).float(),
        "the dtype of the input, torch.float64, got torch.",
    ),
    (BOTH, lambda *a: checks.flattering_and_honest.reference(*a)[0], "two numbers (flattering, honest), got a float"),
    (
        WEIGHTS,
        lambda *a: weights(*a)[0],
        "I expected two things, θ after each step and the losses, got a tensor",
    ),
    (
        WEIGHTS,
        lambda *a: weights(*a)[::-1],
        "I expected a tensor of shape [3, 2], got shape [3]",
    ),
    (WEIGHTS, lambda *a: (weights(*a)[0][-1], weights(*a)[1]), "a tensor of shape [3, 2], got shape [2]"),
    (WEIGHTS, lambda *a: (list(weights(*a)[0]), weights(*a)[1]), "torch.stack makes one tensor of a list of tensors"),
    (WEIGHTS, lambda *a: (weights(*a)[0], weights(*a)[1][1:]), "for the losses, I expected a tensor of shape [3]"),
    (WEIGHTS, flat, "with 120 episodes, I expected a loss that falls by a third, got one that goes from"),
]
