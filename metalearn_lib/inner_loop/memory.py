"""The memory of a computation, counted tensor by tensor: the same number on every machine, unlike a process's size."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_memory(function: Callable[[], object]) -> int:
    """The most bytes that tensors made by `function` held at any one time while it ran.

    A view adds nothing, and neither does what existed before, nor the work space inside an operation. What
    the functional transforms of `torch.func` hold is counted once it reaches an ordinary tensor.   Chapter: 03

    >>> peak_memory(lambda: torch.ones(1000).add_(1).view(10, 100))
    4000
    """
    with _Counter() as counter:
        function()
    return counter.peak


class _Counter(TorchDispatchMode):
    """Sees the result of every operation, those of a backward pass included."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self.seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = {id(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and id(tensor.untyped_storage()) not in given:
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self.seen:
            return
        size = storage.nbytes()
        self.seen.add(storage)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._free, size).atexit = False

    def _free(self, size: int) -> None:
        self.alive -= size
