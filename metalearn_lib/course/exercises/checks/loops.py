"""Reference and mistakes of "an outer loop": one number learned from task to task, by one gradient step on each.

The answer takes what the exercise says and returns two rows of T numbers: where the number stood after each step, and
the loss before it. A check gives the loss of one task, and where in the inputs tasks, start and rate are.

Chapters 01 and 02
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .core import Function

PARTS = ("the numbers learned", "the losses")
RETURNS = "two rows of T numbers (learned, losses)"


def outer_loop(loss: Function, take: Function, *, knob: str, task: str) -> tuple[Function, dict[str, Function]]:
    """The right loop, and the wrong ones by their cause.

    Args:
        loss: (the number, a task, *inputs) → the loss of this task, differentiable by the number.
        take: inputs → the tasks, the number at the start (a tensor), and the rate of the outer steps.
        knob: what the number is called.
        task: what a task is called.
    """

    def loop(slip: str = "") -> Function:
        def answer(*inputs: Any) -> tuple[Tensor, ...]:
            tasks, start, rate = take(*inputs)
            now, learned, losses, added = start, [], [], torch.zeros_like(start)
            for one in tasks:
                leaf = (start if slip in ("anew", "together") else now).detach().clone().requires_grad_()
                before = loss(leaf, one, *inputs)
                (slope,) = torch.autograd.grad(before, leaf)
                added = added + slope
                step = {"added": added, "signs": slope.sign(), "still": 0 * slope, "up": -slope}.get(slip, slope)
                old, now = now, (start if slip == "anew" else now) - rate * step
                learned.append(old if slip == "early" else now)
                losses.append((loss(now, one, *inputs) if slip == "late" else before).detach())
                if slip == "average":
                    losses[-1] = (losses[-1] + (len(losses) - 1) * losses[-2]) / len(losses) if losses[1:] else before
            if slip == "together":
                learned = [start - rate * added / len(learned)] * len(learned)
            made = torch.stack(learned), torch.stack(losses).detach()
            return made[::-1] if slip == "swapped" else made

        return answer

    slips = {
        "swapped": f"the two are swapped: first the values of {knob}",
        "late": "the losses were noted after the step, not before",
        "early": f"the values of {knob} were noted before the step, not after",
        "still": f"{knob} never moved; take a step after each {task}",
        "up": "the sign: a step goes against the derivative",
        "added": "the derivatives add up: .grad must be emptied before each backward()",
        "anew": f"the next {task} goes on from where this one ended; here each began anew",
        "together": f"this is one step on all of them; take one on each {task}",
        "average": "these are running means of the losses",
        "signs": "the size of the derivative counts, not only its sign",
    }
    return loop(), {cause: loop(slip) for slip, cause in slips.items()}
