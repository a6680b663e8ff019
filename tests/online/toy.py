"""Small streams of separable vectors: what a learner of a stream is tried on."""

from __future__ import annotations

import numpy as np

from metalearn_lib.online import Stream, Task


def task(
    classes: list[int], *, seed: int = 0, dim: int = 6, per_class: int = 20, noise: float = 0.3, offset: float = 0
) -> Task:
    """Texts of each class around a corner of its own, shuffled; five a class for the test."""
    random = np.random.default_rng([seed, *classes])
    corners = offset + 3 * np.eye(dim, dtype=np.float32)
    y = random.permutation(np.repeat(classes, per_class))
    test_y = np.repeat(classes, 5)
    x, test_x = (corners[labels] + noise * random.standard_normal((len(labels), dim)) for labels in (y, test_y))
    return Task(f"task {classes}", x.astype(np.float32), y, test_x.astype(np.float32), test_y)


def stream(groups: list[list[int]] | None = None, **options: float) -> Stream:
    groups = [[0, 1], [2, 3], [4, 5]] if groups is None else groups
    names = tuple(f"class {number}" for number in range(1 + max(max(group) for group in groups)))
    return Stream(tuple(task(group, **options) for group in groups), names)
