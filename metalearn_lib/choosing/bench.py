"""What a recipe works with: one split of one corpus, meta-training on it, and the choice of a blend's weights.

A recipe sees the training classes; the validation classes stop its training and choose its weights. No recipe looks at
a test class.   Chapter 12
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeVar

import torch

from metalearn_lib.choosing.settings import Setting
from metalearn_lib.choosing.shots import AnyShots
from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.learners import Blend, Learner
from metalearn_lib.training import meta_train

_Made = TypeVar("_Made")
_Trained = TypeVar("_Trained", bound=Learner)


@dataclass(frozen=True, eq=False)
class Bench:
    """The training and validation classes of one split, and the parts that several recipes share."""

    setting: Setting
    train: Corpus
    valid: Corpus
    quick: bool = False  # hardly any training
    _parts: dict[Callable[[Bench], Any], Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, make: Callable[[Bench], _Made]) -> _Made:
        """`make(self)`; made (and trained, where `make` trains) at the first call, then kept."""
        if make not in self._parts:
            self._parts[make] = make(self)
        return self._parts[make]


def trained(
    bench: Bench,
    build: Callable[[], _Trained],
    *,
    n_way: int = 5,
    n_query: int = 10,
    steps: int = 600,
    tasks: int = 4,
    lr: float = 1e-3,
) -> _Trained:
    """The learner that `build` makes at seed 0, meta-trained on the training classes at 1 … 5 shots in turn.

    The validation classes say which step was best, unless they are the training classes.
    """
    sampler = AnyShots(bench.train, block=tasks, n_way=n_way, n_query=n_query, seed=1)
    unseen = bench.valid is not bench.train
    valid = AnyShots(bench.valid, block=50, n_way=5, n_query=10, seed=2, shots=(1, 5)) if unseen else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        learner = build()
        meta_train(
            learner, sampler, valid=valid, steps=20 if bench.quick else steps, tasks_per_step=tasks, lr=lr,
            validate_every=100, valid_episodes=100, patience=2, progress=False,
        )  # fmt: skip
    return learner


def blend(bench: Bench, build: Callable[[Bench], Sequence[Learner]], *grid: Sequence[float]) -> tuple[Learner, str]:
    """The members that `build` makes, with the weights of `grid` that do best on classes unknown to them, and a note.

    The first member's weight is 1; `grid` has the choices for each of the others.
    """
    choices = list(product([1.0], *grid))
    hits = dict.fromkeys(choices, 0.0)
    for judge, corpus in judges(bench):
        members = [member.eval() for member in build(judge)]
        for k_shot in (1, 5):
            episodes = EpisodeSampler(corpus, k_shot=k_shot, seed=3).sample(20 if bench.quick else 200)
            with torch.no_grad():
                votes = torch.stack([member.predict(episodes) for member in members])  # [members, T, N·Q, N]
            for weights in choices:
                answers = torch.einsum("v,v...->...", torch.tensor(weights), votes).argmax(-1)
                hits[weights] += float((answers == episodes.query_y).double().mean())
    best = max(choices, key=hits.__getitem__)
    members = list(build(bench))
    note = " + ".join(f"{weight:g} {member.name}" for weight, member in zip(best, members, strict=True))
    where = "leaving groups out" if bench.setting.folds else "on validation classes"
    return Blend(members, weights=best), f"{note}; weights chosen {where}"


def judges(bench: Bench) -> list[tuple[Bench, Corpus]]:
    """Benches, and classes unknown to them, on which the weights of a blend are chosen."""
    if not bench.setting.folds:
        return [(bench, bench.valid)]
    known = with_validation(bench)
    groups = [[label for label in known.classes if label.startswith(fold)] for fold in bench.setting.folds]
    return [
        (
            Bench(bench.setting, known.only(group), bench.valid, quick=bench.quick),
            known.only(label for label in known.classes if label not in group),
        )
        for group in groups
    ]


def with_validation(bench: Bench) -> Corpus:
    """Training and validation classes as one corpus."""
    train, valid = bench.train, bench.valid
    return Corpus(f"{train.name}+valid", [*train.texts, *valid.texts], [*train.labels, *valid.labels])
