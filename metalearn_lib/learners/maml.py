"""MAML (Finn et al., 2017) and its kin: learn a starting point from which a few gradient steps suffice.   Chapter 03

ANIL (Raghu et al., 2020) adapts the head alone; Meta-SGD (Li et al., 2017) learns the inner rates as well.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import InnerLoopDiverged, check_options
from metalearn_lib.inner_loop import InnerLoop, Rates, Tasks
from metalearn_lib.inner_loop.choice import EngineName
from metalearn_lib.learners.base import Learner
from metalearn_lib.learners.text_model import inputs_of


class GradientLearner(Learner):
    """Adapts a model to each task by `inner_steps` steps of gradient descent at rate `inner_lr` on the support set.

    `model`: a `TextModel`, or any module where the episodes hold tensors. Its outputs are the logits of N classes; for
    a regression one number. `test_steps`: how many steps `predict` takes, by default as many as training. `adapt` and
    `engine`: see `InnerLoop`, which also tells what is refused.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        inner_steps: int = 5,
        inner_lr: float = 0.1,
        first_order: bool = False,
        adapt: str | Sequence[str] = "all",
        test_steps: int | None = None,
        engine: EngineName = "auto",
        one_rate: bool = True,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        if not (inner_lr > 0 and math.isfinite(inner_lr)):
            raise ValueError(f"{who}(inner_lr={inner_lr!r}): must be a finite number > 0; at rate 0 nothing adapts")
        if test_steps is not None:
            check_options(who, least=0, test_steps=test_steps)
        self.model = model
        self.inner = InnerLoop(
            model, steps=inner_steps, first_order=first_order, adapt=adapt, engine=engine, one_rate=one_rate
        )
        self.inner_lr, self.test_steps = float(inner_lr), test_steps

    def rates(self) -> Rates:
        """The inner rate, or one for each parameter that adapts."""
        return self.inner_lr

    def predict(self, episodes: Episodes, *, steps: int | None = None) -> Tensor:
        """Outputs [T, N·Q, N] for the queries after `steps` (default `test_steps`) steps on the support sets."""
        return self.inner.outputs(self.tasks(episodes), self.rates(), steps=self._steps(steps))

    def adapted(self, episodes: Episodes, *, task: int = 0, steps: int | None = None) -> nn.Module:
        """A copy of the model, adapted to one task, to be used on its own; the learner stays as it was."""
        if not 0 <= task < len(episodes):
            raise IndexError(f"adapted(task={task}): there are {len(episodes)} tasks, numbered from 0")
        weights = self.inner.adapt(self.tasks(episodes).one(task), self.rates(), steps=self._steps(steps))
        model = copy.deepcopy(self.model)
        with torch.no_grad():
            for name, value in weights.items():
                model.get_parameter(name).copy_(value[0])
        return model.eval()

    def tasks(self, episodes: Episodes) -> Tasks:
        """The episodes as tensors that the model reads."""
        support, query = inputs_of(self.model, episodes)
        return Tasks(support, episodes.support_y, query, episodes.query_y)

    def handed_over(self, loss: Tensor, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
        """The loss, whose `backward()` hands over these gradients; raises InnerLoopDiverged where one is not finite."""
        if not torch.stack([loss, *(g.sum() for g in gradients)]).isfinite().all():
            rate = f"{self.inner_lr:g}" if isinstance(self.rates(), float) else "that is learned"
            raise InnerLoopDiverged(
                f"{self.name}: the meta-loss or its gradient is NaN or infinite after {self.inner.steps} inner steps "
                f"at an inner rate {rate}; lower inner_lr, or take fewer steps"
            )
        return with_gradients(loss, parameters, gradients)

    def _steps(self, steps: int | None) -> int | None:
        return self.test_steps if steps is None else steps


class MAML(GradientLearner):
    """Minimise the query loss after adapting, with respect to the weights before it (Finn et al., 2017, algorithm 2).

    `first_order=True` leaves out the second derivatives (their section 5.2): the gradient at the adapted weights is
    taken for the gradient at the initial ones.   Chapter: 03

    >>> MAML(nn.Linear(3, 5), inner_steps=0)
    Traceback (most recent call last):
    ValueError: inner_steps=0: must be a whole number ≥ 1; without a step nothing adapts, and training would be joint
    training (MultiTask)
    """

    def __init__(self, model: nn.Module, *, first_order: bool = False, **settings: Any) -> None:
        super().__init__(model, first_order=first_order, **settings)
        self.name = "first-order MAML" if first_order else "MAML"

    def meta_loss(self, episodes: Episodes) -> Tensor:
        """Mean query loss after adapting, over T tasks."""
        rates = self.rates()
        losses, gradients = self.inner.gradients(self.tasks(episodes), rates)
        wanted = self.inner.network.wanted(rates)
        return self.handed_over(losses.mean(), list(wanted.values()), list(gradients.values()))


class ANIL(MAML):
    """MAML whose inner loop adapts the last layer alone (Raghu et al., 2020).   Chapter: 03

    What the body computes is the same at each inner step, so it is computed once.
    """

    def __init__(self, model: nn.Module, **settings: Any) -> None:
        super().__init__(model, adapt=settings.pop("adapt", "head"), **settings)
        self.name = "ANIL"


class MetaSGD(MAML):
    """MAML that learns an inner rate for every parameter, starting at `inner_lr` (Li et al., 2017).   Chapter: 03

    A learned rate may become negative; nothing keeps it from that.
    """

    def __init__(self, model: nn.Module, **settings: Any) -> None:
        super().__init__(model, one_rate=False, **settings)
        self.name = "Meta-SGD"
        starts = self.inner.network.initial().values()
        self.inner_rates = nn.ParameterList(torch.full_like(p, self.inner_lr) for p in starts)

    def rates(self) -> Rates:
        return dict(zip(self.inner.network.adapting, self.inner_rates, strict=True))


def with_gradients(loss: Tensor, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """A scalar with the value of `loss` whose `backward()` hands these gradients to these parameters."""
    found: Tensor = _WithGradients.apply(loss, len(parameters), *parameters, *gradients)  # type: ignore[no-untyped-call]
    return found


class _WithGradients(torch.autograd.Function):
    """Engines find their gradients themselves, task by task or by hand; this hands them to `loss.backward()`."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, number: int, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors[number:])
        return loss.clone()

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outer: Tensor) -> tuple[Any, ...]:
        gradients = ctx.saved_tensors
        return (None, None, *(outer * g for g in gradients), *(None for _ in gradients))
