"""Several learners vote; how much each counts is meta-learned from a handful of numbers.   Chapter 04"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metalearn_lib.episodes import Episodes
from metalearn_lib.learners.base import Learner, MetaLearner


class Blend(MetaLearner):
    """Weighted sum of the members' logits, one positive weight a member, meta-trained; the members stay as they are.

    Chapter: 04

    A product of experts (Hinton, 2002) with learned exponents. As few numbers as there are members are learned,
    so that even eight training classes cannot lead it astray.
    """

    def __init__(self, members: Sequence[Learner], *, name: str = "blend") -> None:
        super().__init__()
        if len(members) < 2:
            raise ValueError(f"Blend: {len(members)} member; a blend needs at least two")
        self.members = nn.ModuleList(members)
        for member in members:
            member.requires_grad_(False)
        self.name = name
        self.log_weights = nn.Parameter(torch.zeros(len(members)))

    def predict(self, episodes: Episodes) -> Tensor:
        with torch.no_grad():
            votes = torch.stack([member.predict(episodes) for member in self.members])  # type: ignore[operator]  # [V, T, N·Q, N]
        return torch.einsum("v,vtmn->tmn", self.log_weights.exp(), votes)

    def train(self, mode: bool = True) -> Blend:
        super().train(mode)
        self.members.eval()  # no dropout in what is not trained
        return self
