"""Which shape of a blend does best on classes that its members do not know.   Chapter 12

A shape is a choice of members, each with its weight. Members vote once on every validation episode; then a shape costs
a sum.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.choosing.bench import Bench
from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.learners import Blend, Learner
from metalearn_lib.modules import evaluating
from metalearn_lib.scores import Score

SHOTS = (1, 5)
FEW_CLASSES = 10  # with fewer validation classes, the training classes take turns with them

View = tuple[Callable[..., Learner], tuple[object, ...]]  # makes a member from a bench and these settings
Shape = tuple[tuple[View, float], ...]  # members and their weights


class Chosen(Blend):
    """A blend that knows how it was chosen.

    `validation`: its accuracy on the validation episodes it was chosen on, the best of `tried` shapes and so flattered;
    `tied`: how many of the others the validation episodes cannot tell from it (paired, 95 %).   Chapter: 12
    """

    def __init__(self, members: Sequence[Learner], weights: Sequence[float], hits: np.ndarray, best: int) -> None:
        super().__init__(members, weights=weights)
        self.validation, self.tried = Score.of(hits[best]), len(hits)
        self.tied = sum(Score.of(hits[best] - other).low <= 0 for other in np.delete(hits, best, axis=0))
        self.name = " + ".join(f"{w:g} {member.name}" for w, member in zip(weights, members, strict=True))

    def __str__(self) -> str:
        return (
            f"{self.name}; on validation classes {self.validation}, the best of {self.tried:,} shapes, "
            f"{self.tied:,} of which the validation episodes cannot tell from it"
        )


def choose(bench: Bench, shapes: Callable[[Bench], Iterable[Shape]], *, episodes: int = 400, seed: int = 0) -> Chosen:
    """Of the shapes that a bench offers, the one with the best mean accuracy at 1 and 5 shots on validation classes.

    With fewer than ten validation classes, each half of the training classes takes its turn as such, too, so that no
    choice hangs on a handful of them. Without any, a third of the training classes, drawn with `seed`, stands in, and
    the members are then made from all of them. Of equals the first shape wins. Raises ValueError where either side has
    fewer than two classes, or a class with a single text.
    """
    judging = bench if bench.valid is not None else _held_out(bench, seed)
    assert judging.valid is not None
    for corpus in (judging.train, judging.valid):
        _check(corpus)
    offered = list(shapes(judging))
    views = list(dict.fromkeys(view for shape in offered for view, _ in shape))
    episodes = 20 if bench.quick else episodes
    juries = [jury for judge, corpus in judges(judging) for jury in _juries(judge, corpus, views, episodes)]
    hits = np.stack([np.concatenate([jury.hits(shape) for jury in juries]) for shape in offered])  # [shapes, episodes]
    best = int(hits.mean(1).argmax())
    members = [bench.once(make, *settings) for (make, settings), _ in offered[best]]
    return Chosen(members, [weight for _, weight in offered[best]], hits, best).eval()


def judges(bench: Bench) -> list[tuple[Bench, Corpus]]:
    """Benches, and classes unknown to them, on which shapes are compared.

    A half of the training classes that takes its turn is a run of names in alphabetical order: what is named alike
    (`sci.med`, `sci.space`) is often alike, and leaving it out together is as hard as the test will be.
    """
    assert bench.valid is not None
    found = [(bench, bench.valid)]
    classes = bench.train.classes
    if len(bench.valid.classes) < FEW_CLASSES and len(classes) >= 4:
        middle = len(classes) // 2
        found += [bench.once(_turn, *half) for half in (classes[:middle], classes[middle:])]
    return found


def _turn(bench: Bench, *judging: str) -> tuple[Bench, Corpus]:
    """These training classes judge, the others and the validation classes are known."""
    assert bench.valid is not None
    train, valid = bench.train.only([c for c in bench.train.classes if c not in judging]), bench.valid
    known = Corpus(f"{train.name}+valid", [*train.texts, *valid.texts], [*train.labels, *valid.labels])
    return Bench(known, None, bench.encoder, quick=bench.quick), bench.train.only(judging)


def _held_out(bench: Bench, seed: int) -> Bench:
    """The bench with a third of its training classes, at least two, as validation classes."""
    classes = bench.train.classes
    if len(classes) < 4:
        raise ValueError(
            f"{bench.train.name!r} has {len(classes)} classes, and there are no validation classes: of four or more a "
            "third would stand in for them; give valid=, or more classes"
        )
    drawn = set(random.Random(seed).sample(classes, max(2, len(classes) // 3)))
    known = bench.train.only([label for label in classes if label not in drawn])
    return Bench(known, bench.train.only(sorted(drawn)), bench.encoder, quick=bench.quick)


class _Jury(NamedTuple):
    """Episodes from classes that the members do not know: each member's votes [E, M, N] on them, the truth [E, M]."""

    votes: dict[View, Tensor]
    truth: Tensor

    def hits(self, shape: Shape) -> np.ndarray:
        """The share of right answers in each episode [E]."""
        first, *others = shape
        total = first[1] * self.votes[first[0]]
        for view, weight in others:
            total.add_(self.votes[view], alpha=weight)
        return (total.argmax(-1) == self.truth).double().mean(1).numpy()


def _juries(bench: Bench, corpus: Corpus, views: Sequence[View], episodes: int) -> list[_Jury]:
    """One for each number of shots for which the classes have texts enough."""
    ways, fewest = min(5, len(corpus.classes)), min(corpus.counts().values())
    found = []
    for k_shot in (k for k in SHOTS if k < fewest):
        sampler = EpisodeSampler(corpus, n_way=ways, k_shot=k_shot, n_query=min(15, fewest - k_shot), seed=3)
        drawn, votes = sampler.sample(episodes), {}
        for make, settings in views:
            member = bench.once(make, *settings)
            with evaluating(member), torch.no_grad():
                votes[make, settings] = member.predict(drawn)
        found.append(_Jury(votes, drawn.query_y))
    return found


def _check(corpus: Corpus) -> None:
    counts = corpus.counts()
    if len(counts) < 2:
        raise ValueError(f"{corpus.name!r} has {len(counts)} classes; choosing needs two or more on either side")
    if single := [label for label, number in counts.items() if number < 2]:
        raise ValueError(
            f"{corpus.name!r} has one text of {single[0]!r}; every class needs two: see corpus.min_size(2)"
        )
