"""Causes narrowed down: only a mistake is named that was right wherever the learner's answer was.

Several mistakes may give the same wrong result in one case. Those that had failed an earlier case, or an earlier part
of a tuple, cannot be the learner's, whose answer passed them.

Chapters 08 and 09
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from .core import Answer, Function


class Narrowed:
    """An answer whose `expect` remembers the cases that it passed."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._passed: list[tuple[Any, ...]] = []

    def expect(self, given: str, *inputs: Any, hint: int | Sequence[int]) -> Sequence[str]:
        """As `Answer.expect`."""
        check = self._answer.check
        mistakes = {cause: partial(self._where_possible, mistake) for cause, mistake in check.mistakes.items()}
        parts = Answer(self._answer.value, replace(check, mistakes=mistakes)).expect(given, *inputs, hint=hint)
        self._passed.append(copy.deepcopy(inputs))
        return parts

    def _where_possible(self, mistake: Function, *inputs: Any) -> Any:
        """What the mistake gives, with NaN for each part after one that is wrong.

        Raises ValueError for a mistake that was wrong in a case that the answer passed, which leaves it out.
        """
        for earlier in self._passed:
            if not all(self._right_parts(mistake, earlier)[1]):
                raise ValueError("the learner's answer was right there")
        made, right = self._right_parts(mistake, inputs)
        if not isinstance(made, tuple):
            return made
        return tuple(
            part if all(right[:place]) else torch.full_like(torch.as_tensor(part, dtype=torch.float64), torch.nan)
            for place, part in enumerate(made)
        )

    def _right_parts(self, mistake: Function, inputs: tuple[Any, ...]) -> tuple[Any, list[bool]]:
        check = self._answer.check
        assert check.reference is not None
        made, wanted = mistake(*copy.deepcopy(inputs)), check.reference(*copy.deepcopy(inputs))
        pairs = zip(made, wanted, strict=True) if isinstance(wanted, tuple) else [(made, wanted)]
        return made, [_alike(*pair, check.tolerance) for pair in pairs]


def _alike(made: Any, wanted: Any, tolerance: float) -> bool:
    a, b = (torch.as_tensor(value).detach().double() for value in (made, wanted))
    return a.shape == b.shape and bool(torch.allclose(a, b, rtol=tolerance, atol=tolerance))
