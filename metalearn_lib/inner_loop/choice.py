"""The front of the inner loop: which parameters adapt, how often, and by which engine.   Chapter 03"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from torch import Tensor, nn

from metalearn_lib.errors import check_options
from metalearn_lib.inner_loop.autograd import Batched, Loop, batched_refusal
from metalearn_lib.inner_loop.dual import Dual, dual_refusal
from metalearn_lib.inner_loop.network import Network, is_row
from metalearn_lib.inner_loop.tasks import Rates, TaskCheck, Tasks, Weights
from metalearn_lib.inner_loop.windows import has_convolution

EngineName = Literal["auto", "loop", "batched", "dual"]


class EngineRefused(ValueError):
    """The engine asked for would fail on this model, or be wrong."""


class Engine(Protocol):
    """What the three engines share; all give the same numbers."""

    name: str

    def outputs(self, tasks: Tasks, rates: Rates, steps: int) -> Tensor: ...

    def adapt(self, tasks: Tasks, rates: Rates, steps: int) -> Weights: ...

    def displacement(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, Weights]: ...

    def gradients(self, tasks: Tasks, rates: Rates, steps: int) -> tuple[Tensor, list[Tensor]]: ...


class InnerLoop:
    """Gradient descent on each task's support set, and the gradient of its query loss back to where it started.

    `adapt`: "all" trainable parameters, the "head" (the last layer), or beginnings of parameter names. `engine`:

    - "loop": task by task; every model, memory flat in the number of tasks.
    - "batched": all tasks at once by vmap; raises EngineRefused for recurrent layers, batch norm, `padding_idx`.
    - "dual": Linear → ReLU or Tanh → Linear on constant features and one rate for all; derivatives by hand.
    - "auto": the fastest that is right for this model; modules of your own, whose code may look at all examples
      together or at their values, take the loop, unless their class says `examples_apart = True`; and so do tasks that
      are too few for a batch: a single one, and with convolutions two, since the windows of several tasks outgrow the
      processor's cache.

    Raises ValueError for steps < 1, a model without trainable parameters, unknown names, and frozen parameters.

    >>> head = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> InnerLoop(head, steps=5).engine, InnerLoop(nn.LSTM(3, 8), steps=5).engine
    ('dual', 'loop')
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        steps: int = 5,
        first_order: bool = False,
        adapt: str | Sequence[str] = "all",
        engine: EngineName = "auto",
        one_rate: bool = True,
    ) -> None:
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"inner_steps={steps!r}: must be a whole number ≥ 1; without a step nothing adapts, "
                             "and training would be joint training (MultiTask)")  # fmt: skip
        self.network = Network(model, adapt)
        self.steps, self.first_order = steps, first_order
        self._trainable = set(self.network.trainable())
        self._modules, self._check = tuple(model.modules()), TaskCheck()
        self._engine = self._choose(engine, one_rate)
        self._few = _few(self.network) if engine == "auto" and isinstance(self._engine, Batched) else 0
        self._engine_of_few = Loop(self.network, first_order=first_order) if self._few else self._engine

    @property
    def engine(self) -> str:
        """The name of the engine in use, whatever few tasks take."""
        return self._engine.name

    def engine_for(self, tasks: int) -> str:
        """The name of the engine that so many tasks take: that in use, but under "auto" too few are no batch."""
        return self._for(tasks).name

    def outputs(self, tasks: Tasks, rate: Rates, *, steps: int | None = None) -> Tensor:
        """Outputs [T, Q, N] on the queries after `steps` (default: as in training) steps; no graph is kept."""
        return self._engine_of(tasks).outputs(tasks, self._rates(rate), self._number(steps))

    def adapt(self, tasks: Tasks, rate: Rates, *, steps: int | None = None) -> Weights:
        """The parameters that adapt, each [T, …], after `steps` steps on the support sets."""
        return self._engine_of(tasks).adapt(tasks, self._rates(rate), self._number(steps))

    def gradients(self, tasks: Tasks, rate: Rates) -> tuple[Tensor, Weights]:
        """Query losses [T] after adapting, and the gradient of their mean for each trainable parameter (MAML).

        Finn et al. (2017), eq. 1 and algorithm 2. The gradient of learned rates has the names "rate of …". Raises
        InnerLoopDiverged where a loss is not finite.
        """
        rates = self._rates(rate)
        if changed := set(self.network.trainable()) ^ self._trainable:
            names = ", ".join(sorted(changed))
            raise ValueError(f"{names}: frozen or unfrozen after the inner loop was made; make a new one")
        engine = self._engine_of(tasks)
        try:
            losses, found = engine.gradients(tasks, rates, self.steps)
        except RuntimeError as error:
            if self.first_order or "derivative for" not in str(error):
                raise
            raise EngineRefused(
                f"{type(self.network.model).__name__} has no second derivative ({error}); use first_order=True, or a "
                "module of plain operations, such as encoders.SelfAttention in place of torch's fused attention"
            ) from error
        return losses, dict(zip(self.network.wanted(rates), found, strict=True))

    def displacement(self, tasks: Tasks, rate: Rates) -> tuple[Tensor, Weights]:
        """Last support losses [T], and initial − adapted parameters, averaged over the tasks (Reptile).

        Nichol et al. (2018), algorithm 2.
        """
        return self._engine_of(tasks).displacement(tasks, self._rates(rate), self.steps)

    def _engine_of(self, tasks: Tasks) -> Engine:
        """The engine that these tasks take; raises ValueError where they or the model do not fit."""
        if (now := tuple(self.network.model.modules())) != self._modules:
            changed = ", ".join(dict.fromkeys(type(part).__name__ for part in set(now) ^ set(self._modules)))
            raise ValueError(f"{changed or 'modules'}: replaced after the inner loop was made; make a new one")
        self._check(tasks, self.network.ways)
        return self._for(len(tasks.support_x))

    def _for(self, tasks: int) -> Engine:
        return self._engine if tasks > self._few else self._engine_of_few

    def _number(self, steps: int | None) -> int:
        steps = self.steps if steps is None else steps
        check_options("InnerLoop", least=0, steps=steps)
        return steps

    def _rates(self, rate: Rates) -> Rates:
        """One rate as a float, or a mapping of rates; raises ValueError for one that is no positive number."""
        if not isinstance(rate, Mapping):
            if not rate > 0 or not math.isfinite(rate):
                raise ValueError(f"inner_lr={rate!r}: must be a finite number > 0")
            return float(rate)
        if missing := sorted(set(self.network.adapting) - set(rate)):
            raise ValueError(f"the rates lack {', '.join(missing)}; give one for each parameter that adapts")
        if self.engine == "dual":
            raise EngineRefused("engine='dual' has one rate for all parameters; make InnerLoop(…, one_rate=False)")
        return rate

    def _choose(self, engine: EngineName, one_rate: bool) -> Engine:
        if engine not in ("auto", "loop", "batched", "dual"):
            raise ValueError(f"engine={engine!r}: use 'auto', 'loop', 'batched' or 'dual'")
        no_dual = dual_refusal(self.network) if one_rate else "each parameter has a rate of its own"
        no_batch = batched_refusal(self.network)
        alike = engine == "auto" and not _own_code(self.network)
        refused = {"dual": no_dual, "batched": no_batch}.get(engine)
        if refused:
            raise EngineRefused(f"engine={engine!r} cannot be used: {refused}. engine='auto' takes one that can")
        if engine == "dual" or (alike and no_dual is None):
            return Dual(self.network, first_order=self.first_order)
        kind = Batched if engine == "batched" or (alike and no_batch is None) else Loop
        return kind(self.network, first_order=self.first_order)


def _few(network: Network) -> int:
    """Up to how many tasks the loop takes less time than the batched engine.

    What vmap and batched products cost beyond plain ones is won back from the second task on. With convolutions,
    measured on one thread, two tasks take 0.9 to 1.0 times as long in the loop, eight 1.1 to 1.5 times.
    """
    return 2 if any(has_convolution(module) for _, module in network.top) else 1


def _own_code(network: Network) -> bool:
    """Whether a module that is called comes from elsewhere, and does not say that it treats each example by itself."""
    called = [module for _, module in network.body]
    called += [part for _, module in network.top for part in module.modules()]
    known = ("torch", "metalearn_lib")
    unknown = [m for m in called if not is_row(m) and type(m).__module__.partition(".")[0] not in known]
    return any(getattr(module, "examples_apart", False) is not True for module in unknown)
