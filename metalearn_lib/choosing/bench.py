"""What a recipe works with: the training and validation classes of one split, and the parts that recipes share.

A recipe sees the training classes; the validation classes stop its training and choose its settings. No recipe looks at
a test class.   Chapter 12
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from metalearn_lib.choosing.shots import AnyShots
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Encoder
from metalearn_lib.learners import Learner
from metalearn_lib.optimise import seeded
from metalearn_lib.training import meta_train

_Made = TypeVar("_Made")
_Trained = TypeVar("_Trained", bound=Learner)
_Settings = ParamSpec("_Settings")
VALID_QUERIES = 10


@dataclass(frozen=True, eq=False)
class Bench:
    """The classes that a recipe may know, a pretrained encoder, and the parts that several recipes share."""

    train: Corpus
    valid: Corpus | None
    encoder: Encoder | None = None
    quick: bool = False  # hardly any training
    _parts: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def once(
        self,
        make: Callable[Concatenate[Bench, _Settings], _Made],
        *settings: _Settings.args,
        **named: _Settings.kwargs,
    ) -> _Made:
        """`make(self, …)`; made (and trained, where `make` trains) at the first call, then kept."""
        key = (make, settings, *named.items())
        if key not in self._parts:
            self._parts[key] = make(self, *settings, **named)
        return self._parts[key]  # type: ignore[no-any-return]


def trained(
    bench: Bench,
    build: Callable[[], _Trained],
    *,
    n_way: int = 5,
    n_query: int = 10,
    steps: int = 600,
    tasks: int = 4,
    rates: Sequence[float] = (1e-3,),
) -> _Trained:
    """The learner that `build` makes at seed 0, meta-trained on the training classes at 1 … 5 shots in turn.

    The validation classes say which step was best and, of several `rates`, which rate. Classes with too few texts for
    an episode are left out. Raises ValueError where fewer than two classes are left.
    """
    known = bench.train.min_size(5 + n_query)
    if len(known.classes) < 2:
        raise ValueError(
            f"{bench.train.name!r}: {len(known.classes)} classes have {5 + n_query} texts; meta-training needs two"
        )
    sampler = AnyShots(known, block=tasks, n_way=n_way, n_query=n_query, seed=1)
    unseen = bench.valid.min_size(5 + VALID_QUERIES) if bench.valid is not None else None
    valid = None
    if unseen is not None and len(unseen.classes) >= 2:
        valid = AnyShots(unseen, block=50, n_way=5, n_query=VALID_QUERIES, seed=2, shots=(1, 5))
    best, reached = None, -1.0
    for lr in rates:
        with seeded(0):
            learner = build()
            history = meta_train(
                learner, sampler, valid=valid, steps=20 if bench.quick else steps, tasks_per_step=tasks, lr=lr,
                validate_every=100, valid_episodes=100, patience=2, progress=False,
            )  # fmt: skip
        score = max(history.valid_scores, default=0.0)
        if score > reached:
            best, reached = learner, score
    assert best is not None
    return best
