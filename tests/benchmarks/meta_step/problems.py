"""What the meta-step benchmark computes: two models, four methods, tasks of the right shape, and the work they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metalearn_lib.inner_loop import Tasks

MODELS = ("MLP", "CNN")
SECOND, FIRST, ANIL, REPTILE = METHODS = ("2nd order", "first order", "ANIL", "Reptile")
_RATE = 0.1
_WIDTHS = (3, 4, 5)


@dataclass(frozen=True)
class Problem:
    """What everyone computes the meta-gradient of; the last module of `model` is the head, which ANIL adapts."""

    model: nn.Sequential
    tasks: Tasks
    rate: float
    steps: int

    def each_task(self, method: str) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Support and query of one task after the other; for ANIL the body's features in place of the inputs."""
        for support_x, support_y, query_x, query_y in zip(*self.tasks, strict=True):
            if method == ANIL:
                yield self.model[:-1](support_x), support_y, self.model[:-1](query_x), query_y
            else:
                yield support_x, support_y, query_x, query_y

    def adapting(self, method: str) -> nn.Module:
        """What the inner loop changes: the model, for ANIL its head."""
        return self.model[-1] if method == ANIL else self.model


@dataclass(frozen=True)
class Setting:
    """The size of everything, and which numbers of tasks and inner steps are measured."""

    ways: int = 5
    shots: int = 5
    queries: int = 15  # of each class
    dim: int = 300
    hidden: int = 128
    words: int = 32
    embedding: int = 50
    channels: int = 50
    tasks: int = 8
    steps: int = 5
    few: tuple[int, ...] = (1, 2)
    more_tasks: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    more_steps: tuple[int, ...] = (1, 2, 5, 10, 20)
    memory: tuple[int, ...] = (1, 8, 32)
    memory_of: tuple[str, ...] = ("loop", "batched", "torchopt, vmap", "higher")
    rounds: int = 15
    seconds: float = 1.5  # for a case; fewer rounds then, but 5 at least
    patience: int = 3  # at most so many times as many rounds and seconds, where other programs disturb them

    def protocol(self) -> str:
        return (
            f"meta-gradient of {self.ways}-way {self.shots}-shot tasks with {self.queries} queries a class, float32, "
            f"normally distributed inputs; MLP {self.dim}-{self.hidden}-{self.ways}; CNN: {len(_WIDTHS)} convolutions "
            f"of {self.channels} channels over {self.words} words × {self.embedding} numbers, maximum, linear; "
            f"medians over at most {self.rounds} rounds in which all take turns"
        )


FULL = Setting()
QUICK = Setting(
    shots=2, queries=3, dim=12, hidden=8, words=6, embedding=4, channels=3, tasks=2, steps=2,
    few=(1,), more_tasks=(1, 2), more_steps=(1, 2), memory=(1,), memory_of=("loop",), rounds=1, patience=1,
)  # fmt: skip


def cases(setting: Setting) -> list[tuple[str, str, int, int]]:
    """Model, method, tasks and inner steps of everything that is timed: the main cases first."""
    every = [(model, method) for model in MODELS for method in METHODS]
    found = [(*what, tasks, setting.steps) for tasks in (setting.tasks, *setting.few) for what in every]
    found += [("MLP", SECOND, tasks, setting.steps) for tasks in setting.more_tasks]
    found += [("MLP", SECOND, setting.tasks, steps) for steps in setting.more_steps]
    return list(dict.fromkeys(found))


class Convolutions(nn.Module):
    """Embedded texts [M, words, embedding] → the maxima of several convolutions over each (Kim, 2014)."""

    examples_apart = True  # to the inner loop what vmap is to a peer: all tasks may be computed at once

    def __init__(self, embedding: int, channels: int) -> None:
        super().__init__()
        wide = max(_WIDTHS) - 1  # each word is seen by every position of the widest window (Kalchbrenner et al., 2014)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding, channels, width, padding=wide) for width in _WIDTHS)

    def forward(self, x: Tensor) -> Tensor:
        across = x.transpose(1, 2)
        return torch.cat([convolution(across).relu().amax(2) for convolution in self.convolutions], 1)


def problem(model: str, setting: Setting, *, tasks: int, steps: int, dtype: torch.dtype = torch.float32) -> Problem:
    """The same model and tasks on every call, from fixed seeds; the caller's random numbers are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.Linear(setting.hidden if model == "MLP" else len(_WIDTHS) * setting.channels, setting.ways)
        if model == "MLP":
            shape: tuple[int, ...] = (setting.dim,)
            module = nn.Sequential(nn.Linear(setting.dim, setting.hidden), nn.ReLU(), head)
        else:
            shape = (setting.words, setting.embedding)
            module = nn.Sequential(Convolutions(setting.embedding, setting.channels), head)
        parts = []
        for each in (setting.shots, setting.queries):
            number = setting.ways * each
            labels = torch.arange(setting.ways).repeat_interleave(each)
            parts += [torch.randn(tasks, number, *shape, dtype=dtype), labels.repeat(tasks, 1)]
    return Problem(module.to(dtype), Tasks(*parts), _RATE, steps)


def multiply_adds(model: str, method: str, setting: Setting, *, tasks: int, steps: int) -> int:
    """How many multiply-adds a meta-gradient needs that is computed with the weights themselves: matrix products only.

    For one example let a be those of the first layer and b those of the head. The inputs are constant, so:

    - forward: a + b. Backward: a for the first layer's weights, b for the head's, b for the error that passes the
      head. Forward and backward: 2a + 3b.
    - through an inner step again (its Hessian times a vector): the derivative of the forward pass along the vector
      takes a in the first layer and 2b in the head, where both factors change; that of the backward pass a for the
      first layer's weights, 2b for the head's, 2b for the error. In all 2a + 6b.
    - ANIL: the body forward and backward once (2a a support example); at every step the head forward and backward (2b)
      and through again (4b: forward, weights, and two for the error that goes on to the features).

    Queries take one forward and backward pass each; Reptile has none. Elementwise work is left out, so the time that
    follows is a bound from below for everyone who computes with the weights. The dual form needs fewer products than
    this, since its first layer never leaves the span of the support set.
    """
    if model == "MLP":
        a, b = setting.dim * setting.hidden, setting.hidden * setting.ways
    else:
        places = {width: setting.words + 2 * (max(_WIDTHS) - 1) - width + 1 for width in _WIDTHS}
        a = sum(places[width] * width for width in _WIDTHS) * setting.embedding * setting.channels
        b = len(_WIDTHS) * setting.channels * setting.ways
    support, query = setting.ways * setting.shots, setting.ways * setting.queries
    once = 2 * a + 3 * b
    inner = {
        SECOND: steps * (once + 2 * a + 6 * b), FIRST: steps * once, ANIL: 2 * a + steps * 6 * b, REPTILE: steps * once,
    }[method]  # fmt: skip
    return tasks * (support * inner + (0 if method == REPTILE else query * once))
