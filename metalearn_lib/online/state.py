"""What a learner of a stream has become, as named arrays: saved, and resumed to go on as if nothing had happened."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

Array = np.ndarray


class Stateful:
    """An object whose arrays and random generators are its state, and whose plain values are its settings.

    Attributes that are arrays count, and those of parts that are `Stateful`. Counters are arrays of no dimension.
    """

    def state(self) -> dict[str, Array]:
        """Copies of all arrays by the path of their attribute; a generator as six whole numbers."""
        found: dict[str, Array] = {}
        for name, value in vars(self).items():
            if isinstance(value, Stateful):
                found |= {f"{name}.{inner}": array for inner, array in value.state().items()}
            elif isinstance(value, np.ndarray):
                found[name] = value.copy()
            elif isinstance(value, np.random.Generator):
                found[name] = _numbers(value)
        return found

    def restore(self, state: dict[str, Array]) -> Self:
        """Take over a state; raises ValueError, and takes nothing, where names or shapes are not those of this one."""
        own = self.state()
        for name in sorted({*own, *state}):
            shapes = [tables[name].shape if name in tables else "absent" for tables in (state, own)]
            if shapes[0] != shapes[1]:
                raise ValueError(f"{name} is {shapes[0]} in the saved state, {shapes[1]} here; build the same learner")
        self._take(state)
        return self

    def settings(self) -> dict[str, Any]:
        """The plain values that say what this is, those of its parts included, and the class."""
        found: dict[str, Any] = {"class": type(self).__name__}
        for name, value in vars(self).items():
            if isinstance(value, Stateful):
                found |= {f"{name}.{inner}": setting for inner, setting in value.settings().items()}
            elif isinstance(value, (bool, int, float, str, type(None))):
                found[name] = value
        return found

    def _take(self, state: dict[str, Array]) -> None:
        for name, value in vars(self).items():
            if isinstance(value, Stateful):
                head = f"{name}."
                value._take({key.removeprefix(head): part for key, part in state.items() if key.startswith(head)})
            elif isinstance(value, np.ndarray):
                value[...] = state[name]
            elif isinstance(value, np.random.Generator):
                _set_numbers(value, state[name])


_HALF = 1 << 64


def _numbers(generator: np.random.Generator) -> Array:
    """The state of a PCG64 generator, [6] int64: two numbers of 128 bits in halves, and what is left of a draw."""
    whole: Any = generator.bit_generator.state
    inner = whole["state"]
    halves = [half for name in ("state", "inc") for half in divmod(inner[name], _HALF)]
    return np.array([*halves, whole["has_uint32"], whole["uinteger"]], np.uint64).view(np.int64)


def _set_numbers(generator: np.random.Generator, numbers: Array) -> None:
    a, b, c, d, has_rest, rest = (int(number) for number in np.asarray(numbers, np.int64).view(np.uint64))
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": a * _HALF + b, "inc": c * _HALF + d},
        "has_uint32": has_rest,
        "uinteger": rest,
    }
