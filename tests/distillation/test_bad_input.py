"""What cannot be distilled, or not like that, is refused with the value and the way out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from metalearn_lib.classification import Classifier
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation import (
    Ensemble,
    TfidfTeacher,
    align,
    costs,
    distil,
    distillation_loss,
    linear_teacher,
    match,
    meta_distil,
    on_front,
    pseudo_labelled,
    quantised,
    soft_targets,
    solved_average,
)  # fmt: skip
from metalearn_lib.encoders import Averaged, WordAverage
from metalearn_lib.text import WordVectors


class Half(torch.nn.Module):
    """A head without a number to train."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2]


@pytest.fixture
def at(texts: Corpus, words: WordVectors, student: Classifier) -> SimpleNamespace:
    average, encoder = WordAverage(words), Averaged(words)
    turned, other = (Classifier(average, ["sport", name]) for name in ("space", "war"))
    headless = Classifier(encoder, ["space", "sport"], head=Half())
    corpora = {"texts": texts, "none": texts.subset([]), "one": texts.only("sport"), "words": words}
    models = {"average": average, "encoder": encoder, "student": student, "turned": turned, "other": other}
    return SimpleNamespace(**corpora, **models, headless=headless)


Z = torch.zeros(2, 3)
CASES = [
    (lambda at: costs(at.student, []), "0 texts"),
    (lambda at: on_front([1, 2], [0.5]), "2 costs and 1 accuracies"),
    (lambda at: quantised(at.headless), "neither a linear layer nor an embedding"),
    (
        lambda at: match(at.average, at.encoder, at.none, epochs=1),
        "match: the unlabelled pool 'two topics' has no",
    ),
    (lambda at: solved_average(at.encoder, at.none, at.words), "solved_average: the unlabelled pool"),
    (lambda at: solved_average(at.encoder, at.texts, at.words, dim=17), "need 1 ≤ dim ≤ 16"),
    (lambda at: solved_average(at.encoder, at.texts, at.words, dim=2, penalty=0), "penalty > 0"),
    (lambda at: meta_distil(at.student, at.student, at.none, at.texts, steps=1), "meta_distil: the unlabelled pool"),
    (lambda at: meta_distil(at.student, at.student, at.texts, at.none, steps=1), "the quiz 'two topics' has no texts"),
    (lambda at: meta_distil(at.student, at.turned, at.texts, at.texts, steps=1), "the same classes in the same order"),
    (
        lambda at: meta_distil(*[at.student] * 2, *[at.texts] * 2, steps=1, temperature=0),
        r"meta_distil\(temperature=0\)",
    ),
    (lambda at: pseudo_labelled(at.student, at.none), "pseudo_labelled: the unlabelled pool"),
    (lambda at: pseudo_labelled(at.student, at.texts, keep=0), r"keep=0\)"),
    (lambda at: distil(at.student, at.student, at.none, epochs=1), "the unlabelled pool 'two topics' has no texts"),
    (lambda at: distil(at.student, at.student, at.texts, epochs=1, temperature=0), r"distil\(temperature=0\)"),
    (
        lambda at: distil(at.student, at.other, at.texts, epochs=1),
        r"the teacher \['war'\], only the student \['space'\]",
    ),
    *(
        (lambda at, call=call, t=t: call(temperature=t), "must be above 0; 1 leaves the probabilities")
        for call in (lambda **o: soft_targets(Z, **o), lambda **o: distillation_loss(Z, Z, **o))
        for t in (0, -1.0, float("nan"), float("inf"))
    ),
    (lambda at: soft_targets(torch.tensor([0.0, float("-inf")])), "NaN or infinity"),
    (lambda at: distillation_loss(Z, torch.zeros(2, 4)), r"student logits \[2, 3\], teacher logits \[2, 4\]"),
    (lambda at: align(torch.zeros(1, 3), "abc", "abd"), r"only the teacher \['c'\], only the student \['d'\]"),
    (lambda at: align(torch.zeros(1, 2), "abc", "cab"), r"logits of shape \[1, 2\] for 3 classes"),
    (lambda at: linear_teacher(at.average, at.one), "linear_teacher: 'two topics' has 1 classes in 30 texts; need 2"),
    (lambda at: TfidfTeacher(at.none, background=at.texts), "TfidfTeacher: 'two topics' has 0 classes"),
    (lambda at: Ensemble([]), "no teachers"),
    (lambda at: Ensemble([at.student, at.student], weights=[1]), "2 teachers need as many weights"),
    (lambda at: Ensemble([at.student, at.other]), "teacher and student know different classes"),
]


@pytest.mark.parametrize(("call", "message"), CASES)
def test_it_is_refused(call, message, at: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match=message):
        call(at)
