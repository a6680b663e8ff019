"""The same learner, meta-trained several times: what of a result is luck of training?   Chapters 04, 12"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from metalearn_lib.episodes import Sampler
from metalearn_lib.errors import check_options
from metalearn_lib.evaluation import evaluate
from metalearn_lib.learners.base import Learner
from metalearn_lib.optimise import History, seeded
from metalearn_lib.scores import Score
from metalearn_lib.training.checkpoint import checkpoint_path
from metalearn_lib.training.loop import meta_train

AnyLearner = TypeVar("AnyLearner", bound=Learner)


@dataclass(frozen=True)
class Trainings(Generic[AnyLearner]):
    """Learners that differ in the seed of their training alone, and how each training went."""

    seeds: tuple[int, ...]
    learners: list[AnyLearner]
    histories: list[History]

    def score(self, test: Sampler, **options: Any) -> Score:
        """The score over trainings: every learner on the same episodes of `test`; options are those of `evaluate`.

        `>` between two of them is paired where the seeds are the same; against the score of an untrained floor on the
        same episodes, each training is compared with the floor's mean (`Score.over_trainings`, `Score.minus`).
        """
        return Score.over_trainings([evaluate(each, test, **options) for each in self.learners], seeds=self.seeds)


def trainings(
    build: Callable[[], AnyLearner],
    sampler: Callable[[int], Sampler],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    checkpoint: Path | str | None = None,
    **options: Any,
) -> Trainings[AnyLearner]:
    """Build and meta-train a learner once for each seed; `options` are those of `meta_train`.   Chapter: 04

    The seed decides the initial weights (`build` runs with torch's generator at that seed), the episodes (`sampler`
    gets the seed) and what is random while training. `checkpoint` names one file for all; each training gets its own,
    "name-SEED". Torch's global random state is left as it was. Raises ValueError for fewer than two seeds or one that
    stands twice, for a sampler that ignores its seed, and where `build` gives trainable weights to two learners.

    For example `runs = trainings(lambda: Prototypical(Convolutional()), lambda seed: EpisodeSampler(train, seed=seed))`
    and then `runs.score(test) > evaluate(floor, test)`.
    """
    for seed in seeds:
        check_options("trainings", seed=seed)
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise ValueError(f"trainings(seeds={list(seeds)}): give two different seeds or more, or there is no interval")
    samplers = [sampler(seed) for seed in seeds]
    if len({each.key for each in samplers}) < len(seeds):
        raise ValueError(
            "trainings: sampler draws the same episodes for two seeds; use the seed: "
            "sampler=lambda seed: EpisodeSampler(corpus, seed=seed)"
        )
    path = checkpoint_path(checkpoint)
    learners: list[AnyLearner] = []
    for seed in seeds:
        with seeded(seed):
            learners.append(build())
    _check_apart(learners)
    histories = []
    for seed, learner, drawn in zip(seeds, learners, samplers, strict=True):
        own = path and path.with_stem(f"{path.stem}-{seed}")
        histories.append(meta_train(learner, drawn, seed=seed, checkpoint=own, **options))
    return Trainings(tuple(seeds), learners, histories)


def _check_apart(learners: Sequence[Learner]) -> None:
    """Raise ValueError where a trainable weight is part of two learners: the later training would go on from it."""
    weights = [{id(p): name for name, p in each.named_parameters() if p.requires_grad} for each in learners]
    for number, later in enumerate(weights):
        for earlier in weights[:number]:
            if shared := earlier.keys() & later.keys():
                raise ValueError(
                    f"trainings: build gave the trainable weight {later[shared.pop()]!r} to two learners; make the "
                    "learner and its trained parts inside build, so that each training starts afresh"
                )
