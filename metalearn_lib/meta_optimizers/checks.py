"""Is this hyper-gradient right? A guard against losses cut off from what they should train, and a slow second opinion.

Chapter 02
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


class DetachedLoss(ValueError):
    """A loss has no graph that leads back to a hyper-parameter."""


def hyper_gradients(loss: Tensor, hyper: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of a scalar loss for each hyper-parameter; the graph is kept.   Chapter: 02

    Raises DetachedLoss where no path leads from the loss to one of them, or where its gradient is exactly zero: curves
    that were recorded for a plot are numbers, and nothing can be learned from numbers. It cannot see a path that is
    there and incomplete; `finite_differences` can.

    >>> rate = torch.tensor(0.1, requires_grad=True)
    >>> hyper_gradients((2 * rate) ** 2, {"rate": rate})
    {'rate': tensor(0.8000)}
    """
    way_out = "differentiate the loss that the unrolled training itself returns, not a copy made for a plot"
    if not loss.requires_grad:
        raise DetachedLoss(f"hyper_gradients: the loss {loss.item():.4g} is detached, it has no graph; {way_out}")
    found = torch.autograd.grad(loss, list(hyper.values()), allow_unused=True, retain_graph=True)
    for name, gradient in zip(hyper, found, strict=True):
        if gradient is None or not gradient.any():
            raise DetachedLoss(f"hyper_gradients: no path leads from the loss back to {name!r}; {way_out}")
    return {name: gradient for name, gradient in zip(hyper, found, strict=True) if gradient is not None}


def finite_differences(
    loss: Callable[[], Tensor], hyper: Mapping[str, Tensor], *, step: float = 1e-5
) -> dict[str, Tensor]:
    """(loss(h + step) − loss(h − step)) / (2 · step) for each number h of each hyper-parameter.   Chapter: 02

    `loss` is called twice for each number, and must compute the same each time. Raises ValueError for hyper-parameters
    that are not float64: in 32 bits the difference is mostly rounding.
    """
    if rough := [f"{name} is {value.dtype}" for name, value in hyper.items() if value.dtype != torch.float64]:
        raise ValueError(f"finite_differences: {', '.join(rough)}; use float64, such as learner.double()")
    found = {}
    for name, value in hyper.items():
        numbers, slopes = value.detach().view(-1), []  # a view: what is written here changes the hyper-parameter
        for i in range(len(numbers)):
            kept, ends = numbers[i].item(), []
            for sign in (1, -1):
                numbers[i] = kept + sign * step
                ends.append(loss().item())
            numbers[i] = kept
            slopes.append((ends[0] - ends[1]) / (2 * step))
        found[name] = torch.tensor(slopes, dtype=value.dtype).view_as(value)
    return found
