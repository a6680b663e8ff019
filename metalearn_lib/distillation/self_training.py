"""Self-training: the student is its own teacher, on the texts that it is surest of.   Chapter 08

Yarowsky (1995), "Unsupervised word sense disambiguation rivaling supervised methods".
"""

from __future__ import annotations

from collections.abc import Callable

from metalearn_lib.classification import Classifier, fit
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation.soft_targets import check_pool
from metalearn_lib.distillation.teachers import Teacher
from metalearn_lib.errors import check_options


def pseudo_labelled(teacher: Teacher, pool: Corpus, *, keep: float = 1.0) -> Corpus:
    """The texts of the pool with the teacher's most likely class as label; `keep` is the share it is surest of.

    Of each class predicted the surest `keep` stay, so that one easy class cannot crowd out the others. The labels of
    the pool are not looked at. Raises ValueError for an empty pool or a `keep` outside 0 … 1.   Chapter: 08
    """
    check_pool(pool, "pseudo_labelled")
    _check_share(keep, "pseudo_labelled")
    sure, best = teacher.logits(pool).softmax(1).max(1)
    kept: list[int] = []
    for number in best.unique().tolist():
        rows = (best == number).nonzero()[:, 0]
        most = max(1, round(keep * len(rows)))
        kept += rows[sure[rows].argsort(descending=True, stable=True)[:most]].tolist()
    chosen = pool.subset(sorted(kept))
    labels = [teacher.classes[int(best[row])] for row in sorted(kept)]
    return Corpus(f"{pool.name}, labelled by a teacher", chosen.texts, labels)


def self_train(
    make: Callable[[], Classifier],
    labelled: Corpus,
    pool: Corpus,
    *,
    rounds: int = 1,
    keep: float = 0.5,
    epochs: int,
    rate: float = 1e-2,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = True,
) -> Classifier:
    """Fit on the labels; then, in each round, a new student on the labels and what the last one said of the pool.

    `make` returns an untrained classifier, the same each time. `epochs` are those of a round; the first fit, on few
    texts, takes as many steps. Raises ValueError for an empty pool, rounds below 1, or a `keep` outside 0 … 1.

    Chapter: 08
    """
    check_options("self_train", rounds=rounds, epochs=epochs, rate=rate, batch_size=batch_size, seed=seed)
    check_pool(pool, "self_train")
    _check_share(keep, "self_train")

    def trained(corpus: Corpus, epochs: int) -> Classifier:
        student = make()
        fit(
            student,
            corpus,
            epochs=epochs,
            batch_size=batch_size,
            rates=rate,
            schedule=lambda done: 1 - done,
            seed=seed,
            title="self-train",
            progress=progress,
        )
        return student

    longer = epochs * max(1, round((len(labelled) + keep * len(pool)) / max(1, len(labelled))))
    student = trained(labelled, longer)
    for _ in range(rounds):
        more = pseudo_labelled(student, pool, keep=keep)
        joined = Corpus(more.name, [*labelled.texts, *more.texts], [*labelled.labels, *more.labels])
        student = trained(joined, epochs)
    return student


def _check_share(keep: float, who: str) -> None:
    if not 0 < keep <= 1:
        raise ValueError(f"{who}(keep={keep}): a share above 0, at most 1; 1 keeps every text")
