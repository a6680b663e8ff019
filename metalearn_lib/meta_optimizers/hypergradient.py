"""Hypergradient descent (Baydin et al., 2018): a learning rate that follows its own gradient while the model trains.

How would the loss now differ, had the last rate been larger? By −gₜ · dₜ₋₁: minus the gradient now times the direction
of the last step. One dot product a step, one extra copy of the weights; no second derivative is needed.
`HypergradientSGD` is an optimizer for one model, `HypergradientDescent` the same rule for many problems side by side.
Chapter 02
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from metalearn_lib.errors import TrainingDiverged, check_options
from metalearn_lib.meta_optimizers.rules import State

Groups = Iterable[Tensor] | Iterable[dict[str, Any]]


class HypergradientSGD(Optimizer):
    """SGD whose rate learns itself: SGD-HD, with `momentum` the Nesterov form SGDN-HD (their algorithms 4 and 5).

    φ ← φ − α d with α ← α + β gₜ · dₜ₋₁ (their eq. 5–7), β = `hyper_lr`. Every parameter group has a rate of its own:
    one group a layer learns one rate a layer.   Chapter: 02

    >>> weight = torch.tensor([4.0], requires_grad=True)
    >>> optimizer = HypergradientSGD([weight], lr=0.01, hyper_lr=0.001)
    >>> for _ in range(50):
    ...     optimizer.zero_grad(); (weight ** 2).sum().backward(); optimizer.step()
    >>> optimizer.rates[0] > 0.01
    True
    """

    def __init__(self, params: Groups, *, lr: float = 0.01, hyper_lr: float = 1e-3, momentum: float = 0.0) -> None:
        check_options("HypergradientSGD", lr=lr, hyper_lr=hyper_lr)
        if not 0 <= momentum < 1:
            raise ValueError(f"HypergradientSGD(momentum={momentum}): need 0 ≤ momentum < 1")
        super().__init__(params, {"lr": lr, "hyper_lr": hyper_lr, "momentum": momentum, "step": 0})

    @property
    def rates(self) -> list[float]:
        """The rate of each parameter group now."""
        return [float(group["lr"]) for group in self.param_groups]

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """First the rates move, then the weights; raises TrainingDiverged for a gradient that is not finite."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        trained = [(p, p.grad) for p in group["params"] if p.grad is not None]
        slope = sum(float((g * self.state[p]["direction"]).sum()) for p, g in trained if "direction" in self.state[p])
        group["step"] += 1
        if not math.isfinite(slope) or not all(bool(torch.isfinite(g).all()) for _, g in trained):
            raise TrainingDiverged(
                f"{type(self).__name__}: a gradient is NaN or infinite at step {group['step']}, rate {group['lr']:g}; "
                "lower lr or hyper_lr"
            )
        group["lr"] += group["hyper_lr"] * slope
        for p, g in trained:
            direction = self._direction(g, self.state[p], group["momentum"])
            self.state[p]["direction"] = direction
            p.sub_(direction, alpha=group["lr"])

    def _direction(self, g: Tensor, state: dict[str, Tensor], momentum: float) -> Tensor:
        if not momentum:
            return g.clone()
        velocity = state["velocity"] = momentum * state["velocity"] + g if "velocity" in state else g.clone()
        return g + momentum * velocity

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved state; raises ValueError where it belongs to another model."""
        mine = [p for group in self.param_groups for p in group["params"]]
        both = (self.param_groups, state_dict["param_groups"])
        sizes, given = ([len(group["params"]) for group in groups] for groups in both)
        if sizes != given:
            raise ValueError(f"{type(self).__name__}: the state is of a model with groups of {given} parameters, "
                             f"this one has {sizes}")  # fmt: skip
        for number, state in state_dict["state"].items():
            for name, value in state.items():
                if value.shape != mine[number].shape:
                    shapes = f"shape {tuple(value.shape)}, not {tuple(mine[number].shape)}"
                    what = f"{name} of parameter {number} has {shapes}"
                    raise ValueError(f"{type(self).__name__}: the state is of another model: {what}")
        super().load_state_dict(state_dict)


@dataclass(frozen=True)
class HypergradientDescent:
    """SGD-HD as a `Rule` for `Problems`: every problem has rates of its own, α ← α + β gₜ · gₜ₋₁ (eq. 5–7).

    `parts` are numbers of consecutive weights that share a rate: `Problems.layers` for one rate per layer; empty for a
    single rate. The state holds the last gradient [T, P] and the rates [T, parts].   Chapter: 02

    >>> rule = HypergradientDescent(0.1, hyper_rate=0.01)
    >>> _, state = rule.move(torch.ones(1, 3), rule.start(torch.zeros(1, 3)), 1)
    >>> _, (_, rates) = rule.move(torch.ones(1, 3), state, 2)
    >>> rates  # 0.1 + 0.01 · 3
    tensor([[0.1300]])
    """

    rate: float
    hyper_rate: float
    parts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_options("HypergradientDescent", rate=self.rate)
        if not 0 <= self.hyper_rate < math.inf or any(part < 1 for part in self.parts):
            raise ValueError(
                f"HypergradientDescent(hyper_rate={self.hyper_rate}, parts={self.parts}): need hyper_rate ≥ 0 and "
                "finite, and parts of at least one weight"
            )

    @property
    def name(self) -> str:
        what = "rates per layer that learn" if self.parts else "a rate that learns"
        return f"{what} with β = {self.hyper_rate:g}"

    def start(self, phi: Tensor) -> State:
        """No last gradient, and the first rate for every part; raises ValueError where parts and weights differ."""
        if self.parts and sum(self.parts) != phi.shape[1]:
            raise ValueError(
                f"HypergradientDescent: parts of {sum(self.parts)} weights, the problem has {phi.shape[1]}"
            )
        return torch.zeros_like(phi), phi.new_full((len(phi), max(1, len(self.parts))), self.rate)

    def move(self, gradients: Tensor, state: State, number: int) -> tuple[Tensor, State]:
        last, rates = state
        parts = list(self.parts) or [gradients.shape[1]]
        products = torch.stack([part.sum(1) for part in (gradients * last).split(parts, 1)], 1)  # [T, parts]
        rates = rates + self.hyper_rate * products
        spread = rates.repeat_interleave(torch.tensor(parts, device=rates.device), 1)  # [T, P]
        return -spread * gradients, (gradients, rates)
