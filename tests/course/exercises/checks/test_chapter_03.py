"""Each check passes the right answers, and says of typical wrong ones what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalearn_lib import Score
from metalearn_lib.course.exercises import checks as check
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.exercises.checks import CheckFailed
from metalearn_lib.files import root
from metalearn_lib.inner_loop import InnerLoop, Tasks
from metalearn_lib.meta_optimizers import finite_differences
from tests.course.exercises.checks.solutions import solved
from tests.notebooks.stored_notebook import StoredNotebook

NOTEBOOK = StoredNotebook(root() / "notebooks" / "03_maml_and_reptile.ipynb")


def names() -> dict[str, Any]:
    """What the chapter has defined before its exercises: the functions from scratch of section 4."""
    found: dict[str, Any] = {"torch": torch, "cross_entropy": cross_entropy, "Score": Score}
    (scratch,) = [cell.source for cell in NOTEBOOK.cells if cell.source.startswith("def outputs(")]
    exec(scratch, found)
    return found


def solution(number: str) -> Any:
    return solved(NOTEBOOK, number, **names())


def library_anil(weights: list[Tensor], x: Tensor, y: Tensor, rate: float, steps: int) -> list[Tensor]:
    first, _, last, _ = weights
    network = nn.Sequential(nn.Linear(*first.T.shape), nn.ReLU(), nn.Linear(*last.T.shape)).double()
    with torch.no_grad():
        for p, w in zip(network.parameters(), weights, strict=True):
            p.copy_(w)
    nobody = torch.zeros(1, 1, dtype=torch.long)
    head = InnerLoop(network, adapt="head").adapt(Tasks(x[None], y[None], x[None, :1], nobody), rate, steps=steps)
    return [head[name][0] if name in head else p for name, p in network.named_parameters()]


def library_gradient(w: Tensor, *tasks: Any, second_order: bool = True) -> Tensor:
    network = nn.Linear(len(w), 1, bias=False).double()
    network.weight.data = w[None].clone()
    inner = InnerLoop(network, steps=1, first_order=not second_order, engine="loop")
    return inner.gradients(Tasks(*tasks[:4]), max(tasks[4], 1e-12))[1]["weight"][0]


def by_finite_differences(w: Tensor, *tasks: Any, second_order: bool = True) -> Tensor:
    judge = finite_differences(lambda: mean_loss(w, *tasks), {"w": (w := w.clone())})["w"]
    return judge if second_order else library_gradient(w, *tasks, second_order=False)


def mean_loss(w: Tensor, x: Tensor, y: Tensor, z: Tensor, t: Tensor, rate: float) -> Tensor:
    moved = w - rate * 2 * (x * (x @ w - y)[..., None]).mean(1)
    return (((z * moved[:, None]).sum(-1) - t) ** 2).mean()


def library_judge(gradient: Any, loss: Any, start: Tensor) -> Any:
    start = start.clone()
    judge = finite_differences(lambda: loss(start), {"start": start})["start"]
    return torch.isclose(gradient(start), judge, rtol=1e-4, atol=float(1e-5 * judge.norm())).all()


def library_gain(predict: Any, s: Tensor, t: Tensor, q: Tensor, z: Tensor, *steps: int) -> Any:
    errors = [squares(predict, s, t, q, z, k).mean(1).numpy() for k in steps]
    gain = Score.of(errors[0], key=(1,), share=False).minus(Score.of(errors[1], key=(1,), share=False))
    return [gain.difference, torch.tensor(gain.low), gain.high]


def squares(predict: Any, s: Tensor, t: Tensor, q: Tensor, z: Tensor, steps: int) -> Tensor:
    return torch.stack([(predict(a, b, c, steps) - d) ** 2 for a, b, c, d in zip(s, t, q, z, strict=True)])


ANIL, META, JUDGE, GAIN = "anil_adapted", "regression_meta_gradient", "is_second_order", "gain_of_steps"
RIGHT: list[tuple[str, Any]] = [
    *[(e.checks[0], solution(e.number)) for e in exercises(NOTEBOOK.raw["cells"]) if e.checks],
    (ANIL, library_anil),
    (META, library_gradient),
    (META, by_finite_differences),
    (JUDGE, library_judge),
    (GAIN, library_gain),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{n}: {a.__name__}" for n, a in RIGHT])
def test_a_right_answer_passes(passes: Any, name: str, answer: Any) -> None:
    passes(name, answer)


def anil_from_the_start(weights: list[Tensor], *rest: Any) -> list[Tensor]:
    steps, moved = rest[-1], solution("3.1")(weights, *rest[:-1], 1)
    return [w + steps * (m - w) for w, m in zip(weights, moved, strict=True)]


def anil_in_place(weights: list[Tensor], *rest: Any) -> list[Tensor]:
    moved = solution("3.1")(weights, *rest)
    weights[2].data.copy_(moved[2])
    return moved


def anil_without_bias(weights: list[Tensor], *rest: Any) -> list[Tensor]:
    return [*solution("3.1")(weights, *rest)[:3], weights[3]]


def meta(*, inner: str = "support", outer: str = "query", rate: Any = lambda r: r, graph: bool | None = None,
         chained: bool = False, total: Any = torch.mean, error: Any = torch.mean) -> Any:  # fmt: skip
    """`regression_meta_gradient` with a slip of one's choice."""

    def answer(w: Tensor, *tasks: Any, second_order: bool = True) -> Tensor:
        start = w = w.detach().clone().requires_grad_()
        losses = []
        for x, y, z, t in zip(*tasks[:4], strict=True):
            of = {"support": (x, y), "query": (z, t)}
            a, b = of[inner]
            keep = second_order if graph is None else graph
            (g,) = torch.autograd.grad(error((a @ w - b) ** 2), w, create_graph=keep)
            moved = w - rate(tasks[4]) * g
            a, b = of[outer]
            losses.append(torch.autograd.grad(((a @ moved - b) ** 2).mean(), w, retain_graph=True)[0])
            w = moved.detach().requires_grad_() if chained else start
        return total(torch.stack(losses), 0)

    return answer


def meta_in_place(w: Tensor, *tasks: Any, second_order: bool = True) -> Tensor:
    w -= tasks[4]
    return solution("3.2")(w, *tasks, second_order=second_order)


def judge(accept: Any) -> Any:
    """A wrong test for second order: `accept` is given the gradient and its finite differences."""

    def answer(gradient: Any, loss: Any, start: Tensor) -> Any:
        found = start.clone()
        return accept(gradient(start), finite_differences(lambda: loss(found), {"x": found})["x"])

    return answer


def rough_judge(gradient: Any, loss: Any, start: Tensor) -> bool:
    units = 0.1 * torch.eye(len(start), dtype=start.dtype)
    slopes = torch.stack([(loss(start + u) - loss(start)) / 0.1 for u in units])
    return bool(torch.allclose(gradient(start), slopes, rtol=1e-4))


def gain(interval: Any, *, sign: int = 1) -> Any:
    """A wrong `gain_of_steps`: `interval` gives mean and half width from the squared errors [T, Q]."""

    def answer(*given: Any) -> Any:
        mean, half = map(float, interval(*(squares(*given[:5], k) for k in given[5:])))
        return sign * mean, sign * mean - half, sign * mean + half

    return answer


def half(values: Any) -> float:
    score = Score.of(values.numpy(), share=False)
    return score.high - score.mean


def unpaired(a: Tensor, b: Tensor) -> float:
    gain = Score.of(a.mean(1).numpy()).minus(Score.of(b.mean(1).numpy()))
    return gain.high - gain.difference


def difference(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).mean(1)


def unanswered(*_: Any, **__: Any) -> Any:
    raise NotImplementedError


WRONG: list[tuple[str, Any, str]] = [
    (ANIL, lambda w, x, y, r, k: names()["adapted"](w, x, y, r, k, True), "this layer must stay where it is"),
    (ANIL, lambda w, x, y, r, k: solution("3.1")(w, x, y, -r, k), "the sign: go down the gradient"),
    (ANIL, lambda w, x, y, r, k: solution("3.1")(w, x, y, r, 1), "only one step was taken"),
    (ANIL, lambda w, x, y, r, k: solution("3.1")(w, x, y, r * len(x), k), "was added up, not averaged"),
    (ANIL, lambda w, x, y, r, k: solution("3.1")(w, x, y, r, k)[2:], "like `weights`, got a list of 2"),
    (ANIL, lambda w, x, y, r, k: [t.float() for t in solution("3.1")(w, x, y, r, k)], "torch.float32"),
    (ANIL, anil_from_the_start, "every step was taken from the start"),
    (ANIL, anil_without_bias, "the last layer's bias, I expected"),
    (ANIL, anil_in_place, "changed its argument 1"),
    (META, meta(graph=False), "this is the first-order gradient; does the inner gradient keep its graph?; see hint 2"),
    (META, meta(graph=True), "this is the second-order gradient, although second_order=False; see hint 3"),
    (META, meta(inner="query"), "the inner step used the query set"),
    (META, meta(outer="support"), "the outer loss is that of the support set"),
    (META, meta(rate=lambda r: 0), "the inner step has no effect"),
    (META, meta(rate=lambda r: -r), "goes up the gradient"),
    (META, meta(total=torch.sum), "with four tasks I expected"),
    (META, meta(error=torch.sum), "the support errors were added up, not averaged"),
    (META, meta(chained=True), "each task started where the one before it ended"),
    (META, lambda w, *a, **k: -library_gradient(w, *a, **k), "the sign: return the gradient itself"),
    (META, meta_in_place, "changed its argument 1, a tensor of shape [3]: work on a copy"),
    (JUDGE, lambda g, f, s: True, "one that forgot create_graph I expected False, got True: a loss cannot tell"),
    (JUDGE, lambda g, f, s: False, "a right implementation I expected True, got False: the test is too strict"),
    (JUDGE, lambda g, f, s: bool(f(s) == f(s)) and g(s).shape == s.shape, "compare the gradient with differences"),
    (JUDGE, judge(lambda g, d: bool(torch.allclose(g[:3], d[:3], rtol=1e-4))), "not every number was compared"),
    (JUDGE, judge(lambda g, d: bool(torch.cosine_similarity(g, d, dim=0) > 0.999999)), "not only the direction"),
    (JUDGE, judge(lambda g, d: bool((g == d).all())), "the test is too strict, or its differences too rough"),
    (JUDGE, judge(lambda g, d: g - d), "True or False, got a tensor of shape [12]; see hint 1"),
    (JUDGE, rough_judge, "the test is too strict, or its differences too rough: both sides"),
    (GAIN, gain(lambda a, b: (difference(a, b).mean(), half(difference(a, b))), sign=-1), "take `few` minus `many`"),
    (GAIN, gain(lambda a, b: (difference(a, b).mean(), unpaired(a, b))), "the interval is not paired"),
    (GAIN, gain(lambda a, b: (difference(a, b).mean(), half((a - b).flatten()))), "the unit is the task"),
    (GAIN, gain(lambda a, b: (difference(a, b).mean(), difference(a, b).std())), "one standard deviation; the mean"),
    (GAIN, gain(lambda a, b: (difference(a, b).mean(), difference(a, b).std() / 3)), "this is one standard error"),
    (GAIN, gain(lambda a, b: ((a - b).sum(1).mean(), half((a - b).sum(1)))), "of a task were added up, not averaged"),
    (GAIN, lambda p, s, t, q, z, a, b: library_gain(p, s, t, s, t, a, b), "these are errors on the support set"),
    (GAIN, lambda *a: 0.5, "three numbers (mean, low, high), got a float, 0.5; see hint 1"),
    *[(name, unanswered, f"{name}: not answered yet") for name in (ANIL, META, JUDGE, GAIN)],
    *[(name, lambda *_, **__: None, "is the `return` missing?") for name in (ANIL, META, JUDGE, GAIN)],
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "says"), WRONG, ids=[f"{n}: {s[:40]}" for n, _, s in WRONG])
def test_a_wrong_answer_is_told_what_is_wrong(is_told: Any, name: str, answer: Any, says: str) -> None:
    is_told(NOTEBOOK, name, answer, says)


def test_the_hidden_cases_catch_what_the_shown_ones_do_not() -> None:
    absolute = judge(lambda g, d: bool(torch.allclose(g, d, atol=1e-4)))
    check.is_second_order(absolute)
    with pytest.raises(CheckFailed, match="must go with the size of the gradient"):
        check.is_second_order(absolute, cases="hidden")
    halves = judge(lambda g, d: bool((g - d).norm() < 0.02 * d.norm()))
    check.is_second_order(halves)
    with pytest.raises(CheckFailed, match=r"a rate of 0.02, forgotten"):
        check.is_second_order(halves, cases="hidden")
