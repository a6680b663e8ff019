"""Several learners vote; how much each counts is learned from classes that none of them has seen.   Chapter 04"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from metalearn_lib.episodes import Episodes, EpisodeSampler
from metalearn_lib.learners.base import Learner, MetaLearner
from metalearn_lib.modules import evaluating, identity, untrained

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus


class Blend(MetaLearner):
    """Weighted sum of the members' logits, one positive weight a member; the members stay as they are.

    A product of experts (Hinton, 2002) with learned exponents. As few numbers as there are members are learned, so
    that even eight training classes cannot lead it far astray.   Chapter: 04
    """

    def __init__(self, members: Sequence[Learner], *, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        start = torch.ones(len(members)) if weights is None else torch.tensor([float(w) for w in weights])
        if not members or len(start) != len(members) or not bool((start > 0).all()):
            raise ValueError(
                f"Blend: {len(members)} members, weights {weights}; need one or more, one positive weight each"
            )
        self.members = nn.ModuleList(members)
        self.name = " + ".join(member.name for member in members)
        self.log_weights = nn.Parameter(start.log())

    def predict(self, episodes: Episodes) -> Tensor:
        return self._sum(self._votes(episodes))

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The weights of the members, not what is inside them: that trains elsewhere, or no more."""
        return super().named_parameters(prefix, recurse=False, remove_duplicate=remove_duplicate)

    def train(self, mode: bool = True) -> Blend:
        self.training = mode  # the members keep their own mode; they vote without dropout
        return self

    def signature(self) -> str:
        return " ".join([super().signature(), *(identity(untrained(member)) for member in self.members)])

    @classmethod
    def cross_fitted(
        cls,
        build: Callable[[Corpus], Sequence[Learner]],
        corpus: Corpus,
        groups: Sequence[Sequence[str]],
        *,
        k_shots: Sequence[int] = (1, 5),
        episodes: int = 100,
        seed: int = 0,
    ) -> Blend:
        """Members made from all of `corpus`, weights from members that did not know the classes they were weighed on.

        For each group of classes: `build` makes members from that group alone, and they vote on `episodes` episodes of
        every k in `k_shots` from all other classes. The weights minimise the cross-entropy of all these votes (a convex
        problem in the weights). Members that learn from labels look better on their own classes than on new ones:
        weights from the same classes would trust them too much.
        """
        if len(groups) < 2 or len({label for group in groups for label in group}) != sum(map(len, groups)):
            raise ValueError(f"Blend.cross_fitted: {len(groups)} groups; need two or more that share no class")
        votes, truths = [], []
        for group in groups:
            others = corpus.only([label for other in groups if other is not group for label in other])
            judges = cls(build(corpus.only(group))).eval()
            for k in k_shots:
                sampler = EpisodeSampler(others, n_way=min(5, len(others.classes)), k_shot=k, n_query=5, seed=seed)
                for first in range(0, episodes, 50):
                    drawn = sampler.sample(min(50, episodes - first), first=first)
                    votes.append(judges._votes(drawn).flatten(1, 2))  # [V, T·N·Q, N]
                    truths.append(drawn.query_y.flatten())
        blend = cls(build(corpus))
        blend._fit(torch.cat(votes, 1), torch.cat(truths))
        return blend.eval()

    def _votes(self, episodes: Episodes) -> Tensor:
        """Logits of each member, [V, T, N·Q, N]."""
        with evaluating(self.members):
            return torch.stack([member.predict(episodes) for member in self.members])  # type: ignore[operator]

    def _sum(self, votes: Tensor) -> Tensor:
        return torch.einsum("v,v...->...", self.log_weights.exp(), votes)

    def _fit(self, votes: Tensor, truth: Tensor) -> None:
        optimizer = torch.optim.LBFGS([self.log_weights], max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            value = nn.functional.cross_entropy(self._sum(votes), truth) + 1e-4 * self.log_weights.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
