"""Self-checks of chapter 08: a teacher's doubts, labels and soft targets together, a lost factor, an honest front."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metalearn_lib.distillation import distillation_loss
from metalearn_lib.scores import Score

from .core import Answer, Cases, Function, expect_number, fail, row, self_check


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
    },
    returns="[n]",
    nan_hint=2,
)
def effective_classes(answer: Answer, cases: Cases) -> Iterator[Any]:
    """How many classes a teacher has in mind: the exponential of the entropy of its soft targets."""
    if cases == "shown":
        yield answer.expect("equal logits of 5 classes", torch.zeros(2, 5), 1.0, hint=1)
        yield answer.expect("3 texts of 4 classes at temperature 2", torch.randn(3, 4), 2.0, hint=1)
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


def _soft_where(chosen: Function) -> Function:
    return lambda z, v, y, t: _soft(z[chosen(y)], v[chosen(y)], y, t)


_mixture = _mixed()


@self_check(
    "8.2",
    reference=_mixture,
    mistakes={
        "the factor T² is missing": _mixed(soft=lambda z, v, y, t: _soft(z, v, y, t) / t**2),
        "the weights are exchanged": lambda *given: _mixture(*given[:4], 1 - given[4]),
        "the two parts were added without weights": lambda *given: 2 * _mixture(*given[:4], 0.5),
        "the cross-entropy is the mean over all texts; only the labelled ones count": _mixed(
            plain=lambda z, v, y, t: _plain(z, v, y, t) * (y >= 0).float().mean()
        ),
        "the soft part looked at labelled texts only": _mixed(soft=_soft_where(lambda y: y >= 0)),
        "the soft part looked at texts without a label only": _mixed(soft=_soft_where(lambda y: y < 0)),
        "a label of -1 was taken for the last class": _mixed(plain=lambda z, v, y, t: _plain(z, v, y % z.shape[1], t)),
        "the label's part was softened as well": _mixed(plain=lambda z, v, y, t: _plain(z / t, v, y, t)),
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


def _beaten(
    *, affordable: Function = operator.le, better: Function = lambda rival, own: _score(rival - own).low > 0
) -> Function:
    """Which models [M] have a rival whose cost is `affordable` and whose answers [n] are `better`."""
    return lambda cost, right: [
        any(bool(affordable(c, cost[i]) and better(r, right[i])) for c, r in zip(cost, right, strict=True))
        for i in range(len(cost))
    ]


_clearly = _beaten()


@self_check(
    "8.4",
    reference=_clearly,
    mistakes={
        "the cost was not looked at": _beaten(affordable=lambda rival, own: True),
        "means were compared, not intervals": _beaten(better=lambda rival, own: rival.mean() > own.mean()),
        "the intervals are not paired: take the differences first": _beaten(
            better=lambda rival, own: _score(rival).low > _score(own).high
        ),
        "a rival may cost the same": _beaten(affordable=operator.lt),
        "the sign: beaten is the one that is worse": lambda cost, right: _clearly(cost, 1 - right),
        "dear rivals were taken instead of cheap ones": lambda cost, right: _clearly(-cost, right),
        "nothing beats itself: above zero is > 0": _beaten(better=lambda rival, own: _score(rival - own).low >= 0),
    },
    returns="values, true or false",
)
def clearly_beaten(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Which models are worse than one that costs no more, by a paired 95 % interval."""

    def compare(given: str, cost: list[float], right: list[Tensor], *, hint: int) -> str:
        inputs = torch.tensor(cost, dtype=torch.float32), torch.stack(right)
        got = row(answer(*inputs), len(cost), f"{len(cost)} values, true or false", given=given, hint=1)
        verdicts, wanted = [bool(value) for value in got], _clearly(*inputs)
        if verdicts != wanted:
            cause = next((cause for cause, wrong in answer.suspects(*inputs) if wrong == verdicts), "")
            fail(given, str(wanted), str(verdicts), cause=cause, hint=hint)
        return given

    texts = 200 if cases == "shown" else 400
    base = (torch.rand(texts) < 0.6).float()
    lost, gained = base.nonzero()[:, 0], (1 - base).nonzero()[:, 0]
    worse, slightly = base.index_fill(0, lost[:15], 0), base.index_fill(0, lost[:1], 0)
    better, poor = base.index_fill(0, gained[:30], 1), base * (torch.arange(texts) % 3 == 0)
    if cases == "shown":
        yield compare("a good model between two poor ones, by cost,", [1, 2, 3], [poor, base, poor], hint=1)
        yield compare("two models of one cost", [3, 3], [poor, base], hint=1)
        yield compare("a dear model that is worse in 15 texts", [1, 2], [base, worse], hint=2)
        yield compare("one text of difference", [1, 2], [base, slightly], hint=1)
        yield compare("one model alone", [5], [base], hint=3)
        return
    several = [worse, base, better, slightly, worse]
    yield compare("five models", [1, 2, 4, 2, 5], several, hint=1)
    yield compare("five models, costs turned round", [5, 4, 2, 4, 1], several, hint=2)
    yield compare("twins", [1, 1, 1], [base, base, base], hint=3)
