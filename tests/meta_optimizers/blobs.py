"""Small classification tasks without end: one blob of points for each class."""

from __future__ import annotations

import torch
from torch import Tensor

from metalearn_lib.episodes import Episodes


def blobs(
    number: int = 3,
    *,
    classes: int = 2,
    examples: int = 12,
    noise: float = 0.8,
    sources: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Episodes:
    """Tasks of `examples` support and query points in four dimensions; of several sources the first is labelled right,
    the others are of two classes turned round."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(number, classes, 4, generator=random, dtype=dtype)
    y = (torch.arange(examples) % classes).repeat(number, 1)

    def points() -> Tensor:
        around = torch.randn(number, examples, 4, generator=random, dtype=dtype)
        return centres.gather(1, y[..., None].expand(-1, -1, 4)) + noise * around

    support_x, support_y = points(), y
    if sources:
        support_x = torch.stack([support_x, *(points() for _ in range(sources - 1))], 1)
        support_y = torch.stack([y, *[1 - y] * (sources - 1)], 1)
    return Episodes(support_x, support_y, points(), y, classes, examples // classes)


class Tasks:
    """A sampler of blobs: step by step others."""

    key = ("blobs",)

    def __init__(self, **settings: object) -> None:
        self.settings = settings

    def sample(self, number: int = 1, *, first: int = 0) -> Episodes:
        return blobs(number, seed=first, dtype=torch.float32, **self.settings)  # type: ignore[arg-type]
