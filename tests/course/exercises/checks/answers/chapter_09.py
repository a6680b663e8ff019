"""Answers to the exercises of chapter 09."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metalearn_lib.course.exercises.checks import chapter_09 as checks
from metalearn_lib.transfer import leep

pooled, leep_of, chosen, worth, tuned = (
    check.reference
    for check in (
        checks.concat_pool, checks.leep_score, checks.chosen_on_test, checks.worth_in_labels, checks.gentle_fine_tuning,
    )
)  # fmt: skip


def text_by_text(states: Tensor, mask: Tensor) -> Tensor:
    rows = []
    for text, words in zip(states, mask, strict=True):
        kept = text[words]
        rows.append(torch.cat([kept[-1], kept.mean(0), kept.max(0).values]))
    return torch.stack(rows)


def one_place_too_far(states: Tensor, mask: Tensor) -> Tensor:
    last = states[torch.arange(len(states)), mask.sum(1)]
    return torch.cat([last, pooled(states, mask)[:, states.shape[2] :]], 1)


def leep_by_loops(theta: Tensor, labels: Tensor, n_classes: int) -> float:
    total = 0.0
    for row, label in zip(theta.tolist(), labels.tolist(), strict=True):
        shares = [float(theta[labels == label, z].sum() / theta[:, z].sum()) for z in range(theta.shape[1])]
        total += math.log(sum(a * b for a, b in zip(shares, row, strict=True)))
    return total / len(theta)


def chosen_with_numpy(right: Tensor, half: Tensor) -> Any:
    table, rows = right.numpy(), half.numpy()
    run = table[np.argmax(table[:, rows].mean(1))]
    return np.array([run[rows].mean(), np.delete(run, rows).mean()])


def worth_by_bisection(sizes: list[int], curve: list[float], reached: float) -> float:
    place = bisect_left(curve, reached)
    if place in (0, len(curve)):
        return float(sizes[0]) if place == 0 else math.inf
    low, high = curve[place - 1], curve[place]
    logs = [math.log(size) for size in sizes[place - 1 : place + 1]]
    return math.exp(logs[0] + (reached - low) / (high - low) * (logs[1] - logs[0]))


def worth_by_numpy(sizes: list[int], curve: list[float], reached: float) -> float:
    return float(np.exp(np.interp(reached, curve, np.log(sizes), right=np.inf)))


def worth_with_a_last_size(sizes: list[int], curve: list[float], reached: float) -> float:
    return float(np.exp(np.interp(reached, curve, np.log(sizes))))


def by_optimizer(network: Any, layers: list[Tensor], passes: Any, rate: float, factor: Any) -> Any:
    """torch's SGD, one group a layer; a layer that rests has rate 0."""
    weights = [layer.clone().requires_grad_() for layer in layers]
    optimizer = torch.optim.SGD([{"params": [w]} for w in weights], lr=rate)
    total, losses = sum(len(batches) for batches in passes), []
    for number, batches in enumerate(passes):
        for x, y in batches:
            for depth, group in enumerate(reversed(optimizer.param_groups)):
                group["lr"] = factor(len(losses) / total) * rate / 2.6**depth if depth <= number else 0.0
            loss = cross_entropy(network(x, weights), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
    return tuple(weights), torch.stack(losses)


def in_place(network: Any, layers: list[Tensor], *settings: Any) -> Any:
    made = tuned(network, layers, *settings)
    for layer, new in zip(layers, made[0], strict=True):
        layer.copy_(new)
    return made


def with_losses(change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *inputs: (tuned(*inputs)[0], change(tuned(*inputs)[1]))


POOL, LEEP, CHOSEN, WORTH, TUNE = (
    "concat_pool", "leep_score", "chosen_on_test", "worth_in_labels", "gentle_fine_tuning",
)  # fmt: skip
RIGHT = [
    (POOL, text_by_text),
    (LEEP, leep_by_loops),
    (LEEP, lambda theta, labels, n: torch.tensor(leep(theta, [f"{label:03d}" for label in labels.tolist()]))),
    (CHOSEN, chosen_with_numpy),
    (CHOSEN, lambda *given: list(chosen(*given))),
    (CHOSEN, lambda *given: torch.tensor(chosen(*given))),
    (WORTH, worth_by_bisection),
    (WORTH, worth_by_numpy),
    (WORTH, lambda *given: torch.tensor(worth(*given))),
    (TUNE, by_optimizer),
    (TUNE, with_losses(np.array)),
    (TUNE, with_losses(torch.tensor)),
    (TUNE, lambda *inputs: list(tuned(*inputs))),
]
WRONG = [
    (POOL, one_place_too_far, "your function raised IndexError (index 3 is out of bounds"),
    (POOL, lambda *given: pooled(*given).mean(1), "a tensor of shape [1, 6] ([B, 3·D]), got shape [1]"),
    (
        POOL,
        lambda states, mask: torch.stack(pooled(states, mask).chunk(3, 1)),
        "[1, 6] ([B, 3·D]), got shape [3, 1, 2]",
    ),
    (POOL, lambda states, mask: pooled(states, mask).chunk(3, 1), "[1, 6] ([B, 3·D]), got a tuple of 3"),
    (POOL, lambda states, mask: pooled(states.masked_fill_(~mask[..., None], 0), mask), "changed its argument 1"),
    (LEEP, lambda theta, labels, n: theta.log(), "I expected the number -0.3853, got a tensor"),
    (LEEP, lambda theta, labels, n: torch.full((len(theta),), leep_of(theta, labels, n)), "the number -0.3853, got a"),
    (CHOSEN, lambda *given: chosen(*given)[0], "two numbers (accuracy on half, accuracy on the others), got a float"),
    (CHOSEN, lambda right, half: right.mean(1), "two numbers (accuracy on half, accuracy on the others), got a tensor"),
    (WORTH, worth_with_a_last_size, "reached 0.8 I expected inf, got 80: the floor never gets there: infinity"),
    (WORTH, lambda n, curve, a: n[bisect_left(curve, a)], "got 20: this is the next measured size"),
    (WORTH, lambda n, curve, a: [worth(n, curve, a)], "I expected the number "),
    (TUNE, in_place, "your function changed its argument 2"),
    (TUNE, lambda *inputs: tuned(*inputs)[0], "two things (layers, losses), got a list of 3"),
    (TUNE, lambda *inputs: (tuned(*inputs)[0][-1], tuned(*inputs)[1]), "a list of 3 layers, got a tensor of shape"),
    (TUNE, lambda *inputs: (tuned(*inputs)[0][::-1], tuned(*inputs)[1]), "layer 0 of 0 … 2, I expected a tensor of sh"),
    (
        TUNE,
        with_losses(lambda losses: losses[:1]),
        "for the losses, I expected 5 numbers, one for each step, got a list",
    ),
    (TUNE, with_losses(lambda losses: sum(losses) / len(losses)), "5 numbers, one for each step, got a float"),
]
HIDDEN = [(POOL, lambda states, mask: pooled(states.float(), mask), "of the input, torch.float64")]
