"""What may be asked of any torch module: answer without being changed, lend its weights, say what it is.

Every part of the library that caches, saves or compares what a module computed rests on these.   Chapters 04, 09
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_TENSORS = {"_parameters", "_buffers", "_modules"}
_INTERNALS = set(vars(nn.Module())) - _TENSORS  # hooks and modes of torch's own
_STATISTICS = {"running_mean", "running_var", "num_batches_tracked"}  # what batch norm counts while it trains
_digests: dict[int, tuple[weakref.ref[Tensor], int, str]] = {}


class HasModes(Protocol):
    """What can be set to training and to evaluation."""

    training: bool

    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...


@contextmanager
def evaluating(model: HasModes) -> Iterator[None]:
    """No gradients and no dropout while inside; after it, also after an error, each part has its own mode again.

    >>> layer = nn.Dropout()
    >>> with evaluating(layer):
    ...     layer.training
    False
    >>> layer.training
    True
    """
    parts = [(part, part.training) for part in (model.modules() if isinstance(model, nn.Module) else [model])]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in parts:
            if isinstance(part, nn.Module):
                part.training = mode  # not train(), which would reach the parts below
            else:
                part.train(mode)


def untrained(module: AnyModule) -> AnyModule:
    """The same module over the same memory, with nothing to train; `module` itself stays trainable, in its own mode.

    What trains or loads the weights of one is seen by the other, until one of them moves to another device.

    >>> layer = nn.Linear(2, 1)
    >>> [untrained(layer).weight.requires_grad, layer.weight.requires_grad]
    [False, True]
    """
    shared: dict[int, Any] = {}
    for part in module.modules():
        shared |= {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in part.parameters(recurse=False)}
        shared |= {id(buffer): buffer for buffer in part.buffers(recurse=False)}
        # Word vectors, corpora, tokenizers, caches: used, not copied. A list may hold parameters, as an LSTM's does.
        own = (value for name, value in vars(part).items() if name not in _INTERNALS | _TENSORS)
        shared |= {id(value): value for value in own if not isinstance(value, (list, tuple, nn.Module))}
    return copy.deepcopy(module, shared)


def identity(module: nn.Module) -> str:
    """A hash of what a module is, the same in every process: its classes, their settings, the shapes of its tensors.

    Of what does not train (frozen weights, buffers, word vectors, corpora) the values count, too. Plain
    values, containers, arrays, functions and objects with attributes are looked into; an object that has a text
    `identity` speaks for itself. Not looked at: hidden containers and objects (`_name`: caches), cached properties,
    `progress`, the code of classes, tokenizers of other libraries, and the folder a path lies in.

    >>> identity(nn.Dropout(0.2)) == identity(nn.Dropout(0.2)), identity(nn.Dropout(0.2)) == identity(nn.Dropout(0.5))
    (True, False)
    """
    return hashlib.sha256(json.dumps(_described(module, {})).encode()).hexdigest()[:16]


def tensor_digest(tensor: Tensor) -> str:
    """A hash of the numbers of a tensor, made once per tensor object and change in place."""
    place, version = id(tensor), tensor._version
    if place in _digests and _digests[place][0]() is tensor and _digests[place][1] == version:
        return _digests[place][2]
    numbers = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    found = hashlib.sha256(numbers.data).hexdigest()[:16]
    _digests[place] = (weakref.ref(tensor, lambda _: _digests.pop(place, None)), version, found)
    return found


def _described(value: Any, seen: dict[int, tuple[int, Any]]) -> Any:
    """Anything as nested lists of text; what was met before, as its number (`seen` keeps it alive, so ids are safe)."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _PLAIN):
        return repr(value)
    if id(value) in seen:
        return seen[id(value)][0]
    seen[id(value)] = len(seen), value

    def each(values: Sequence[Any]) -> list[Any]:
        return [_described(item, seen) for item in values]

    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, type):
        return ["class", value.__module__, value.__qualname__]
    if isinstance(own := getattr(value, "identity", None), str):
        return [kind, own]
    if isinstance(value, Tensor):
        return [str(value.dtype), list(value.shape), "trains" if value.requires_grad else tensor_digest(value)]
    if isinstance(value, np.ndarray):
        numbers = each(value.tolist()) if value.dtype == object else hashlib.sha256(value.tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), numbers]
    if isinstance(value, (list, tuple)):
        return [kind, each(value)]
    if isinstance(value, (set, frozenset)):
        return [kind, sorted(map(repr, value))]
    if isinstance(value, weakref.WeakKeyDictionary):  # a cache
        return kind
    if isinstance(value, Mapping):
        return [kind, each([part for item in sorted(value.items(), key=lambda item: repr(item[0])) for part in item])]
    if isinstance(value, partial):
        return [kind, each([value.func, value.args, value.keywords])]
    if isinstance(value, FunctionType):
        code = value.__code__
        inside = [c for c in code.co_consts if not isinstance(c, CodeType)], code.co_names, value.__defaults__
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [kind, value.__module__, value.__qualname__, code.co_code.hex(), each([*inside, cells])]
    if isinstance(value, Path):
        return [kind, value.name]
    if not hasattr(value, "__dict__") or kind.startswith(("transformers.token", "tokenizers.")):
        return [kind, re.sub(r" at 0x\w+", "", repr(value)) if not hasattr(value, "__dict__") else ""]
    kept = {name: item for name, item in vars(value).items() if _counts(value, name, item)}
    if isinstance(value, nn.Module):
        kept["_buffers"] = {name: buffer for name, buffer in value._buffers.items() if name not in _STATISTICS}
    return [kind, sorted(kept), each([kept[name] for name in sorted(kept)])]


def _counts(owner: Any, name: str, value: Any) -> bool:
    """Whether an attribute says what its owner is."""
    if isinstance(owner, nn.Module) and name in _INTERNALS | _TENSORS:
        return name in _TENSORS
    if name == "progress" or isinstance(getattr(type(owner), name, None), cached_property):
        return False
    return not name.startswith("_") or isinstance(value, (*_PLAIN, tuple, np.generic))
