"""What is special in chapter 03: the reference of its first exercise is the library's inner loop, with a graph."""

from __future__ import annotations

import torch

from metalearn_lib.course.exercises import checks as check
from metalearn_lib.inner_loop import InnerLoop, Tasks
from metalearn_lib.learners import mlp


def test_the_reference_of_exercise_1_agrees_with_the_inner_loop() -> None:
    torch.manual_seed(0)
    network, x, y = mlp(4, 5, 3).double(), torch.randn(7, 4).double(), torch.arange(7) % 3
    moved = InnerLoop(network, adapt="head").adapt(Tasks(x[None], y[None], x[None], y[None]), 0.5, steps=3)
    ours = check.all_checks()["anil_adapted"].reference(list(network.parameters()), x, y, 0.5, 3)
    for (name, start), end in zip(network.named_parameters(), ours, strict=True):
        torch.testing.assert_close(end, moved[name][0] if name in moved else start, rtol=1e-9, atol=1e-9)
