"""Self-checks of chapter 10: spans of tags, their F1, Viterbi, the loop that trains a map for tagging."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metalearn_lib.corpora.bio import chunks
from metalearn_lib.tagging import viterbi

from .core import Answer, Cases, describe, fail, self_check

Spans = list[tuple[int, int, str]]


def _spans(
    tags: Sequence[str],
    *,
    strict: bool = False,
    runs: bool = False,
    last: bool = True,
    inclusive: bool = False,
    gaps: bool = False,
) -> Spans:
    """`strict`: an I without its B is no span; `runs`: neighbours of one type are one span, whatever begins there.

    `gaps`: O does not end a span.
    """
    found: list[list[Any]] = []
    before = ""
    for place, tag in enumerate(tags):
        prefix, _, kind = tag.partition("-")
        if kind and kind == before and (prefix == "I" or runs):
            found[-1][1] = place + 1
        elif kind and not (strict and prefix == "I"):
            found.append([place, place + 1, kind])
        if kind or not gaps:
            before = kind if kind and not (strict and prefix == "I" and kind != before) else ""
    kept = found if last else [span for span in found if span[1] < len(tags)]
    return [(first, end - inclusive, kind) for first, end, kind in kept]


def _any_inside(tags: Sequence[str]) -> Spans:
    """Every I continues what stands before it, whatever its type."""
    renamed: list[str] = []
    for tag in tags:
        before = renamed[-1] if renamed else "O"
        renamed.append(f"I-{before[2:]}" if tag[0] == "I" and before != "O" else tag)
    return _spans(renamed)


def _last_of_type(tags: Sequence[str]) -> Spans:
    """I lengthens the last span of its type, wherever that ended."""
    found: list[list[Any]] = []
    for place, tag in enumerate(tags):
        same = [span for span in found if span[2] == tag[2:]]
        if tag[0] == "I" and same:
            same[-1][1] = place + 1
        elif tag != "O":
            found.append([place, place + 1, tag[2:]])
    return [(first, end, kind) for first, end, kind in found]


def _single_words(tags: Sequence[str]) -> Spans:
    return [(place, place + 1, tag[2:]) for place, tag in enumerate(tags) if tag != "O"]


def _heads_only(tags: Sequence[str]) -> Spans:
    return [(place, place + 1, tag[2:]) for place, tag in enumerate(tags) if tag[0] == "B"]


@self_check(
    "10.1",
    reference=chunks,
    mistakes={
        "a span that reaches the end of the sentence is missing": partial(_spans, last=False),
        "the end is the word behind the last one, so that end − first is the number of words": (
            partial(_spans, inclusive=True)
        ),
        "every word became a span of its own; I continues the span before it": _single_words,
        "an I without its B was left out; it begins a span": partial(_spans, strict=True),
        "only the first word of a span was taken; I continues it": _heads_only,
        "O ends a span: an I of its type after it begins a new one": partial(_spans, gaps=True),
        "an I continues only the tag right before it; behind another span it begins one": _last_of_type,
        "B begins a new span, also behind a span of the same type": partial(_spans, runs=True),
        "an I of another type cannot continue a span; it begins one": _any_inside,
    },
    returns="a list of (first, end, type)",
)
def spans_of(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The spans that BIO tags mark."""
    shown = {
        "one span inside the sentence,": ("O B-city I-city I-city O", 1),
        "a span at the end,": ("O B-city I-city", 2),
        "two spans of a type side by side,": ("B-city B-city I-city O", 1),
        "an I behind another type,": ("B-city I-date O", 3),
        "an I behind O,": ("O I-date I-date O", 3),
        "an I behind a span of another type,": ("B-city B-date I-city", 3),
        "a span, O, and an I of its type,": ("B-city O I-city", 3),
        "no span at all,": ("O O", 1),
    }
    hidden = {
        "many spans,": ("B-a I-a B-a O I-b I-b B-b I-a O B-c", 1),
        "one word,": ("B-date", 2),
        "an I at the start,": ("I-a I-b B-b", 3),
        "spans that are left and come again,": ("B-a I-a B-b I-a O O I-b I-a", 3),
    }
    for given, (tags, hint) in (shown if cases == "shown" else hidden).items():
        _expect_spans(answer, given, tags.split(), hint)
        yield


def _expect_spans(answer: Answer, given: str, tags: list[str], hint: int) -> None:
    got, right = answer(tags), chunks(tags)
    if not isinstance(got, list | tuple) or not all(isinstance(s, list | tuple) and len(s) == 3 for s in got):
        fail(given, "a list of (first, end, type)", describe(got), hint=1)
    found = [(int(first), int(end), str(kind)) for first, end, kind in got]
    if found != right:
        cause = next((c for c, made in answer.suspects(tags) if made == found), "")
        fail(given, f"{right}", f"{found}", cause=cause, hint=hint)


def _scores(
    truth: Sequence[Spans],
    guess: Sequence[Spans],
    *,
    compared: slice = slice(None),
    per_sentence: bool = False,
    zero: float = 0.0,
    mean: bool = False,
    swapped: bool = False,
) -> tuple[float, ...]:
    """Precision, recall and F1 over all sentences."""
    if per_sentence:
        each = [_scores([t], [g]) for t, g in zip(truth, guess, strict=True)]
        return tuple(sum(column) / len(each) for column in zip(*each, strict=True))
    true, found = (
        {(s, *tuple(span)[compared]) for s, spans in enumerate(part) for span in spans} for part in (truth, guess)
    )
    hits = len(true & found)
    precision, recall = (hits / len(part) if part else zero for part in (found, true))
    if swapped:
        precision, recall = recall, precision
    total = precision + recall
    return precision, recall, total / 2 if mean else (2 * precision * recall / total if total else 0.0)


def _by_words(truth: Sequence[Spans], guess: Sequence[Spans]) -> tuple[float, ...]:
    def words(part: Sequence[Spans]) -> list[Spans]:
        return [[(at, at + 1, kind) for first, end, kind in spans for at in range(first, end)] for spans in part]

    return _scores(words(truth), words(guess))


def _over_all(truth: Sequence[Spans], guess: Sequence[Spans]) -> tuple[float, ...]:
    """Sentences are not told apart."""
    return _scores([[s for spans in truth for s in spans]], [[s for spans in guess for s in spans]])


@self_check(
    "10.2",
    reference=_scores,
    mistakes={
        "the type of a span was not compared": partial(_scores, compared=slice(2)),
        "the first word of a span was not compared": partial(_scores, compared=slice(1, None)),
        "the end of a span was not compared": partial(_scores, compared=slice(None, None, 2)),
        "half a span is no hit: compare spans, not words": _by_words,
        "count over all sentences first; do not average sentences": partial(_scores, per_sentence=True),
        "a span belongs to its sentence: the same places in another sentence are no hit": _over_all,
        "precision and recall are swapped: precision divides by what was predicted": partial(_scores, swapped=True),
        "F1 is the harmonic mean, 2PR/(P + R)": partial(_scores, mean=True),
        "where nothing was predicted, precision is 0": partial(_scores, zero=1.0),
    },
    returns="three numbers (precision, recall, F1)",
    parts=("the precision", "the recall", "F1"),
    tolerance=1e-6,
)
def precision_recall_f1(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Precision, recall and F1 of spans."""
    city, other, date, far = (1, 3, "city"), (1, 3, "date"), (5, 6, "date"), (8, 9, "a")
    if cases == "shown":
        for given, truth, guess, hint in (
            ("one hit of two, and one missed,", [[city, (4, 5, "city"), date]], [[city, (4, 6, "city")]], 1),
            ("a span that begins too late,", [[city, far]], [[(2, 3, "city"), far]], 1),
            ("a span with the wrong type,", [[other, (4, 5, "date")]], [[city, (4, 5, "date")]], 1),
            ("two sentences,", [[city, date, (7, 8, "a")], [other]], [[city], [far, other]], 2),
            ("the right places in the wrong sentence,", [[city], [date]], [[date], [city, date]], 2),
            ("nothing predicted,", [[city]], [[]], 3),
        ):
            yield from answer.expect(given, truth, guess, hint=hint)
    else:
        yield from answer.expect("nothing true,", [[], []], [[city], []], hint=3)
        truth = [[city, (3, 4, "a")], [], [(0, 2, "b"), (2, 3, "b"), (5, 9, "a")]]
        guess = [[other, (3, 4, "a")], [(0, 1, "b")], [(0, 2, "b"), (1, 3, "b"), (5, 9, "b"), (5, 8, "a")]]
        yield from answer.expect("three sentences,", truth, guess, hint=1)


def _path(
    emissions: Tensor,
    start: Tensor,
    steps: Tensor,
    *,
    use_start: bool = True,
    turned: bool = False,
    back: bool = True,
    end_first: bool = True,
    total: bool = False,
) -> Tensor:
    """`total`: the scores of all paths to a tag are summed up; `back`: follow where the best path came from.

    Without `back` the best end of each place is taken.
    """
    steps = steps.T if turned else steps
    best = emissions[0] + (start if use_start else 0)
    origins, tops = [], [int(best.argmax())]
    for scores in emissions[1:]:
        paths = best[:, None] + steps
        best, origin = paths.max(0)
        best = (paths.logsumexp(0) if total else best) + scores
        origins.append(origin)
        tops.append(int(best.argmax()))
    if not back:
        return torch.tensor(tops)
    path = [tops[-1]]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return torch.tensor(path[::-1] if end_first else path)


def _greedy_path(emissions: Tensor, start: Tensor, steps: Tensor) -> Tensor:
    """From the best first tag always to the best next one."""
    path = [int((start + emissions[0]).argmax())]
    for scores in emissions[1:]:
        path.append(int((steps[path[-1]] + scores).argmax()))
    return torch.tensor(path)


def _dear(emissions: Tensor, start: Tensor, steps: Tensor) -> Tensor:
    """A forbidden step costs five."""
    return _path(emissions, start.clamp(min=-5), steps.clamp(min=-5))


def _beam(emissions: Tensor, start: Tensor, steps: Tensor, *, width: int = 3) -> Tensor:
    """Of the best paths to each tag only a few are followed on."""
    paths = [([y], start[y] + emissions[0, y]) for y in range(len(start))]
    for scores in emissions[1:]:
        paths = sorted(paths, key=lambda each: -each[1])[:width]
        paths = [([*path, y], s + steps[path[-1], y] + scores[y]) for path, s in paths for y in range(len(start))]
    return torch.tensor(max(paths, key=lambda each: each[1])[0])


def _marginal(emissions: Tensor, start: Tensor, steps: Tensor) -> Tensor:
    """The most probable tag of each token over all paths: forward and backward sums."""
    forward, backward = [start + emissions[0]], [torch.zeros_like(start)]
    for scores in emissions[1:]:
        forward.append((forward[-1][:, None] + steps).logsumexp(0) + scores)
    for scores in emissions[1:].flip(0):
        backward.append((steps + scores + backward[-1]).logsumexp(1))
    return (torch.stack(forward) + torch.stack(backward[::-1])).argmax(1)


@self_check(
    "10.3",
    reference=lambda emissions, start, steps: torch.tensor(viterbi(emissions, start, steps)),
    mistakes={
        "−∞ forbids; a cost that is finite can be outweighed by an emission": _dear,
        "these are the best tags of the single tokens; the steps were not used": lambda e, start, steps: e.argmax(1),
        "from each tag you went to the best next one; a path that is worse now may be best at the end": _greedy_path,
        "the best end at each place is no path: go back along where each best path came from": (
            partial(_path, back=False)
        ),
        "the path was read from its end to its start": partial(_path, end_first=False),
        "the scores of the first tag, start, were left out": partial(_path, use_start=False),
        "steps[y, z] goes from y to z; rows and columns are swapped": partial(_path, turned=True),
        "only a few paths were followed; keep the best one for every tag": _beam,
        "these tags are the most probable ones of each token; asked for is the best path as a whole": _marginal,
        "the best path to a tag has the maximum, not the sum over all paths": partial(_path, total=True),
    },
    returns="[L]",
)
def viterbi_path(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The best path of tags."""
    if cases == "shown":
        for given, emissions, start, steps, hint in _paths():
            yield answer.expect(given, emissions, start, steps, hint=hint)
    else:
        for length, n in ((1, 3), (6, 4), (9, 5), (50, 8)):
            yield answer.expect(f"{length} tokens and {n} tags,", torch.randn(length, n), torch.randn(n),
                                torch.randn(n, n), hint=1)  # fmt: skip
        steps = torch.randn(4, 4).masked_fill(torch.eye(4) > 0, -torch.inf)
        start = torch.tensor([0.0, -torch.inf, -torch.inf, 0.0])
        yield answer.expect("forbidden steps beside large emissions,", 9 * torch.randn(12, 4), start, steps, hint=2)


def _paths() -> Iterator[tuple[str, Tensor, Tensor, Tensor, int]]:
    emissions = torch.tensor([[2.0, 2.1, 1.1], [4.1, 1.2, 0.0], [0.3, 4.0, 0.3], [3.2, 3.1, 4.2]])
    steps = torch.tensor([[-2.0, 2.0, 2.0], [-2.0, -1.0, -3.0], [-4.0, -4.0, -1.0]])
    yield "four tokens and three tags,", emissions, torch.tensor([-1.0, -3.0, 0.0]), steps, 3
    forbidden = -torch.inf
    yield ("a step that is forbidden,", torch.tensor([[1.0, 0.9], [0.0, 2.0]]), torch.zeros(2),
           torch.tensor([[0.0, forbidden], [0.0, 0.0]]), 1)  # fmt: skip
    yield ("a first tag that is forbidden,", torch.tensor([[0.0, 3.0], [0.0, 1.0], [0.5, 0.0]]),
           torch.tensor([0.0, forbidden]), torch.tensor([[0.0, -0.2], [-0.4, 0.0]]), 2)  # fmt: skip
    yield ("a forbidden step between large emissions,", torch.tensor([[9.0, 0.0], [0.0, 20.0]]), torch.zeros(2),
           torch.tensor([[0.0, forbidden], [0.0, 0.0]]), 2)  # fmt: skip
    drawn = torch.Generator().manual_seed(0)
    emissions, start, steps = (torch.randn(*shape, generator=drawn) for shape in ((40, 6), (6,), (6, 6)))
    yield "40 tokens and six tags,", emissions, start, steps, 3


Task = tuple[Tensor, Tensor, Tensor, Tensor, int]


def _trained(
    tasks: Sequence[Task],
    W: Tensor,
    rate: float,
    *,
    unknown: str = "skip",
    mapped: bool = True,
    moves: bool = True,
    on_support: bool = False,
    summed: bool = False,
    sign: float = -1,
    after: bool = False,
    first_order: bool = False,
    even: bool = False,
) -> tuple[Tensor, Tensor]:
    """`unknown`: queries of class -100 are skipped, or counted as "outside"; `first_order`: prototypes are held.

    `even`: all tags are taken to have as many tokens.
    """
    losses = []
    total = torch.zeros_like(W)
    for support, tags, query, wanted, n_tags in tasks:

        def loss(W: Tensor, support: Any = support, tags: Any = tags, query: Any = query, wanted: Any = wanted,
                 n_tags: int = n_tags) -> Tensor:  # fmt: skip
            s = support @ W
            sizes = [len(tags) / n_tags if even else int((tags == c).sum()) for c in range(n_tags)]
            centres = torch.stack([s[tags == c].sum(0) / size for c, size in enumerate(sizes)])
            centres = centres.detach() if first_order else centres
            x, y = (s, tags) if on_support else (query @ W, wanted)
            logits = -torch.cdist(x[None], centres[None])[0].square()
            return cross_entropy(logits, y.clamp(min=0) if unknown == "outside" else y)

        W = W.detach().requires_grad_()
        value = loss(W)
        (gradient,) = torch.autograd.grad(value, W)
        total = total + gradient
        if moves:
            W = (W + sign * rate * (total if summed else gradient)).detach()
        losses.append((loss(W) if after else value).detach())
    return W.detach(), torch.stack(losses)


@self_check(
    "10.4",
    reference=_trained,
    mistakes={
        "a prototype is the mean of its own tokens; tags differ in how many they have": partial(_trained, even=True),
        "the map was not moved": partial(_trained, moves=False),
        "the step goes uphill: subtract rate times the gradient": partial(_trained, sign=1),
        "the loss belongs to the queries, not to the support tokens": partial(_trained, on_support=True),
        "queries of class −100 count for nothing; they are not outside": partial(_trained, unknown="outside"),
        "the gradients of earlier episodes were not set to 0": partial(_trained, summed=True),
        "the prototypes depend on W, too: do not detach them": partial(_trained, first_order=True),
        "the loss of an episode is the one before its step": partial(_trained, after=True),
    },
    returns="two tensors (W, losses)",
    parts=("the map", "the losses"),
    tolerance=1e-4,
)
def tagger_training(answer: Answer, cases: Cases) -> Iterator[Any]:
    """A map, trained so that prototypes of tags work."""
    count, sizes = (2, (8, 5, 3, 2)) if cases == "shown" else (5, (11, 7, 4, 3))
    drawn = torch.Generator().manual_seed(count)
    support, query, dim, n_tags = sizes
    tasks: list[Task] = []
    for _ in range(count):
        tags = (torch.arange(support) % (2 * n_tags - 1) - n_tags + 1).clamp(min=0)  # the first tag, O, has most
        wanted = torch.arange(query) % n_tags
        wanted[1] = -100
        x, q = torch.randn(support, dim, generator=drawn).double(), torch.randn(query, dim, generator=drawn).double()
        tasks.append((x, tags, q, wanted, n_tags))
    W = torch.eye(dim).double()[:, :2]
    if cases == "shown":
        yield from answer.expect("one episode,", tasks[:1], W, 0.1, hint=(2, 1))
        yield from answer.expect("two episodes,", tasks, W, 0.1, hint=(3, 1))
    else:
        yield from answer.expect("five episodes,", tasks, W, 0.05, hint=(3, 1))
