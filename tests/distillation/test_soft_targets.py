"""Soft targets, their loss, and a student that learns from them without a label."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from metalearn_lib.classification import Classifier, accuracy
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation import distil, distillation_loss, soft_targets, without_labels
from metalearn_lib.distillation.soft_targets import HIDDEN
from metalearn_lib.encoders import WordAverage
from metalearn_lib.text import WordVectors


class Oracle:
    """A teacher that reads the topic word."""

    def __init__(self, *classes: str) -> None:
        self.classes = classes or ("space", "sport")

    def logits(self, texts: Corpus | list[str]) -> Tensor:
        given = texts.texts if isinstance(texts, Corpus) else texts
        space = {"orbit", "moon", "rocket", "mars"}
        truth = ["space" if space & set(t.split()) else "sport" for t in given]
        return torch.tensor([[4.0 * (c == t) for c in self.classes] for t in truth])


def logits(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def test_soft_targets_are_probabilities_in_the_order_of_the_logits() -> None:
    z = logits(5, 4)
    for temperature in (0.1, 1.0, 7.0):
        p = soft_targets(z, temperature=temperature)
        assert torch.allclose(p.sum(-1), torch.ones(5, dtype=torch.float64))
        assert torch.equal(p.argsort(-1), z.argsort(-1))
    assert torch.allclose(soft_targets(z), z.softmax(-1))
    assert torch.allclose(soft_targets(z, temperature=1e6), torch.full((5, 4), 0.25, dtype=torch.float64), atol=1e-5)


def test_the_loss_agrees_with_its_formula_written_out() -> None:
    z, v, t = logits(6, 3), logits(6, 3) + logits(6, 1), 3.0
    p = (v / t).exp() / (v / t).exp().sum(1, keepdim=True)
    q = (z / t).exp() / (z / t).exp().sum(1, keepdim=True)
    by_hand = t**2 * (p * (p / q).log()).sum(1).mean()
    assert abs(distillation_loss(z, v, temperature=t).item() - by_hand.item()) < 1e-9


def test_the_loss_is_zero_for_equal_logits_and_positive_otherwise() -> None:
    z = logits(6, 3)
    assert distillation_loss(z, z + 1, temperature=2.0).abs() < 1e-12
    assert distillation_loss(z, z.flip(1), temperature=2.0) > 0


def test_at_a_high_temperature_the_gradient_is_that_of_matching_centred_logits() -> None:
    z, v = logits(4, 5).requires_grad_(), logits(4, 5).flip(0)
    (slope,) = torch.autograd.grad(distillation_loss(z, v, temperature=1e5), z)
    limit = ((z - z.mean(1, keepdim=True)) - (v - v.mean(1, keepdim=True))) / 5 / 4  # classes, batch
    assert torch.allclose(slope, limit, atol=1e-5)


def test_a_student_learns_from_a_teacher_alone(texts: Corpus, student: Classifier) -> None:
    before = accuracy(student, texts).mean
    history = distil(student, Oracle(), without_labels(texts), epochs=60, rate=1e-1)
    assert history.losses[-1] < history.losses[0] / 5
    assert accuracy(student, texts).mean > 0.95 > before


def test_the_labels_of_the_pool_are_not_looked_at(texts: Corpus, words: WordVectors) -> None:
    wrong = replace(texts, labels=["sport"] * len(texts))
    found = []
    for pool in (texts, wrong, without_labels(texts)):
        student = Classifier(WordAverage(words), ["space", "sport"])
        distil(student, Oracle(), pool, epochs=2)
        found.append(student.logits(texts.texts))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    assert set(without_labels(texts).labels) == {HIDDEN}


def test_classes_meet_by_name_not_by_place(texts: Corpus, words: WordVectors) -> None:
    students = []
    for teacher in (Oracle("space", "sport"), Oracle("sport", "space")):
        students.append(Classifier(WordAverage(words), ["space", "sport"]))
        distil(students[-1], teacher, texts, epochs=2)
    assert torch.equal(*(s.logits(texts.texts) for s in students))
