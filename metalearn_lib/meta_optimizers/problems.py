"""Many training runs side by side: T copies of a model, each with its own texts, as one matrix.   Chapter 02

Optimizers are compared, tuned and learned over many problems. Their weights lie in one matrix φ [T, P], a row for each
problem, so that an optimizer is a function of matrices and knows nothing of layers or tasks.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from metalearn_lib.episodes import Episodes
from metalearn_lib.inner_loop import Weights, task_losses
from metalearn_lib.inner_loop.network import Network
from metalearn_lib.learners.text_model import inputs_of
from metalearn_lib.optimise import seeded


class Problems:
    """T problems: on the support set of task t, minimise F(φ_t) = mean loss + decay/2 · |φ_t|².

    `model`: a `TextModel`, or any module where the episodes hold tensors; its own weights are not used, every problem
    starts afresh. A step sees `batch` support examples, drawn without replacement; None: all. Raises ValueError for a
    model without trainable parameters, episodes that the model cannot read, or options out of range.   Chapter: 02
    """

    def __init__(self, model: nn.Module, episodes: Episodes, *, batch: int | None = None, decay: float = 0.0) -> None:
        examples = episodes.support_y.shape[1]
        if decay < 0 or (batch is not None and not 1 <= batch <= examples):
            raise ValueError(
                f"Problems(batch={batch}, decay={decay}): need decay ≥ 0, and a batch of 1 … {examples}, "
                "the support examples of a task"
            )
        self.model, self.batch, self.decay = model, batch, decay
        self._network = Network(model, "all")
        support, query = inputs_of(model, episodes)
        with torch.no_grad():  # what comes before the first trained layer never changes: once is enough
            self.support_x, self.query_x = self._network.features(support), self._network.features(query)
        self.support_y, self.query_y = episodes.support_y, episodes.query_y
        self._shapes = {name: p.shape for name, p in self._network.trainable().items()}

    def __len__(self) -> int:
        return len(self.support_y)

    @property
    def layers(self) -> tuple[int, ...]:
        """How many weights each layer has, weight and bias together, in the order of the columns of φ."""
        sizes: dict[str, int] = {}
        for name, shape in self._shapes.items():
            layer = name.rpartition(".")[0]
            sizes[layer] = sizes.get(layer, 0) + shape.numel()
        return tuple(sizes.values())

    def start(self, *, seed: int) -> Tensor:
        """Fresh weights φ [T, P], every problem its own; the same seed gives the same ones."""
        fresh = fresh_weights(self.model, len(self), seed=seed)
        return torch.cat([w.flatten(1) for w in fresh.values()], dim=1)

    def weights(self, phi: Tensor) -> dict[str, Tensor]:
        """φ [T, P] as the model's parameters, each [T, …]."""
        parts = phi.split([shape.numel() for shape in self._shapes.values()], dim=1)
        return {name: part.unflatten(1, self._shapes[name]) for name, part in zip(self._shapes, parts, strict=True)}

    def outputs(self, phi: Tensor) -> Tensor:
        """Outputs [T, Q, N] on the queries."""
        return self._network.call_each(self.weights(phi), self.query_x)

    def draw(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """The examples of one step, x [T, B, …] and y [T, B]; `random` is a generator on the CPU."""
        if self.batch is None:
            return self.support_x, self.support_y
        chosen = torch.rand(self.support_y.shape, generator=random).argsort(1)[:, : self.batch]
        rows = torch.arange(len(chosen))[:, None]
        return self.support_x[rows, chosen], self.support_y[rows, chosen]

    def objective(self, phi: Tensor, x: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        """F(φ) on the whole support set, or on these examples instead, [T]."""
        x, y = (self.support_x, self.support_y) if x is None or y is None else (x, y)
        losses = task_losses(self._network.call_each(self.weights(phi), x), y)
        return losses + 0.5 * self.decay * phi.square().sum(1)

    def gradients(self, phi: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """F [T] and ∇F [T, P] on these examples, both without a graph."""
        with torch.enable_grad():
            phi = phi.detach().requires_grad_()
            losses = self.objective(phi, x, y)
            (found,) = torch.autograd.grad(losses.sum(), phi)
        return losses.detach(), found

    def held_out(self, phi: Tensor) -> Tensor:
        """Mean loss on the queries, without the decay, [T]."""
        return task_losses(self.outputs(phi), self.query_y)


def fresh_weights(model: nn.Module, number: int, *, seed: int) -> Weights:
    """The trainable parameters of `number` newly initialised copies of `model`, stacked [number, …].   Chapter: 02

    Every module draws as its own `reset_parameters` does, on the CPU; the same seed gives the same weights on every
    device, and torch's global generator is left as it was. Raises ValueError for a trained module that cannot be reset.
    """
    # The modules that own trainable parameters, and only those: a frozen encoder may hold a table of word vectors.
    owners = {
        name: copy.deepcopy(module).cpu()
        for name, module in model.named_modules()
        if any(p.requires_grad for p in module.parameters(recurse=False))
    }
    if stiff := [type(m).__name__ for m in owners.values() if not hasattr(m, "reset_parameters")]:
        raise ValueError(f"fresh_weights: {', '.join(stiff)} has no reset_parameters(), so it cannot start afresh")
    found: dict[str, list[Tensor]] = {}
    with seeded(seed):
        for _ in range(number):
            for prefix, module in owners.items():
                module.reset_parameters()  # type: ignore[operator]
                for name, p in module.named_parameters(recurse=False):
                    if p.requires_grad:
                        found.setdefault(f"{prefix}.{name}" if prefix else name, []).append(p.detach().clone())
    names = {name: p.device for name, p in model.named_parameters() if p.requires_grad}
    return {name: torch.stack(found[name]).to(device) for name, device in names.items()}
