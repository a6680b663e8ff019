"""Self-checks of chapter 05: a head that sees rivals, the delta rule, the swap test, a training loop with α and β."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from .core import Answer, Cases, Function, expect, expect_tensor, row, self_check
from .episode_loss import EPISODE_LOSS_SLIPS, episodes


def _codes(support: Tensor, labels: Tensor, n_way: int, phi: Function, *, slip: str = "") -> Tensor:
    """Class codes of a set; `slip`: with a mistake."""
    if slip == "order":
        labels = labels.sort().values
    features = support if slip == "late" else phi(support)
    per_class = torch.stack([features[labels == c].mean(0) for c in range(n_way)])
    if slip == "sum":
        per_class = torch.stack([features[labels == c].sum(0) for c in range(n_way)])
    per_class = phi(per_class) if slip == "late" else per_class
    rivals = (per_class.sum(0) - per_class) / (n_way - 1)
    if slip == "examples":
        rivals = torch.stack([features[labels != c].mean(0) for c in range(n_way)])
    if slip == "added":
        rivals = rivals * (n_way - 1)
    if slip == "all":
        rivals = per_class.mean(0).expand_as(per_class)
    if slip == "divided":
        rivals = rivals * (n_way - 1) / n_way
    if slip == "difference":
        rivals = per_class - rivals
    return torch.cat((rivals, per_class) if slip == "turned" else (per_class, rivals), dim=1)


@self_check(
    "5.1",
    reference=_codes,
    mistakes={
        cause: partial(_codes, slip=slip)
        for cause, slip in {
            "φ was applied to the means; apply it to each example, and take the mean after it": "late",
            "the examples of a class were added up; take their mean": "sum",
            "the second half is the mean over all classes, as in section 4; leave the class itself out": "all",
            "the second half divides by N; there are N − 1 rivals": "divided",
            "the second half is the mean of the rivals' examples; take that of their codes, each once": "examples",
            "the second half adds the rivals' codes up; take their mean": "added",
            "the second half is the difference to the rivals; give their mean itself": "difference",
            "the two halves are swapped: the class first": "turned",
            "the labels were not looked at, only the order": "order",
        }.items()
    },
    returns="[N, 2H]",
)
def rival_codes(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A head that reads a set: the mean of φ over a class, beside the mean of its rivals' codes."""
    generator = torch.Generator().manual_seed(3 if cases == "shown" else 4)
    ways, width, hidden = (3, 3, 4) if cases == "shown" else (5, 6, 3)
    weights = torch.randn(width, hidden, generator=generator)

    def phi(x: Tensor) -> Tensor:
        return (x @ weights.to(x.dtype)).relu()

    labels = torch.arange(ways).repeat_interleave(3)
    mixed = torch.randperm(len(labels), generator=generator)
    support = torch.randn(len(labels), width, generator=generator)
    unequal = torch.cat([labels, torch.zeros(4, dtype=torch.long)])
    longer = torch.randn(len(unequal), width, generator=generator)
    yield answer.expect("classes of unequal size", longer, unequal, ways, phi, hint=2)
    yield answer.expect("3 examples a class in mixed order", support[mixed], labels[mixed], ways, phi, hint=1)
    yield answer.expect("float64", support.double(), labels, ways, phi, hint=2)
    learns = support.clone().requires_grad_()
    cause = "keep to operations of torch; .detach() and NumPy cut the codes off from φ, which could not learn"
    answer.gradient(learns, learns, labels, ways, phi, by="what φ reads", cause=cause)
    yield "a gradient"


def _delta(keys: Tensor, values: Tensor, rate: float, passes: int, *, slip: str = "") -> Tensor:
    """The delta rule; `slip`: with a mistake."""
    weights = torch.zeros(values.shape[1], keys.shape[1], dtype=keys.dtype)
    for number in range(1 if slip == "once" else passes):
        start = weights
        pairs = list(zip(keys, values, strict=True))
        for key, value in reversed(pairs) if slip == "backwards" else pairs:
            if slip == "unit":
                key = normalize(key, dim=0)
            said = (start if slip == "together" else weights) @ key
            error = value if slip == "hebb" else said - value if slip == "sign" else value - said
            if slip == "softmax":
                error = value - said.softmax(0)
            size = rate / (number + 1) if slip == "falling" else 1.0 if slip == "no rate" else rate
            weights = weights + size * torch.outer(error, key)
    return weights.T if slip == "turned" else weights


@self_check(
    "5.2",
    reference=_delta,
    mistakes={
        cause: partial(_delta, slip=slip)
        for cause, slip in {
            "this is Hebb's rule; write the error v − W k, not v": "hebb",
            "the sign: the error is v − W k": "sign",
            "all errors of a pass come from the W at its start; each example sees what was written before": "together",
            "this is W after one pass from W = 0; the examples are read `passes` times, and W goes on": "once",
            "the rate was left out": "no rate",
            "the rate falls from pass to pass; it stays": "falling",
            "a softmax was taken of what W says; take W k itself": "softmax",
            "the keys were scaled to length 1; take them as they are": "unit",
            "the examples were read from the last to the first": "backwards",
        }.items()
    },
    returns="[N, D]",
    tolerance=1e-6,
)
def corrected_weights(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A matrix that is written by corrections: one pass, many passes, the limit."""
    generator = torch.Generator().manual_seed(5 if cases == "shown" else 6)
    number, width, ways = (4, 6, 2) if cases == "shown" else (7, 9, 3)
    keys = torch.randn(number, width, generator=generator).double()
    values = torch.eye(ways)[torch.arange(number) % ways].double()
    rate = 0.1 if cases == "shown" else 0.07
    yield answer.expect("three passes", keys, values, rate, 3, hint=2)
    yield answer.expect("one pass", keys, values, rate, 1, hint=1)
    short = torch.eye(number, width)  # keys at right angles: nothing is written twice
    yield answer.expect("float32 keys at right angles, rate 1", short, values.float(), 1.0, 1, hint=1)
    yield answer.expect("700 passes at a small rate", keys, values, rate / 100, 700, hint=2)
    unit = normalize(keys, dim=1)
    wanted = (torch.linalg.pinv(unit) @ values).T
    got = answer(unit, values, 1.0, 3000)
    expect_tensor(got, tuple(wanted.shape), given="3,000 passes", like=keys, axes="[N, D]", hint=1)
    gap = float((got - wanted).abs().max())
    expect(gap < 1e-6, "3,000 passes", "the least-norm solution of W K = V", f"one that is {gap:.2g} off", hint=2)
    yield "the limit"


SEEDS = (433, 474)  # of 5.3: tasks where each mistake gives another share


def _swap(predict: Function, tasks: list[tuple[Tensor, ...]], *, slip: str = "") -> float:
    """The share of queries whose logits change; `slip`: with a mistake."""
    changed = []
    for number, (support, labels, query) in enumerate(tasks):
        place = {"previous": number - 1, "first": 0, "own": number}.get(slip, number + 1) % len(tasks)
        other_support, other_labels, other_query = tasks[place]
        if slip == "labels stay":
            other_labels = labels
        if slip == "labels alone":
            other_support = support
        if slip == "rolled":
            other_support, other_labels = support, labels.roll(1)
        if slip == "zero":
            other_support, other_labels = torch.zeros_like(support), labels
        before = predict(support, labels, query)
        after = predict(other_support, other_labels, other_query if slip == "queries" else query)
        apart = (before - after).abs()
        moved = (apart > (1e-3 if slip == "coarse" else 1e-6)).any(1)
        if slip == "classes":
            moved = before.argmax(1) != after.argmax(1)
        if slip == "all":
            moved = (apart > 1e-6).all(1)
        if slip == "exact":
            moved = (before != after).any(1)
        if slip == "sum":
            moved = (before.sum(1) - after.sum(1)).abs() > 1e-6
        if slip == "column":
            moved = apart[:, 0] > 1e-6
        if slip == "relative":
            moved = ~torch.isclose(before, after).all(1)
        changed.append(moved)
    if slip == "tasks":
        return float(torch.stack([each.any() for each in changed]).double().mean())
    if slip == "by task":
        return float(torch.stack([each.double().mean() for each in changed]).mean())
    share = float(torch.cat(changed).double().mean())
    return 1 - share if slip == "stayed" else 100 * share if slip == "percent" else share


@self_check(
    "5.3",
    reference=_swap,
    mistakes={
        cause: partial(_swap, slip=slip)
        for cause, slip in {
            "all logits of a query had to change; one is enough": "all",
            "nothing was swapped": "own",
            "the queries were swapped, too; each task keeps its own": "queries",
            "the predicted classes were compared; logits may change where the class does not": "classes",
            "differences below 1e-6 are rounding": "exact",
            "this is the share of tasks, not of queries": "tasks",
            "this is the mean of the tasks' shares; tasks have unequal numbers of queries": "by task",
            "this is the share that stayed the same": "stayed",
            "this is in percent, not a share": "percent",
            "each task got the support set of the one before; take the next one": "previous",
            "each task got the support set of the first one; take the next one": "first",
            "the labels stayed; they belong to the support set and go with it": "labels stay",
            "the labels went to the next task, their support set stayed": "labels alone",
            "the task kept its support set, with other labels; give it those of the next task": "rolled",
            "a support set of zeros is none that any task has; give that of the next task": "zero",
            "the sums of the logits were compared; look at each logit": "sum",
            "only the first logit was looked at; any may change": "column",
            "torch.isclose allows more for large logits; the border is 1e-6 for all": "relative",
            "the border was larger than 1e-6": "coarse",
        }.items()
    },
)
def share_that_changes(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The swap test: what part of the queries notices that its task has got another support set?"""
    ways, number, unequal, seed = (3, 4, (4, 9, 6), SEEDS[0]) if cases == "shown" else (4, 5, (5, 2, 9, 6), SEEDS[1])
    generator = torch.Generator().manual_seed(seed)

    def task(asked: int) -> tuple[Tensor, ...]:
        """Support texts start with 0 or 1, queries with a kind: how, if at all, their logits depend on the support."""
        labels = torch.arange(2 * ways)[torch.randperm(2 * ways, generator=generator)] % ways
        support, query = (torch.rand(n, 2 + ways, generator=generator).double() for n in (2 * ways, asked))
        support[:, 0] = torch.randint(2, (2 * ways,), generator=generator)
        query[:, 0] = torch.randint(9, (asked,), generator=generator)
        return support, labels, query

    def some(support: Tensor, labels: Tensor, query: Tensor) -> Tensor:
        """Reads the mean first number of class 0, and adds it to logits by kind: not, to one, to two, to all …"""
        kind, read = query[:, :1], support[labels == 0].mean(0)[0]
        first, last = torch.eye(ways)[0], torch.eye(ways)[-1]
        directions = [
            0 * last, 1e-9 * last, last, last - first, torch.ones(ways), -1000 * last, 1e-4 * last, 5e-3 * last, first
        ]  # fmt: skip
        base = torch.arange(ways) + query[:, 2:] / 10 + 1000 * (kind == 7)
        return base + read * torch.stack(directions).double()[kind[:, 0].long()]

    def ignores(support: Tensor, labels: Tensor, query: Tensor) -> Tensor:
        return query[:, 2:] + 1e-9 * support.sum()

    equal, other = [task(10) for _ in range(number)], [task(asked) for asked in unequal]
    yield answer.expect(
        "a classifier that reads its support set for some queries, and some logits", some, equal, hint=2
    )
    yield answer.expect("tasks of unequal size", some, other, hint=2)
    yield answer.expect("a classifier that does not read it, but for rounding", ignores, equal, hint=2)


def _training(
    draw: Function, start: Tensor, n_way: int, alpha: float, beta: float, rate: float, steps: int, *, slip: str = ""
) -> tuple[Tensor, Tensor]:
    """A tail that is trained by α × support loss + β × query loss; `slip`: with a mistake."""
    now, losses = start.detach().clone(), []

    def loss_of(tail: Tensor, i: int) -> Tensor:
        support, labels, query, truth = draw(0 if slip == "first" else i)
        by = labels.sort().values if slip == "order" else labels
        centres = torch.stack([support[by == c].mean(0) for c in range(n_way)])
        if slip == "cut":
            tail = tail.detach() + 0 * tail
        written = centres + centres @ (tail.T if slip == "turned" else tail)
        if slip == "no residual":
            written = centres @ tail
        both = []
        for x, y in ((support, labels), (query, truth)):
            logits = x @ written.T
            logits = -logits if slip == "far" else logits.softmax(1) if slip == "softmax" else logits
            both.append(cross_entropy(logits, y) * (len(y) if slip == "sum" else 1))
        a, b = {
            "support": (1.0, 0.0), "query": (0.0, 1.0), "swapped": (beta, alpha), "no weights": (1.0, 1.0),
            "alpha only": (alpha, 1.0), "complement": (alpha, 1 - alpha),
        }.get(slip, (alpha, beta))  # fmt: skip
        return a * both[0] + b * both[1]

    for i in range(steps):
        leaf = (start if slip == "anew" else now).detach().clone().requires_grad_()
        loss = loss_of(leaf, i)
        (slope,) = torch.autograd.grad(loss, leaf)
        now = leaf.detach() + (rate if slip == "up" else -rate) * (0 if slip == "still" else 1) * slope
        losses.append(loss_of(now, i).item() if slip == "late" else loss.item())
    return now, torch.tensor(losses, dtype=start.dtype)


_SLIPS = {cause: slip for cause, slip in EPISODE_LOSS_SLIPS.items() if slip in ("far", "softmax", "sum", "order")}


@self_check(
    "5.4",
    reference=_training,
    mistakes={
        cause: partial(_training, slip=slip)
        for cause, slip in {
            "the tail never moved; take a step after each episode": "still",
            "the sign: a step goes against the gradient": "up",
            "each step began at the start again; go on from where the last one ended": "anew",
            "every step saw the first episode; draw(i) gives new ones": "first",
            "the query loss is missing": "support",
            "the support loss is missing": "query",
            "α and β are swapped: α weighs the support loss": "swapped",
            "both losses count 1; α and β weigh them": "no weights",
            "the query loss is weighted by β, not by 1": "alpha only",
            "the query loss is weighted by β, not by 1 − α": "complement",
            "the residual is missing: the class mean itself is part of what is written": "no residual",
            "the tail is means @ tail, not means @ tail.T": "turned",
            **_SLIPS,
            "these losses are from after the step; note them before": "late",
        }.items()
    },
    returns="two things, the trained tail and the losses",
    parts=("the trained tail", "the losses"),
    tolerance=1e-6,
)
def writer_training(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A tail that writes class weights, trained by two losses; and the loss falls."""
    shown = cases == "shown"

    ways, shots, alpha, beta = (3, 2, 0.3, 0.5) if shown else (4, 1, 0.6, 0.9)
    start = 0.2 * torch.randn(3, 3, generator=torch.Generator().manual_seed(9)).double()
    for number, (a, b) in enumerate([(alpha, beta), (0.0, 1.0), (1.0, 0.0)]):
        given = f"α = {a:g}, β = {b:g}, 3 steps,"
        yield from answer.expect(
            given, episodes(ways, shots, 3, 1.5), start, ways, a, b, 0.2, 3, hint=(2, 2 + number // 2)
        )
    drawn: list[int] = []

    def noted(i: int) -> Any:
        drawn.append(i)
        return episodes(ways, shots, 3, 1.5)(i)

    seen = row(answer(noted, start, ways, alpha, beta, 0.2, 4), 2, answer.check.returns, given="4 steps,", hint=1)
    told = f"draw called with {', '.join(map(str, drawn))}"
    expect(drawn == [0, 1, 2, 3], "4 steps", "draw called once in each, with 0, 1, 2, 3", told, hint=1)
    for name, part in (("a tail", [seen[0]]), ("losses", seen[1])):
        live = any(isinstance(each, Tensor) and each.requires_grad for each in part)
        cause = "what is returned would keep all the steps in memory; use .detach() and .item()"
        expect(not live, "4 steps", f"{name} without a graph", "one that asks for a gradient", cause=cause, hint=1)
    yield "plain results"
    steps, wide = 80, torch.zeros(8, 8).double()
    losses = row(answer(episodes(ways, shots, 8, 1.5), wide, ways, 0.5, 0.5, 0.2, steps), 2, answer.check.returns,
                 given="80 steps,", hint=1)[1]  # fmt: skip
    expect(len(losses) == steps, "80 steps", "80 losses", f"{len(losses)}", hint=1)
    early, late = (sum(map(float, part)) / 20 for part in (losses[:20], losses[-20:]))
    told = f"one that goes from {early:.2f} to {late:.2f}"
    expect(late < 0.8 * early, "80 steps", "a loss that falls by a fifth or more", told, hint=3)
    yield "the loss falls"
