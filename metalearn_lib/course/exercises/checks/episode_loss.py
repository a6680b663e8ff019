"""Episodes of noise and two telling coordinates, and mistakes in the loss of an episode: the cause, and its `slip`.

Chapters 04, 05 and 06
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

EPISODE_LOSS_SLIPS = {
    "the loss is that of the support set; it must be that of the queries": "support",
    "the sign: the nearest class must get the largest logit": "far",
    "the distance is not squared": "root",
    "cross_entropy takes logits; the softmax is inside it": "softmax",
    "the loss was added up over the queries, not averaged": "sum",
    "the labels of the support set were not looked at, only the order": "order",
}


def episodes(ways: int, shots: int, width: int, noise: float) -> Callable[[int], tuple[Tensor, ...]]:
    """Classes that differ in the first two coordinates only; the others are noise. The same i, the same episode."""
    scale = torch.tensor([0.4, 0.4, *[noise] * (width - 2)]).double()

    def draw(i: int) -> tuple[Tensor, ...]:
        random = torch.Generator().manual_seed(i)
        labels, truth = torch.arange(ways * shots) % ways, torch.arange(ways * 4) % ways
        centres = torch.randn(ways, width, generator=random).double() * (torch.arange(width) < 2)
        spread = [torch.randn(len(y), width, generator=random).double() * scale for y in (labels, truth)]
        return centres[labels] + spread[0], labels, centres[truth] + spread[1], truth

    return draw
