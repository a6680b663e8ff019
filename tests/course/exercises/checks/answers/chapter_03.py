"""Answers to the exercises of chapter 03."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalearn_lib import Score
from metalearn_lib.course.exercises.checks import chapter_03 as checks
from metalearn_lib.inner_loop import InnerLoop, Tasks
from metalearn_lib.meta_optimizers import finite_differences


def outputs(weights: Any, x: Tensor) -> Tensor:
    first, first_bias, last, last_bias = weights
    return torch.relu(x @ first.T + first_bias) @ last.T + last_bias


NAMES = {"cross_entropy": cross_entropy, "outputs": outputs}

anil, meta = (check.reference for check in (checks.anil_adapted, checks.regression_meta_gradient))


def without_graph(weights: list[Tensor], *run: Any) -> list[Tensor]:
    """As if the inner gradients were constants: the result depends on the last layer directly only."""
    moved = [w.detach() for w in anil(weights, *run)[2:]]
    return [*weights[:2], *(w + (m - w).detach() for w, m in zip(weights[2:], moved, strict=True))]


def anil_in_place(weights: list[Tensor], *run: Any) -> Any:
    moved = anil(weights, *run)
    weights[2].data.copy_(moved[2])
    return moved


def library_gradient(w: Tensor, *tasks: Any, second_order: bool = True) -> Tensor:
    network = nn.Linear(len(w), 1, bias=False).double()
    network.weight.data = w[None].clone()
    inner = InnerLoop(network, steps=1, first_order=not second_order, engine="loop")
    return inner.gradients(Tasks(*tasks[:4]), max(tasks[4], 1e-12))[1]["weight"][0]


def meta_in_place(w: Tensor, *tasks: Any, second_order: bool = True) -> Tensor:
    w -= tasks[4]
    return meta(w, *tasks, second_order=second_order)


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


def library_gain(predict: Any, s: Tensor, t: Tensor, q: Tensor, z: Tensor, *steps: int) -> Any:
    every = list(zip(s, t, q, z, strict=True))
    before, after = (
        Score.of([((predict(a, b, c, k) - d) ** 2).mean() for a, b, c, d in every], key=(1,), share=False)
        for k in steps
    )
    gain = before.minus(after)
    return [gain.difference, torch.tensor(gain.low), gain.high]


ANIL, META, JUDGE, GAIN = "anil_adapted", "regression_meta_gradient", "is_second_order", "gain_of_steps"
RIGHT = [
    (META, library_gradient),
    (JUDGE, judge(close)),
    (JUDGE, judge(lambda g, d: close(g, d).numpy())),
    (GAIN, library_gain),
]
WRONG = [
    (ANIL, lambda *a: [*anil(*a)[:3], a[0][3]], "for the last layer's bias, I expected"),
    (ANIL, without_graph, "a graph back to the first layer's weights, got none: give torch.autograd.grad create_graph"),
    (ANIL, lambda *a: anil(*a)[2:], "a list of four tensors, like `weights`, got a tuple of 2; see hint 1"),
    (ANIL, lambda *a: [t.float() for t in anil(*a)], "the dtype of the input, torch.float64, got torch.float32"),
    (ANIL, anil_in_place, "changed its argument 1"),
    (META, meta_in_place, "changed its argument 1, a tensor of shape [3]: work on a copy"),
    (META, lambda *a, **k: library_gradient(*a)[None], "shape [3] ([D]), got shape [1, 3]"),
    (JUDGE, lambda *a: True, "one that forgot create_graph I expected False, got True: a loss cannot tell"),
    (JUDGE, lambda *a: False, "a right implementation I expected True, got False: the test is too strict"),
    (JUDGE, rough_judge, "the test is too strict, or its differences too rough: both sides"),
    (JUDGE, judge(lambda g, d: close(g, d, share=0.3)), "at the last step only I expected False, got True"),
    (JUDGE, judge(lambda g, d: close(g[:3], d[:3])), "not every number was compared"),
    (JUDGE, judge(lambda g, d: torch.cosine_similarity(g, d, dim=0) > 0.999999), "not only the direction"),
    (JUDGE, judge(lambda g, d: torch.allclose(g, d, atol=1e-4)), "10⁻⁴, one that forgot create_graph I expected False"),
    (JUDGE, judge(lambda g, d: torch.isclose(g, d)), "True or False, got a tensor of shape [12]; see hint 1"),
    (JUDGE, judge(lambda g, d: g - d), "True or False, got a tensor of shape [12]; see hint 1"),
    (GAIN, lambda *a: 0.5, "three numbers (mean, low, high), got a float, 0.5; see hint 1"),
]
HIDDEN = [
    (JUDGE, judge(lambda g, d: close(g, d, share=0.02)), "a rate of 0.02, forgotten"),
    (JUDGE, judge(lambda g, d: close(g[-3:], d[-3:])), "not every number was compared"),
]
