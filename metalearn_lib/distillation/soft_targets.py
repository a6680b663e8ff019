"""Soft targets: the student is trained towards the teacher's probabilities, softened by a temperature.   Chapter 08

Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network". No label is needed, only texts.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from metalearn_lib.classification import Classifier, fit
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation.teachers import Teacher, align
from metalearn_lib.optimise import History

HIDDEN = "?"  # the label of a text whose label nobody may see


def soft_targets(logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Probabilities softmax(logits / T) over the last dimension; same shape as the logits.   Chapter: 08

    T = 1 leaves the teacher's probabilities as they are, a larger T evens them out. Raises ValueError for a
    temperature that is not a finite number above 0, and for logits that are not finite. (Hinton et al., eq. 1)

    >>> soft_targets(torch.tensor([0.0, 2.0]), temperature=2.0)
    tensor([0.2689, 0.7311])
    """
    check_temperature(temperature, "soft_targets")
    if not torch.isfinite(logits).all():
        raise ValueError(
            "soft_targets: the logits hold NaN or infinity; clamp log-probabilities of 0, or mend the teacher"
        )
    return (logits / temperature).softmax(-1)


def distillation_loss(student: Tensor, teacher: Tensor, *, temperature: float = 1.0) -> Tensor:
    """T² · KL(p ‖ q), averaged over the batch, with p and q the soft targets of teacher and student.   Chapter: 08

    Logits [B, C] of either. The factor T² keeps the size of the gradient when T grows: it shrinks as 1 / T² (Hinton et
    al., section 2). No gradient is stopped here: cut the teacher off with `teacher.detach()`, or let it learn. Raises
    ValueError for shapes that differ and for a bad temperature.

    >>> same = torch.tensor([[1.0, 2.0, 3.0]])
    >>> distillation_loss(same, same + 5, temperature=4.0).abs() < 1e-6
    tensor(True)
    """
    check_temperature(temperature, "distillation_loss")
    if student.shape != teacher.shape or student.ndim != 2:
        raise ValueError(
            f"distillation_loss: student logits {list(student.shape)}, teacher logits {list(teacher.shape)}; both must "
            "be [B, C] over the same texts and classes (align(…) brings classes into one order)"
        )
    p, q = ((logits / temperature).log_softmax(-1) for logits in (teacher, student))
    return temperature**2 * kl_div(q, p, log_target=True, reduction="batchmean")


def distil(
    student: Classifier,
    teacher: Teacher,
    pool: Corpus,
    *,
    epochs: int,
    temperature: float = 1.0,
    rate: float = 1e-2,
    batch_size: int = 64,
    seed: int = 0,
    title: str = "distil",
    progress: bool = True,
) -> History:
    """Train the student on the texts of `pool` towards the teacher's soft targets; the labels are not looked at.

    The teacher is asked once for each text; its classes are brought into the student's order by name. The learning
    rate falls linearly to 0. Teacher and student may cut texts into words as they like: only the logits meet. Raises
    ValueError for an empty pool, other classes, or a bad temperature.   Chapter: 08
    """
    check_temperature(temperature, "distil")
    check_pool(pool, "distil")
    logits = align(teacher.logits(pool), teacher.classes, student.classes)

    def loss(given: Tensor, rows: Tensor) -> Tensor:
        return distillation_loss(given, logits[rows.to(logits.device)].to(given), temperature=temperature)

    return fit(
        student,
        pool,
        epochs=epochs,
        batch_size=batch_size,
        rates=rate,
        schedule=lambda done: 1 - done,
        loss=loss,
        seed=seed,
        title=title,
        progress=progress,
    )


def without_labels(corpus: Corpus) -> Corpus:
    """The same texts, each with the label "?": what nobody may see, nobody can use by mistake.   Chapter: 08"""
    return replace(corpus, labels=[HIDDEN] * len(corpus), name=f"{corpus.name}, unlabelled")


def check_temperature(temperature: float, who: str) -> None:
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(
            f"{who}(temperature={temperature!r}): must be above 0; 1 leaves the probabilities as they are, and for the "
            "limit 0 take the teacher's argmax as a label (pseudo_labelled)"
        )


def check_pool(pool: Corpus, who: str) -> None:
    if len(pool) == 0:
        raise ValueError(f"{who}: the unlabelled pool {pool.name!r} has no texts; there is nothing to learn from")
