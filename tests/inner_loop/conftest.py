"""Small tasks in float64, and the comparison to nine digits that all engines must pass."""

import pytest
import torch

from metalearn_lib.inner_loop import Tasks


@pytest.fixture
def make_tasks():
    """Tasks(support, query) with inputs of any shape: numbers, or with `words` word numbers."""

    def make(shape=(6,), *, tasks=3, support=6, query=5, ways=3, regression=False, words=None, seed=1) -> Tasks:
        random = torch.Generator().manual_seed(seed)

        def inputs(size):
            if words:
                return torch.randint(words, (tasks, size, *shape), generator=random)
            return torch.randn(tasks, size, *shape, generator=random, dtype=torch.float64)

        def targets(size):
            if regression:
                return torch.randn(tasks, size, generator=random, dtype=torch.float64)
            return torch.randint(ways, (tasks, size), generator=random)

        return Tasks(inputs(support), targets(support), inputs(query), targets(query))

    return make


@pytest.fixture
def same():
    """Assert that two results of an inner loop agree to 1e-9: tensors, or names with tensors."""

    def check(one, other) -> None:
        if isinstance(one, torch.Tensor):
            torch.testing.assert_close(one, other, atol=1e-9, rtol=0)
        elif isinstance(one, dict):
            assert list(one) == list(other)
            for name in one:
                check(one[name], other[name])
        else:
            for a, b in zip(one, other, strict=True):
                check(a, b)

    return check
