"""Two engines that leave the derivatives to autograd: task by task, for every model, and all tasks at once.

Chapter 03
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from metalearn_lib.inner_loop.network import Network
from metalearn_lib.inner_loop.tasks import Rates, Tasks, Weights, check_losses, task_losses

Keep = Literal["all", "first", "nothing"]


class Loop:
    """Task by task. Works with every model; its memory does not grow with the number of tasks."""

    name = "loop"

    def __init__(self, network: Network, *, first_order: bool) -> None:
        self.network, self.first_order = network, first_order

    def outputs(self, tasks: Tasks, rates: Rates, steps: int) -> Tensor:
        """Outputs [T, Q, N] on the queries after `steps` steps on the support sets; no graph is kept."""
        return torch.cat([self._outputs(tasks.one(t), rates, steps) for t in range(len(tasks.support_x))])

    def adapt(self, tasks: Tasks, rates: Rates, steps: int) -> Weights:
        """Adapted parameters, each [T, …]."""
        found = [self._adapted(tasks.one(t), rates, steps)[0] for t in range(len(tasks.support_x))]
        return {name: torch.cat([one[name] for one in found]) for name in found[0]}

    def displacement(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, Weights]:
        """Last support losses [T], and initial − adapted parameters, averaged over the tasks."""
        number, losses = len(tasks.support_x), []
        total = {name: torch.zeros_like(p) for name, p in self.network.initial().items()}
        for t in range(number):
            weights, last = self._adapted(tasks.one(t), rates, steps)
            losses.append(last)
            for name, p in self.network.initial().items():
                total[name] += (p.detach() - weights[name].mean(0)) / number
        return torch.cat(losses), total

    def gradients(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, list[Tensor]]:
        """Query losses [T], and gradients of their mean for `wanted(rates)`; a task's graph lives no longer."""
        number, losses = len(tasks.support_x), []
        total: list[Tensor] = []
        for t in range(number):
            loss, found = self._gradients(tasks.one(t), rates, steps)
            losses.append(loss)
            total = (
                [g / number for g in found]
                if not total
                else [a + g / number for a, g in zip(total, found, strict=True)]
            )
        return torch.cat(losses), total

    def wanted(self, rates: Rates) -> list[Tensor]:
        """What gradients are taken for: all trainable parameters, then the rates where they are learned."""
        learned = [] if isinstance(rates, float) else [r for r in rates.values() if r.requires_grad]
        return [*self.network.trainable().values(), *learned]

    # One batch of tasks; the loop engine hands over batches of one.

    def _start(self, tasks: Tasks) -> Weights:
        return {name: p.unsqueeze(0) for name, p in self.network.initial().items()}

    def _call(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return self.network.call({name: w[0] for name, w in weights.items()}, x[0]).unsqueeze(0)

    def _outputs(self, tasks: Tasks, rates: Rates, steps: int) -> Tensor:
        weights, _ = self._adapted(tasks, rates, steps)
        with torch.no_grad():
            return self._call(weights, self.network.features(tasks.query_x))

    def _adapted(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Weights, Tensor]:
        with torch.no_grad():
            support = self.network.features(tasks.support_x)
        with torch.enable_grad():
            weights, seen = descend(
                self._call, self._start(tasks), rates, support, tasks.support_y, steps=steps, keep="nothing"
            )
        check_losses(lambda: seen, torch.stack([w.detach().sum() for w in weights.values()]), rates)
        return {name: w.detach() for name, w in weights.items()}, seen[-1] if seen else support.new_zeros(len(support))

    def _gradients(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        with torch.enable_grad():
            support, query = self.network.features(tasks.support_x), self.network.features(tasks.query_x)
            keep: Keep = "first" if self.first_order else "all"
            weights, seen = descend(
                self._call, self._start(tasks), rates, support, tasks.support_y, steps=steps, keep=keep
            )
            losses = task_losses(self._call(weights, query), tasks.query_y)
            check_losses(lambda: seen, losses.detach(), rates)
            found = torch.autograd.grad(losses.mean(), self.wanted(rates), materialize_grads=True)
        return losses.detach(), found


class Batched(Loop):
    """All tasks at once: vmap forward (a linear layer is one batched product), then `autograd.grad` through it."""

    name = "batched"

    def outputs(self, tasks: Tasks, rates: Rates, steps: int) -> Tensor:
        return self._outputs(tasks, rates, steps)

    def adapt(self, tasks: Tasks, rates: Rates, steps: int) -> Weights:
        return self._adapted(tasks, rates, steps)[0]

    def displacement(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, Weights]:
        weights, losses = self._adapted(tasks, rates, steps)
        return losses, {name: p.detach() - weights[name].mean(0) for name, p in self.network.initial().items()}

    def gradients(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, list[Tensor]]:
        losses, found = self._gradients(tasks, rates, steps)
        return losses, list(found)

    def _start(self, tasks: Tasks) -> Weights:
        return {name: p.expand(len(tasks.support_x), *p.shape) for name, p in self.network.initial().items()}

    def _call(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return self.network.call_each(weights, x)


def descend(
    call: Callable[[Weights, Tensor], Tensor],
    weights: Weights,
    rates: Rates,
    x: Tensor,
    y: Tensor,
    *,
    steps: int,
    keep: Keep,
) -> tuple[Weights, list[Tensor]]:
    """`steps` steps down the support loss, from `weights` [T, …] → new weights, and the losses [T] of each step.

    Finn et al. (2017), eq. 1. `keep` says which graph leads back to the start: "all" of it, so that a later
    gradient is of second order; the "first" order, where the inner gradients are constants; or "nothing".
    """
    seen: list[Tensor] = []
    if keep == "nothing":
        weights = {name: w.detach().requires_grad_() for name, w in weights.items()}
    for _ in range(steps):
        losses = task_losses(call(weights, x), y)
        seen.append(losses.detach())
        gradients = torch.autograd.grad(
            losses.sum(), list(weights.values()), create_graph=keep == "all", materialize_grads=True
        )
        moved = {}
        for (name, w), g in zip(weights.items(), gradients, strict=True):
            w = w.detach() if keep == "nothing" else w
            rate = rates if isinstance(rates, float) else rates[name]
            moved[name] = torch.sub(w, g, alpha=rate) if isinstance(rate, float) else w - rate * g
            if keep == "nothing":
                moved[name] = moved[name].detach().requires_grad_()
        weights = moved
    return weights, seen


def batched_refusal(network: Network) -> str | None:
    """Why all tasks at once would fail or be wrong for this model; None where it is right."""
    for prefix, module in network.top:
        for name, part in module.named_modules():
            where = f"{prefix}{name}".strip(".") or type(part).__name__
            if isinstance(part, nn.RNNBase | nn.RNNCellBase):
                return f"{where} is a {type(part).__name__}, for which torch.vmap has no rule"
            if isinstance(part, nn.MultiheadAttention):
                return f"{where} is a {type(part).__name__}, whose fused kernel torch.vmap cannot batch"
            if isinstance(part, nn.Embedding) and part.max_norm is not None:
                return f"{where} has a max_norm, which changes its weights in place"
            if isinstance(part, nn.Embedding) and part.padding_idx is not None:
                return f"{where} has a padding_idx: under vmap its row would receive gradients that it must not have"
            if isinstance(part, nn.EmbeddingBag):
                return f"{where} is a {type(part).__name__} without second derivatives under vmap"
    for prefix, module in network.stages:
        for name, part in module.named_modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                where = f"{prefix}{name}".strip(".")
                return (
                    f"{where or type(part).__name__} would normalise over the examples of all tasks, or fail under vmap"
                )
    return None
