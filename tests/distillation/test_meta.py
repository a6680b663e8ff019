"""The teacher's gradient goes through the student's step: against finite differences, and by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from metalearn_lib.classification import Classifier, targets
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation import distillation_loss, meta_distil, quiz_loss, without_labels
from metalearn_lib.encoders import Averaged, Identity, WordAverage
from metalearn_lib.meta_optimizers.checks import finite_differences
from metalearn_lib.text import WordVectors

Exam = tuple[Classifier, Classifier, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


@pytest.fixture
def exam() -> Exam:
    """A linear teacher and student, a lesson for both, and a quiz for the student."""
    draw = torch.Generator().manual_seed(0)
    x, z, asked = (torch.randn(*s, generator=draw, dtype=torch.float64) for s in ((9, 5), (9, 4), (7, 4)))
    teacher, student = (Classifier(Identity(dim), list("abc"), seed=dim).double() for dim in (5, 4))
    return teacher, student, (x, z), (asked, torch.arange(7) % 3)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_gradient_is_that_of_finite_differences(exam: Exam, temperature: float) -> None:
    def loss() -> Tensor:
        return quiz_loss(*exam, rate=0.7, temperature=temperature)

    hyper = {name: p for name, p in exam[0].named_parameters() if p.requires_grad}
    exact = torch.autograd.grad(loss(), list(hyper.values()))
    rough = finite_differences(loss, {name: p.detach() for name, p in hyper.items()})
    for name, slope in zip(hyper, exact, strict=True):
        assert torch.allclose(slope, rough[name], atol=1e-8), name
        assert slope.abs().max() > 1e-3, "a gradient of nothing proves nothing"


def test_the_quiz_loss_is_that_of_a_student_who_took_the_step(exam: Exam) -> None:
    teacher, student, lesson, quiz = exam
    found, taught = quiz_loss(*exam, rate=0.7), copy.deepcopy(student)
    optimizer = torch.optim.SGD(taught.parameters(), lr=0.7)
    distillation_loss(taught(lesson[1]), teacher(lesson[0]).detach()).backward()
    optimizer.step()
    by_hand = nn.functional.cross_entropy(taught(quiz[0]), quiz[1])
    assert abs(found.item() - by_hand.item()) < 1e-9
    assert not torch.equal(taught.head.weight, student.head.weight)


def test_a_step_of_the_teacher_makes_the_next_lesson_better(exam: Exam) -> None:
    before = quiz_loss(*exam, rate=0.7)
    before.backward()
    torch.optim.SGD(exam[0].parameters(), lr=0.5).step()
    assert quiz_loss(*exam, rate=0.7) < before


def pair(words: WordVectors) -> tuple[Classifier, Classifier]:
    return Classifier(Averaged(words), ["space", "sport"], seed=1), Classifier(WordAverage(words), ["space", "sport"])


def test_an_untaught_teacher_learns_to_teach(texts: Corpus, words: WordVectors) -> None:
    teacher, student = pair(words)
    kept = copy.deepcopy(teacher.state_dict())
    quiz = texts.subset(range(20))
    history = meta_distil(teacher, student, without_labels(texts), quiz, steps=300, rate=1.0, teacher_rate=3e-2)
    right = (student.logits(texts).argmax(1) == targets(texts, student.classes)).float().mean()
    assert right > 0.9
    assert sum(history.quiz_losses[-20:]) < sum(history.quiz_losses[:20]) / 2
    assert not torch.equal(teacher.head.weight, kept["head.weight"])


def test_rate_zero_leaves_the_teacher_alone(texts: Corpus, words: WordVectors) -> None:
    teacher, student = pair(words)
    kept = teacher.head.weight.clone()
    history = meta_distil(teacher, student, texts, texts, steps=5, teacher_rate=0)
    assert torch.equal(teacher.head.weight, kept) and len(history.losses) == len(history.quiz_losses) == 5


def test_the_quiz_of_a_fixed_teacher_is_that_of_one_that_hardly_learns(texts: Corpus, words: WordVectors) -> None:
    """Where the teacher stays as it is, the trial step is the real one."""
    noted = []
    for rate in (0.0, 1e-12):
        teacher, student = pair(words)
        noted.append(meta_distil(teacher, student, texts, texts, steps=5, teacher_rate=rate).quiz_losses)
    assert torch.allclose(*map(torch.tensor, noted), atol=1e-6)
