"""Self-training: the student is its own teacher, on the texts that it is surest of.   Chapter 08

Yarowsky (1995), "Unsupervised word sense disambiguation rivaling supervised methods".
"""

from __future__ import annotations

from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation.soft_targets import check_pool
from metalearn_lib.distillation.teachers import Teacher


def pseudo_labelled(teacher: Teacher, pool: Corpus, *, keep: float = 1.0) -> Corpus:
    """The texts of the pool with the teacher's most likely class as label; `keep` is the share it is surest of.

    Of each class predicted the surest `keep` stay, so that one easy class cannot crowd out the others. The labels of
    the pool are not looked at. Raises ValueError for an empty pool or a `keep` outside 0 … 1.   Chapter: 08
    """
    check_pool(pool, "pseudo_labelled")
    if not 0 < keep <= 1:
        raise ValueError(f"pseudo_labelled(keep={keep}): a share above 0, at most 1; 1 keeps every text")
    sure, best = teacher.logits(pool).softmax(1).max(1)
    kept: list[int] = []
    for number in best.unique().tolist():
        rows = (best == number).nonzero()[:, 0]
        most = max(1, round(keep * len(rows)))
        kept += rows[sure[rows].argsort(descending=True, stable=True)[:most]].tolist()
    chosen = pool.subset(sorted(kept))
    labels = [teacher.classes[int(best[row])] for row in sorted(kept)]
    return Corpus(f"{pool.name}, labelled by a teacher", chosen.texts, labels)
