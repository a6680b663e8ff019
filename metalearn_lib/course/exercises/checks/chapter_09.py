"""Self-checks of chapter 09: concat pooling, LEEP, choosing on the test set, worth in labels, gentle fine-tuning."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from metalearn_lib.transfer import leep, slanted_triangular

from .core import Answer, Cases, Function, expect, expect_close, expect_tensor, row, self_check
from .narrowed import Narrowed


def _last(states: Tensor, mask: Tensor) -> Tensor:
    return states[torch.arange(len(states)), mask.sum(1) - 1]


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def _highest(states: Tensor, mask: Tensor, padding: float = -torch.inf) -> Tensor:
    return states.masked_fill(~mask[..., None], padding).amax(1)


def _pool(*parts: Function) -> Function:
    return lambda states, mask: torch.cat([part(states, mask) for part in parts], dim=1)


def _first(states: Tensor, mask: Tensor) -> Tensor:
    return states[:, 0]


def _added(states: Tensor, mask: Tensor) -> Tensor:
    return (states * mask[..., None]).sum(1)


def _lowest(states: Tensor, mask: Tensor) -> Tensor:
    return -_highest(-states, mask)


def _blind(part: Function) -> Function:
    return lambda states, mask: part(states, torch.ones_like(mask))


@self_check(
    "9.1",
    reference=_pool(_last, _mean, _highest),
    mistakes={
        "the last place of the batch was taken, not the last word of each text": _pool(_blind(_last), _mean, _highest),
        "the mean divides by L, padding included": _pool(_last, lambda s, m: (s * m[..., None]).mean(1), _highest),
        "mean and maximum see the padding": _pool(_last, _blind(_mean), _blind(_highest)),
        "the mask was not used": _blind(_pool(_last, _mean, _highest)),
        "padding counts as 0 in the maximum": _pool(_last, _mean, partial(_highest, padding=0)),
        "the order is last, mean, maximum": _pool(_last, _highest, _mean),
        "the first word was taken, not the last": _pool(_first, _mean, _highest),
        "this is the sum over the words, not their mean": _pool(_last, _added, _highest),
        "this is the minimum, not the maximum": _pool(_last, _mean, _lowest),
        "the maximum of the sizes was taken, without the sign": _pool(_last, _mean, lambda s, m: _highest(s.abs(), m)),
        "the mean sees the padding": _pool(_last, _blind(_mean), _highest),
        "the maximum sees the padding": _pool(_last, _mean, _blind(_highest)),
    },
    returns="[B, 3·D]",
)
def concat_pool(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Last state, mean and maximum over the words of each text."""

    def batch(states: Tensor, *lengths: int) -> tuple[Tensor, Tensor]:
        return states, torch.arange(states.shape[1]) < torch.tensor(lengths)[:, None]

    if cases == "shown":
        padded = torch.tensor([[[1.0, -1], [3, -5], [2, -2]], [[4, -6], [9, 9], [8, 7]]])
        yield answer.expect("one text of 3 words", *batch(padded[:1], 3), hint=1)
        yield answer.expect("two texts, of 3 words and of 1,", *batch(padded, 3, 1), hint=2)
        yield answer.expect("texts whose states are all negative", *batch(-padded.abs() - 1, 2, 3), hint=2)
        return
    double = torch.randn(5, 7, 3, dtype=torch.float64)
    yield answer.expect("float64", *batch(double, 7, 1, 4, 2, 6), hint=2)
    yield answer.expect("a batch without any text of full length", *batch(torch.randn(3, 9, 4), 2, 5, 3), hint=1)


def _leep_by(
    *,
    table: Function = lambda joint: joint / joint.sum(0),
    reduce: Function = lambda expected: expected.log().mean(),
    answers: Function = lambda theta: theta,
) -> Function:
    """LEEP, by what becomes of the joint table [C, Z], of the expected predictions [n] and of the source's answers."""

    def score(theta: Tensor, labels: Tensor, n_classes: int) -> float:
        joint = one_hot(labels, n_classes).to(theta.dtype).T @ theta / len(theta)
        return float(reduce((answers(theta) @ table(joint).T)[torch.arange(len(theta)), labels]))

    return score


def _leep_hard_table(theta: Tensor, labels: Tensor, n_classes: int) -> float:
    said = one_hot(theta.argmax(1), theta.shape[1]).to(theta.dtype)
    joint = one_hot(labels, n_classes).to(theta.dtype).T @ said
    return float((theta @ (joint / joint.sum(0)).nan_to_num().T)[torch.arange(len(theta)), labels].log().mean())


def _leep_early(theta: Tensor, labels: Tensor, n_classes: int) -> float:
    joint = one_hot(labels, n_classes).to(theta.dtype).T @ theta
    return float((theta * (joint / joint.sum(0))[labels].log()).sum(1).mean())


@self_check(
    "9.2",
    reference=lambda theta, labels, n_classes: leep(theta, [f"{label:03d}" for label in labels.tolist()]),
    mistakes={
        "this is P(z | y): divide each column by its sum": _leep_by(table=lambda j: j / j.sum(1, keepdim=True)),
        "the joint table was not divided by P(z)": _leep_by(table=lambda joint: joint),
        "the logarithm was taken after the mean": _leep_by(reduce=lambda expected: expected.mean().log()),
        "only the source's most likely class was looked at": _leep_by(
            answers=lambda theta: one_hot(theta.argmax(1), theta.shape[1]).to(theta.dtype)
        ),
        "the sign: LEEP is at most 0": _leep_by(reduce=lambda expected: -expected.log().mean()),
        "the logarithms were summed, not averaged": _leep_by(reduce=lambda expected: expected.log().sum()),
        "take the natural logarithm": _leep_by(reduce=lambda expected: expected.log10().mean()),
        "the logarithm is the natural one, not that of base 2": _leep_by(
            reduce=lambda expected: expected.log2().mean()
        ),
        "this is the expected probability itself: the logarithm is missing": _leep_by(
            reduce=lambda expected: expected.mean()
        ),
        "the table was made of the source's most likely classes; take its probabilities": _leep_hard_table,
        "the logarithm was taken before the sum over the source's classes": _leep_early,
    },
)
def leep_score(answer: Answer, cases: Cases) -> Iterator[Any]:
    """LEEP: how well the source's answers tell the target's classes."""
    if cases == "shown":
        theta, unsure = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), torch.full((4, 2), 0.5)
        yield answer.expect("3 texts and a source of 2 classes", theta, torch.tensor([0, 0, 1]), 2, hint=1)
        yield answer.expect("a source that answers 0.5 to everything", unsure, torch.arange(4) % 2, 2, hint=2)
        yield answer.expect("a source that is always right", torch.eye(3), torch.arange(3), 3, hint=2)
        theta = torch.randn(20, 5).softmax(1)
        yield answer.expect("5 source classes, 3 target classes", theta, torch.arange(20) % 3, 3, hint=1)
        return
    double, mixed = torch.randn(12, 3).double().softmax(1), torch.tensor([2, 0, 1, 1, 0, 2, 2, 1, 0, 3, 3, 0])
    yield answer.expect("float64 and labels in mixed order", double, mixed, 4, hint=1)
    theta, unequal = torch.randn(30, 2).softmax(1), (torch.arange(30) > 27).long()
    yield answer.expect("classes of very different sizes", theta, unequal, 2, hint=2)


def _chosen(pick: Function, *, over: Function = torch.mean) -> Function:
    """Two numbers, picked from the accuracies [R] of all runs on half, on the others and on all texts."""

    def answer(right: Tensor, half: Tensor) -> tuple[float, ...]:
        other = torch.ones(right.shape[1], dtype=torch.bool)
        other[half] = False
        return tuple(float(x) for x in pick(*(over(right[:, texts], 1) for texts in (half, other, slice(None)))))

    return answer


def _best(half: Tensor, other: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
    return half.max(), other[half.argmax()]


@self_check(
    "9.3",
    reference=_chosen(_best),
    mistakes={
        "this is the accuracy on all texts, not on the others": _chosen(lambda half, _, every: _best(half, every)),
        "of equally good runs take the first": _chosen(lambda *rows: _best(*(row.flip(0) for row in rows))),
        "this is the best run there, not the chosen one": _chosen(lambda half, other, _: (half.max(), other.max())),
        "the choice was made on the other texts": _chosen(lambda half, other, _: _best(other, half)[::-1]),
        "the choice was made on all texts": _chosen(
            lambda half, other, all_: (half[all_.argmax()], other[all_.argmax()])
        ),
        "this is the worst run on half, not the best": _chosen(
            lambda half, other, _: (half.min(), other[half.argmin()])
        ),
        "this is the run itself; return its accuracies": _chosen(lambda half, other, _: (half.argmax(), half.argmax())),
        "these are percent; return shares": _chosen(lambda *rows: [100 * x for x in _best(*rows)]),
        "the second number is the gap; return the accuracy on the others": _chosen(
            lambda *rows: (_best(*rows)[0], _best(*rows)[0] - _best(*rows)[1])
        ),
        "this is the mean over all runs": _chosen(lambda half, other, _: (half.mean(), other.mean())),
        "this is a number of texts, not a share": _chosen(_best, over=torch.sum),
        "the two numbers are swapped": _chosen(lambda *rows: _best(*rows)[::-1]),
    },
    returns="two numbers (accuracy on half, accuracy on the others)",
    parts=("the accuracy on half", "the accuracy on the others"),
)
def chosen_on_test(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The best run on some texts, and what it does on the others."""
    told = Narrowed(answer)
    if cases == "shown":
        correct = ["11000111111", "11110111110", "11111000001", "00001111000"]
        right = torch.tensor([[float(text) for text in run] for run in correct])
        given = "4 runs on 11 texts, of which the first five choose,"
        yield from told.expect(given, right, torch.arange(5), hint=(1, 2))
        right = torch.tensor([[1.0, 1, 0, 0, 0, 1], [1, 0, 1, 1, 1, 1], [0, 1, 0, 1, 0, 0]])
        given = "texts 4, 1 and 5 as half, on which two runs are equally good,"
        yield from told.expect(given, right, torch.tensor([4, 1, 5]), hint=(1, 1))
        tosses, some = (torch.rand(40, 60) < 0.5).float(), torch.randperm(60)[:20]
        yield from told.expect("40 runs of coin tosses", tosses, some, hint=(1, 2))
        return
    equal = torch.tensor([[1.0, 0, 1, 1], [0, 1, 0, 0]])
    yield from told.expect("two runs that are equally good on half", equal, torch.arange(2), hint=(1, 1))
    runs = (torch.rand(9, 12) < 0.7).double()
    yield from told.expect("all but one text as half", runs, torch.arange(11), hint=(1, 2))


def _log_line(low: float, high: float, share: float) -> float:
    return low * (high / low) ** share


def _worth(between: Function = _log_line, *, reaches: Function = operator.le, flat: bool = True) -> Function:
    """The size at which a curve reaches an accuracy, by what lies `between` two sizes; `flat` below the first point."""

    def answer(sizes: list[int], curve: list[float], reached: float) -> float:
        if flat and reached <= curve[0]:
            return float(sizes[0])
        for (low, a), (high, b) in pairwise(zip(sizes, curve, strict=True)):
            if reaches(reached, b):
                return float(between(low, high, (reached - a) / (b - a)))
        return math.inf

    return answer


_in_labels = _worth()


@self_check(
    "9.4",
    reference=_in_labels,
    mistakes={
        "the line goes over n, not over log n": _worth(lambda low, high, share: low + share * (high - low)),
        "this is the next measured size": _worth(lambda low, high, _: high),
        "this is the measured size before": _worth(lambda low, high, _: low),
        "this is the logarithm": _worth(lambda *piece: math.log(_log_line(*piece))),
        "below the first point it is worth no more than the first size": _worth(flat=False),
        "below the first point this is 0; return the first size": lambda n, curve, a: (
            _in_labels(n, curve, a) if a >= curve[0] else 0.0
        ),
        "this is how many labels more than the first size": lambda n, curve, a: _in_labels(n, curve, a) - n[0],
        "this is a straight line through the first and the last point": lambda n, curve, a: _in_labels(
            [n[0], n[-1]], [curve[0], curve[-1]], a
        ),
        "the share was counted from the upper point": _worth(lambda low, high, share: _log_line(low, high, 1 - share)),
        "the floor never gets there: infinity": lambda n, curve, a: _in_labels(n, curve, min(a, curve[-1])),
        "an accuracy that equals the last point gives the last size": _worth(reaches=operator.lt),
    },
)
def worth_in_labels(answer: Answer, cases: Cases) -> Iterator[Any]:
    """How many labels the floor needs for an accuracy."""
    sizes, curve = [5, 20, 80], [0.3, 0.5, 0.6]
    told = Narrowed(answer)
    if cases == "shown":
        yield told.expect("sizes 5, 20, 80, accuracies 0.3, 0.5, 0.6, reached 0.42", sizes, curve, 0.42, hint=1)
        for reached, hint in ((0.55, 1), (0.5, 1), (0.1, 2), (0.8, 2), (0.6, 2)):
            yield told.expect(f"the same curve, reached {reached}", sizes, curve, reached, hint=hint)
        return
    more, rising = [1, 3, 10, 30, 100], [0.2, 0.35, 0.5, 0.6, 0.65]
    yield answer.expect("five sizes, reached 0.625", more, rising, 0.625, hint=1)
    yield answer.expect("the first point itself", sizes, curve, 0.3, hint=2)


def _tuned(
    network: Function,
    layers: list[Tensor],
    passes: list[list[tuple[Tensor, Tensor]]],
    rate: float,
    factor: Function,
    *,
    slip: str = "",
) -> tuple[list[Tensor], list[float]]:
    """The layers after careful fine-tuning, and the loss before each step; `slip`: one error."""
    firsts, losses, done, top = layers, [], 0, len(layers) - 1
    added = [torch.zeros_like(layer) for layer in layers]
    total = sum(map(len, passes))
    awake: Function = {
        "all": lambda depth, number: True,
        "late": lambda depth, number: depth < number,
        "early": lambda depth, number: depth <= number + 1,
        "newest": lambda depth, number: depth == min(number, top),
        "head": lambda depth, number: depth == 0,
        "bottom": lambda depth, number: top - depth <= number,
    }.get(slip, lambda depth, number: depth <= number)
    slower: Function = {
        "one rate": lambda depth: 1.0,
        "linear": lambda depth: 2.6 * max(depth, 1) if depth else 1.0,
        "once": lambda depth: 2.6 if depth else 1.0,
        "faster": lambda depth: 1 / 2.6**depth,
        "turned": lambda depth: 2.6 ** (top - depth),
        "head too": lambda depth: 2.6 ** (depth + 1),
    }.get(slip, lambda depth: 2.6**depth)
    for number, batches in enumerate(passes):
        layers = firsts if slip == "anew" else layers
        for place, (x, y) in enumerate(batches):
            share = {
                "of pass": place / len(batches), "passes": number / len(passes), "after": (done + 1) / total,
                "to one": done / max(total - 1, 1), "count": done,
            }.get(slip, done / total)  # fmt: skip
            leaves = [layer.detach().clone().requires_grad_() for layer in layers]
            loss = cross_entropy(network(x, leaves), y) * (len(y) if slip == "sum" else 1)
            slopes = list(torch.autograd.grad(loss, leaves))
            added = [a + s for a, s in zip(added, slopes, strict=True)]
            slopes = added if slip == "added" else [-s for s in slopes] if slip == "up" else slopes
            scale = 1.0 if slip == "no factor" else float(factor(share))
            layers = [
                layer - scale * rate / slower(top - level) * slope if awake(top - level, number) else layer
                for level, (layer, slope) in enumerate(zip((layer.detach() for layer in leaves), slopes, strict=True))
            ]
            noted = cross_entropy(network(x, layers), y) if slip == "noted late" else loss
            losses.append(noted.item())
            done += 1
    return layers, losses


def _slip(name: str) -> Function:
    return partial(_tuned, slip=name)


_GENTLE = {
    "the layers never moved": lambda network, layers, passes, rate, factor: _tuned(
        network, layers, passes, 0.0, factor
    ),
    "the sign: a step goes against the gradient": _slip("up"),
    "all layers learn from the first pass; in pass p only the top p + 1 do": _slip("all"),
    "the unfreezing begins at the wrong end; the head, the last of the layers, is first": _slip("bottom"),
    "in pass p, counted from 0, the top p + 1 layers learn; here it is p": _slip("late"),
    "in pass p, counted from 0, the top p + 1 layers learn; here it is p + 2": _slip("early"),
    "a layer that is awake stays awake": _slip("newest"),
    "only the head learns; in each pass one layer more wakes": _slip("head"),
    "all layers learn at one rate; divide it by 2.6 for each layer below the head": _slip("one rate"),
    "lower layers learn more slowly: divide by 2.6, do not multiply": _slip("faster"),
    "the rates begin at the wrong end; the head learns at `rate`": _slip("turned"),
    "the head learns at `rate` itself; only the layers below are slower": _slip("head too"),
    "two layers below the head the rate is divided by 2.6², not by 2.6 once": _slip("once"),
    "two layers below the head the rate is divided by 2.6², not by 2 · 2.6": _slip("linear"),
    "the factor was not used": _slip("no factor"),
    "the share runs over all passes; here it begins anew in each": _slip("of pass"),
    "the share of the steps counts, not that of the passes": _slip("passes"),
    "at the first step nothing is done: the share is 0": _slip("after"),
    "the share is that of all T steps, done / T, not done / (T − 1)": _slip("to one"),
    "factor takes the share of the steps that are done, not their number": _slip("count"),
    "each pass goes on from where the last one ended; here it began anew": _slip("anew"),
    "gradients add up: empty them before each step": _slip("added"),
    "the loss is a mean over the batch, not a sum": _slip("sum"),
    "the losses were noted after the step, not before": _slip("noted late"),
}


@self_check(
    "9.5",
    reference=_tuned,
    mistakes=_GENTLE,
    returns="two things (layers, losses)",
    tolerance=1e-7,
)
def gentle_fine_tuning(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Fine-tuning by three rules: which layer learns when, how fast, and how the rate runs; and the loss falls."""
    ruled_out: set[str] = set()

    def run(widths: list[int], batches: list[int], rate: float, factor: Function) -> tuple[Any, ...]:
        layers = [torch.randn(a, b).double() / a**0.5 for a, b in pairwise(widths)]
        truth = torch.randn(widths[0], widths[-1]).double()
        x = [[torch.randn(5 + i, widths[0]).double() for i in range(number)] for number in batches]
        return _tanh_network, layers, [[(z, (z @ truth).argmax(1)) for z in part] for part in x], rate, factor

    def compare(given: str, *inputs: Any, hints: tuple[int, int]) -> str:
        layers, losses = row(answer(*inputs), 2, answer.check.returns, given=given, hint=1)
        right, right_losses = _tuned(*inputs)
        row(layers, len(right), f"a list of {len(right)} layers", given=given, hint=1)
        made = [(c, m) for c, m in answer.suspects(*inputs) if c not in ruled_out]
        for place, (layer, wanted) in enumerate(zip(layers, right, strict=True)):
            what = f"{given} for layer {place} of 0 … {len(right) - 1},"
            layer = expect_tensor(layer, tuple(wanted.shape), given=what, like=wanted, hint=1).detach()
            same = [(c, m) for c, m in made if all(map(torch.allclose, m[0][:place], right[:place]))]
            named = [
                (c, m[0][place]) for c, m in same if all(map(torch.allclose, m[0][place + 1 :], layers[place + 1 :]))
            ]
            expect_close(layer, wanted, given=what, tolerance=1e-7, suspects=named, hint=hints[0])
        count = f"{len(right_losses)} numbers, one for each step"
        numbers = row(losses, len(right_losses), count, given=f"{given} for the losses,", hint=1)
        got, wanted = torch.tensor([float(loss) for loss in numbers]).double(), torch.tensor(right_losses).double()
        named = [(c, torch.tensor(m[1]).double()) for c, m in made if all(map(torch.allclose, m[0], right))]
        expect_close(got, wanted, given=f"{given} for the losses,", tolerance=1e-6, suspects=named, hint=hints[1])
        ruled_out.update(
            c for c, m in made
            if not all(map(torch.allclose, m[0], right)) or not torch.allclose(torch.tensor(m[1]).double(), wanted)
        )  # fmt: skip
        return given

    if cases == "shown":
        yield compare("two passes and a factor of 1,", *run([4, 3, 3, 2], [2, 1], 0.5, _steady), hints=(2, 1))
        yield compare("three passes and a factor of 1,", *run([4, 3, 3, 2], [2, 1, 2], 0.5, _steady), hints=(2, 1))
        yield compare("a factor of 1 − t,", *run([4, 3, 3, 2], [2, 1, 3], 0.5, _falling), hints=(3, 1))
        yield compare(
            "more passes than layers,", *run([4, 3, 2], [1, 2, 1, 2], 0.4, slanted_triangular()), hints=(2, 1)
        )
        losses = [float(loss) for loss in answer(*run([4, 8, 8, 2], [4] * 60, 1.0, _falling))[1]]
        first, last = (sum(part) / 8 for part in (losses[:8], losses[-8:]))
        found = f"one that goes from {first:.2f} to {last:.2f}"
        expect(last < first / 2, "60 passes", "a loss that falls to less than half", found, hint=1)
        yield "it falls"
        return
    yield compare("four layers", *run([3, 4, 4, 4, 3], [1, 2, 1, 2, 1], 0.3, slanted_triangular()), hints=(2, 1))
    yield compare("the head alone", *run([5, 3], [2, 2], 0.6, _falling), hints=(3, 1))


def _tanh_network(x: Tensor, layers: list[Tensor]) -> Tensor:
    for layer in layers[:-1]:
        x = (x @ layer).tanh()
    return x @ layers[-1]


def _steady(_: float) -> float:
    return 1.0


def _falling(done: float) -> float:
    return 1 - done
