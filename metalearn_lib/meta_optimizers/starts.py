"""Fresh random weights for many tasks at once.   Chapter 02"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from metalearn_lib.inner_loop import Weights
from metalearn_lib.optimise import seeded


def fresh_weights(model: nn.Module, number: int, *, seed: int) -> Weights:
    """The trainable parameters of `number` newly initialised copies of `model`, stacked [number, …].   Chapter: 02

    Every module draws as its own `reset_parameters` does, on the CPU; the same seed gives the same weights on every
    device, and torch's global generator is left as it was. Raises ValueError for a trained module that cannot be reset.
    """
    # The modules that own trainable parameters, and only those: a frozen encoder may hold a table of word vectors.
    owners = {
        name: copy.deepcopy(module).cpu()
        for name, module in model.named_modules()
        if any(p.requires_grad for p in module.parameters(recurse=False))
    }
    if stiff := [type(m).__name__ for m in owners.values() if not hasattr(m, "reset_parameters")]:
        raise ValueError(f"fresh_weights: {', '.join(stiff)} has no reset_parameters(), so it cannot start afresh")
    found: dict[str, list[Tensor]] = {}
    with seeded(seed):
        for _ in range(number):
            for prefix, module in owners.items():
                module.reset_parameters()  # type: ignore[operator]
                for name, p in module.named_parameters(recurse=False):
                    if p.requires_grad:
                        found.setdefault(f"{prefix}.{name}" if prefix else name, []).append(p.detach().clone())
    names = {name: p.device for name, p in model.named_parameters() if p.requires_grad}
    return {name: torch.stack(found[name]).to(device) for name, device in names.items()}
