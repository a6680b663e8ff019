"""An encoder and a head as one model, so that gradient descent can adapt either or both.   Chapter 03"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from metalearn_lib.encoders import Encoder, Frozen
from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import check_options


class TextModel(nn.Sequential):
    """Texts → encoder → head: prepared texts [M, …] to outputs [M, N]; parameters "encoder. …" and "head. …".

    An encoder that trains nothing encodes each text of a corpus once and keeps the vector.   Chapter: 03
    """

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        if not any(p.requires_grad for p in encoder.parameters()) and not isinstance(encoder, Frozen):
            encoder = Frozen(encoder)
        super().__init__(OrderedDict(encoder=encoder, head=head))

    def inputs(self, episodes: Episodes) -> tuple[Tensor, Tensor]:
        """Prepared support [T, N·K, …] and query [T, N·Q, …] texts of the episodes."""
        encoder = self[0]
        assert isinstance(encoder, Encoder)
        if episodes.pool is None:
            return episodes.support_x, episodes.query_x
        prepared = encoder.inputs(episodes.pool)
        return encoder.trimmed(prepared[episodes.support_x]), encoder.trimmed(prepared[episodes.query_x])


def inputs_of(model: nn.Module, episodes: Episodes) -> tuple[Tensor, Tensor]:
    """Support and query inputs [T, ·, …] as `model` reads them; raises ValueError where it cannot read texts."""
    if isinstance(model, TextModel):
        return model.inputs(episodes)
    if episodes.pool is not None:
        raise ValueError(
            f"{type(model).__name__} reads tensors, these episodes hold texts; give TextModel(encoder, head)"
        )
    return episodes.support_x, episodes.query_x


def mlp(dim: int, hidden: int, out: int) -> nn.Sequential:
    """The small head of the gradient-based chapters: Linear, ReLU, Linear.   Chapter: 03

    >>> mlp(50, 64, 5)[2]
    Linear(in_features=64, out_features=5, bias=True)
    """
    check_options("mlp", dim=dim, hidden=hidden, out=out)
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, out))
