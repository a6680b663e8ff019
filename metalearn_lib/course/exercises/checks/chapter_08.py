"""Self-checks of chapter 08: doubts, labels beside soft targets, a lost factor, an honest front, learning to teach."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metalearn_lib.distillation import distillation_loss
from metalearn_lib.scores import Score

from .core import Answer, Cases, Function, describe, expect, expect_number, fail, row, self_check
from .narrowed import Narrowed


def _effective(logits: Tensor, temperature: float) -> Tensor:
    log_p = (logits / temperature).log_softmax(1)
    return (-(log_p.exp() * log_p).sum(1)).exp()


@self_check(
    "8.1",
    reference=_effective,
    mistakes={
        "this is the entropy itself; take its exponential": lambda *given: _effective(*given).log(),
        "the sign: entropy is minus the sum": lambda *given: 1 / _effective(*given),
        "the temperature was not used": lambda logits, _: _effective(logits, 1.0),
        "the logits were multiplied by the temperature": lambda logits, t: _effective(logits, 1 / t),
        "the entropy is in bits; exp belongs to ln": lambda *given: _effective(*given) ** (1 / math.log(2)),
        "the entropy is the sum over the classes, not their mean": lambda logits, t: (
            _effective(logits, t) ** (1 / logits.shape[1])
        ),
        "the softmax runs over the classes, not over the texts": lambda logits, t: _effective(
            (logits / t).log_softmax(0), 1.0
        ),
        "this is one over the sum of p², another count": lambda logits, t: 1 / (logits / t).softmax(1).square().sum(1),
    },
    returns="[n]",
    nan_hint=2,
)
def effective_classes(answer: Answer, cases: Cases) -> Iterator[Any]:
    """How many classes a teacher has in mind: the exponential of the entropy of its soft targets."""
    if cases == "shown":
        yield answer.expect("equal logits of 5 classes", torch.zeros(2, 5), 1.0, hint=1)
        yield answer.expect("3 texts of 4 classes at temperature 2", torch.randn(3, 4), 2.0, hint=1)
        yield answer.expect("a temperature of 0.5", torch.randn(6, 4), 0.5, hint=1)
        yield answer.expect("one class 200 above the others", torch.tensor([[200.0, 0.0, 0.0]]), 1.0, hint=2)
        return
    yield answer.expect("50 texts in float64", torch.randn(50, 7, dtype=torch.float64), 3.0, hint=1)
    yield answer.expect("a temperature of 0.05", 10 * torch.randn(8, 6), 0.05, hint=2)
    yield answer.expect("one text alone", torch.randn(1, 3), 1.0, hint=1)


_GRADIENT = {"by": "the student's logits", "cause": "was the loss turned into a number?"}


def _soft(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    return distillation_loss(student, teacher, temperature=temperature)


def _plain(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    labelled = labels >= 0
    return cross_entropy(student[labelled], labels[labelled]) if labelled.any() else student.new_zeros(())


def _mixed(*, plain: Function = _plain, soft: Function = _soft) -> Function:
    """w · plain + (1 - w) · soft; either part is a function of the other four inputs."""
    return lambda *given: given[4] * plain(*given[:4]) + (1 - given[4]) * soft(*given[:4])


def _unlabelled(instead: Function) -> Function:
    """Right where there is a label; `instead` is a function of the weight and the soft part."""
    return lambda *given: _mixture(*given) if (given[2] >= 0).any() else instead(given[4], _soft(*given[:4]))


def _soft_where(chosen: Function) -> Function:
    return lambda z, v, y, t: _soft(z[chosen(y)], v[chosen(y)], y, t)


_mixture = _mixed()


@self_check(
    "8.2",
    reference=_mixture,
    mistakes={
        "the factor T² is missing": _mixed(soft=lambda z, v, y, t: _soft(z, v, y, t) / t**2),
        "the factor is T², not T": _mixed(soft=lambda z, v, y, t: _soft(z, v, y, t) / t),
        "the factor T² belongs to the soft part only": _mixed(plain=lambda z, v, y, t: t**2 * _plain(z, v, y, t)),
        "the weights are exchanged": lambda *given: _mixture(*given[:4], 1 - given[4]),
        "a batch without a label: its soft part keeps the weight 1 − w": _unlabelled(lambda w, soft: soft),
        "a batch without a label still has its soft part": _unlabelled(lambda w, soft: 0 * soft),
        "the two parts were added without weights": lambda *given: 2 * _mixture(*given[:4], 0.5),
        "the cross-entropy is the mean over all texts; only the labelled ones count": _mixed(
            plain=lambda z, v, y, t: _plain(z, v, y, t) * (y >= 0).float().mean()
        ),
        "the soft part looked at labelled texts only": _mixed(soft=_soft_where(lambda y: y >= 0)),
        "the soft part looked at texts without a label only": _mixed(soft=_soft_where(lambda y: y < 0)),
        "a label of -1 was taken for the last class": _mixed(plain=lambda z, v, y, t: _plain(z, v, y % z.shape[1], t)),
        "the label's part was softened as well": _mixed(plain=lambda z, v, y, t: _plain(z / t, v, y, t)),
        "teacher and student are exchanged in the soft part": _mixed(soft=lambda z, v, y, t: _soft(v, z, y, t)),
        "only the teacher was softened, not the student": _mixed(soft=lambda z, v, y, t: _soft(z * t, v, y, t)),
        "only the student was softened, not the teacher": _mixed(soft=lambda z, v, y, t: _soft(z, v * t, y, t)),
        "the soft part is a sum over the classes, not their mean": _mixed(
            soft=lambda z, v, y, t: _soft(z, v, y, t) / z.shape[1]
        ),
        "the soft part is a mean over the texts, not their sum": _mixed(
            soft=lambda z, v, y, t: _soft(z, v, y, t) * len(z)
        ),
        "the label's part is a mean over the labelled texts, not their sum": _mixed(
            plain=lambda z, v, y, t: _plain(z, v, y, t) * (y >= 0).sum()
        ),
        "the teacher's entropy was not taken off: KL, not cross-entropy, with the soft targets": _mixed(
            soft=lambda z, v, y, t: t**2 * cross_entropy(z / t, (v / t).softmax(1))
        ),
    },
    returns="a scalar",
    nan_hint=2,
)
def mixed_loss(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Cross-entropy where there is a label, soft targets everywhere, weighted."""
    z, v, labels = torch.randn(6, 4), torch.randn(6, 4), torch.tensor([0, 3, -1, 1, -1, -1])
    nobody, everybody = torch.full((6,), -1), torch.arange(6) % 4
    if cases == "shown":
        yield answer.expect("3 of 6 texts labelled, T = 1, weight 0.5", z, v, labels, 1.0, 0.5, hint=1)
        yield answer.expect("T = 3, weight 0.3", z, v, labels, 3.0, 0.3, hint=3)
        yield answer.expect("no text labelled", z, v, nobody, 2.0, 0.4, hint=2)
        yield answer.expect("every text labelled, weight 1", z, v, everybody, 2.0, 1.0, hint=3)
    else:
        student, teacher = torch.randn(2, 30, 5, dtype=torch.float64)
        yield answer.expect("30 texts in float64", student, teacher, labels.repeat(5), 4.0, 0.7, hint=3)
        yield answer.expect("no label in float64", student[:6], teacher[:6], nobody, 0.5, 0.9, hint=2)
        yield answer.expect("one labelled text", z[:1], v[:1], labels[:1], 2.0, 0.5, hint=1)
    answer.gradient(z.requires_grad_(), z, v, labels, 2.0, 0.5, **_GRADIENT)


def _unscaled(z: Tensor, v: Tensor, temperature: float) -> Tensor:
    return distillation_loss(z, v, temperature=temperature) / temperature**2


@self_check(
    "8.3",
    reference=_unscaled,
    mistakes={
        "the factor T² is still there": lambda z, v, t: _unscaled(z, v, t) * t**2,
        "a factor T is still there": lambda z, v, t: _unscaled(z, v, t) * t,
        "the logits were not divided by T": lambda z, v, t: _unscaled(z, v, 1.0),
        "only the teacher was softened": lambda z, v, t: _unscaled(z * t, v, t),
        "only the student was softened": lambda z, v, t: _unscaled(z, v * t, t),
        "it is divided by T² twice, or by T⁴": lambda z, v, t: _unscaled(z, v, t) / t**2,
        "the mean was taken over the classes as well; sum over them": lambda z, v, t: _unscaled(z, v, t) / z.shape[1],
        "it was summed over the texts; take their mean": lambda z, v, t: _unscaled(z, v, t) * len(z),
        "teacher and student are exchanged": lambda z, v, t: _unscaled(v, z, t),
        "this is the cross-entropy with the soft targets: the teacher's entropy is not taken off": (
            lambda z, v, t: cross_entropy(z / t, (v / t).softmax(1))
        ),
    },
    returns="a scalar",
)
def unscaled_loss(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The soft loss without T², made on purpose: its gradient dies as the temperature rises."""
    texts, classes = (8, 5) if cases == "shown" else (16, 12)
    z, v = torch.randn(2, texts, classes, dtype=torch.float64)
    yield answer.expect(f"{texts} texts of {classes} classes at T = 2", z, v, 2.0, hint=2)
    z.requires_grad_()
    for t in (8.0, 32.0) if cases == "shown" else (0.5, 20.0):
        (right,) = torch.autograd.grad(distillation_loss(z, v, temperature=t), z)
        ratio = right.norm() / answer.gradient(z, z, v, t, **_GRADIENT).norm()
        expect_number(ratio, t**2, given=f"the ratio of the right gradient to yours at T = {t:g},", hint=1)
        yield f"the factor at {t:g}"


def _score(values: Tensor) -> Score:
    return Score.of(values.double().numpy())


def _above_by(errors: float) -> Function:
    """Is the mean of the differences above 0 by so many standard errors?"""
    return lambda rival, own: (rival - own).mean() > errors * (rival - own).std() / len(own) ** 0.5


def _beaten(
    *,
    affordable: Function = operator.le,
    better: Function = lambda rival, own: _score(rival - own).low > 0,
    rivals: Function = lambda cost, right: range(len(cost)),
) -> Function:
    """Which models [M] have a rival, one of `rivals`, whose cost is `affordable` and whose answers [n] are `better`."""
    return lambda cost, right: [
        any(bool(affordable(cost[j], cost[i]) and better(right[j], right[i])) for j in rivals(cost, right))
        for i in range(len(cost))
    ]


def _neighbour(cost: Tensor, right: Tensor) -> list[bool]:
    """Each model is held against the dearest one of those that cost less."""
    verdicts = []
    for i, own in enumerate(cost):
        cheaper = [j for j, other in enumerate(cost) if j != i and other <= own]
        chosen = max(cheaper, key=lambda j: float(cost[j]), default=i)
        verdicts.append(bool(_score(right[chosen] - right[i]).low > 0))
    return verdicts


def _below_another(cost: Tensor, right: Tensor) -> list[bool]:
    """Beaten is who is below one of the others; the answers of equals count as below."""
    beats = [[_score(b - a).low >= 0 and i != j for j, b in enumerate(right)] for i, a in enumerate(right)]
    return [any(x and c <= own for x, c in zip(row, cost, strict=True)) for row, own in zip(beats, cost, strict=True)]


_clearly = _beaten()


@self_check(
    "8.4",
    reference=_clearly,
    mistakes={
        "the cost was not looked at": _beaten(affordable=lambda rival, own: True),
        "dear rivals were taken instead of cheap ones": lambda cost, right: _clearly(-cost, right),
        "a rival may cost the same": _beaten(affordable=operator.lt),
        "only the most accurate model was taken as rival; a less accurate one may be cheaper": _beaten(
            rivals=lambda cost, right: [int(right.mean(1).argmax())]
        ),
        "only the cheapest model was taken as rival": _beaten(rivals=lambda cost, right: [int(cost.argmin())]),
        "only the next cheaper model was taken as rival; any that costs at most as much may beat": _neighbour,
        "means were compared, not intervals": _beaten(better=lambda rival, own: rival.mean() > own.mean()),
        "the intervals are not paired: take the differences first": _beaten(
            better=lambda rival, own: _score(rival).low > _score(own).high
        ),
        "this is one standard error; 95 % needs more than two of them": _beaten(better=_above_by(1.0)),
        "this is one standard deviation; the mean of n differences varies less, by √n": _beaten(
            better=lambda rival, own: _above_by(len(own) ** 0.5)(rival, own)
        ),
        "the sign: beaten is the one that is worse": lambda cost, right: _clearly(cost, 1 - right),
        "the values are turned round: true is for the beaten": lambda *given: [not yes for yes in _clearly(*given)],
        "nothing beats itself: above zero is > 0": _beaten(better=lambda rival, own: _score(rival - own).low >= 0),
        "equal answers beat nobody: above zero is > 0": _below_another,
    },
    returns="values, true or false",
)
def clearly_beaten(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Which models are worse than one that costs no more, by a paired 95 % interval."""

    passed: list[str] = []  # causes that cannot be the answer's: it was right where they are wrong

    def compare(given: str, cost: list[float], right: list[Tensor], *, hint: int) -> str:
        inputs = torch.tensor(cost, dtype=torch.float32), torch.stack(right)
        got = row(answer(*inputs), len(cost), f"{len(cost)} values, true or false", given=given, hint=1)
        verdicts, wanted = [_truth(value, given) for value in got], _clearly(*inputs)
        suspects = [(cause, wrong) for cause, wrong in answer.suspects(*inputs) if cause not in passed]
        if verdicts != wanted:
            cause = next((cause for cause, wrong in suspects if wrong == verdicts), "")
            fail(given, str(wanted), str(verdicts), cause=cause, hint=hint)
        passed.extend(cause for cause, wrong in suspects if wrong != wanted)
        return given

    texts = 200 if cases == "shown" else 400
    base = (torch.rand(texts) < 0.6).float()
    lost, gained = base.nonzero()[:, 0], (1 - base).nonzero()[:, 0]
    worse, one, two = (base.index_fill(0, lost[:number], 0) for number in (15, 1, 2))
    better, poor = base.index_fill(0, gained[:30], 1), base * (torch.arange(texts) % 3 == 0)
    none, every = torch.zeros(texts), torch.ones(texts)
    if cases == "shown":
        yield compare("costs 1, 2, 3 and a good model between two bad ones,", [1, 2, 3], [none, base, none], hint=1)
        yield compare("costs 1, 2, 3 and the bad model in the middle,", [1, 2, 3], [base, none, every], hint=1)
        yield compare("two models of one cost", [3, 3], [none, base], hint=1)
        yield compare("four models, the dearest first,", [4, 3, 2, 1], [none, none, base, none], hint=1)
        yield compare("a dear model that is right in a third of the texts", [1, 2], [base, poor], hint=1)
        yield compare("a dear model that is worse in 15 texts", [1, 2], [base, worse], hint=2)
        yield compare("one text of difference", [1, 2], [base, one], hint=1)
        yield compare("two texts of difference", [1, 2], [base, two], hint=1)
        yield compare("one model alone", [5], [base], hint=3)
        yield compare("two models with the same answers", [1, 1], [base, base], hint=3)
        return
    several = [worse, base, better, one, worse]
    yield compare("five models", [1, 2, 4, 2, 5], several, hint=1)
    yield compare("five models, costs turned round", [5, 4, 2, 4, 1], several, hint=2)
    yield compare("three models with the same answers", [1, 1, 1], [base, base, base], hint=3)


def _truth(value: Any, given: str) -> bool:
    if isinstance(value, bool | int | float) or (hasattr(value, "dtype") and not getattr(value, "ndim", 0)):
        return bool(value)
    return fail(given, "true or false for each model", describe(value), hint=1)


def _taught(
    lessons: list[Any],
    teacher: Tensor,
    student: Tensor,
    quiz: tuple[Tensor, Tensor],
    rate: float,
    teacher_rate: float,
    *,
    slip: str = "",
) -> tuple[Tensor, ...]:
    """Both tables of weights after the last lesson, and the quiz loss after each trial step; `slip`: one error."""
    firsts, losses, added = (teacher, student), [], torch.zeros_like(teacher)
    past = slip == "past"
    if past:
        teacher, student = teacher.clone().requires_grad_(), student.clone().requires_grad_()
    for teacher_x, student_x in lessons:
        teacher = firsts[0] if slip == "teacher anew" else teacher
        student = firsts[1] if slip == "student anew" else student
        phi, theta = (w if past else w.detach().clone().requires_grad_() for w in (teacher, student))
        lesson = _lesson(student_x @ theta, teacher_x @ phi, slip)
        (slope,) = torch.autograd.grad(lesson, theta, create_graph=True)
        trial = theta - rate * slope
        quizzed = _quiz(quiz, trial, slip)
        (move,) = torch.autograd.grad(lesson if slip == "pleases" else quizzed, phi, retain_graph=True)
        added = added + move
        move = {"added": added, "up": -move, "still": 0 * move}.get(slip, move)
        teacher = phi - teacher_rate * move
        teacher = teacher if past else teacher.detach()
        listened = _lesson(student_x @ theta, teacher_x @ (phi if slip == "old" else teacher), slip)
        (slope,) = torch.autograd.grad(listened, theta, create_graph=past)
        student = {"twice": trial - rate * slope, "asleep": theta}.get(slip, theta - rate * slope)
        noted = {"before": theta, "real": student}.get(slip, trial)
        losses.append(lesson if slip == "lesson" else _quiz(quiz, noted, slip))
    made = teacher.detach(), student.detach(), torch.stack(losses).detach()
    return (made[1], made[0], made[2]) if slip == "swapped" else made


def _lesson(student: Tensor, teacher: Tensor, slip: str) -> Tensor:
    if slip == "exchanged":
        return distillation_loss(teacher, student)
    return distillation_loss(student, teacher) * (len(student) if slip == "sum" else 1)


def _quiz(quiz: tuple[Tensor, Tensor], weights: Tensor, slip: str) -> Tensor:
    return cross_entropy(quiz[0] @ weights, quiz[1], reduction="sum" if slip == "quiz sum" else "mean")


def _rates(
    lessons: list[Any], teacher: Tensor, student: Tensor, quiz: Any, rate: float, teacher_rate: float
) -> tuple[Tensor, ...]:
    return _taught(lessons, teacher, student, quiz, teacher_rate, rate)


def _slip(name: str) -> Function:
    return partial(_taught, slip=name)


@self_check(
    "8.5",
    reference=_taught,
    mistakes={
        "the two tables are swapped: the teacher comes first": _slip("swapped"),
        "the teacher never moved": _slip("still"),
        "the sign: the teacher goes against the derivative of the quiz loss": _slip("up"),
        "the teacher followed the loss of the lesson; follow the quiz": _slip("pleases"),
        "the two rates are exchanged": _rates,
        "the loss of the lesson is KL(teacher ‖ student); the two are exchanged": _slip("exchanged"),
        "the loss of a lesson is a mean over its texts, not a sum": _slip("sum"),
        "the quiz loss is a mean over its texts, not a sum": _slip("quiz sum"),
        "this is the trial step; in the real one the student listens to the new teacher": _slip("old"),
        "the student took the trial step and the real one": _slip("twice"),
        "the student took the trial step only in thought, and then no real one": _slip("asleep"),
        "the student begins anew in each lesson": _slip("student anew"),
        "the teacher begins anew in each lesson": _slip("teacher anew"),
        "the derivatives of the lessons add up": _slip("added"),
        "steps of past lessons are in the graph: detach both tables before each lesson": _slip("past"),
        "these are losses of the lessons; note those of the quiz": _slip("lesson"),
        "these quiz losses are from before the trial step": _slip("before"),
        "these quiz losses are from after the real step": _slip("real"),
    },
    returns="three things (teacher, student, quiz losses)",
    parts=("the teacher", "the student", "the quiz losses"),
    tolerance=1e-7,
    hint=1,
)
def learn_to_teach(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A teacher that follows its student's quiz loss through a trial step, lesson by lesson, and that loss falls."""

    def run(lessons: int, wide: int, classes: int, rate: float, teacher_rate: float) -> tuple[Any, ...]:
        truth = torch.randn(4, classes).double()
        texts = [torch.randn(7, 4).double() for _ in range(lessons)]
        sees = torch.randn(4, wide).double()
        quiz = torch.randn(9, 4).double()
        teacher, student = torch.randn(wide, classes).double(), 0.3 * torch.randn(4, classes).double()
        said = (quiz @ truth).argmax(1)
        return [(x @ sees, x) for x in texts], teacher, student, (quiz, said), rate, teacher_rate

    hints, told = (2, 3, 2), Narrowed(answer)
    if cases == "shown":
        yield from told.expect("one lesson", *run(1, 4, 3, 0.5, 2.0), hint=hints)
        yield from told.expect("one lesson and teacher rate 0", *run(1, 4, 3, 0.5, 0.0), hint=hints)
        yield from told.expect("four lessons", *run(4, 4, 3, 0.8, 3.0), hint=hints)
        losses = answer(*run(80, 6, 3, 0.5, 5.0))[2]
        first, last = (sum(map(float, part)) / 5 for part in (losses[:5], losses[-5:]))
        found = f"one that goes from {first:.2f} to {last:.2f}"
        expect(last < first / 2, "80 lessons", "a quiz loss that falls to less than half", found, hint=2)
        yield "it falls"
        return
    yield from told.expect("two lessons of five classes", *run(2, 6, 5, 1.0, 2.0), hint=hints)
    yield from told.expect("six lessons and a slow teacher", *run(6, 3, 4, 0.3, 0.5), hint=hints)
