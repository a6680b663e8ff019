"""What every few-shot method is: a Learner with the two verbs `predict` and `meta_loss`.   Chapters 03, 04"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metalearn_lib.episodes import Episodes
from metalearn_lib.modules import identity


class NotTrainable(TypeError):
    """A baseline was asked to meta-train."""


class Learner(nn.Module):
    """Adapts to the support sets of a batch of episodes and classifies their queries.

    `predict(episodes)` → logits [T, N·Q, N]. Baselines stop here; methods that learn across tasks derive from
    `MetaLearner` and have a `meta_loss` too.
    """

    name: str = "learner"

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_where", torch.empty(0), persistent=False)

    @property
    def device(self) -> torch.device:
        return self.get_buffer("_where").device

    def predict(self, episodes: Episodes) -> Tensor:
        """Logits [T, N·Q, N] for the queries, after adapting to the support sets."""
        raise NotImplementedError

    def meta_loss(self, episodes: Episodes) -> Tensor:
        """The scalar that meta-training minimises; raises NotTrainable for a baseline."""
        raise NotTrainable(self._refusal)

    @property
    def _refusal(self) -> str:
        return f"{self.name} is a baseline: it learns nothing across tasks. Evaluate it, or train a MetaLearner"

    def check_trainable(self) -> None:
        """Raise NotTrainable, or ValueError where nothing is left to train."""
        if type(self).meta_loss is Learner.meta_loss:
            raise NotTrainable(self._refusal)
        if not any(p.requires_grad for p in self.parameters()):
            raise ValueError(
                f"{self.name} has no trainable parameter; give it a trainable encoder, "
                "e.g. encoders.Projected(encoder, dim=…)"
            )

    def signature(self) -> str:
        """What the learner is, all but the values that train: tells whether a checkpoint belongs to it."""
        return f"{type(self).__name__} {identity(self)}"


class MetaLearner(Learner):
    """A learner whose meta-loss is the cross-entropy of its predictions on the queries, averaged over tasks."""

    def meta_loss(self, episodes: Episodes) -> Tensor:
        """Mean cross-entropy over the T·N·Q queries."""
        return nn.functional.cross_entropy(self.predict(episodes).flatten(0, 1), episodes.query_y.flatten())
