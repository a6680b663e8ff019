"""Every kind of transfer on the same labels, beside random weights that train and random weights that rest.

The frozen random weights tell what freezing costs; without them that cost is put down to the source.   Chapter 09
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from metalearn_lib.classification import Classifier, accuracy, fit
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Frozen
from metalearn_lib.errors import check_options
from metalearn_lib.scores import Score
from metalearn_lib.transfer.carry import How, carry_over

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
    return Score.of(np.mean([score.values for score in scores], axis=0), key=names, over="texts")


def carried(
    sources: Mapping[str, Sequence[Classifier]],
    target: Corpus,
    test: Corpus,
    *,
    shots: int,
    epochs: int = 15,
    batch_size: int = 16,
    rate: float = 2e-3,
    head_rate: float = 1e-2,
    seed: int = 0,
) -> dict[str, dict[str, Score]]:
    """Accuracy on `test` for each source and each of `KINDS`, learned from `shots` labels a class of `target`.

    A source is one task, trained several times; its training i goes with draw i of the labels. All kinds and sources
    learn from the same texts. Scores are means over the draws (`mean_over_draws`). The random weights are the same for
    all sources, in the form of the first. Whole networks learn at `rate`, heads on a frozen encoder at `head_rate`.
    Raises ValueError for no sources, or sources of other numbers of trainings.

    Chapter: 09
    """
    check_options("carried", shots=shots)
    numbers = {len(models) for models in sources.values()}
    if len(numbers) != 1 or 0 in numbers:
        raise ValueError(
            f"carried: trainings of each source: { {name: len(models) for name, models in sources.items()} }; give one "
            "source or more, each trained equally often"
        )
    (draws,) = numbers
    corpora = [target.at_most(shots, seed=draws * seed + draw) for draw in range(draws)]

    def score(models: Sequence[Classifier], kind: str) -> Score:
        frozen, scores = kind in KINDS[1:3], []
        for draw, (source, corpus) in enumerate(zip(models, corpora, strict=True)):
            number = draws * seed + draw
            how: How = "structure" if kind in KINDS[:2] else "features" if kind == KINDS[2] else "parameters"
            model = carry_over(source, corpus.classes, how=how, seed=number)
            if kind == KINDS[1]:
                model = Classifier(Frozen(model.encoder), corpus.classes, dropout=source.dropout.p, seed=number)
            rates = head_rate if frozen else rate
            fit(model, corpus, rates=rates, epochs=epochs, batch_size=batch_size, seed=number, progress=False)
            scores.append(accuracy(model, test))
        return mean_over_draws(scores)

    first = next(iter(sources.values()))
    random = {kind: score(first, kind) for kind in KINDS[:2]}
    return {name: random | {kind: score(models, kind) for kind in KINDS[2:]} for name, models in sources.items()}
