"""Self-checks of chapter 09: concat pooling, LEEP, choosing on the test set, a source's worth in labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from metalearn_lib.transfer import leep

from .core import Answer, Cases, describe, expect_close, expect_number, expect_tensor, fail, self_check


@self_check("9.1")
def concat_pool(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Last state, mean and maximum over the words of each text."""

    def compare(given: str, states: Tensor, lengths: list[int], hint: int) -> None:
        mask = torch.arange(states.shape[1]) < torch.tensor(lengths)[:, None]
        got = answer(states, mask)
        dim = states.shape[2]
        expect_tensor(got, (len(states), 3 * dim), given=given, like=states, axes="[B, 3·D]", hint=1)
        last, mean, highest = _pooled(states, mask)
        zeroed = (states * mask[..., None]).amax(1)
        suspects = {
            "the last place of the batch was taken, not the last word of each text": torch.cat(
                [states[:, -1], mean, highest], 1
            ),
            "the mean divides by L, padding included": torch.cat(
                [last, (states * mask[..., None]).mean(1), highest], 1
            ),
            "mean and maximum see the padding": torch.cat([last, states.mean(1), states.amax(1)], 1),
            "padding counts as 0 in the maximum": torch.cat([last, mean, zeroed], 1),
            "the order is last, mean, maximum": torch.cat([last, highest, mean], 1),
        }
        expect_close(got, torch.cat([last, mean, highest], 1), given=given, suspects=suspects, hint=hint)

    if cases == "shown":
        small = torch.tensor([[[1.0, -1.0], [3.0, -5.0], [2.0, -2.0]]])
        compare("one text of 3 words", small, [3], 1)
        yield "one text"
        padded = torch.cat([small, torch.tensor([[[4.0, -6.0], [9.0, 9.0], [8.0, 7.0]]])])
        compare("two texts, of 3 words and of 1,", padded, [3, 1], 2)
        yield "padding"
        compare("texts whose states are all negative", -padded.abs() - 1, [2, 3], 2)
        yield "negative states"
        return
    compare("float64", torch.randn(5, 7, 3, dtype=torch.float64), [7, 1, 4, 2, 6], 2)
    yield "float64"
    compare("a batch without any text of full length", torch.randn(3, 9, 4), [2, 5, 3], 1)
    yield "no full length"


@self_check("9.2")
def leep_score(answer: Answer, cases: Cases) -> Iterator[Any]:
    """LEEP: how well the source's answers tell the target's classes."""

    def compare(given: str, theta: Tensor, labels: Tensor, n_classes: int, hint: int) -> None:
        right = leep(theta, [f"{int(label):03d}" for label in labels])
        one_hot = torch.eye(n_classes, dtype=theta.dtype)[labels]
        joint = one_hot.T @ theta  # [C, Z]
        rows = torch.arange(len(theta))

        def mean_log(table: Tensor) -> float:
            return float((theta @ table.T)[rows, labels].log().mean())

        by_column = joint / joint.sum(0)
        hard = by_column[labels, theta.argmax(1)].clamp(min=1e-30)
        suspects = {
            "this is P(z | y): each row was divided by its sum, not each column": mean_log(
                joint / joint.sum(1, keepdim=True)
            ),
            "the joint table was not divided by P(z)": mean_log(joint / len(theta)),
            "the logarithm was taken after the mean": math.log(float((theta @ by_column.T)[rows, labels].mean())),
            "only the source's most likely class was looked at": float(hard.log().mean()),
            "the sign: LEEP is at most 0": -right,
            "the logarithms were summed, not averaged": right * len(theta),
        }
        expect_number(answer(theta, labels, n_classes), right, given=given, suspects=suspects, hint=hint)

    if cases == "shown":
        theta = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
        compare("3 texts and a source of 2 classes", theta, torch.tensor([0, 0, 1]), 2, 1)
        yield "small"
        compare("a source that answers 0.5 to everything", torch.full((4, 2), 0.5), torch.tensor([0, 1, 0, 1]), 2, 2)
        yield "useless"
        compare("a source that is always right", torch.eye(3), torch.arange(3), 3, 2)
        yield "perfect"
        theta = torch.randn(20, 5).softmax(1)
        compare("5 source classes, 3 target classes", theta, torch.arange(20) % 3, 3, 1)
        yield "more source classes than target classes"
        return
    double = torch.randn(12, 3, dtype=torch.float64).softmax(1)
    compare("float64 and labels in mixed order", double, torch.tensor([2, 0, 1, 1, 0, 2, 2, 1, 0, 3, 3, 0]), 4, 1)
    yield "float64"
    compare("classes of very different sizes", torch.randn(30, 2).softmax(1), (torch.arange(30) > 27).long(), 2, 2)
    yield "unequal"


@self_check("9.3")
def chosen_on_test(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The best run on some texts, and what it does on the others."""

    def compare(given: str, right: Tensor, half: Tensor, hint: int) -> None:
        got = answer(right, half)
        if not isinstance(got, tuple | list | Tensor) or (isinstance(got, Tensor) and got.ndim != 1) or len(got) != 2:
            fail(given, "two numbers (accuracy on half, accuracy on the others)", describe(got), hint=1)
        best = int(right[:, half].mean(1).argmax())
        other = torch.ones(right.shape[1], dtype=torch.bool)
        other[half] = False
        on_half, on_other = right[:, half].mean(1), right[:, other].mean(1)
        expect_number(
            got[0],
            float(on_half[best]),
            given=f"{given}, on half,",
            suspects={
                "the choice was made on the other texts": float(on_half[int(on_other.argmax())]),
                "this is the mean over all runs": float(on_half.mean()),
                "this is a number of texts, not a share": float(on_half[best]) * len(half),
                "the two numbers are swapped": float(on_other[best]),
            },
            hint=hint,
        )
        expect_number(
            got[1],
            float(on_other[best]),
            given=f"{given}, on the others,",
            suspects={
                "this is the best of the runs there, not the run that was chosen": float(on_other.max()),
                "this is the accuracy on all texts, the choosing ones included": float(right[best].mean()),
            },
            hint=2,
        )

    if cases == "shown":
        right = torch.tensor([[1.0, 1, 0, 0, 0, 1], [1, 0, 1, 1, 1, 1], [0, 1, 0, 1, 0, 0]])
        compare("3 runs and 6 texts, chosen on the first two,", right, torch.tensor([0, 1]), 1)
        yield "small"
        compare("chosen on texts 4, 1 and 5", right, torch.tensor([4, 1, 5]), 1)
        yield "any positions"
        compare("40 runs of coin tosses", (torch.rand(40, 60) < 0.5).float(), torch.randperm(60)[:20], 1)
        yield "noise"
        return
    equal = torch.tensor([[1.0, 0, 1, 1], [0, 1, 0, 0]])
    compare("two runs that are equally good on half", equal, torch.tensor([0, 1]), 1)
    yield "the first of equals"
    compare("all but one text choose", (torch.rand(9, 12) < 0.7).double(), torch.arange(11), 2)
    yield "one text left"


@self_check("9.4")
def worth_in_labels(answer: Answer, cases: Cases) -> Iterator[Any]:
    """How many labels the floor needs for an accuracy."""

    def compare(given: str, sizes: list[int], curve: list[float], reached: float, hint: int) -> None:
        got = answer(sizes, curve, reached)
        right = _worth(sizes, curve, reached)
        if math.isinf(right):
            if not hasattr(got, "__float__") or float(got) != math.inf:
                shown = str(got) if isinstance(got, int | float) else describe(got)
                fail(given, "infinity: the floor never gets there", shown, hint=2)
            return
        suspects: dict[str, float] = {}
        if curve[0] < reached <= curve[-1]:
            i = next(k for k in range(1, len(sizes)) if reached <= curve[k])
            share = (reached - curve[i - 1]) / (curve[i] - curve[i - 1])
            suspects = {
                "the line goes over n, not over log n": sizes[i - 1] + share * (sizes[i] - sizes[i - 1]),
                "this is the next measured size": float(sizes[i]),
                "this is the measured size before": float(sizes[i - 1]),
                "this is the logarithm": math.log(right),
            }
        expect_number(got, right, given=given, suspects={k: v for k, v in suspects.items() if v != right}, hint=hint)

    sizes, curve = [5, 20, 80], [0.3, 0.5, 0.7]
    if cases == "shown":
        compare("sizes 5, 20, 80, accuracies 0.3, 0.5, 0.7, reached 0.4", sizes, curve, 0.4, 1)
        yield "half way"
        compare("the same curve, reached 0.65", sizes, curve, 0.65, 1)
        yield "second piece"
        compare("the same curve, reached 0.1", sizes, curve, 0.1, 2)
        yield "below"
        compare("the same curve, reached 0.8", sizes, curve, 0.8, 2)
        yield "above"
        compare("the same curve, reached 0.7", sizes, curve, 0.7, 2)
        yield "the last point"
        return
    compare("five sizes, reached 0.625", [1, 3, 10, 30, 100], [0.2, 0.35, 0.5, 0.6, 0.65], 0.625, 1)
    yield "five sizes"
    compare("the first point itself", sizes, curve, 0.3, 2)
    yield "the first point"


def _pooled(states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    lengths = mask.sum(1)
    rows = [state[:length] for state, length in zip(states, lengths.tolist(), strict=True)]
    return (
        torch.stack([row[-1] for row in rows]),
        torch.stack([row.mean(0) for row in rows]),
        torch.stack([row.amax(0) for row in rows]),
    )


def _worth(sizes: list[int], curve: list[float], reached: float) -> float:
    if reached <= curve[0]:
        return float(sizes[0])
    for i in range(1, len(sizes)):
        if reached <= curve[i]:
            share = (reached - curve[i - 1]) / (curve[i] - curve[i - 1])
            return math.exp(math.log(sizes[i - 1]) + share * (math.log(sizes[i]) - math.log(sizes[i - 1])))
    return math.inf
