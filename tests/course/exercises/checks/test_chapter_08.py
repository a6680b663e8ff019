"""Each check passes the right answers, and says of typical wrong ones what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from metalearn_lib import Score
from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.checks import CheckFailed
from metalearn_lib.distillation import distillation_loss, soft_targets
from metalearn_lib.files import root
from tests.course.exercises.checks.solutions import solved
from tests.notebooks.stored_notebook import StoredNotebook

NOTEBOOK = StoredNotebook(root() / "notebooks" / "08_distillation.ipynb")


def solution(number: str) -> Any:
    return solved(NOTEBOOK, number, torch=torch, nn=nn, Score=Score)


def library_entropy(logits: Tensor, temperature: float) -> Tensor:
    return torch.distributions.Categorical(probs=soft_targets(logits, temperature=temperature)).entropy().exp()


def library_mixed(z: Tensor, v: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
    soft = distillation_loss(z, v, temperature=temperature)
    plain = cross_entropy(z, labels, ignore_index=-1) if (labels >= 0).any() else torch.zeros((), dtype=z.dtype)
    return weight * plain + (1 - weight) * soft


def torchs_own(z: Tensor, v: Tensor, temperature: float) -> Tensor:
    return kl_div((z / temperature).log_softmax(1), (v / temperature).softmax(1), reduction="batchmean")


def by_paired_scores(cost: Tensor, right: Tensor) -> Tensor:
    scores = [Score.of(row.numpy(), key=("texts",)) for row in right]
    return torch.tensor(
        [any(bool(b > a) and cb <= ca for b, cb in zip(scores, cost, strict=True))
         for a, ca in zip(scores, cost, strict=True)]
    )  # fmt: skip


RIGHT: list[tuple[str, Any]] = [
    *[(e.checks[0], solution(e.number)) for e in exercises(NOTEBOOK.raw["cells"]) if e.checks],
    ("effective_classes", library_entropy),
    ("mixed_loss", library_mixed),
    ("unscaled_loss", torchs_own),
    ("clearly_beaten", by_paired_scores),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{n}: {a.__name__}" for n, a in RIGHT])
def test_a_right_answer_passes(passes: Any, name: str, answer: Any) -> None:
    passes(name, answer)


def entropy(logits: Tensor, temperature: float) -> Tensor:
    p = (logits / temperature).softmax(1)
    return -(p * p.log()).sum(1)


def mixed(
    *,
    factor: bool = True,
    swap: bool = False,
    over_all: bool = False,
    warm: bool = False,
    minus_one: bool = False,
    only_labelled: bool = False,
) -> Any:
    def loss(z: Tensor, v: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
        known = labels >= 0
        soft = distillation_loss(z, v, temperature=temperature) / (1 if factor else temperature**2)
        if only_labelled and known.any():
            soft = distillation_loss(z[known], v[known], temperature=temperature)
        given = z / temperature if warm else z
        plain = cross_entropy(given[known], labels[known]) if known.any() else torch.zeros(())
        if over_all:
            plain = plain * known.sum() / len(z)
        if minus_one:
            plain = cross_entropy(z, labels % z.shape[1])
        return (1 - weight) * plain + weight * soft if swap else weight * plain + (1 - weight) * soft

    return loss


def no_guard(z: Tensor, v: Tensor, labels: Tensor, temperature: float, weight: float) -> Tensor:
    known = labels >= 0
    return weight * cross_entropy(z[known], labels[known]) + (1 - weight) * distillation_loss(
        z, v, temperature=temperature
    )


def beaten(*, by_mean: bool = False, paired: bool = True, any_cost: bool = False, strictly: bool = False) -> Any:
    def answer(cost: Tensor, right: Tensor) -> list[bool]:
        found = []
        for i, own in enumerate(right):
            hits = []
            for j, other in enumerate(right):
                cheap = any_cost or (cost[j] < cost[i] if strictly else cost[j] <= cost[i])
                apart = Score.of(other.numpy()).low > Score.of(own.numpy()).high
                better = Score.of((other - own).numpy()).low > 0 if paired else apart
                hits.append(cheap and (bool(other.mean() > own.mean()) if by_mean else better))
            found.append(any(hits))
        return found

    return answer


def unanswered(*_: Any) -> Any:
    raise NotImplementedError


CLASSES, MIXED, UNSCALED, BEATEN = "effective_classes", "mixed_loss", "unscaled_loss", "clearly_beaten"
WRONG: list[tuple[str, Any, str]] = [
    (CLASSES, entropy, "this is the entropy itself; take its exponential; see hint 1"),
    (CLASSES, lambda z, t: (-entropy(z, t)).exp(), "the sign: entropy is minus the sum"),
    (CLASSES, lambda z, t: entropy(z, 1.0).exp(), "the temperature was not used"),
    (CLASSES, lambda z, t: entropy(z, 1 / t).exp(), "the logits were multiplied by the temperature"),
    (CLASSES, lambda z, t: entropy(z, t).exp(), "finite numbers, got NaN"),
    (CLASSES, lambda z, t: library_entropy(z, t).mean(), "got shape []"),
    (MIXED, mixed(factor=False), "the factor T² is missing; see hint 3"),
    (MIXED, mixed(swap=True), "the weights are exchanged"),
    (MIXED, mixed(over_all=True), "the cross-entropy is the mean over all texts"),
    (MIXED, mixed(warm=True), "the label's part was softened as well; see hint 3"),
    (MIXED, mixed(minus_one=True), "a label of -1 was taken for the last class"),
    (MIXED, mixed(only_labelled=True), "the soft part looked at labelled texts only"),
    (MIXED, no_guard, "with no text labelled I expected finite numbers, got NaN"),
    (UNSCALED, lambda z, v, t: distillation_loss(z, v, temperature=t), "the factor T² is still there"),
    (UNSCALED, lambda z, v, t: torchs_own(z, v, t) / z.shape[1], "the mean was taken over the classes as well"),
    (UNSCALED, lambda z, v, t: torchs_own(v, z, t), "teacher and student are exchanged"),
    (UNSCALED, lambda z, v, t: torchs_own(z, v, t) * len(z), "it was summed over the texts"),
    (UNSCALED, lambda z, v, t: torchs_own(z, v, t).detach(), "one without a graph"),
    (
        UNSCALED,
        lambda z, v, t: -((v / t).softmax(1) * (z / t).log_softmax(1)).sum(1).mean(),
        "the teacher's entropy is not taken off",
    ),
    (BEATEN, beaten(by_mean=True), "means were compared, not intervals"),
    (BEATEN, beaten(paired=False), "the intervals are not paired: take the differences first; see hint 2"),
    (BEATEN, beaten(any_cost=True), "the cost was not looked at"),
    (BEATEN, beaten(strictly=True), "a rival may cost the same"),
    (BEATEN, lambda cost, right: beaten()(cost, 1 - right), "the sign: beaten is the one that is worse"),
    (BEATEN, lambda cost, right: True, "2 values, true or false, got a bool, True"),
    *[(name, unanswered, f"{name}: not answered yet") for name in (CLASSES, MIXED, UNSCALED, BEATEN)],
    *[(name, lambda *_: None, "is the `return` missing?") for name in (CLASSES, MIXED, UNSCALED)],
]


@pytest.mark.parametrize(("name", "answer", "says"), WRONG, ids=[f"{n}: {s[:40]}" for n, _, s in WRONG])
def test_a_wrong_answer_is_told_what_is_wrong(is_told: Any, name: str, answer: Any, says: str) -> None:
    is_told(NOTEBOOK, name, answer, says)


def test_the_hidden_cases_catch_what_the_shown_ones_do_not() -> None:
    def only_float32(logits: Tensor, temperature: float) -> Tensor:
        return solution("8.1")(logits, temperature).float()

    check.effective_classes(only_float32)
    with pytest.raises(CheckFailed, match="dtype of the input"):
        check.effective_classes(only_float32, cases="hidden")

    def a_number(*inputs: Any) -> Tensor:
        return solution("8.2")(*inputs).detach()

    check.mixed_loss(a_number)
    with pytest.raises(CheckFailed, match="a loss that can be differentiated"):
        check.mixed_loss(a_number, cases="hidden")
