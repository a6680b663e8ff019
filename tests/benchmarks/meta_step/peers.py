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
Adapted = tuple[Callable[[Tensor], Tensor], Iterable[Tensor]]  # a task's model, its parameters in the model's order


def missing() -> list[str]:
    """The peers' packages that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def backward_of(problem: Problem, losses: Iterable[Tensor]) -> Gradient:
    """Gradient of the sum of the losses, each followed back as it comes."""
    problem.model.zero_grad(set_to_none=True)
    for loss in losses:
        loss.backward()
    return {name: p.grad for name, p in problem.model.named_parameters() if p.grad is not None}


def one_by_one(problem: Problem, method: str, adapt: Callable[[Tensor, Tensor], Adapted]) -> MetaGradient:
    """The meta-gradient from tasks that are adapted one after the other, so that one graph lives at a time."""
    number = len(problem.tasks.support_x)

    def losses() -> Iterator[Tensor]:
        for support_x, support_y, query_x, query_y in problem.each_task(method):
            model, _ = adapt(support_x, support_y)
            yield cross_entropy(model(query_x), query_y) / number

    def mean_over_tasks() -> Gradient:
        total: list[Tensor] = []
        for support_x, support_y, query_x, query_y in problem.each_task(method):
            model, fast = adapt(support_x, support_y)
            if method == FIRST:
                found = list(torch.autograd.grad(cross_entropy(model(query_x), query_y), list(fast)))
            else:
                pairs = zip(problem.model.parameters(), fast, strict=True)
                found = [initial.detach() - adapted.detach() for initial, adapted in pairs]
            total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        names = (name for name, _ in problem.model.named_parameters())
        return {name: value / number for name, value in zip(names, total, strict=True)}

    return mean_over_tasks if method in (FIRST, REPTILE) else lambda: backward_of(problem, losses())


def loop_by_hand(problem: Problem, method: str) -> MetaGradient:
    """`autograd.grad` and `functional_call`, task by task: the reference that everyone else must equal."""
    module = problem.adapting(method)

    def adapt(x: Tensor, y: Tensor) -> Adapted:
        fast = dict(module.named_parameters())
        for _ in range(problem.steps):
            loss = cross_entropy(functional_call(module, fast, (x,)), y)
            gradients = torch.autograd.grad(loss, list(fast.values()), create_graph=method in (SECOND, ANIL))
            fast = {n: p - problem.rate * g for (n, p), g in zip(fast.items(), gradients, strict=True)}
        return lambda queries: functional_call(module, fast, (queries,)), fast.values()

    return one_by_one(problem, method, adapt)


def copy_and_sgd(problem: Problem, method: str) -> MetaGradient | None:
    """Reptile the usual way: a deep copy for each task, trained with torch.optim.SGD."""

    def adapt(x: Tensor, y: Tensor) -> Adapted:
        model = copy.deepcopy(problem.model)
        optimizer = torch.optim.SGD(model.parameters(), lr=problem.rate)
        for _ in range(problem.steps):
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()
        return model, model.parameters()

    return one_by_one(problem, method, adapt) if method == REPTILE else None


def with_higher(problem: Problem, method: str) -> MetaGradient:
    """A patched model and a differentiable optimizer for each task; without second order its graph is not tracked."""
    higher = importlib.import_module("higher")
    module, track = problem.adapting(method), method in (SECOND, ANIL)
    optimizer = torch.optim.SGD(module.parameters(), lr=problem.rate)
    options = {"copy_initial_weights": not track, "track_higher_grads": track}

    def adapt(x: Tensor, y: Tensor) -> Adapted:
        with higher.innerloop_ctx(module, optimizer, **options) as (patched, inner):
            for _ in range(problem.steps):
                inner.step(cross_entropy(patched(x), y))
            return patched, patched.parameters()

    return one_by_one(problem, method, adapt)


def with_torchopt(problem: Problem, method: str) -> MetaGradient | None:
    """`MetaSGD` changes the model itself and the extracted state sets it back; it has second order only."""
    if method not in (SECOND, ANIL):
        return None
    torchopt = importlib.import_module("torchopt")
    module = problem.adapting(method)
    optimizer = torchopt.MetaSGD(module, lr=problem.rate)
    start = [(thing, torchopt.extract_state_dict(thing, by="reference")) for thing in (module, optimizer)]

    def adapt(x: Tensor, y: Tensor) -> Adapted:
        for _ in range(problem.steps):
            optimizer.step(cross_entropy(module(x), y))

        def answers(queries: Tensor) -> Tensor:
            logits = module(queries)
            for thing, state in start:
                torchopt.recover_state_dict(thing, state)
            return logits

        return answers, ()

    return one_by_one(problem, method, adapt)


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
    return lambda: backward_of(problem, [vmap(query_losses)(*problem.tasks).mean()])


def with_iteryne(problem: Problem, method: str) -> MetaGradient:
    """A learner for each task and `adapt_on` its support set."""
    iteryne = importlib.import_module("iteryne")
    first_order = method in (FIRST, REPTILE)
    module = problem.adapting(method)
    maml = iteryne.MAML(module, inner_lr=problem.rate, inner_steps=problem.steps, first_order=first_order)

    def adapt(x: Tensor, y: Tensor) -> Adapted:
        learner = maml.clone().adapt_on(cross_entropy, x, y)
        return learner, [learner.params[name] for name, _ in module.named_parameters()]

    return one_by_one(problem, method, adapt)


# name: (the package that it needs, how it computes the meta-gradient)
PEERS: Mapping[str, tuple[str | None, Callable[[Problem, str], MetaGradient | None]]] = {
    "higher": ("higher", with_higher),
    "torchopt": ("torchopt", with_torchopt),
    AT_ONCE: ("torchopt", with_torchopt_vmap),
    "iteryne": ("iteryne", with_iteryne),
    "copy and SGD": (None, copy_and_sgd),
    "loop by hand": (None, loop_by_hand),
}
