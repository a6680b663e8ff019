"""Answers to the exercises of chapter 11."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor

from metalearn_lib.course.exercises.checks import chapter_11 as checks
from metalearn_lib.translation import english_key


def runs(text: str, n: int) -> Counter[str]:
    text = "".join(text.split())
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


NAMES = {"torch": torch, "runs": runs, "english_key": english_key}
summed, unleaked, mixed, start = (
    check.reference for check in (checks.chrf_of_all, checks.without_leaks, checks.mixed_states, checks.learned_start)
)


def chrf_by_tables(translations: Any, references: Any, orders: int, beta: float) -> float:
    table = torch.zeros(orders, 3).double()
    for a, b in zip(translations, references, strict=True):
        for n in range(1, orders + 1):
            ours, theirs = runs(a, n), runs(b, n)
            table[n - 1] += torch.tensor([ours.total(), theirs.total(), (ours & theirs).total()])
    used = table[(table[:, :2] > 0).all(1)]
    if not len(used) or not used[:, 2].any():
        return 0.0
    p, r = ((used[:, 2] / used[:, column]).mean().item() for column in (0, 1))
    return (1 + beta**2) * p * r / (beta**2 * p + r)


def unleaked_by_loops(train: Any, test: Any) -> Any:
    def plain(text: str) -> str:
        return "".join(c for c in text.lower() if c.isalnum())

    kept = []
    for row in train:
        if not any(plain(row[1]) == plain(other[1]) for other in test):
            kept.append(row)
    return kept


def emptied(train: Any, test: Any) -> Any:
    for row in list(train):
        if row not in unleaked(train, test):
            train.remove(row)
    return train


def mixed_by_loops(query: Tensor, states: Tensor, there: Tensor) -> Tensor:
    made = []
    for q, s, t in zip(query, states, there, strict=True):
        made.append(torch.stack([(s[t] @ each).softmax(0) @ s[t] for each in q]))
    return torch.stack(made)


def start_by_sgd(loss: Any, theta: Tensor, tasks: Any, inner_lr: float, inner_steps: int, outer_lr: float) -> Any:
    theta, losses = theta.clone(), []
    for support, query in tasks:
        weights = theta.clone().requires_grad_()
        inner = torch.optim.SGD([weights], lr=inner_lr)
        for _ in range(inner_steps):
            inner.zero_grad()
            loss(weights, support).backward()
            inner.step()
        inner.zero_grad()
        value = loss(weights, query)
        value.backward()
        theta -= outer_lr * weights.grad
        losses.append(value.detach())
    return [theta, torch.stack(losses)]


def start_in_place(loss: Any, theta: Tensor, *rest: Any) -> Any:
    made = start(loss, theta, *rest)
    theta.copy_(made[0])
    return made


CHRF, LEAKS, MIXED, START = ("chrf_of_all", "without_leaks", "mixed_states", "learned_start")
RIGHT = [
    (CHRF, chrf_by_tables),
    (LEAKS, unleaked_by_loops),
    (MIXED, mixed_by_loops),
    (START, start_by_sgd),
]
WRONG = [
    (CHRF, lambda *given: [summed(*given)], "the number 0.5757, got a list"),
    (CHRF, lambda *given: 100 * summed(*given), "gata for gatos, two orders, I expected"),
    (LEAKS, emptied, "your function changed its argument 1"),
    (LEAKS, lambda train, test: [row[1] for row in unleaked(train, test)], "a list of rows (language, English string"),
    (MIXED, lambda query, states, there: mixed(query, states, there)[0], "[1, 2, 2] ([B, M, D])"),
    (MIXED, lambda query, states, there: mixed(query, states, there).mT, "I expected"),
    (START, start_in_place, "your function changed its argument 2"),
    (START, lambda *given: (start(*given)[0], list(start(*given)[1])), "torch.stack makes one tensor of them"),
    (START, lambda *given: (start(*given)[0], 1 * start(*given)[1].requires_grad_()), "the graph of every step"),
    (MIXED, lambda query, states, there: mixed(query.double(), states.double(), there), "the dtype of the input"),
    (LEAKS, lambda train, test: set(unleaked(train, test)), "a list of rows (language, English string"),
    (START, lambda *given: (*start(*given), 0), "two tensors (theta [P], query losses [T]), got"),
]
HIDDEN: list[Any] = []
