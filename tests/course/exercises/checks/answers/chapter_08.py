"""Answers to the exercises of chapter 08."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from metalearn_lib import Score
from metalearn_lib.classification import Classifier
from metalearn_lib.course.exercises.checks import chapter_08 as checks
from metalearn_lib.distillation import distillation_loss, quiz_loss, soft_targets
from metalearn_lib.encoders import Identity

NAMES = {"distillation_loss": distillation_loss}

effective, mixed, unscaled, beaten, taught = (
    check.reference
    for check in (
        checks.effective_classes, checks.mixed_loss, checks.unscaled_loss, checks.clearly_beaten, checks.learn_to_teach,
    )
)  # fmt: skip


def library_entropy(logits: Tensor, temperature: float) -> Tensor:
    return torch.distributions.Categorical(probs=soft_targets(logits, temperature=temperature)).entropy().exp()


def nan_where_certain(logits: Tensor, temperature: float) -> Tensor:
    p = (logits / temperature).softmax(1)
    return (-(p * p.log()).sum(1)).exp()


def clamped(logits: Tensor, temperature: float) -> Tensor:
    """Finite, by a probability that is never below the smallest number."""
    p = (logits / temperature).softmax(1)
    return (-(p * p.clamp(min=torch.finfo(p.dtype).tiny).log()).sum(1)).exp()


def with_torch(z: Tensor, v: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
    """torch's own losses; -1 is ignored by its index."""
    log_q, p = (z / temperature).log_softmax(1), (v / temperature).softmax(1)
    soft = temperature**2 * kl_div(log_q, p, reduction="batchmean")
    plain = cross_entropy(z, labels, ignore_index=-1) if (labels >= 0).any() else 0.0
    return weight * plain + (1 - weight) * soft


def nan_without_labels(z: Tensor, v: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
    plain = cross_entropy(z, labels, ignore_index=-1)
    return weight * plain + (1 - weight) * distillation_loss(z, v, temperature=temperature)


def last_class_for_none(z: Tensor, v: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
    return weight * cross_entropy(z, labels) + (1 - weight) * distillation_loss(z, v, temperature=temperature)


def by_torch(z: Tensor, v: Tensor, temperature: float) -> Tensor:
    return kl_div((z / temperature).log_softmax(1), (v / temperature).softmax(1), reduction="batchmean")


def by_scores(cost: Tensor, right: Tensor, *, key: tuple[str, ...] | None = ("texts",)) -> Tensor:
    """Without a `key` the library does not take the texts for the same, and compares single intervals."""
    scores = [Score.of(row.numpy(), key=key) for row in right]
    every = list(zip(scores, cost, strict=True))
    return torch.tensor([any(bool(b > a) and cb <= ca for b, cb in every) for a, ca in every])


def half_paired(cost: Tensor, right: Tensor) -> list[bool]:
    """The rival's interval against the other's mean."""
    lows = [Score.of(row.numpy()).low for row in right]
    return [any(c <= own and low > float(r.mean()) for c, low in zip(cost, lows, strict=True))
            for own, r in zip(cost, right, strict=True)]  # fmt: skip


def by_optimizers(
    lessons: list[Any], teacher: Tensor, student: Tensor, quiz: Any, rate: float, teacher_rate: float
) -> tuple[Tensor, Tensor, list[float]]:
    """Classifiers of the library, its quiz loss, and torch's optimizers."""
    classes = [str(c) for c in range(teacher.shape[1])]
    guide, listener = (Classifier(Identity(table.shape[0]), classes).double() for table in (teacher, student))
    for classifier, table in ((guide, teacher), (listener, student)):
        classifier.head.weight.data.copy_(table.T)
        classifier.head.bias.data.zero_()
        classifier.head.bias.requires_grad_(False)
    steps = torch.optim.SGD([guide.head.weight], lr=teacher_rate), torch.optim.SGD([listener.head.weight], lr=rate)
    losses = []
    for teacher_x, student_x in lessons:
        after = quiz_loss(guide, listener, (teacher_x, student_x), quiz, rate=rate)
        steps[0].zero_grad()
        after.backward(inputs=[guide.head.weight])  # type: ignore[no-untyped-call]
        steps[0].step()
        steps[1].zero_grad()
        distillation_loss(listener(student_x), guide(teacher_x).detach()).backward()  # type: ignore[no-untyped-call]
        steps[1].step()
        losses.append(after.item())
    return guide.head.weight.detach().T, listener.head.weight.detach().T, losses


def without_graph(
    lessons: list[Any], teacher: Tensor, student: Tensor, quiz: Any, rate: float, teacher_rate: float
) -> Any:
    """The trial step is a constant, so that no path leads back to the teacher."""
    teacher, student = (table.clone().requires_grad_() for table in (teacher, student))
    teacher_x, student_x = lessons[0]
    (slope,) = torch.autograd.grad(distillation_loss(student_x @ student, teacher_x @ teacher), student)
    return torch.autograd.grad(cross_entropy(quiz[0] @ (student - rate * slope), quiz[1]), teacher)


def hard_labels(
    lessons: list[Any], teacher: Tensor, student: Tensor, quiz: Any, rate: float, teacher_rate: float
) -> Any:
    """No path leads through the position of the likeliest class, either."""
    teacher, student = (table.clone().requires_grad_() for table in (teacher, student))
    teacher_x, student_x = lessons[0]
    loss = cross_entropy(student_x @ student, (teacher_x @ teacher).argmax(1))
    (slope,) = torch.autograd.grad(loss, student, create_graph=True)
    return torch.autograd.grad(cross_entropy(quiz[0] @ (student - rate * slope), quiz[1]), teacher)


def in_place(lessons: list[Any], teacher: Tensor, student: Tensor, *settings: Any) -> Any:
    made = taught(lessons, teacher, student, *settings)
    teacher.copy_(made[0])
    return made


def without_lists(change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *inputs: (*taught(*inputs)[:2], change(taught(*inputs)[2]))


CLASSES, MIXED, UNSCALED = "effective_classes", "mixed_loss", "unscaled_loss"
BEATEN, TEACH = "clearly_beaten", "learn_to_teach"
NONE = "differentiated by the student's logits, got one without a graph"
RIGHT = [
    (CLASSES, library_entropy),
    (CLASSES, clamped),
    (CLASSES, lambda *given: effective(*given).tolist()),
    (MIXED, with_torch),
    (UNSCALED, by_torch),
    (BEATEN, by_scores),
    (BEATEN, lambda *given: np.array(beaten(*given))),
    (BEATEN, lambda *given: [int(value) for value in beaten(*given)]),
    (BEATEN, lambda *given: tuple(beaten(*given))),
    (TEACH, by_optimizers),
    (TEACH, without_lists(lambda losses: losses.tolist())),
    (TEACH, without_lists(lambda losses: losses.numpy())),
    (TEACH, without_lists(list)),
    (TEACH, lambda *inputs: list(taught(*inputs))),
]
WRONG = [
    (CLASSES, nan_where_certain, "got NaN: a division by zero, 0 times infinity, or the mean of nothing; see hint 2"),
    (CLASSES, lambda *given: effective(*given).sum(), "a tensor of shape [2] ([n]), got shape []"),
    (CLASSES, lambda *given: effective(*given)[:, None], "a tensor of shape [2] ([n]), got shape [2, 1]"),
    (CLASSES, lambda logits, t: effective(logits.T, t), "a tensor of shape [2] ([n]), got shape [5]"),
    (CLASSES, lambda logits, t: effective(logits.div_(t), 1.0), "your function changed its argument 1"),
    (MIXED, nan_without_labels, "or the mean of nothing; see hint 2"),
    (MIXED, last_class_for_none, "your function raised IndexError (Target -1 is out of bounds)"),
    (MIXED, lambda *given: mixed(*given).detach(), NONE),
    (MIXED, lambda *given: mixed(*given).item(), "a tensor of shape [] (a scalar), got a float"),
    (MIXED, lambda *given: mixed(*given)[None], "a tensor of shape [] (a scalar), got shape [1]"),
    (UNSCALED, lambda *given: unscaled(*given).detach(), ": was the loss turned into a number?"),
    (UNSCALED, lambda z, v, t: unscaled(torch.tensor(z.numpy()), v, t), "RuntimeError (Can't call numpy() on Tensor"),
    (UNSCALED, lambda z, v, t: unscaled(z, v, t) * t / 2, "the ratio of the right gradient to yours at T = 8, I"),
    (
        BEATEN,
        partial(by_scores, key=None),
        "worse in 10 texts I expected [False, True], got [False, False]: the texts are",
    ),
    (BEATEN, half_paired, "worse in 10 texts I expected [False, True], got [False, False]: the texts are not paired"),
    (BEATEN, lambda *given: by_scores(*given)[:1], "3 values, true or false, got a "),
    (BEATEN, lambda *given: by_scores(*given).any(), "3 values, true or false, got a tensor of shape []"),
    (
        BEATEN,
        lambda *given: ["yes" if value else "no" for value in beaten(*given)],
        "true or false for each model, got",
    ),
    (BEATEN, lambda cost, right: [[value] for value in beaten(cost, right)], "each model, got a list of 1"),
    (TEACH, without_graph, "a path from the quiz loss back to the teacher, got none"),
    (TEACH, hard_labels, "a path from the quiz loss back to the teacher, got none"),
    (TEACH, in_place, "your function changed its argument 2"),
    (TEACH, lambda *inputs: taught(*inputs)[:2], "three things (teacher, student, quiz losses), got a tuple of 2"),
    (TEACH, lambda *inputs: taught(*inputs)[2], "three things (teacher, student, quiz losses), got a tensor"),
    (TEACH, without_lists(lambda losses: losses[-1]), "for the quiz losses, I expected a tensor of shape [1], got"),
    (TEACH, without_lists(lambda losses: losses.mean().item()), "a tensor of shape [1], got a float"),
]
HIDDEN = [
    (CLASSES, lambda *given: effective(*given).float(), "the dtype of the input, torch.float64"),
    (MIXED, lambda *given: mixed(*given).float(), "the dtype of the input, torch.float64"),
]
