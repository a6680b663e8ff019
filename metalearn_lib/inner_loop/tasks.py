"""What an inner loop works on: tasks as ready tensors, their losses, and the error where they diverge.   Chapter 03"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from metalearn_lib.errors import InnerLoopDiverged

Weights = dict[str, Tensor]
Rates = float | Mapping[str, Tensor]  # one inner rate, or one for each parameter (elementwise, or a single number)


class Tasks(NamedTuple):
    """T tasks, each with M support and Q query examples; inputs of any shape, no corpus behind them."""

    support_x: Tensor  # [T, M, …]
    support_y: Tensor  # [T, M] whole numbers (classes) or real ones (a regression)
    query_x: Tensor  # [T, Q, …]
    query_y: Tensor  # [T, Q]

    def one(self, task: int) -> Tasks:
        """A batch that holds only this task."""
        return Tasks(*(part[task : task + 1] for part in self))


def task_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Outputs [..., M, N] and targets [..., M] → the mean loss of each task [...].   Chapter: 03

    Cross-entropy for whole-number targets (classes), squared error of outputs[..., 0] for real ones. Raises ValueError
    where the outputs do not fit the targets.

    >>> import torch
    >>> task_losses(torch.zeros(2, 3, 5), torch.zeros(2, 3, dtype=torch.long)).exp().round()
    tensor([5., 5.])
    """
    return _each(outputs, targets, "none").reshape(targets.shape).mean(-1)


def summed_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The losses of all examples of all tasks, added up: fewer operations than `task_losses`, for the inner steps."""
    return _each(outputs, targets, "sum")


def _each(outputs: Tensor, targets: Tensor, reduction: Literal["none", "sum"]) -> Tensor:
    if outputs.shape[:-1] != targets.shape:
        raise ValueError(f"outputs {tuple(outputs.shape)} do not fit targets {tuple(targets.shape)}: a model must give "
                         "N numbers for each example, in a regression one: [M, 1], not [M]")  # fmt: skip
    if targets.is_floating_point():
        _check_one(outputs.shape[-1])
        return mse_loss(outputs[..., 0], targets, reduction=reduction)
    if targets.dim() > 1:
        outputs, targets = outputs.flatten(0, -2), targets.flatten()
    try:
        return cross_entropy(outputs, targets, reduction=reduction)
    except IndexError as error:
        raise ValueError(_too_many(int(targets.max()) + 1, outputs.shape[-1])) from error


class TaskCheck:
    """Refuses sizes that differ, an empty support set, a class without an output, a regression with several outputs.

    Labels that were found good are not read again, unless something has been written into them since.
    """

    def __init__(self) -> None:
        self._good: tuple[tuple[Tensor, ...], tuple[int, ...]] = (), ()

    def __call__(self, tasks: Tasks, ways: int | None) -> None:
        """Raise ValueError where the tasks, or the outputs of a model that has `ways` of them, do not fit."""
        for x, y in (tasks[:2], tasks[2:]):
            if x.shape[:2] != y.shape or len(y) != len(tasks.support_y):
                shapes = ", ".join(str(tuple(part.shape)) for part in tasks)
                raise ValueError(f"support and query of T tasks: [T, M, …], [T, M], [T, Q, …], [T, Q], not {shapes}")
        if not tasks.support_y.shape[1]:
            raise ValueError("the tasks have no support examples, so there is nothing to adapt to")
        if ways is None:
            return
        if tasks.support_y.is_floating_point():
            _check_one(ways)
            return
        labels = tasks.support_y, tasks.query_y
        if any(y.is_inference() for y in labels):  # they do not count what is written into them
            _check_classes(labels, ways)
            return
        state, (good, state_then) = (*(y._version for y in labels), ways), self._good
        if state != state_then or any(y is not y_then for y, y_then in zip(labels, good, strict=True)):
            _check_classes(labels, ways)
            self._good = labels, state


def _check_classes(labels: Iterable[Tensor], ways: int) -> None:
    for y in labels:
        low, high = (int(end) for end in y.aminmax()) if y.numel() else (0, 0)
        if low < 0:
            raise ValueError(f"a class has the number {low}; classes are numbered from 0")
        if high >= ways:
            raise ValueError(_too_many(high + 1, ways))


def _check_one(outputs: int) -> None:
    if outputs != 1:
        raise ValueError(f"the targets are real numbers, the model has {outputs} outputs; a regression needs one")


def _too_many(classes: int, outputs: int) -> str:
    return f"the tasks have {classes} classes, the model has {outputs} outputs; give both the same n_way"


def check_finite(final: Tensor, outputs: Iterable[Tensor], targets: Tensor, rates: Rates) -> None:
    """Raise InnerLoopDiverged unless `final` is finite; the support outputs of each step tell where it began."""
    if math.isfinite(float(final.sum())):
        return
    finite = [bool(task_losses(out, targets).isfinite().all()) for out in outputs]
    bad = [step for step, fine in enumerate(finite, 1) if not fine]
    at = f"the loss of inner step {bad[0]} of {len(finite)}" if bad else f"the result of inner step {len(finite)}"
    rate = f"the inner rate {rates:g}" if isinstance(rates, float) else "the learned inner rates"
    remedy = "lower inner_lr, or take fewer steps"
    if bad and bad[0] == 1:  # nothing has moved yet
        remedy = "check the inputs, and the initial weights, which meta-training may have spoilt"
    raise InnerLoopDiverged(f"{at} is NaN or infinite at {rate}; {remedy}")
