"""Every kind of transfer on the same labels, beside random weights that train and random weights that rest.

The frozen random weights tell what freezing costs; without them that cost is put down to the source.   Chapter 09
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from metalearn_lib.classification import Classifier, accuracy, fit
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Frozen
from metalearn_lib.errors import check_options
from metalearn_lib.scores import Score
from metalearn_lib.transfer.carry import carry_over

KINDS = ("random weights", "random weights, frozen", "features", "parameters")


def mean_over_draws(scores: Sequence[Score], *, key: Hashable | None = None) -> Score:
    """Several trainings judged on the same texts: their mean text by text, so that the interval is over the texts.

    `key` names the texts where the scores have other keys, such as one for each length to which a text was cut.
    Raises ValueError for no scores, or scores of other numbers of texts.

    >>> print(mean_over_draws([Score.of([0.0, 1.0]), Score.of([1.0, 1.0])]).values)
    [0.5 1. ]

    Chapter: 09
    """
    if not scores or len({len(score.values) for score in scores}) > 1:
        raise ValueError(
            f"mean_over_draws: scores of {[len(score.values) for score in scores]} texts; give one or more, all of "
            "the same texts"
        )
    names = scores[0].key if key is None else (key,)
    return Score.of(np.mean([score.values for score in scores], axis=0), key=names)


def carried(
    sources: Sequence[Classifier],
    target: Corpus,
    test: Corpus,
    *,
    shots: int,
    epochs: int = 15,
    batch_size: int = 16,
    rate: float = 2e-3,
    head_rate: float = 1e-2,
    seed: int = 0,
) -> dict[str, Score]:
    """Accuracy on `test` for each of `KINDS`, learned from `shots` labels a class of `target`.

    There are as many draws of labels as sources: source i, one and the same task trained from another seed, goes with
    draw i, and all kinds learn from the same texts. Scores are means over the draws (`mean_over_draws`). Whole networks
    learn at `rate`, heads on a frozen encoder at `head_rate`. Raises ValueError for no sources.

    Chapter: 09
    """
    check_options("carried", shots=shots)
    if not sources:
        raise ValueError("carried: no sources; give at least one trained classifier")
    found: dict[str, list[Score]] = {kind: [] for kind in KINDS}
    for draw, source in enumerate(sources):
        number = len(sources) * seed + draw
        corpus = target.at_most(shots, seed=number)
        for kind in KINDS:
            how = "structure" if kind.startswith("random") else kind
            model = carry_over(source, corpus.classes, how=how, seed=number)  # type: ignore[arg-type]
            frozen = kind in KINDS[1:3]
            if kind == KINDS[1]:
                model = Classifier(Frozen(model.encoder), corpus.classes, dropout=source.dropout.p, seed=number)
            settings = {"epochs": epochs, "batch_size": batch_size, "seed": number, "progress": False}
            fit(model, corpus, rates=head_rate if frozen else rate, **settings)  # type: ignore[arg-type]
            found[kind].append(accuracy(model, test))
    return {kind: mean_over_draws(scores) for kind, scores in found.items()}
