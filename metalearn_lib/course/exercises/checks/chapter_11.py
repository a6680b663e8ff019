"""Self-checks of chapter 11: chrF of many texts, a training part that does not leak, attention, the loop of a start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from metalearn_lib.translation import english_key

from .core import Answer, Cases, Function, describe, expect, fail, self_check

Hits = Literal["clipped", "kinds", "unclipped", "pooled"]
Orders = Literal["both", "all", "hit"]


def _runs(text: str, n: int, *, spaces: bool = False) -> Counter[str]:
    text = text if spaces else "".join(text.split())
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


def _chrf(
    translations: Sequence[str],
    references: Sequence[str],
    orders: int,
    beta: float,
    *,
    hits: Hits = "clipped",
    spaces: bool = False,
    square: bool = True,
    swapped: bool = False,
    count: Orders = "both",
    case: bool = True,
    complete: bool = False,
) -> float:
    shares = []
    if not case:
        translations, references = ([text.lower() for text in texts] for texts in (translations, references))
    for n in range(1, orders + 1):
        ours, theirs = ([_runs(text, n, spaces=spaces) for text in texts] for texts in (translations, references))
        if complete:
            kept = [(a, b) for a, b in zip(ours, theirs, strict=True) if a and b]
            ours, theirs = [a for a, _ in kept], [b for _, b in kept]
        if hits == "pooled":
            ours, theirs = ([sum(counts, Counter())] for counts in (ours, theirs))
        sums = [sum(c.total() for c in counts) for counts in (ours, theirs)]
        both = {
            "clipped": lambda a, b: (a & b).total(),
            "pooled": lambda a, b: (a & b).total(),
            "kinds": lambda a, b: len(a.keys() & b.keys()),
            "unclipped": lambda a, b: sum(number for run, number in a.items() if run in b),
        }[hits]
        hit = sum(both(a, b) for a, b in zip(ours, theirs, strict=True))
        if {"both": all(sums), "all": True, "hit": hit > 0}[count]:
            shares.append([hit / max(each, 1) for each in sums])
    p, r = (sum(column) / len(shares) for column in zip(*shares, strict=True)) if shares else (0.0, 0.0)
    p, r, weight = (r, p, beta) if swapped else (p, r, beta)
    weight = weight**2 if square else weight
    return (1 + weight) * p * r / (weight * p + r) if p and r else 0.0


def _mean_of_texts(translations: Sequence[str], references: Sequence[str], orders: int, beta: float) -> float:
    each = [_chrf([a], [b], orders, beta) for a, b in zip(translations, references, strict=True)]
    return sum(each) / len(each)


def _one_text(translations: Sequence[str], references: Sequence[str], orders: int, beta: float) -> float:
    return _chrf(["".join(translations)], ["".join(references)], orders, beta)


def _only_blanks(translations: Sequence[str], references: Sequence[str], orders: int, beta: float) -> float:
    ours, theirs = ([text.replace(" ", "") for text in part] for part in (translations, references))
    return _chrf(ours, theirs, orders, beta, spaces=True)


def _mean_of_orders(translations: Sequence[str], references: Sequence[str], orders: int, beta: float) -> float:
    each = [_of_order(translations, references, n, beta) for n in range(1, orders + 1)]
    return sum(each) / len(each)


def _of_order(translations: Sequence[str], references: Sequence[str], n: int, beta: float) -> float:
    pairs = [(_runs(a, n), _runs(b, n)) for a, b in zip(translations, references, strict=True)]
    counts = [(a.total(), b.total(), (a & b).total()) for a, b in pairs]
    ours, theirs, hit = (sum(column) for column in zip(*counts, strict=True))
    p, r = hit / max(ours, 1), hit / max(theirs, 1)
    return (1 + beta**2) * p * r / (beta**2 * p + r) if hit else 0.0


@self_check(
    "11.1",
    reference=_chrf,
    mistakes={
        "this is the mean over the texts; add the counts up over all texts first": _mean_of_texts,
        "the texts were joined to one; runs must not cross from one text to the next": _one_text,
        "hits are counted text by text: a run of one text is no hit in another": partial(_chrf, hits="pooled"),
        "white space must not count": partial(_chrf, spaces=True),
        "of white space there is more than one kind: tabs do not count either": _only_blanks,
        "case counts: “G” is no hit for “g”": partial(_chrf, case=False),
        "a run counts as often as it stands on both sides, not once": partial(_chrf, hits="kinds"),
        "a run that stands once in the reference is a hit once; take the smaller of both numbers": (
            partial(_chrf, hits="unclipped")
        ),
        "beta must be squared": partial(_chrf, square=False),
        "precision and recall are swapped": partial(_chrf, swapped=True),
        "average P and R over the orders first; then take the F-score, once": _mean_of_orders,
        "an order that one side lacks must be left out of the averages": partial(_chrf, count="all"),
        "an order without a hit counts as 0; only one that a side lacks is left out": partial(_chrf, count="hit"),
        "a short text was left out of an order's sums; the runs of its longer partner still count": (
            partial(_chrf, complete=True)
        ),
        "this is the order `orders` alone; all from 1 on count": _of_order,
    },
    returns="the number",
    tolerance=1e-6,
)
def chrf_of_all(answer: Answer, cases: Cases) -> Iterator[Any]:
    """chrF of many texts, their counts added up."""
    if cases == "shown":
        yield answer.expect("gata for gatos, two orders,", ["gata"], ["gatos"], 2, 2, hint=2)
        yield answer.expect("gata gata for gatos,", ["gata gata"], ["gatos"], 2, 1, hint=2)
        long = ["o gato negro", "sair"], ["el gato negro", "salir"]
        yield answer.expect("a long and a short text,", *long, 3, 2, hint=1)
        yield answer.expect("two texts that share letters,", ["gato", "sair"], ["sair", "gato"], 2, 2, hint=1)
        yield answer.expect("texts shorter than the highest order,", ["si"], ["sim"], 6, 2, hint=1)
        yield answer.expect("no hit of three characters,", ["abcd"], ["abxy"], 4, 2, hint=1)
        yield answer.expect("a text shorter than its partner,", ["si", "gatos"], ["simple", "gatos"], 6, 2, hint=1)
        yield answer.expect("a tab and a line break,", ["o\tgato\n"], ["o gato"], 3, 2, hint=1)
        yield answer.expect("an upper-case letter,", ["Gato"], ["gato"], 2, 2, hint=1)
        yield answer.expect("nothing in common,", ["abc"], ["xyz"], 3, 2, hint=1)
    else:
        texts = ["Gardar os\tcambios", "iniciar sesión", "buscar", "non hai"]
        others = ["guardar los cambios", "Iniciar sesión", "búsqueda", "no hay nada"]
        yield answer.expect("four texts,", texts, others, 6, 2, hint=1)
        yield answer.expect("the same with another β,", texts, others, 4, 3, hint=1)


Rows = list[tuple[str, str, str]]


def _without(
    train: Rows, test: Rows, *, key: Callable[[str], str] = english_key, part: int = 1, kept: bool = False
) -> Rows:
    seen = {key(row[part]) for row in test}
    return [row for row in train if (key(row[part]) in seen) is kept]


def _by_pair(train: Rows, test: Rows) -> Rows:
    seen = {(row[0], english_key(row[1])) for row in test}
    return [row for row in train if (row[0], english_key(row[1])) not in seen]


def _also_by_text(train: Rows, test: Rows) -> Rows:
    texts = {row[2] for row in test}
    return [row for row in _without(train, test) if row[2] not in texts]


def _within(train: Rows, test: Rows) -> Rows:
    seen = {english_key(row[1]) for row in test}
    return [row for row in train if not any(english_key(row[1]) in key for key in seen)]


def _around(train: Rows, test: Rows) -> Rows:
    seen = {english_key(row[1]) for row in test}
    return [row for row in train if not any(key in english_key(row[1]) for key in seen)]


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.lower()))


def _ascii(text: str) -> str:
    return "".join(c for c in text.lower() if c.isascii() and c.isalnum())


def _ends(text: str) -> str:
    return text.lower().strip(" .,:;!?…“”()-").replace(" ", "")


@self_check(
    "11.2",
    reference=_without,
    mistakes={
        "the rows were chosen by their language; a neighbour translates the same English string": (
            partial(_without, part=0)
        ),
        "these are the leaks; return the other rows": partial(_without, kept=True),
        "the same English string in another language is a leak, too; the language plays no part": _by_pair,
        "a text that stands on both sides is no leak by itself; compare the English strings alone": _also_by_text,
        "the texts were compared, not the English strings": partial(_without, part=2),
        "case does not count: compare lower-cased strings": (
            partial(_without, key=lambda text: "".join(filter(str.isalnum, text)))
        ),
        "punctuation and spaces do not count: compare letters and digits alone": partial(_without, key=str.lower),
        "the strings were compared as they are; case and punctuation must not count": partial(_without, key=str),
        "digits count: “Page 1” and “Page 2” are two strings": partial(_without, key=_letters),
        "“é” is a letter; `isalnum` knows it": partial(_without, key=_ascii),
        "punctuation inside a string does not count either": partial(_without, key=_ends),
        "only the first letters were compared": partial(_without, key=lambda text: english_key(text)[:6]),
        "a part of a string is not the string: compare whole keys": _within,
        "a string that begins or goes on like one of the test is another string: compare whole keys": _around,
        "a row that stands twice in train stays twice": lambda train, test: list(dict.fromkeys(_without(train, test))),
        "nothing was left out": lambda train, test: list(train),
        "the rows must stay in their order": lambda train, test: sorted(_without(train, test)),
    },
    returns="a list of rows (language, English string, text)",
)
def without_leaks(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The rows of training whose English string is not in the test."""
    if cases == "shown":
        signs = [("gl", "Exit", "saída"), ("pt", "Exit", "saída"), ("gl", "Open", "abrir"), ("ca", "Leave", "saír")]
        yield _rows(answer, "a string that stands in the test,", signs, [("gl", "Exit", "saír")], hint=2)
        odd = [
            ("es", "log in", "entrar"),
            ("pt", "LOG IN", "conectar"),
            ("da", "log in:", "ind"),
            ("fi", "log out", "ulos"),
        ]
        yield _rows(answer, "“log in” in the test,", odd, [("gl", "log in", "acceder")], hint=1)
        near = [
            ("es", "Page 1", "página 1"),
            ("gl", "Page 2", "páxina 2"),
            ("da", "log", "log"),
            ("da", "log-in form", "formular"),
            ("nb", "log in form again", "skjema"),
            ("nb", "log in for a day", "en dag"),
            ("sv", "login form!", "formulär"),
            ("es", "cafe", "cafetería"),
            ("es", "CAF", "CAF"),
            ("es", "café", "café"),
        ]
        asked = [("pt", "Page 1", "x"), ("pt", "log in form", "x"), ("fr", "Café", "x")]
        yield _rows(answer, "strings that resemble each other,", near, asked, hint=1)
        twice = [("es", "Save", "guardar"), ("es", "Save", "guardar"), ("gl", "Exit", "saída")]
        yield _rows(answer, "a row that stands twice,", twice, [("es", "exit", "salida")], hint=2)
        same = [("es", "Store", "guardar"), ("es", "Save", "guardar"), ("gl", "Delete", "borrar")]
        yield _rows(answer, "one text of two English strings,", same, [("es", "Save", "guardar")], hint=2)
    else:
        words = ["Add", "Back", "Cancel", "Date", "Edit"]
        train = [(code, word + mark, word[::-1]) for word in words[::-1] for code in ("fr", "da") for mark in ("", "…")]
        train += [("sv", "Add 2", "2"), ("sv", "Up-date", "upp"), ("sv", "Edit", "tidE"), ("sv", "Edit", "tidE")]
        test = [("fi", "cancel", "x"), ("fr", "Date:", "etaD"), ("da", "Zoom", "y"), ("da", "update all", "z")]
        yield _rows(answer, "twenty-four rows,", train, test, hint=1)


def _rows(answer: Answer, given: str, train: Rows, test: Rows, *, hint: int) -> str:
    got, right = answer(train, test), _without(train, test)
    if not isinstance(got, list) or not all(isinstance(row, tuple) and len(row) == 3 for row in got):
        fail(given, answer.check.returns, describe(got), hint=2)
    cause = next((cause for cause, made in answer.suspects(train, test) if made == got), "")
    expect(got == right, given, _told(right), _told(got), cause=cause, hint=hint)
    return given


def _told(rows: Rows) -> str:
    return f"{len(rows)} row{'s' * (len(rows) != 1)}: {', '.join(f'{code} {english}' for code, english, _ in rows[:4])}"


def _mixed(
    query: Tensor,
    states: Tensor,
    there: Tensor,
    *,
    dim: int = -1,
    padding: float = -torch.inf,
    turned: bool = False,
    first: bool = False,
    weigh: Function = torch.softmax,
) -> Tensor:
    if first:
        there = torch.arange(there.shape[1], device=there.device) < there.sum(1, keepdim=True)
    mask = there[:, None] if not turned else ~there[:, None]
    return weigh((query @ states.mT).masked_fill(~mask, padding), dim) @ states


def _only_the_best(scores: Tensor, dim: int) -> Tensor:
    return torch.nn.functional.one_hot(scores.argmax(dim), scores.shape[dim]).to(scores)


def _cut_afterwards(query: Tensor, states: Tensor, there: Tensor) -> Tensor:
    return ((query @ states.mT).softmax(-1) * there[:, None]) @ states


@self_check(
    "11.3",
    reference=_mixed,
    mistakes={
        "the padding has weights": lambda query, states, there: (query @ states.mT).softmax(-1) @ states,
        "a score of 0 is not a weight of 0: fill the scores of padding with -inf before the softmax": (
            partial(_mixed, padding=0.0)
        ),
        "a fixed number such as -20 is not far below every score: fill with -inf": partial(_mixed, padding=-20.0),
        "padding need not stand at the end: use `there` place by place": partial(_mixed, first=True),
        "the weights were cut after the softmax, and add up to less than 1": _cut_afterwards,
        "the mask is turned round: the padding was kept": partial(_mixed, turned=True),
        "the softmax runs over the queries; take the places of the sentence, the last dimension": (
            partial(_mixed, dim=1, padding=-1e9)
        ),
        "the softmax is missing": lambda query, states, there: (query @ states.mT * there[:, None]) @ states,
        "scores are dot products, without a scale": lambda query, states, there: _mixed(
            query / query.shape[-1] ** 0.5, states, there
        ),
        "all places weigh alike; the scores were not used": lambda query, states, there: _mixed(
            0 * query, states, there
        ),
        "only the best place was taken": partial(
            _mixed,
            weigh=lambda scores, dim: torch.nn.functional.one_hot(scores.argmax(dim), scores.shape[-1]).to(scores),
        ),
    },
    returns="[B, M, D]",
    tolerance=1e-5,
)
def mixed_states(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Attention of queries over the places of a sentence, without its padding."""
    if cases == "shown":
        states = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]]])
        query = torch.tensor([[[1.0, 0.5], [0.0, -1.0]]])
        there = torch.tensor([[True, True, False]])
        yield answer.expect("padding at the end,", query, states, there, hint=2)
        yield answer.expect("padding at the beginning,", query, states, torch.tensor([[False, True, True]]), hint=2)
        yield answer.expect("scores of -19 and below,", -19 * query[:, :1], states, there, hint=2)
        yield answer.expect("a sentence without padding,", query, states, torch.tensor([[True, True, True]]), hint=1)
    else:
        query, states = torch.randn(2, 4, 5).double(), torch.randn(2, 6, 5).double()
        there = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0]]).bool()
        yield answer.expect("two sentences of different length,", query, states, there, hint=2)


Loss = Callable[[Tensor, Any], Tensor]


def _start(
    loss: Loss,
    theta: Tensor,
    tasks: Sequence[tuple[Any, Any]],
    inner_lr: float,
    inner_steps: int,
    outer_lr: float,
    *,
    at: Literal["adapted", "start"] = "adapted",
    moved: Literal["start", "adapted"] = "start",
    outer: Literal["query", "support"] = "query",
    inner: Literal["support", "query"] = "support",
    steps: int | None = None,
    sign: float = -1.0,
    anew: bool = True,
    second_order: bool = False,
) -> tuple[Tensor, Tensor]:
    losses, first = [], theta
    for support, query in tasks:
        origin = (theta if anew else first).detach().requires_grad_()
        weights = origin
        for _ in range(inner_steps if steps is None else steps):
            examples = support if inner == "support" else query
            (gradient,) = torch.autograd.grad(loss(weights, examples), weights, create_graph=second_order)
            weights = weights - inner_lr * gradient
            weights = weights if second_order else weights.detach().requires_grad_()
        place = weights if at == "adapted" else origin
        value = loss(place, query if outer == "query" else support)
        (gradient,) = torch.autograd.grad(value, origin if second_order else place)
        losses.append(loss(weights, query).detach())
        theta = ((theta if moved == "start" else weights) + sign * outer_lr * gradient).detach()
    return theta, torch.stack(losses)


def _reptile(loss: Loss, theta: Tensor, tasks: Any, inner_lr: float, inner_steps: int, outer_lr: float) -> Any:
    losses = []
    for support, query in tasks:
        weights = _start(loss, theta, [(support, support)] * inner_steps, 0.0, 1, inner_lr)[0] if inner_steps else theta
        losses.append(loss(weights, query).detach())
        theta = theta + outer_lr * (weights - theta)
    return theta, torch.stack(losses)


def _losses_before(loss: Loss, theta: Tensor, tasks: Any, *rates: Any) -> Any:
    losses, now = [], theta
    for task in tasks:
        losses.append(loss(now, task[1]).detach())
        now = _start(loss, now, [task], *rates)[0]
    return now, torch.stack(losses)


@self_check(
    "11.4",
    reference=_start,
    mistakes={
        "the gradient was taken at the start; take it after the inner steps": partial(_start, at="start"),
        "the adapted weights were moved; the step belongs to the start θ": partial(_start, moved="adapted"),
        "the outer step follows the query loss, not that of the support set": partial(_start, outer="support"),
        "the inner steps go by the support set; the queries were used": partial(_start, inner="query"),
        "one inner step was taken; there are inner_steps of them": partial(_start, steps=1),
        "the sign: θ moves against the gradient": partial(_start, sign=1.0),
        "every task began at the first θ; the next one starts from the new θ": partial(_start, anew=False),
        "this is second-order MAML: the gradient runs through the inner steps; detach them": (
            partial(_start, second_order=True)
        ),
        "this is Reptile: it moves towards the adapted weights, without the query loss": _reptile,
        "the query losses are those before adapting": _losses_before,
        "inner and outer rate are swapped": lambda loss, theta, tasks, inner_lr, steps, outer_lr: _start(
            loss, theta, tasks, outer_lr, steps, inner_lr
        ),
    },
    returns="two tensors (theta [P], query losses [T])",
    parts=("θ", "the query losses"),
    tolerance=1e-5,
)
def learned_start(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The start after meta-training by first-order MAML, and the query losses on the way."""
    if cases == "shown":
        theta = torch.tensor([1.0, -2.0])
        tasks = [
            (torch.tensor([0.0, 1.0]), torch.tensor([0.5, 1.5])),
            (torch.tensor([3.0, -1.0]), torch.tensor([2.0, 0.0])),
        ]
        _as_tensors(answer, _bent, theta, tasks, 0.1, 1, 0.2)
        yield from answer.expect("one task, one inner step,", _bent, theta, tasks[:1], 0.1, 1, 0.2, hint=2)
        yield from answer.expect("two tasks, two inner steps,", _bent, theta, tasks, 0.1, 2, 0.2, hint=(2, 1))
    else:
        tasks = [(a, b) for a, b in torch.randn(5, 2, 4).double()]
        yield from answer.expect("five tasks,", _bent, torch.zeros(4).double(), tasks, 0.05, 3, 0.3, hint=(2, 1))


def _bent(weights: Tensor, examples: Tensor) -> Tensor:
    """A loss that is no parabola, so that orders of derivatives differ."""
    apart = weights - examples
    return (apart**2).sum() / 2 + (apart**4).sum() / 20


def _as_tensors(answer: Answer, *given: Any) -> None:
    """Fail where the losses are no tensor, or hold on to the graph of all steps."""
    found = answer(*given)
    if isinstance(found, tuple | list) and len(found) == 2:
        theta, losses = found
        if not isinstance(losses, Tensor):
            fail("two tasks", answer.check.returns, f"losses that are {describe(losses)}", cause=_STACK, hint=1)
        if losses.requires_grad or (isinstance(theta, Tensor) and theta.requires_grad):
            fail("two tasks", "results without a graph", "a result that requires a gradient", cause=_DETACH, hint=1)


_STACK = "torch.stack makes one tensor of them"
_DETACH = "it keeps the graph of every step in memory; detach what you return"
