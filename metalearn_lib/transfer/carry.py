"""What is carried from a source classifier to new classes: its parameters, its features, or its structure.

After Pan and Yang (2010), who tell transfer of parameters from that of features.   Chapter 09
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

from torch import nn

from metalearn_lib.classification import Classifier
from metalearn_lib.encoders import Frozen
from metalearn_lib.optimise import seeded

How = Literal["parameters", "features", "structure"]


def carry_over(
    source: Classifier, classes: Sequence[str], *, how: How = "parameters", dropout: float | None = None, seed: int = 0
) -> Classifier:
    """A classifier for new classes, made from a trained one, which stays as it was; the head is always new.

    `how`: "parameters" starts from the source's encoder and trains it further; "features" freezes it, so that each
    text is encoded once; "structure" takes its form alone, with weights drawn anew from `seed`. `dropout` is that of
    the source unless given. Raises ValueError for another `how`, or a layer that does not know how to start anew.

    >>> from metalearn_lib.encoders import Identity, Projected
    >>> source = Classifier(Projected(Identity(4), dim=3), ["ham", "spam"])
    >>> carry_over(source, ["sport", "science", "art"], how="features").head
    Linear(in_features=3, out_features=3, bias=True)

    Chapter: 09
    """
    if how not in ("parameters", "features", "structure"):
        raise ValueError(f"carry_over(how={how!r}): use 'parameters', 'features' or 'structure'")
    # What is no part of a checkpoint, such as 80 MB of word vectors, never changes: source and copy share it.
    stored = set(source.encoder.state_dict())
    memo = {id(buffer): buffer for name, buffer in source.encoder.named_buffers() if name not in stored}
    encoder = copy.deepcopy(source.encoder, memo)
    if how == "features":
        encoder = Frozen(encoder)
    elif how == "structure":
        _restart(encoder, seed)
    return Classifier(encoder, classes, dropout=source.dropout.p if dropout is None else dropout, seed=seed)


def _restart(encoder: nn.Module, seed: int) -> None:
    """Draw the weights of all layers anew, as their own `reset_parameters` does it."""
    with seeded(seed):
        for name, module in encoder.named_modules():
            if next(module.parameters(recurse=False), None) is None:
                continue
            if not hasattr(module, "reset_parameters"):
                raise ValueError(
                    f"carry_over(how='structure'): {type(module).__name__} ({name or 'the encoder itself'}) has "
                    "weights but no reset_parameters(); build a new encoder of that form yourself"
                )
            module.reset_parameters()
