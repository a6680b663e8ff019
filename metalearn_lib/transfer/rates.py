"""ULMFiT's three rules of careful fine-tuning (Howard and Ruder, 2018): how fast which layer learns, and from when.

They are parameter groups and a schedule for `classification.fit`: `fit(…, rates=gradual(classifier, 1e-3),
schedule=slanted_triangular())`.   Chapter 09
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from metalearn_lib.classification import Classifier
from metalearn_lib.errors import check_options


def layer_groups(classifier: Classifier) -> list[list[nn.Parameter]]:
    """The trainable parameters from the top down: the head, then the encoder's layers, the one next to the text last.

    A layer is an entry of an encoder's lists of layers, or else one of its modules; numbers that belong to no module
    go with the lowest layer. Raises ValueError where nothing is trainable.   Chapter: 09
    """
    groups = [list(classifier.head.parameters())]
    groups += [list(layer.parameters()) for layer in reversed(_stack(classifier.encoder))]
    seen = {parameter for group in groups for parameter in group}
    groups[-1] += [parameter for parameter in classifier.encoder.parameters() if parameter not in seen]
    wanted = [[parameter for parameter in group if parameter.requires_grad] for group in groups]
    if not any(wanted):
        raise ValueError("layer_groups: nothing to train, all parameters are frozen; call requires_grad_(True) on some")
    return [group for group in wanted if group]


def discriminative(classifier: Classifier, rate: float, *, decay: float = 2.6) -> list[dict[str, Any]]:
    r"""One rate a layer, $\eta^{l-1}=\eta^l/2.6$ (Howard and Ruder, 2018, section 3.2); the head learns at `rate`.

    >>> from metalearn_lib.encoders import Identity, Projected
    >>> classifier = Classifier(Projected(Identity(4), dim=3), ["ham", "spam"])
    >>> [group["lr"] for group in discriminative(classifier, 0.26, decay=2.6)]
    [0.26, 0.1]

    Chapter: 09
    """
    check_options("discriminative", rate=rate)
    if decay < 1:
        raise ValueError(f"discriminative(decay={decay}): must be ≥ 1; at 1 all layers learn at one rate")
    return [{"params": group, "lr": rate / decay**depth} for depth, group in enumerate(layer_groups(classifier))]


def gradual(classifier: Classifier, rate: float, *, decay: float = 2.6, every: int = 1) -> list[dict[str, Any]]:
    """Discriminative rates, and a layer more wakes every `every` epochs, the head first (section 3.3).   Chapter: 09"""
    check_options("gradual", every=every)
    groups = discriminative(classifier, rate, decay=decay)
    return [{**group, "from_epoch": depth * every} for depth, group in enumerate(groups)]


def slanted_triangular(*, cut: float = 0.1, ratio: float = 32) -> Callable[[float], float]:
    r"""A factor on every rate: up from 1/`ratio` to 1 in the first share `cut` of training, then slowly down again.

    With $t$ the share that is done, $p=t/c$ for $t<c$ and $p=1-(t-c)/(1-c)$ after it, the factor is
    $(1+p\,(r-1))/r$ (section 3.2, equation 3).

    >>> factor = slanted_triangular(cut=0.1, ratio=32)
    >>> factor(0) == 1 / 32, factor(0.1), factor(1.0) == 1 / 32
    (True, 1.0, True)

    Chapter: 09
    """
    if not 0 < cut < 1 or ratio < 1:
        raise ValueError(f"slanted_triangular(cut={cut}, ratio={ratio}): need 0 < cut < 1 and ratio ≥ 1")

    def factor(done: float) -> float:
        share = done / cut if done < cut else 1 - (done - cut) / (1 - cut)
        return (1 + share * (ratio - 1)) / ratio

    return factor


def _stack(module: nn.Module) -> list[nn.Module]:
    """The layers of an encoder from the text upwards: lists are opened, a module that only holds others too."""
    layers: list[nn.Module] = []
    for child in module.children():
        holds_list = any(isinstance(part, nn.ModuleList) and len(part) > 1 for part in child.modules())
        is_language_model = hasattr(child, "embedding") and hasattr(child, "body")  # each of them is a layer
        if isinstance(child, nn.ModuleList):
            layers += child
        elif holds_list or is_language_model:
            layers += _stack(child)
        else:
            layers.append(child)
    return [layer for layer in layers if next(layer.parameters(), None) is not None]
