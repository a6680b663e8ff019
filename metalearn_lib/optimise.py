"""The bare step loop under every trainer: loss, still a number?, step; the best weights; random numbers of its own.

It knows modules, optimizers and losses, but no corpus, no episode and no learner.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from metalearn_lib.errors import TrainingDiverged

Batch = TypeVar("Batch")


@dataclass
class History:
    """What happened: meta-loss of each step, validation scores (of a regression: errors) and after which steps."""

    losses: list[float] = field(default_factory=list)
    valid_steps: list[int] = field(default_factory=list)
    valid_scores: list[float] = field(default_factory=list)
    stopped_early: bool = False
    lower_is_better: bool = False

    @property
    def best_step(self) -> int | None:
        """The step whose weights were kept; None without validation."""
        return self.valid_steps[self.best] if self.valid_scores else None

    @property
    def best(self) -> int:
        """Which validation was the best one, the first of equals."""
        return self.valid_scores.index((min if self.lower_is_better else max)(self.valid_scores))

    def validated(self, score: float, *, patience: int | None = None) -> bool:
        """Note a validation after the last step: was it the best one so far? After `patience` others, stop early.

        Raises TrainingDiverged for a score that is not a number.
        """
        if math.isnan(score):
            raise TrainingDiverged(
                f"validation after step {len(self.losses)} is NaN; lower the learning rate or check the inputs"
            )
        self.valid_steps.append(len(self.losses))
        self.valid_scores.append(score)
        since = len(self.valid_scores) - 1 - self.best
        self.stopped_early = patience is not None and since >= patience
        return since == 0


def descend(
    loss: Callable[[Batch], Tensor],
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    *,
    who: str,
    clip: float | None = None,
    schedule: Callable[[int], float] | None = None,
    first: int = 0,
) -> Iterator[float]:
    """One step for each batch; yields the loss before it. `schedule` maps a step's number to a factor on every rate.

    Steps are numbered from `first`. Raises TrainingDiverged, in the name of `who`, for a loss that is not finite.

    >>> weight = torch.tensor([4.0], requires_grad=True)
    >>> list(descend(lambda _: weight.square().sum(), range(3), torch.optim.SGD([weight], lr=0.25), who="example"))
    [16.0, 4.0, 1.0]
    """
    for number, batch in enumerate(batches, first):
        if schedule is not None:
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * schedule(number)
        yield take_step(loss(batch), optimizer, who=who, step=number, clip=clip)


def take_step(
    loss: Tensor, optimizer: torch.optim.Optimizer, *, who: str, step: int, clip: float | None = None
) -> float:
    """Step number `step` (from 0) down the gradient, cut to the norm `clip`, of what the optimizer trains, only.

    Returns the loss; raises TrainingDiverged, and takes no step, where it is not finite.
    """
    value = loss.item()
    if not math.isfinite(value):
        raise TrainingDiverged(
            f"{who}: the loss is {value} at step {step + 1}; lower the learning rate or check the inputs"
        )
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]
    if clip is not None:
        nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
    return value


@contextmanager
def in_training(model: nn.Module, *, seed: int) -> Iterator[None]:
    """Training mode, and random numbers from `seed` on; at the end, an error's too, the model is in evaluation mode."""
    with seeded(seed, device=next((p.device for p in model.parameters()), None)):
        model.train()
        try:
            yield
        finally:
            model.eval()


@contextmanager
def seeded(seed: int, *, device: torch.device | None = None) -> Iterator[None]:
    """Torch's generators, of the CPU and of a CUDA device, start from `seed`; after it they are as they were.

    >>> before = torch.get_rng_state()
    >>> with seeded(0):
    ...     torch.rand(1)
    tensor([0.4963])
    >>> torch.equal(before, torch.get_rng_state())
    True
    """
    cuda = device if device is not None and device.type == "cuda" else None
    with torch.random.fork_rng(devices=[cuda] if cuda else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed all other devices, too
        if cuda:
            with torch.cuda.device(cuda):
                torch.cuda.manual_seed(seed)
        yield


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's weights, for `load_state_dict`."""
    return {name: value.clone() for name, value in model.state_dict().items()}
