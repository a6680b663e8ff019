"""Update rules, many problems at once: SGD, momentum and Adam; how to follow, compare and tune them.   Chapter 02"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from metalearn_lib.errors import InnerLoopDiverged, check_options
from metalearn_lib.meta_optimizers.problems import Problems
from metalearn_lib.progress import progress_bar

State = tuple[Tensor, ...]


class Rule(Protocol):
    """How weights φ [T, P] move: `start` makes an empty memory, `move` turns gradients into steps, numbered from 1."""

    @property
    def name(self) -> str: ...

    def start(self, phi: Tensor) -> State: ...

    def move(self, gradients: Tensor, state: State, number: int) -> tuple[Tensor, State]: ...


@dataclass(frozen=True)
class GradientDescent:
    """SGD; with `momentum` > 0 the heavy ball, as in torch.optim.SGD.   Chapter: 02

    >>> GradientDescent(0.5).move(torch.ones(1, 2), (torch.zeros(1, 2),), 1)[0]
    tensor([[-0.5000, -0.5000]])
    """

    rate: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        check_options("GradientDescent", rate=self.rate)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"GradientDescent(momentum={self.momentum}): need 0 ≤ momentum < 1")

    @property
    def name(self) -> str:
        return f"{'momentum' if self.momentum else 'SGD'}, rate {self.rate:g}"

    def start(self, phi: Tensor) -> State:
        return (torch.zeros_like(phi),)

    def move(self, gradients: Tensor, state: State, number: int) -> tuple[Tensor, State]:
        velocity = self.momentum * state[0] + gradients
        return -self.rate * velocity, (velocity,)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, 2015, algorithm 1), as in torch.optim.Adam.   Chapter: 02

    With `fall` > 0 its rate falls: at step t it is rate · exp(-fall · t / 100).
    """

    rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    fall: float = 0.0

    def __post_init__(self) -> None:
        check_options("Adam", rate=self.rate)
        if not 0 <= self.fall < math.inf:
            raise ValueError(f"Adam(fall={self.fall}): need a finite fall ≥ 0")

    @property
    def name(self) -> str:
        return f"Adam, rate {self.rate:g}{', falling' if self.fall else ''}"

    def start(self, phi: Tensor) -> State:
        return torch.zeros_like(phi), torch.zeros_like(phi)

    def move(self, gradients: Tensor, state: State, number: int) -> tuple[Tensor, State]:
        first, second = self.betas
        mean = first * state[0] + (1 - first) * gradients
        square = second * state[1] + (1 - second) * gradients.square()
        root = (square / (1 - second**number)).sqrt() + self.eps
        rate = self.rate * math.exp(-self.fall * number / 100)
        return -rate / (1 - first**number) * mean / root, (mean, square)


class Curves(NamedTuple):
    """What happened in T problems: F on the support set and loss on the queries, before and after each step.

    Or after the last few steps alone: see `last` of `minimise`.
    """

    support: Tensor  # [T, steps + 1], or [T, last]
    query: Tensor  # [T, steps + 1], or [T, last]


def advance(
    rule: Rule, problems: Problems, phi: Tensor, state: State, random: torch.Generator, number: int
) -> tuple[Tensor, State]:
    """φ [T, P] and the rule's memory after one more step, number `number`; no graph is kept."""
    with torch.no_grad():
        losses, gradients = problems.gradients(phi, *problems.draw(random))
        if not torch.isfinite(losses).all():
            raise InnerLoopDiverged(f"the loss of step {number} by {rule.name} is NaN or infinite; lower its rate")
        moves, state = rule.move(gradients, state, number)
        return phi + moves, state


def minimise(
    rule: Rule,
    problems: Problems,
    *,
    steps: int = 100,
    last: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Curves:
    """Train all problems from fresh weights for `steps` steps of the rule, and follow the losses.   Chapter: 02

    `last`: only the losses after so many of the last steps are computed, which saves most of the time of a run on small
    batches; None: all. The same seed gives the same starts and the same mini-batches whatever the rule, so curves may
    be compared in pairs. Raises ValueError for steps < 1 or a `last` that is none of 1 … steps, InnerLoopDiverged where
    a loss is not finite.
    """
    if last is not None and not 1 <= last <= steps:
        raise ValueError(f"minimise(steps={steps}, last={last}): need 1 ≤ last ≤ steps")
    first = 0 if last is None else steps + 1 - last
    support, query = [], []
    for number, phi in enumerate(progress_bar(_run(rule, problems, steps, seed), rule.name, show=progress)):
        if number < first:
            continue
        with torch.no_grad():
            support.append(problems.objective(phi))
            query.append(problems.held_out(phi))
    if not torch.isfinite(support[-1]).all():
        raise InnerLoopDiverged(f"the loss after step {steps} by {rule.name} is NaN or infinite; lower its rate")
    return Curves(torch.stack(support, 1), torch.stack(query, 1))


def tuned(
    make: Callable[[float], Rule], rates: Sequence[float], problems: Problems, *, steps: int = 100, seed: int = 0
) -> Rule:
    """The rule whose rate gives the lowest mean F after the last step on these problems (of meta-training!).

    A rate at which training diverges is left out; raises ValueError where none is left.   Chapter: 02
    """
    return tuned_for([steps], make, rates, problems, seed=seed)[0]


def tuned_for(
    steps: Sequence[int], make: Callable[[float], Rule], rates: Sequence[float], problems: Problems, *, seed: int = 0
) -> list[Rule]:
    """`tuned` for each of several numbers of steps, from one run at each rate: the longest holds the others.

    Chapter: 02
    """
    found: dict[int, list[tuple[float, float]]] = {number: [] for number in steps}
    for rate in rates:
        with suppress(InnerLoopDiverged):  # what was reached before counts
            for number, phi in enumerate(_run(make(rate), problems, max(steps), seed)):
                if number in found:
                    with torch.no_grad():
                        loss = float(problems.objective(phi).mean())
                    if math.isfinite(loss):
                        found[number].append((loss, rate))
    if not all(found.values()):
        raise ValueError(f"tuned: training diverged at each of the rates {list(rates)}; give lower ones")
    return [make(min(found[number])[1]) for number in steps]


def _run(rule: Rule, problems: Problems, steps: int, seed: int) -> Iterator[Tensor]:
    """φ before the first step and after each."""
    check_options("minimise", steps=steps, seed=seed)
    phi = problems.start(seed=seed)
    yield phi
    state, random = rule.start(phi), torch.Generator().manual_seed(seed)
    for number in range(1, steps + 1):
        phi, state = advance(rule, problems, phi, state, random, number)
        yield phi
