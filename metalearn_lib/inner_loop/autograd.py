"""Two engines that leave the derivatives to autograd: task by task, for every model, and all tasks at once.

Chapter 03
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from metalearn_lib.inner_loop.network import Network
from metalearn_lib.inner_loop.tasks import Rates, Tasks, Weights, check_finite, summed_loss, task_losses
from metalearn_lib.inner_loop.windows import Windows

Keep = Literal["all", "first", "nothing"]


class Loop:
    """Task by task. Works with every model; its memory does not grow with the number of tasks."""

    name = "loop"

    def __init__(self, network: Network, *, first_order: bool) -> None:
        self.network, self.first_order = network, first_order

    def outputs(self, tasks: Tasks, rates: Rates, steps: int) -> Tensor:
        """Outputs [T, Q, N] on the queries after `steps` steps on the support sets; no graph is kept."""
        return torch.stack([self._outputs(task, rates, steps) for task in _each(tasks)])

    def adapt(self, tasks: Tasks, rates: Rates, steps: int) -> Weights:
        """Adapted parameters, each [T, …]."""
        found = [self._adapted(task, rates, steps)[0] for task in _each(tasks)]
        return {name: torch.stack([one[name] for one in found]) for name in found[0]}

    def displacement(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, Weights]:
        """Last support losses [T], and initial − adapted parameters, averaged over the tasks."""
        number, losses = len(tasks.support_x), []
        total = {name: p.detach().clone() for name, p in self.network.initial().items()}
        for task in _each(tasks):
            weights, seen = self._adapted(task, rates, steps)
            losses.append(task_losses(seen[-1], task.support_y))
            for name, moved in total.items():
                moved.sub_(weights[name], alpha=1 / number)
        return torch.stack(losses), total

    def gradients(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, list[Tensor]]:
        """Query losses [T], and gradients of their mean for what is wanted; a task's graph lives no longer."""
        number, losses = len(tasks.support_x), []
        total = [torch.zeros_like(p) for p in self.network.wanted(rates).values()]
        for task in _each(tasks):
            loss, found = self._gradients(task, rates, steps)
            losses.append(loss)
            for sum_, g in zip(total, found, strict=True):
                sum_.add_(g, alpha=1 / number)
        return torch.stack(losses), total

    # What follows is given one task, with tensors [M, …], [Q, …] and weights […]; the batched engine overrides the
    # first three, and gives all tasks at once, with tensors [T, M, …], [T, Q, …] and weights [T, …].

    def _start(self, tasks: Tasks) -> Weights:
        return dict(self.network.initial())

    def _features(self, x: Tensor) -> Tensor:
        return self.network.features(x.unsqueeze(0)).squeeze(0)

    def _call(self, weights: Mapping[str, Tensor], x: Tensor, kept: Windows) -> Tensor:
        return self.network.call(weights, x, kept)

    def _outputs(self, tasks: Tasks, rates: Rates, steps: int) -> Tensor:
        weights, _ = self._adapted(tasks, rates, steps)
        with torch.no_grad():
            return self._call(weights, self._features(tasks.query_x), {})

    def _adapted(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Weights, list[Tensor]]:
        """The adapted weights, and the outputs on the support set at each step."""
        with torch.no_grad():
            support = self._features(tasks.support_x)
        with torch.enable_grad():
            weights, seen = self._descend(support, tasks, rates, steps, "nothing")
        weights = {name: w.detach() for name, w in weights.items()}
        check_finite(torch.stack([w.sum() for w in weights.values()]), seen, tasks.support_y, rates)
        return weights, seen

    def _gradients(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        with torch.enable_grad():
            support, query = self._features(tasks.support_x), self._features(tasks.query_x)
            weights, seen = self._descend(support, tasks, rates, steps, "first" if self.first_order else "all")
            losses = task_losses(self._call(weights, query, {}), tasks.query_y)
            check_finite(losses.detach(), seen, tasks.support_y, rates)
            wanted = list(self.network.wanted(rates).values())
            found = torch.autograd.grad(losses.mean(), wanted, materialize_grads=True)
        return losses.detach(), found

    def _descend(self, x: Tensor, tasks: Tasks, rates: Rates, steps: int, keep: Keep) -> tuple[Weights, list[Tensor]]:
        """`steps` steps down the loss of the support features x → new weights, and the outputs at each step.

        Finn et al. (2017), eq. 1. `keep` says which graph leads back to the start: "all" of it, so that a later
        gradient is of second order; the "first" order, where the inner gradients are constants; or "nothing".
        """
        weights, y, seen, kept = self._start(tasks), tasks.support_y, list[Tensor](), Windows()
        # What autograd multiplies the gradient of the summed loss by: the small outputs are scaled, not large weights.
        scale = -(rates if isinstance(rates, float) else 1.0) / y.shape[-1]
        if keep == "nothing":
            weights = {name: w.detach().requires_grad_() for name, w in weights.items()}
        for _ in range(steps):
            outputs = self._call(weights, x, kept)
            seen.append(outputs.detach())
            loss, wanted = summed_loss(outputs, y), list(weights.values())
            factor, second = loss.new_full((), scale), keep == "all"
            down = torch.autograd.grad(loss, wanted, factor, create_graph=second, materialize_grads=True)
            with torch.set_grad_enabled(keep != "nothing"):
                weights = {
                    name: w + g if isinstance(rates, float) else torch.addcmul(w, rates[name], g)
                    for (name, w), g in zip(weights.items(), down, strict=True)
                }
            if keep == "nothing":
                weights = {name: w.requires_grad_() for name, w in weights.items()}
        return weights, seen


class Batched(Loop):
    """All tasks at once: vmap forward (a linear layer is one batched product), then `autograd.grad` through it."""

    name = "batched"

    def outputs(self, tasks: Tasks, rates: Rates, steps: int) -> Tensor:
        return self._outputs(tasks, rates, steps)

    def adapt(self, tasks: Tasks, rates: Rates, steps: int) -> Weights:
        return self._adapted(tasks, rates, steps)[0]

    def displacement(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, Weights]:
        weights, seen = self._adapted(tasks, rates, steps)
        moved = {name: p.detach() - weights[name].mean(0) for name, p in self.network.initial().items()}
        return task_losses(seen[-1], tasks.support_y), moved

    def gradients(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, list[Tensor]]:
        losses, found = self._gradients(tasks, rates, steps)
        return losses, list(found)

    def _start(self, tasks: Tasks) -> Weights:
        return self.network.spread(len(tasks.support_x))

    def _features(self, x: Tensor) -> Tensor:
        return self.network.features(x)

    def _call(self, weights: Mapping[str, Tensor], x: Tensor, kept: Windows) -> Tensor:
        return self.network.call_each(weights, x, kept)


def _each(tasks: Tasks) -> Iterator[Tasks]:
    """One task after the other, without the dimension of tasks."""
    return (Tasks(*parts) for parts in zip(*tasks, strict=True))


def batched_refusal(network: Network) -> str | None:
    """Why all tasks at once would fail or be wrong for this model; None where it is right."""
    for prefix, module in network.top:
        for name, part in module.named_modules():
            where = _named(f"{prefix}{name}", part)
            if isinstance(part, nn.RNNBase | nn.RNNCellBase):
                return f"{where} is recurrent, and torch.vmap has no rule for it"
            if isinstance(part, nn.MultiheadAttention):
                return f"{where} has a fused kernel that torch.vmap cannot batch"
            if isinstance(part, nn.Embedding) and part.max_norm is not None:
                return f"{where} has a max_norm, which changes its weights in place"
            if isinstance(part, nn.Embedding) and part.padding_idx is not None:
                return f"{where} has a padding_idx: under vmap its row would receive gradients that it must not have"
            if isinstance(part, nn.EmbeddingBag):
                return f"{where} has no second derivatives under vmap"
    for prefix, module in network.stages:
        for name, part in module.named_modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                where = _named(f"{prefix}{name}", part)
                return f"{where} would normalise over the examples of all tasks, or fail under vmap"
    return None


def _named(path: str, part: nn.Module) -> str:
    """A module by its place in the model and its kind, such as "1 (BatchNorm1d)"; the model itself by its kind."""
    path, kind = path.strip("."), type(part).__name__
    return f"{path} ({kind})" if path else kind
