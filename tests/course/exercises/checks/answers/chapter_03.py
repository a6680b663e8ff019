"""Answers to the exercises of chapter 03."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalearn_lib.course.exercises.checks import chapter_03 as checks
from metalearn_lib.inner_loop import InnerLoop, Tasks
from metalearn_lib.meta_optimizers import finite_differences


def outputs(weights: Any, x: Tensor) -> Tensor:
    first, first_bias, last, last_bias = weights
    return torch.relu(x @ first.T + first_bias) @ last.T + last_bias


NAMES = {"cross_entropy": cross_entropy, "outputs": outputs}

anil = checks.anil_adapted.reference


def with_optimizer(weights: list[Tensor], x: Tensor, y: Tensor, rate: float, steps: int) -> list[Tensor]:
    """`torch.optim` moves copies in place: right weights, and no way back to the start."""
    now = [w.detach().clone().requires_grad_() for w in weights]
    optimizer = torch.optim.SGD(now[2:], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(outputs(now, x), y).backward()
        optimizer.step()
    return now


def hidden_once(weights: list[Tensor], x: Tensor, y: Tensor, rate: float, steps: int) -> Any:
    """The layer below is computed once: right, and what ANIL saves."""
    first, first_bias, *head = weights
    hidden = torch.relu(x @ first.T + first_bias)
    for _ in range(steps):
        gradients = torch.autograd.grad(cross_entropy(hidden @ head[0].T + head[1], y), head, create_graph=True)
        head = [w - rate * g for w, g in zip(head, gradients, strict=True)]
    return first, first_bias, *head


def without_last_graph(weights: list[Tensor], x: Tensor, y: Tensor, rate: float, steps: int) -> list[Tensor]:
    """The last step alone has no graph."""
    if not steps:
        return weights
    before = anil(weights, x, y, rate, steps - 1)
    after = [w.detach() for w in anil(before, x, y, rate, 1)]
    return [*weights[:2], *(b + (a - b).detach() for a, b in zip(after[2:], before[2:], strict=True))]


def library_gradient(w: Tensor, *tasks: Any, second_order: bool = True) -> Tensor:
    network = nn.Linear(len(w), 1, bias=False).double()
    network.weight.data = w[None].clone()
    inner = InnerLoop(network, steps=1, first_order=not second_order, engine="loop")
    return inner.gradients(Tasks(*tasks[:4]), max(tasks[4], 1e-12))[1]["weight"][0]


def judge(accept: Callable[[Tensor, Tensor], Any]) -> Any:
    """A test for second order: `accept` is given the gradient and its finite differences."""

    def answer(gradient: Any, loss: Any, start: Tensor) -> Any:
        moved = start.clone()
        return accept(gradient(start), finite_differences(lambda: loss(moved), {"x": moved})["x"])

    return answer


def close(g: Tensor, d: Tensor, *, share: float = 1e-4) -> Any:
    return (g - d).norm() < share * d.norm()


def rough_judge(gradient: Any, loss: Any, start: Tensor) -> bool:
    units = 0.1 * torch.eye(len(start), dtype=start.dtype)
    slopes = torch.stack([(loss(start + u) - loss(start)) / 0.1 for u in units])
    return bool(close(gradient(start), slopes))


def one_direction(gradient: Any, loss: Any, start: Tensor) -> bool:
    """Right but for bad luck: the slope along one direction drawn at random."""
    way = torch.randn(len(start), dtype=start.dtype)
    slope = (loss(start + 1e-5 * way) - loss(start - 1e-5 * way)) / 2e-5
    return bool(abs(gradient(start) @ way - slope) < 1e-4 * abs(slope))


def downhill(gradient: Any, loss: Any, start: Tensor) -> bool:
    slope = gradient(start)
    return bool(loss(start - 1e-3 * slope / slope.norm()) < loss(start))


reptile = checks.reptile_training.reference


def keeping_graphs(
    start: Tensor, draw: Any, loss: Any, rate: float, steps: int, epsilon: float, meta_steps: int
) -> Any:
    """Right: nothing is detached but the start of each task; the losses come as tensors."""
    theta, losses = start, []
    for i in range(meta_steps):
        moves, after = [], []
        for x, y, query_x, query_y in draw(i):
            phi = theta.detach().clone().requires_grad_()
            for _ in range(steps):
                phi = phi - rate * torch.autograd.grad(loss(phi, x, y), phi)[0]
            moves.append(phi - theta)
            after.append(loss(phi, query_x, query_y))
        theta = theta + epsilon * sum(moves) / len(moves)
        losses.append(sum(after) / len(after))
    return theta, losses


def in_place(start: Tensor, draw: Any, loss: Any, rate: float, steps: int, epsilon: float, meta_steps: int) -> Any:
    """`phi` is `theta` is `start`, and the steps are taken in place."""
    losses = []
    for i in range(meta_steps):
        for x, y, query_x, query_y in draw(i):
            for _ in range(steps):
                phi = start.detach().requires_grad_()
                phi.data -= rate * torch.autograd.grad(loss(phi, x, y), phi)[0]
            losses.append(loss(start, query_x, query_y))
    return start, losses


def annealed(start: Tensor, draw: Any, loss: Any, rate: float, steps: int, epsilon: float, meta_steps: int) -> Any:
    losses = []
    for i in range(meta_steps):
        now = epsilon * (1 - i / meta_steps)
        start, (last,) = reptile(start, lambda _, at=i: draw(at), loss, rate, steps, now, 1)
        losses.append(last)
    return start, losses


ANIL, META, JUDGE, REPTILE = "anil_adapted", "regression_meta_gradient", "is_second_order", "reptile_training"
RIGHT = [
    (ANIL, hidden_once),
    (META, library_gradient),
    (JUDGE, judge(lambda g, d: close(g, d).numpy())),
    (JUDGE, judge(lambda g, d: torch.allclose(g, d, rtol=1e-4, atol=0))),
    (JUDGE, judge(lambda g, d: (g - d).abs().max() < 1e-4 * d.abs().max())),
    (JUDGE, one_direction),
    (REPTILE, keeping_graphs),
    (REPTILE, lambda *run: (reptile(*run)[0], np.array(reptile(*run)[1]))),
]
WRONG = [
    (ANIL, with_optimizer, "got 0: nothing depends on `weights` any more"),
    (ANIL, without_last_graph, "something between the start and the result was detached; see hint 3"),
    (ANIL, lambda *a: [t.float() for t in anil(*a)], "the dtype of the input, torch.float64, got torch.float32"),
    (JUDGE, lambda *a: True, "one that forgot create_graph I expected False, got True: a loss cannot tell"),
    (JUDGE, lambda *a: False, "a right implementation I expected True, got False: the test is too strict"),
    (JUDGE, downhill, "one that forgot create_graph I expected False, got True: a loss cannot tell"),
    (JUDGE, rough_judge, "the test is too strict, or its differences too rough: both sides"),
    (JUDGE, judge(torch.equal), "the test is too strict"),
    (JUDGE, judge(lambda g, d: close(g, d, share=0.3)), "at the last step only I expected False, got True"),
    (JUDGE, judge(lambda g, d: close(g, d, share=0.01)), "the tolerance is too wide, this gradient is off by 0.3 %"),
    (
        JUDGE,
        judge(lambda g, d: close(g[:3], d[:3])),
        "the last three numbers only I expected False, got True: not every",
    ),
    (JUDGE, judge(lambda g, d: close(g[1:], d[1:])), "in the first number only I expected False, got True: not every"),
    (JUDGE, judge(lambda g, d: torch.isclose(g, d, rtol=1e-4, atol=0).any()), "not every number was compared"),
    (JUDGE, judge(lambda g, d: torch.cosine_similarity(g, d, dim=0) > 0.999999), "not only the direction"),
    (JUDGE, judge(lambda g, d: close(g.norm(), d.norm())), "the direction counts, not only the length"),
    (JUDGE, judge(lambda g, d: close(g**2, d**2)), "the negative gradient I expected False, got True: the sign counts"),
    (JUDGE, judge(lambda g, d: torch.allclose(g, d, atol=1e-4)), "10⁻⁶, one that forgot create_graph I expected False"),
    (JUDGE, judge(lambda g, d: torch.allclose(g, d, atol=1e-6)), "10⁻⁶, one that forgot create_graph I expected False"),
    (JUDGE, judge(torch.allclose), "an atol does not; torch.allclose has one unless told"),
    (
        JUDGE,
        judge(lambda g, d: (g - d).norm() < 1e-9),
        "10⁴, a right implementation I expected True, got False: the tol",
    ),
    (JUDGE, judge(lambda g, d: torch.isclose(g, d)), "True or False, got a tensor of shape [12]; see hint 1"),
    (REPTILE, in_place, "your function changed its argument 1"),
    (REPTILE, annealed, "for the trained start, I expected"),
    (REPTILE, lambda *run: reptile(*run)[0], "I expected two things, the trained start and the losses, got a tensor"),
    (REPTILE, lambda *run: reptile(*run)[::-1], "for the trained start, I expected a tensor of shape [3], got a list"),
    (
        REPTILE,
        lambda *run: (reptile(*run)[0], 2 * reptile(*run)[1]),
        "2 numbers, one for each meta-step, got a list of 4",
    ),
    (REPTILE, lambda *run: (reptile(*run)[0], run[-1] * ["low"]), "got a list that holds a str, 'low'"),
]
HIDDEN = [
    (JUDGE, judge(lambda g, d: close(g[6:], d[6:]) and close(g[:3], d[:3])), "not every number was compared"),
]
