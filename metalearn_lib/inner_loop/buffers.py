"""Memory that an engine keeps from one call to the next.   Chapter 03

A meta-step makes dozens of tensors of the same shapes as the one before it. Where the C library hands their memory back
to the system in between, each page of it has to be claimed, and filled with zeros, anew.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

LIMIT = 2**26  # bytes that are kept at most: what a larger call works in is let go at its end

New = Callable[..., Tensor]  # shape → a tensor with anything in it
Room = TypeVar("Room")  # what a call works in


class _Kept(NamedTuple, Generic[Room]):
    size: Hashable
    room: Room
    nbytes: int


class Buffers(Generic[Room]):
    """Lends a call the tensors of the call before it, if they have its size; what it returns must be made of others.

    One set of tensors is kept. A call that begins while another has it (threads, hooks) works in tensors of its own,
    and so does one that follows an error. A copy, or what is read back from a file, is empty.
    """

    def __init__(self) -> None:
        self._idle: list[_Kept[Room]] = []  # empty while a call has them

    def __reduce__(self) -> tuple[type[Buffers[Room]], tuple[()]]:
        return Buffers, ()

    @property
    def nbytes(self) -> int:
        """The bytes that are held between calls."""
        return sum(kept.nbytes for kept in self._idle)

    @contextmanager
    def lent(self, size: Hashable, like: Tensor, build: Callable[[New], Room]) -> Iterator[Room]:
        """What `build` makes of tensors with the dtype and on the device of `like`, for the time of one call."""
        size = (size, like.dtype, like.device)
        kept = self._taken()
        if kept is None or kept.size != size:
            kept = _built(size, like, build)
        yield kept.room
        # Other devices have allocators that keep memory, and know which of their streams still works on it.
        if kept.nbytes <= LIMIT and like.device.type == "cpu":
            self._idle[:] = [kept]

    def _taken(self) -> _Kept[Room] | None:
        try:
            return self._idle.pop()  # of several threads, one gets it
        except IndexError:
            return None


def _built(size: Hashable, like: Tensor, build: Callable[[New], Room]) -> _Kept[Room]:
    made: list[Tensor] = []

    def new(*shape: int) -> Tensor:
        made.append(torch.empty(shape, dtype=like.dtype, device=like.device))
        return made[-1]

    with torch.inference_mode(False):  # a later call may be outside that mode
        room = build(new)
    return _Kept(size, room, sum(tensor.nbytes for tensor in made))
