"""Self-checks of chapter 08: a teacher's doubts, labels and soft targets together, a lost factor, an honest front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, nll_loss

from metalearn_lib.distillation import distillation_loss
from metalearn_lib.scores import Score

from .core import Answer, Cases, describe, expect, expect_close, expect_number, expect_tensor, fail, self_check


@self_check("8.1")
def effective_classes(answer: Answer, cases: Cases) -> Iterator[Any]:
    """How many classes a teacher has in mind: the exponential of the entropy of its soft targets."""

    def compare(given: str, logits: Tensor, temperature: float, hint: int) -> None:
        got = answer(logits, temperature)
        expect_tensor(got, (len(logits),), given=given, like=logits, axes="[n]", hint=hint)
        p, cold = (logits / temperature).softmax(1), logits.softmax(1)
        suspects = {
            "this is the entropy itself; take its exponential": -(p * p.log()).sum(1),
            "the sign: entropy is minus the sum": (p * p.log()).sum(1).exp(),
            "the temperature was not used": (-(cold * cold.log()).sum(1)).exp(),
            "the logits were multiplied by the temperature": _effective(logits, 1 / temperature),
            "the entropy is in bits; the exponential belongs to the natural logarithm": (-(p * p.log2()).sum(1)).exp(),
        }
        expect_close(got, _effective(logits, temperature), given=given, suspects=suspects, hint=hint)

    if cases == "shown":
        even = torch.zeros(2, 5)
        compare("equal logits of 5 classes", even, 1.0, 1)
        yield "all classes"
        compare("3 texts of 4 classes at temperature 2", torch.randn(3, 4), 2.0, 1)
        yield "temperature"
        compare("one class 200 above the others", torch.tensor([[200.0, 0.0, 0.0]]), 1.0, 2)
        yield "one class, certain"
        return
    compare("50 texts in float64", torch.randn(50, 7, dtype=torch.float64), 3.0, 1)
    yield "float64"
    compare("a temperature of 0.05", 10 * torch.randn(8, 6), 0.05, 2)
    yield "cold"
    compare("one text alone", torch.randn(1, 3), 1.0, 1)
    yield "one text"


@self_check("8.2")
def mixed_loss(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Cross-entropy where there is a label, soft targets everywhere, weighted."""

    def compare(given: str, z: Tensor, v: Tensor, labels: Tensor, temperature: float, weight: float, hint: int) -> None:
        got = answer(z, v, labels, temperature, weight)
        expect_tensor(got, (), given=given, like=z, axes="a scalar", hint=hint)
        soft, known = distillation_loss(z, v, temperature=temperature), labels >= 0
        plain = cross_entropy(z[known], labels[known]) if known.any() else torch.zeros((), dtype=z.dtype)
        right = weight * plain + (1 - weight) * soft
        suspects = {
            "the factor T² is missing": weight * plain + (1 - weight) * soft / temperature**2,
            "the weights are exchanged": (1 - weight) * plain + weight * soft,
            "the two parts were added without weights": plain + soft,
        }
        if known.any() and not known.all():
            log_q = z.log_softmax(1)
            total = -log_q[known, labels[known]].sum()
            suspects |= {
                "the cross-entropy is the mean over all texts; only the labelled ones count": weight * total / len(z)
                + (1 - weight) * soft,
                "the soft part looked at labelled texts only": weight * plain
                + (1 - weight) * distillation_loss(z[known], v[known], temperature=temperature),
                "the soft part looked at texts without a label only": weight * plain
                + (1 - weight) * distillation_loss(z[~known], v[~known], temperature=temperature),
                "a label of -1 was taken for the last class": weight * nll_loss(log_q, labels % z.shape[1])
                + (1 - weight) * soft,
            }
        if known.any():
            warm = cross_entropy(z[known] / temperature, labels[known])
            suspects["the label's part was softened as well"] = weight * warm + (1 - weight) * soft
        expect_close(got, right, given=given, suspects=suspects, hint=hint)

    z, v = torch.randn(6, 4), torch.randn(6, 4)
    labels = torch.tensor([0, 3, -1, 1, -1, -1])
    if cases == "shown":
        compare("3 of 6 texts labelled, T = 1, weight 0.5", z, v, labels, 1.0, 0.5, 1)
        yield "both parts"
        compare("T = 3, weight 0.3", z, v, labels, 3.0, 0.3, 3)
        yield "temperature"
        compare("no text labelled", z, v, torch.full((6,), -1), 2.0, 0.4, 2)
        yield "no label"
        compare("every text labelled, weight 1", z, v, torch.arange(6) % 4, 2.0, 1.0, 3)
        yield "labels alone"
        return
    compare(
        "30 texts in float64", torch.randn(30, 5).double(), torch.randn(30, 5).double(), labels.repeat(5), 4.0, 0.7, 3
    )
    yield "float64"
    student = z.clone().requires_grad_()
    loss = answer(student, v, labels, 2.0, 0.5)
    expect(
        bool(loss.requires_grad),
        "student logits with a gradient",
        "a loss that can be differentiated",
        "one without a graph",
        cause="was it turned into a number?",
        hint=1,
    )
    yield "differentiable"
    compare("one labelled text", z[:1], v[:1], labels[:1], 2.0, 0.5, 1)
    yield "one text"


@self_check("8.3")
def unscaled_loss(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The soft loss without T², made on purpose: its gradient dies as the temperature rises."""

    def slope(loss: Any, z: Tensor, temperature: float) -> Tensor:
        found: Tensor = torch.autograd.grad(loss(z, temperature), z)[0]
        return found

    shape = (8, 5) if cases == "shown" else (16, 12)
    z, v = torch.randn(*shape, dtype=torch.float64), torch.randn(*shape, dtype=torch.float64)
    given = f"{shape[0]} texts of {shape[1]} classes at T = 2"
    got = answer(z, v, 2.0)
    expect_tensor(got, (), given=given, like=z, axes="a scalar", hint=1)
    right = distillation_loss(z, v, temperature=2.0)
    suspects = {
        "the factor T² is still there": right,
        "it is divided by T² twice, or by T⁴": right / 16,
        "the mean was taken over the classes as well; sum over them": right / 4 / shape[1],
        "it was summed over the texts; take their mean": right / 4 * shape[0],
        "teacher and student are exchanged": distillation_loss(v, z, temperature=2.0) / 4,
        "this is the cross-entropy with the soft targets: the teacher's entropy is not taken off": -(
            (v / 2).softmax(1) * (z / 2).log_softmax(1)
        )
        .sum(1)
        .mean(),
    }
    expect_close(got, right / 4, given=given, suspects=suspects, hint=2)
    yield "values"
    learner = z.clone().requires_grad_()
    if not answer(learner, v, 2.0).requires_grad:
        fail(
            given,
            "a loss that can be differentiated",
            "one without a graph",
            cause="was it turned into a number?",
            hint=1,
        )
    for temperature in (8.0, 32.0) if cases == "shown" else (0.5, 20.0):
        whole = slope(lambda x, t: distillation_loss(x, v, temperature=t), learner, temperature).norm()
        broken = slope(lambda x, t: answer.value(x, v, t), learner, temperature).norm()
        expect_number(
            (whole / broken).item(),
            temperature**2,
            given=f"the ratio of the right gradient to yours at T = {temperature:g},",
            hint=1,
        )
        yield f"the factor at {temperature:g}"


@self_check("8.4")
def clearly_beaten(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Which models are worse than one that costs no more, by a paired 95 % interval."""

    def compare(given: str, cost: Tensor, right: Tensor, hint: int) -> None:
        got = answer(cost, right)
        if isinstance(got, Tensor):
            got = got.tolist()
        if not isinstance(got, list | tuple) or len(got) != len(cost):
            fail(given, f"{len(cost)} values, true or false", describe(got), hint=1)
        found = [bool(value) for value in got]
        wanted = _beaten(cost, right)
        causes = {
            "the cost was not looked at": _beaten(torch.zeros(len(cost)), right),
            "means were compared, not intervals": _beaten(cost, right, by_mean=True),
            "the intervals are not paired: take the differences first": _beaten(cost, right, paired=False),
            "a rival may cost the same": _beaten(cost, right, strictly=True),
            "the sign: beaten is the one that is worse": _beaten(cost, 1 - right),
            "dear rivals were taken instead of cheap ones": _beaten(-cost, right),
        }
        cause = next((c for c, wrong in causes.items() if wrong == found and wrong != wanted), "")
        expect(found == wanted, given, str(wanted), str(found), cause=cause, hint=hint)

    texts = 200 if cases == "shown" else 400
    base = (torch.rand(texts) < 0.6).float()
    worse, slightly, better = base.clone(), base.clone(), base.clone()
    worse[base.nonzero()[:20, 0]] = 0  # 20 texts lost: the paired interval is clear, the single ones overlap
    slightly[base.nonzero()[:1, 0]] = 0
    poor = base * (torch.arange(texts) % 3 == 0)
    better[(1 - base).nonzero()[:30, 0]] = 1
    if cases == "shown":
        compare("a dear model that is better", torch.tensor([1.0, 2.0]), torch.stack([base, better]), 1)
        yield "dear but good"
        compare("two models of one cost", torch.tensor([3.0, 3.0]), torch.stack([poor, base]), 1)
        yield "equal cost"
        compare("a dear model that is worse in 20 texts", torch.tensor([1.0, 2.0]), torch.stack([base, worse]), 2)
        yield "paired"
        compare("one text of difference", torch.tensor([1.0, 2.0]), torch.stack([base, slightly]), 1)
        yield "not clearly"
        alone = answer(torch.tensor([5.0]), base[None])
        expect(
            not next(iter(alone)), "one model alone", "[False]", describe(alone), cause="nothing beats itself", hint=3
        )
        yield "alone"
        return
    several = torch.stack([worse, base, better, slightly, worse])
    compare("five models", torch.tensor([1.0, 2.0, 4.0, 2.0, 5.0]), several, 1)
    yield "five"
    compare("five models, costs turned round", torch.tensor([5.0, 4.0, 2.0, 4.0, 1.0]), several, 2)
    yield "turned round"
    compare("twins", torch.tensor([1.0, 1.0, 1.0]), torch.stack([base, base, base]), 3)
    yield "twins"


def _effective(logits: Tensor, temperature: float) -> Tensor:
    log_p = (logits / temperature).log_softmax(1)
    return (-(log_p.exp() * log_p).sum(1)).exp()


def _beaten(
    cost: Tensor, right: Tensor, *, by_mean: bool = False, paired: bool = True, strictly: bool = False
) -> list[bool]:
    def beats(other: Tensor, own: Tensor) -> bool:
        if by_mean:
            return bool(other.mean() > own.mean())
        if not paired:
            return Score.of(other.double().numpy()).low > Score.of(own.double().numpy()).high
        return Score.of((other - own).double().numpy()).low > 0

    places = range(len(cost))
    return [
        any((cost[j] < cost[i] if strictly else cost[j] <= cost[i]) and beats(right[j], right[i]) for j in places)
        for i in places
    ]
