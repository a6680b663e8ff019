"""Answers to the exercises of chapter 03."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def without_graph(weights: list[Tensor], *run: Any) -> list[Tensor]:
    """As if the inner gradients were constants: the result depends on the last layer directly only."""
    moved = [w.detach() for w in anil(weights, *run)[2:]]
    return [*weights[:2], *(w + (m - w).detach() for w, m in zip(weights[2:], moved, strict=True))]


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


ANIL, META, JUDGE = "anil_adapted", "regression_meta_gradient", "is_second_order"
RIGHT = [(META, library_gradient), (JUDGE, judge(lambda g, d: close(g, d).numpy()))]
WRONG = [
    (ANIL, lambda *a: [*anil(*a)[:3], a[0][3]], "for the last layer's bias, I expected"),
    (ANIL, without_graph, "by the first layer's weights, got one without a graph: give torch.autograd.grad create_gr"),
    (ANIL, lambda *a: [t.float() for t in anil(*a)], "the dtype of the input, torch.float64, got torch.float32"),
    (JUDGE, lambda *a: True, "one that forgot create_graph I expected False, got True: a loss cannot tell"),
    (JUDGE, lambda *a: False, "a right implementation I expected True, got False: the test is too strict"),
    (JUDGE, rough_judge, "the test is too strict, or its differences too rough: both sides"),
    (JUDGE, judge(lambda g, d: close(g, d, share=0.3)), "at the last step only I expected False, got True"),
    (JUDGE, judge(lambda g, d: close(g[:3], d[:3])), "not every number was compared"),
    (JUDGE, judge(lambda g, d: torch.cosine_similarity(g, d, dim=0) > 0.999999), "not only the direction"),
    (JUDGE, judge(lambda g, d: torch.allclose(g, d, atol=1e-4)), "10⁻⁴, one that forgot create_graph I expected False"),
    (JUDGE, judge(lambda g, d: torch.isclose(g, d)), "True or False, got a tensor of shape [12]; see hint 1"),
]
HIDDEN = [
    (JUDGE, judge(lambda g, d: close(g, d, share=0.02)), "a rate of 0.02, forgotten"),
    (JUDGE, judge(lambda g, d: close(g[-3:], d[-3:])), "not every number was compared"),
]
