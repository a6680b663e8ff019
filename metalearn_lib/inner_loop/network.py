"""A model as a row of stages: what comes before the first adapting parameter is computed once, not at every step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import linear

from metalearn_lib.inner_loop.tasks import Rates
from metalearn_lib.inner_loop.windows import KeepWindows, Windows, has_convolution

# One result per number, whatever the shape: what works on an example works on a batch of tasks.
ELEMENTWISE = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.Dropout, nn.Identity)


class Network:
    """A model split into `body`, which does not adapt, and `top`, which starts at the first adapting parameter.

    `adapt` is "all" (every trainable parameter), "head" (the last layer that has any), or beginnings of names. Raises
    ValueError for a model without trainable parameters, for names that match none, and for frozen parameters.
    """

    def __init__(self, model: nn.Module, adapt: str | Sequence[str]) -> None:
        if sparse := [name or "the model" for name, part in model.named_modules() if getattr(part, "sparse", False)]:
            raise ValueError(f"{', '.join(sparse)}: sparse gradients cannot adapt; make it with sparse=False")
        self.model = model
        self.stages = list(_stages(model))
        self.adapting = _adapting(model, self.stages, adapt)
        first = next(i for i, stage in enumerate(self.stages) if any(map(self.adapting.__contains__, _names(*stage))))
        self.body, self.top = self.stages[:first], self.stages[first:]
        self._places = [_places(prefix, module) for prefix, module in self.top]

    @property
    def ways(self) -> int | None:
        """Outputs of the last linear layer; None where the last stage is another kind of module."""
        last = self.top[-1][1]
        return last.out_features if isinstance(last, nn.Linear) else None

    def trainable(self) -> dict[str, nn.Parameter]:
        """All parameters that meta-training changes."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def wanted(self, rates: Rates) -> dict[str, Tensor]:
        """What gradients are taken for: all trainable parameters, then "rate of …" for the rates that are learned."""
        learned = {} if isinstance(rates, float) else rates
        return {**self.trainable(), **{f"rate of {name}": r for name, r in learned.items() if r.requires_grad}}

    def initial(self) -> dict[str, nn.Parameter]:
        """The parameters that adapt, at their initial values."""
        return {name: p for name, p in self.model.named_parameters() if name in self.adapting}

    def spread(self, tasks: int) -> dict[str, Tensor]:
        """The parameters that adapt, for each task: [T, …].

        The weights of linear layers lie column by column in memory, as their products read them, and so do all later
        weights: what is added to them, a gradient, lies like them.
        """
        columns = {f"{prefix}weight" for prefix, module in self.top if is_linear(module)}
        laid = {n: p.mT.contiguous().mT if n in columns else p for n, p in self.initial().items()}
        return {name: p.expand(tasks, *p.shape) for name, p in laid.items()}

    def features(self, x: Tensor) -> Tensor:
        """Inputs [T, M, …] → what enters the top, [T, M, …]; with a graph only if the body has something to train."""
        if not self.body:
            return x
        trained = any(p.requires_grad for _, module in self.body for p in module.parameters())
        modules = [module for _, module in self.body]
        windows = _windows(modules[0], x, {} if trained else None)
        with torch.set_grad_enabled(trained and torch.is_grad_enabled()), windows:
            return through(modules, x)

    def call(self, weights: Mapping[str, Tensor], x: Tensor, kept: Windows | None = None) -> Tensor:
        """One task: inputs of the top [M, …] under these weights → outputs [M, N].

        `kept`, empty at first, is what later calls with the same inputs need not compute again.
        """
        for (_, module), places in zip(self.top, self._places, strict=True):
            mine = _local(weights, places)
            if mine and is_linear(module):  # functional_call would take longer than the layer
                x = linear(x, mine.get("weight", module.weight), mine.get("bias", module.bias))
            elif mine:
                x = _keeping(module, mine, x, kept)
            else:
                x = module(x)
            kept = None  # what enters later stages is new at every step
        return x

    def call_each(self, stacked: Mapping[str, Tensor], x: Tensor, kept: Windows | None = None) -> Tensor:
        """All tasks at once: inputs [T, M, …] under weights [T, …] → outputs [T, M, N]; `kept` as in `call`."""
        for (_, module), places in zip(self.top, self._places, strict=True):
            mine = _local(stacked, places)
            if is_linear(module) and len(mine) == len(list(module.parameters())):
                x = _linear(x, mine)
            elif type(module) in ELEMENTWISE:
                x = module(x)
            elif mine:
                x = _each(module, mine, x, kept)
            else:
                x = through([module], x)
            kept = None
        return x


def forward_each(model: nn.Module, stacked: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Inputs x [T, M, …] through `model`, task t under weights stacked[name][t] → outputs [T, M, N].   Chapter: 02

    Every trainable parameter must be in `stacked` [T, …]. Differentiable, to any order that the modules allow.

    >>> model = nn.Linear(3, 2)
    >>> weights = {name: p.expand(4, *p.shape) for name, p in model.named_parameters()}
    >>> forward_each(model, weights, torch.zeros(4, 7, 3)).shape
    torch.Size([4, 7, 2])
    """
    network = Network(model, "all")
    if missing := sorted(set(network.adapting) - set(stacked)):
        raise ValueError(
            f"forward_each: no weights for {', '.join(missing)}; give one tensor [T, …] for each parameter"
        )
    return network.call_each(stacked, network.features(x))


def through(modules: Sequence[nn.Module], x: Tensor) -> Tensor:
    """[T, M, …] through modules that take all tasks alike, as one batch of T·M examples → [T, M, …]."""
    flat = x.flatten(0, 1)
    for module in modules:
        flat = module(flat)
    return flat.unflatten(0, x.shape[:2])


def is_row(module: nn.Module) -> bool:
    """Whether it calls its modules one after another and does nothing else."""
    return type(module).forward is nn.Sequential.forward


def is_linear(module: nn.Module) -> TypeGuard[nn.Linear]:
    """A Linear layer as torch calls it: no subclass, no hook, no parametrized weight, all of which compute more."""
    hooks = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    return type(module) is nn.Linear and not hooks


def _stages(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that are called one after another, with the beginnings of their parameters' names."""
    if is_row(module) and not (module._forward_hooks or module._forward_pre_hooks or _tied(module)):
        for name, child in module._modules.items():  # named_children() would leave out a module's second place
            if child is not None:
                yield from _stages(child, f"{prefix}{name}.")
    else:
        yield prefix, module


def _tied(module: nn.Module) -> bool:
    """Whether a parameter has two names: then it must be replaced in both places at once."""
    return len(list(module.named_parameters())) < len(list(module.named_parameters(remove_duplicate=False)))


def _names(prefix: str, module: nn.Module) -> list[str]:
    return [prefix + name for name, _ in module.named_parameters()]


def _places(prefix: str, module: nn.Module) -> dict[str, str]:
    """Each place in a stage that holds a parameter → the parameter's name in the model; a tied one has two places.

    A module that is used twice counts once: `functional_call` would not find its way back from replacing it twice.
    """
    names = {p: prefix + name for name, p in module.named_parameters()}
    places = {}
    for path, part in module.named_modules():
        for name, p in part.named_parameters(recurse=False, remove_duplicate=False):
            places[f"{path}.{name}".lstrip(".")] = names[p]
    return places


def _local(weights: Mapping[str, Tensor], places: Mapping[str, str]) -> dict[str, Tensor]:
    """The weights of one stage, under the names that the stage itself uses."""
    return {place: weights[name] for place, name in places.items() if name in weights}


def _windows(module: nn.Module, x: Tensor, kept: Windows | None) -> contextlib.AbstractContextManager[object]:
    """Convolutions of `module` on `x` multiply windows, which also shortens the way back, where `kept` is given."""
    return contextlib.nullcontext() if kept is None or not has_convolution(module) else KeepWindows(x, kept)


def _keeping(module: nn.Module, weights: dict[str, Tensor], x: Tensor, kept: Windows | None) -> Tensor:
    """A stage under these weights; convolutions on its input take their windows from `kept`, or leave them there."""
    with _windows(module, x, kept):
        result: Tensor = functional_call(module, weights, (x,), tie_weights=False)
    return result


def _each(module: nn.Module, weights: dict[str, Tensor], x: Tensor, kept: Windows | None) -> Tensor:
    """A stage for all tasks at once; what vmap's function keeps must be among its arguments and results."""

    def one(weights: dict[str, Tensor], x: Tensor, windows: Windows) -> tuple[Tensor, Windows]:
        windows = dict(windows)
        return _keeping(module, weights, x, None if kept is None else windows), windows

    result, windows = vmap(one, randomness="different")(weights, x, kept or {})
    if kept is not None:
        kept.update(windows)
    return result


def _linear(x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """x [T, M, …, D] by weights [T, D', D] and, where there is one, a bias [T, D'] → [T, M, …, D']."""
    flat, across = x.flatten(1, -2), weights["weight"].mT
    bias = weights.get("bias")
    out = flat @ across if bias is None else torch.baddbmm(bias.unsqueeze(1), flat, across)
    return out.unflatten(1, x.shape[1:-1]) if x.dim() > 3 else out


def _adapting(model: nn.Module, stages: Sequence[tuple[str, nn.Module]], adapt: str | Sequence[str]) -> tuple[str, ...]:
    parameters = dict(model.named_parameters())
    trainable = [name for name, p in parameters.items() if p.requires_grad]
    if not trainable:
        raise ValueError(f"{type(model).__name__} has no trainable parameter, so there is nothing to adapt; "
                         "give it a head, such as mlp(dim, hidden, n_way)")  # fmt: skip
    if adapt == "all":
        return tuple(trainable)
    if adapt == "head":
        *_, last = (stage for stage in stages if _names(*stage))
        if last[0]:
            chosen = _names(*last)
        else:  # the whole model is one stage: its last submodule that has parameters
            *_, owner = (name.rpartition(".")[0] for name in parameters)
            chosen = [name for name in parameters if name.rpartition(".")[0] == owner]
    else:
        prefixes = (adapt,) if isinstance(adapt, str) else tuple(adapt)
        unknown = [p for p in prefixes if not any(name.startswith(p) for name in parameters)]
        if unknown or not prefixes:
            raise ValueError(f"adapt={adapt!r}: no parameter begins with {unknown}; there are {', '.join(parameters)}")
        chosen = [name for name in parameters if name.startswith(prefixes)]
    if frozen := [name for name in chosen if name not in trainable]:
        raise ValueError(f"adapt={adapt!r}: {', '.join(frozen)} cannot adapt, as requires_grad is False; "
                         "unfreeze them or leave them out")  # fmt: skip
    return tuple(chosen)
