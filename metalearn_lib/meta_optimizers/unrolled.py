"""Unrolled hyper-gradients: train for some steps, then differentiate the validation loss back through all of them.

Maclaurin et al. (2015) and Franceschi et al. (2018): training is a function of its hyper-parameters, so backpropagation
through it says in which direction to change them: rates, weight decay, the mixture of training sources.   Chapter 02
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import InnerLoopDiverged, check_options
from metalearn_lib.inner_loop import Weights, task_losses
from metalearn_lib.inner_loop.network import Network
from metalearn_lib.learners.base import Learner
from metalearn_lib.learners.text_model import inputs_of


class Unrolled(Learner):
    """Trains `model` on each support set by `steps` steps of gradient descent whose hyper-parameters are meta-learned.

    The model's own weights are only where training starts; they are never changed. `rates`: one for "all", one for
    each "layer" (weight and bias together), or one for each "step", a learned schedule. `decay`: the weight decay to
    start from, learned as well; None for none. `sources` > 1: support sets come as [T, S, M, …], and the share of each
    source in the training loss is learned (softmax, equal at the start). Raises ValueError for a model without
    trainable parameters, steps < 1, or a rate or decay that is not positive.   Chapter: 02
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        steps: int = 20,
        rate: float = 0.1,
        rates: Literal["all", "layer", "step"] = "all",
        decay: float | None = None,
        sources: int = 1,
    ) -> None:
        super().__init__()
        layers = list(dict.fromkeys(_layer(name) for name, p in model.named_parameters() if p.requires_grad))
        if not layers:
            raise ValueError(f"Unrolled: {type(model).__name__} has no trainable parameter: there is nothing to train")
        check_options("Unrolled", steps=steps, sources=sources, rate=rate)
        if decay is not None and not decay > 0:
            raise ValueError(f"Unrolled(decay={decay}): it is learned as a logarithm and must be > 0; None is no decay")
        if rates not in ("all", "layer", "step"):
            raise ValueError(f"Unrolled(rates={rates!r}): use 'all', 'layer' or 'step'")
        self.name = "learned hyper-parameters"
        self.model, self.steps, self.per, self.layers = model, steps, rates, layers
        size = {"all": 1, "layer": len(layers), "step": steps}[rates]
        self.log_rates = nn.Parameter(torch.full((size,), math.log(rate)))
        self.log_decay = nn.Parameter(torch.tensor(math.log(decay))) if decay is not None else None
        self.preferences = nn.Parameter(torch.zeros(sources)) if sources > 1 else None

    @property
    def rates(self) -> Tensor:
        """The inner rates: [1], one for each of `layers`, or one for each step."""
        return self.log_rates.exp()

    @property
    def mixture(self) -> Tensor:
        """The share of each source in the training loss [S]; they add up to 1."""
        return torch.ones(1) if self.preferences is None else self.preferences.softmax(0)

    def meta_loss(self, episodes: Episodes) -> Tensor:
        """Mean query loss at the end of training; its gradient runs back through every step to the hyper-parameters."""
        network, support, query = self._inputs(episodes)
        *_, weights = self._train(network, support, episodes.support_y, self.steps, keep=True)
        return task_losses(network.call_each(weights, query), episodes.query_y).mean()

    def predict(self, episodes: Episodes, *, steps: int | None = None) -> Tensor:
        """Outputs [T, Q, N] on the queries after training on the support sets; a schedule's last rate goes on."""
        network, support, query = self._inputs(episodes)
        steps = self.steps if steps is None else steps
        *_, weights = self._train(network, support, episodes.support_y, steps, keep=False)
        with torch.no_grad():
            return network.call_each(weights, query)

    def query_losses(self, episodes: Episodes, *, steps: int | None = None) -> Tensor:
        """Query losses [T, 1 + steps] before training and after each step."""
        network, support, query = self._inputs(episodes)
        steps, seen = self.steps if steps is None else steps, []
        for weights in self._train(network, support, episodes.support_y, steps, keep=False):
            with torch.no_grad():
                seen.append(task_losses(network.call_each(weights, query), episodes.query_y))
        return torch.stack(seen, 1)

    def _inputs(self, episodes: Episodes) -> tuple[Network, Tensor, Tensor]:
        """The model as stages, support inputs as they are, queries as the first trained stage reads them."""
        network = Network(self.model, "all")
        support, query = inputs_of(self.model, episodes)
        return network, support, network.features(query)

    def _train(self, network: Network, x: Tensor, y: Tensor, steps: int, *, keep: bool) -> Iterator[Weights]:
        """Weights [T, …] before the first step and after each; `keep` keeps the graph back to the hyper-parameters."""
        if self.preferences is None:
            x, y = x.unsqueeze(1), y.unsqueeze(1)
        if x.shape[1] != len(self.mixture):
            raise ValueError(f"Unrolled: the support set has {x.shape[1]} sources, expected {len(self.mixture)}")
        shape, flat = x.shape[1:3], network.features(x.flatten(1, 2))  # [T, S, M, …] → [T, S·M, …]
        start = {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}
        weights = {name: p.expand(len(x), *p.shape).requires_grad_() for name, p in start.items()}
        yield weights
        for step in range(steps):
            with torch.enable_grad():
                losses = task_losses(network.call_each(weights, flat).unflatten(1, shape), y)  # [T, S]
                loss = (losses @ self.mixture.to(losses)).sum()
                if not torch.isfinite(loss):
                    raise InnerLoopDiverged(
                        f"the training loss of step {step + 1} of {steps} is NaN or infinite at "
                        f"rate {self._rate(step).max():g}; start from a lower rate"
                    )
                found = torch.autograd.grad(loss, list(weights.values()), create_graph=keep)
                moved = self._moved(weights, dict(zip(weights, found, strict=True)), step)
            weights = moved if keep else {name: w.detach().requires_grad_() for name, w in moved.items()}
            yield weights

    def _moved(self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor], step: int) -> Weights:
        """φ − α (g + λ φ) for every parameter."""
        rates = self._rate(step)
        moved = {}
        for name, w in weights.items():
            rate = rates[self.layers.index(_layer(name))] if self.per == "layer" else rates[0]
            pull = gradients[name] if self.log_decay is None else gradients[name] + self.log_decay.exp() * w
            moved[name] = w - rate * pull
        return moved

    def _rate(self, step: int) -> Tensor:
        return self.rates[min(step, self.steps - 1)].reshape(1) if self.per == "step" else self.rates


def _layer(name: str) -> str:
    """The layer that a parameter belongs to: its name without the last part."""
    return name.rpartition(".")[0]
