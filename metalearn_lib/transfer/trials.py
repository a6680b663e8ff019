"""Every kind of transfer on the same labels, beside random weights that train and random weights that rest.

The frozen random weights tell what freezing costs; without them that cost is put down to the source.   Chapter 09
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.classification import Classifier, accuracy, fit
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Encoder
from metalearn_lib.errors import check_options
from metalearn_lib.modules import evaluating
from metalearn_lib.scores import Score
from metalearn_lib.transfer.carry import How, carry_over

KINDS = ("random weights", "random weights, frozen", "features", "parameters")
SHORT = "features, short head"


def frozen_vectors(encoder: Encoder, corpus: Corpus, *, batch: int = 256) -> Tensor:
    """Vectors [n, D] of a corpus, without gradients or dropout; texts of like length are encoded together.

    What the encoder prepares of a corpus is kept, and goes along with its copies: several encoders that were copied
    from one that has prepared it read the texts once.

    Chapter: 09
    """
    with evaluating(encoder):
        prepared = encoder.inputs(corpus)
        padded = encoder.padding is not None
        order = (prepared > 0).flatten(1).sum(1).argsort() if padded else torch.arange(len(prepared))
        found = [encoder.encode(encoder.trimmed(prepared[rows])) for rows in order.split(batch)]
    return torch.cat(found)[order.argsort()]


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
    strength: float | None = None,
    seed: int = 0,
) -> dict[str, dict[str, Score]]:
    """Accuracy on `test` for each source and each of `KINDS`, learned from `shots` labels a class of `target`.

    A source is one task, trained several times; its training i goes with draw i of the labels. All kinds and sources
    learn from the same texts. Scores are means over the draws (`mean_over_draws`). The random weights are the same for
    all sources, in the form of the first. Whole networks learn at `rate`, heads on a frozen encoder at `head_rate`.
    With `strength`, a head on a frozen encoder is instead fitted to its end: logistic regression of that strength on
    standardised vectors; the kind "features, short head" then has the head of `epochs` passes.
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

    def trained(model: Classifier, corpus: Corpus, at: float, number: int) -> Score:
        fit(model, corpus, rates=at, epochs=epochs, batch_size=batch_size, seed=number, progress=False)
        return accuracy(model, test)

    def one_draw(source: Classifier, corpus: Corpus, number: int, how: How) -> dict[str, Score]:
        """The same weights twice: in an encoder that trains, and in one that rests"""
        learns, rests = ("parameters", "features") if how == "parameters" else KINDS[:2]
        source.encoder.inputs(test)  # goes along with all copies
        model = carry_over(source, corpus.classes, how=how, seed=number)
        read = {part: frozen_vectors(model.encoder, part) for part in (corpus, test)}
        head = Classifier(_Read(read), corpus.classes, dropout=source.dropout.p, seed=number)
        found = {}
        if strength is None:
            found[rests] = trained(head, corpus, head_rate, number)
        else:
            found[rests] = _fitted(read, corpus, test, strength)
            if how == "parameters":
                found[SHORT] = trained(head, corpus, head_rate, number)
        found[learns] = trained(model, corpus, rate, number)
        return found

    def scores(models: Sequence[Classifier], how: How) -> dict[str, Score]:
        found = [one_draw(models[i], corpora[i], draws * seed + i, how) for i in range(draws)]
        return {kind: mean_over_draws([scores[kind] for scores in found]) for kind in found[0]}

    random = scores(next(iter(sources.values())), "structure")
    found = {name: random | scores(models, "parameters") for name, models in sources.items()}
    return {name: {kind: rows[kind] for kind in (*KINDS, SHORT) if kind in rows} for name, rows in found.items()}


class _Read(Encoder):
    """What a frozen encoder has made of some corpora."""

    def __init__(self, vectors: Mapping[Corpus, Tensor]) -> None:
        super().__init__()
        self.vectors, self.dim = vectors, next(iter(vectors.values())).shape[1]

    def inputs(self, pool: Corpus) -> Tensor:
        return self.vectors[pool]


def _fitted(vectors: Mapping[Corpus, Tensor], corpus: Corpus, test: Corpus, strength: float) -> Score:
    """A head trained to its end; each number of the vectors has mean 0 and deviation 1 on the labelled texts."""
    from sklearn.linear_model import LogisticRegression

    mean, deviation = vectors[corpus].mean(0), vectors[corpus].std(0) + 1e-6
    model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
    model.fit((vectors[corpus] - mean) / deviation, corpus.labels)
    return accuracy(model.predict((vectors[test] - mean) / deviation).tolist(), test)
