"""The meta-gradient as others compute it: higher, torchopt and iteryne as their documentation shows, and loops by hand.

Each entry of PEERS makes, from a problem and a method, a function that returns the meta-gradient: for Reptile the mean
of initial minus adapted parameters, else the gradient of the mean query loss. What a training loop makes once (inner
optimizers) is made once; for ANIL the body's features are computed once a task, outside the inner loop. A method that a
library cannot do is None.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from .problems import ANIL, FIRST, REPTILE, SECOND, Problem

PACKAGES = ("higher", "torchopt", "iteryne")
INSTALL = ".venv/bin/python -m pip install --constraint constraints.txt --editable '.[peers]'"
AT_ONCE = "torchopt, vmap"  # the only peer that takes all tasks at once

Gradient = dict[str, Tensor]
MetaGradient = Callable[[], Gradient]


def missing() -> list[str]:
    """The peers' packages that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def _backward(problem: Problem, losses: Iterable[Tensor]) -> Gradient:
    """Accumulate the gradient of the mean of the query losses, task by task, so that one graph lives at a time."""
    problem.model.zero_grad(set_to_none=True)
    for loss in losses:
        (loss / len(problem.tasks.support_x)).backward()
    return {name: p.grad for name, p in problem.model.named_parameters() if p.grad is not None}


def _mean(problem: Problem, gradients: Iterable[Iterable[Tensor]]) -> Gradient:
    """The mean over tasks of lists of tensors, in the order of the model's parameters."""
    names = [name for name, _ in problem.model.named_parameters()]
    total: list[Tensor] = []
    for gradient in gradients:
        total = [a + b for a, b in zip(total, gradient, strict=True)] if total else list(gradient)
    return {name: value / len(problem.tasks.support_x) for name, value in zip(names, total, strict=True)}


def loop_by_hand(problem: Problem, method: str) -> MetaGradient:
    """`autograd.grad` and `functional_call`, task by task: the reference that everyone else must equal."""
    module = problem.adapting(method)

    def adapt(support_x: Tensor, support_y: Tensor, start: Gradient) -> Gradient:
        fast = start
        for _ in range(problem.steps):
            loss = cross_entropy(functional_call(module, fast, (support_x,)), support_y)
            gradients = torch.autograd.grad(loss, list(fast.values()), create_graph=method in (SECOND, ANIL))
            fast = {n: p - problem.rate * g for (n, p), g in zip(fast.items(), gradients, strict=True)}
        return fast

    def losses() -> Iterator[Tensor]:
        for support_x, support_y, query_x, query_y in problem.each_task(method):
            fast = adapt(support_x, support_y, dict(module.named_parameters()))
            yield cross_entropy(functional_call(module, fast, (query_x,)), query_y)

    def displacements() -> Iterator[list[Tensor]]:
        for support_x, support_y, _, _ in problem.each_task(method):
            start = {name: p.detach().requires_grad_() for name, p in module.named_parameters()}
            fast = adapt(support_x, support_y, start)
            yield [(start[name] - fast[name]).detach() for name in start]

    return lambda: _mean(problem, displacements()) if method == REPTILE else _backward(problem, losses())


def copy_and_sgd(problem: Problem, method: str) -> MetaGradient | None:
    """Reptile the usual way: a deep copy for each task, trained with torch.optim.SGD."""
    if method != REPTILE:
        return None

    def displacements() -> Iterator[list[Tensor]]:
        for support_x, support_y, _, _ in problem.each_task(method):
            model = copy.deepcopy(problem.model)
            optimizer = torch.optim.SGD(model.parameters(), lr=problem.rate)
            for _ in range(problem.steps):
                optimizer.zero_grad()
                cross_entropy(model(support_x), support_y).backward()
                optimizer.step()
            pairs = zip(problem.model.parameters(), model.parameters(), strict=True)
            yield [initial.detach() - adapted.detach() for initial, adapted in pairs]

    return lambda: _mean(problem, displacements())


def with_higher(problem: Problem, method: str) -> MetaGradient:
    """A patched model and a differentiable optimizer for each task; without second order its graph is not tracked."""
    higher = importlib.import_module("higher")
    module = problem.adapting(method)
    optimizer = torch.optim.SGD(module.parameters(), lr=problem.rate)

    def adapted(*, track: bool) -> Iterator[tuple[Any, Tensor, Tensor]]:
        for support_x, support_y, query_x, query_y in problem.each_task(method):
            with higher.innerloop_ctx(module, optimizer, copy_initial_weights=not track, track_higher_grads=track) as (
                patched,
                inner,
            ):
                for _ in range(problem.steps):
                    inner.step(cross_entropy(patched(support_x), support_y))
                yield patched, query_x, query_y

    def losses() -> Iterator[Tensor]:
        return (cross_entropy(patched(x), y) for patched, x, y in adapted(track=True))

    def first_order() -> Iterator[tuple[Tensor, ...]]:
        for patched, x, y in adapted(track=False):
            yield torch.autograd.grad(cross_entropy(patched(x), y), list(patched.parameters()))

    def displacements() -> Iterator[list[Tensor]]:
        for patched, _, _ in adapted(track=False):
            pairs = zip(module.parameters(), patched.parameters(), strict=True)
            yield [initial.detach() - fast.detach() for initial, fast in pairs]

    if method in (SECOND, ANIL):
        return lambda: _backward(problem, losses())
    return lambda: _mean(problem, first_order() if method == FIRST else displacements())


def with_torchopt(problem: Problem, method: str) -> MetaGradient | None:
    """`MetaSGD` changes the model itself and the extracted state sets it back; it has second order only."""
    if method not in (SECOND, ANIL):
        return None
    torchopt = importlib.import_module("torchopt")
    module = problem.adapting(method)
    optimizer = torchopt.MetaSGD(module, lr=problem.rate)

    def losses() -> Iterator[Tensor]:
        start = [torchopt.extract_state_dict(thing, by="reference") for thing in (module, optimizer)]
        for support_x, support_y, query_x, query_y in problem.each_task(method):
            for _ in range(problem.steps):
                optimizer.step(cross_entropy(module(support_x), support_y))
            loss = cross_entropy(module(query_x), query_y)
            for thing, state in zip((module, optimizer), start, strict=True):
                torchopt.recover_state_dict(thing, state)
            yield loss

    return lambda: _backward(problem, losses())


def with_torchopt_vmap(problem: Problem, method: str) -> MetaGradient:
    """The functional `torchopt.sgd` inside `vmap` over tasks, as in torchopt's own MAML example with functorch."""
    torchopt = importlib.import_module("torchopt")
    module = problem.adapting(method)
    optimizer = torchopt.sgd(lr=problem.rate)

    def loss_of(parameters: Gradient, x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(functional_call(module, parameters, (x,)), y)

    def adapt(parameters: Gradient, x: Tensor, y: Tensor) -> Gradient:
        state = optimizer.init(parameters)
        for _ in range(problem.steps):
            gradients = torch.func.grad(loss_of)(parameters, x, y)
            if method == FIRST:
                gradients = {name: gradient.detach() for name, gradient in gradients.items()}
            updates, state = optimizer.update(gradients, state, inplace=False)
            parameters = torchopt.apply_updates(parameters, updates, inplace=False)
        return parameters

    def query_losses(*task: Tensor) -> Tensor:
        support_x, support_y, query_x, query_y = task
        if method == ANIL:
            support_x, query_x = problem.model[:-1](support_x), problem.model[:-1](query_x)
        return loss_of(adapt(dict(module.named_parameters()), support_x, support_y), query_x, query_y)

    def displacement() -> Gradient:
        start = {name: p.detach() for name, p in module.named_parameters()}
        adapted = vmap(lambda x, y: adapt(start, x, y))(problem.tasks.support_x, problem.tasks.support_y)
        return {name: value - adapted[name].mean(0) for name, value in start.items()}

    if method == REPTILE:
        return displacement
    return lambda: _backward(problem, [vmap(query_losses)(*problem.tasks).sum()])


def with_iteryne(problem: Problem, method: str) -> MetaGradient:
    """A learner for each task, `adapt_on` its support set, and `backward` of the query loss."""
    iteryne = importlib.import_module("iteryne")
    module = problem.adapting(method)
    maml = iteryne.MAML(
        module, inner_lr=problem.rate, inner_steps=problem.steps, first_order=method in (FIRST, REPTILE)
    )

    def learners() -> Iterator[tuple[Any, Tensor, Tensor]]:
        for support_x, support_y, query_x, query_y in problem.each_task(method):
            yield maml.clone().adapt_on(cross_entropy, support_x, support_y), query_x, query_y

    def losses() -> Iterator[Tensor]:
        return (cross_entropy(learner(x), y) for learner, x, y in learners())

    def displacements() -> Iterator[list[Tensor]]:
        for learner, _, _ in learners():
            yield [initial.detach() - learner.params[name].detach() for name, initial in module.named_parameters()]

    return lambda: _mean(problem, displacements()) if method == REPTILE else _backward(problem, losses())


# name: (the package that it needs, how it computes the meta-gradient)
PEERS: Mapping[str, tuple[str | None, Callable[[Problem, str], MetaGradient | None]]] = {
    "higher": ("higher", with_higher),
    "torchopt": ("torchopt", with_torchopt),
    AT_ONCE: ("torchopt", with_torchopt_vmap),
    "iteryne": ("iteryne", with_iteryne),
    "copy and SGD": (None, copy_and_sgd),
    "loop by hand": (None, loop_by_hand),
}
