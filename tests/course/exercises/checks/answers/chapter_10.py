"""Answers to the exercises of chapter 10."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metalearn_lib.course.exercises.checks import chapter_10 as checks

NAMES = {"torch": torch, "cross_entropy": cross_entropy}
spans, scores, path, trained = (
    check.reference
    for check in (checks.spans_of, checks.precision_recall_f1, checks.viterbi_path, checks.tagger_training)
)


def spans_by_ends(tags: list[str]) -> list[Any]:
    """A span ends where the next tag does not continue it."""
    found, first = [], 0
    for place, tag in enumerate([*tags, "O"]):
        before = tags[place - 1] if place else "O"
        if before != "O" and tag != f"I-{before[2:]}":
            found.append((first, place, before[2:]))
        if tag[0] == "B" or (tag[0] == "I" and before[2:] != tag[2:]):
            first = place
    return found


def scores_by_counting(truth: Any, guess: Any) -> list[float]:
    hits = sum(len(set(t) & set(g)) for t, g in zip(truth, guess, strict=True))
    predicted, true = sum(map(len, guess)), sum(map(len, truth))
    return [hits / max(predicted, 1), hits / max(true, 1), 2 * hits / max(predicted + true, 1)]


def path_by_lists(emissions: Tensor, start: Tensor, steps: Tensor) -> list[int]:
    paths = {y: ([y], float(start[y] + emissions[0, y])) for y in range(len(start))}
    for scores_here in emissions[1:]:
        paths = {
            y: max(
                (([*p, y], s + float(steps[p[-1], y] + scores_here[y])) for p, s in paths.values()),
                key=lambda each: each[1],
            )
            for y in range(len(start))
        }
    return max(paths.values(), key=lambda each: each[1])[0]


def trained_with_backward(tasks: Any, W: Tensor, rate: float) -> Any:
    W, losses = W.clone().requires_grad_(), []
    for support, tags, query, wanted, n_tags in tasks:
        centres = torch.stack([(support @ W)[tags == c].mean(0) for c in range(n_tags)])
        known = wanted >= 0
        logits = -((query[known] @ W)[:, None] - centres).square().sum(-1)
        loss = cross_entropy(logits, wanted[known])
        loss.backward()
        with torch.no_grad():
            W -= rate * W.grad
        W.grad = None
        losses.append(loss.detach())
    return W.detach(), torch.stack(losses)


SPANS, SCORES, PATH, TRAINED = ("spans_of", "precision_recall_f1", "viterbi_path", "tagger_training")
RIGHT = [
    (SPANS, spans_by_ends),
    (SPANS, lambda tags: [list(span) for span in spans(tags)]),
    (SCORES, scores_by_counting),
    (SCORES, lambda truth, guess: torch.tensor(scores(truth, guess))),
    (PATH, path_by_lists),
    (TRAINED, trained_with_backward),
    (TRAINED, lambda *given: list(trained(*given))),
]
WRONG = [
    (SPANS, lambda tags: len(spans(tags)), "a list of (first, end, type), got an int"),
    (SPANS, lambda tags: [span[:2] for span in spans(tags)], "a list of (first, end, type), got a list of 1"),
    (SCORES, lambda truth, guess: scores(truth, guess)[2], "three numbers (precision, recall, F1), got a float"),
    (SCORES, lambda truth, guess: scores(truth, guess)[:2], "three numbers (precision, recall, F1), got a tuple of 2"),
    (SPANS, lambda tags: [span for span in spans(tags) if span[1] > span[0] + 1], "two spans of a type side by side"),
    (SCORES, lambda truth, guess: scores(guess, truth), "precision and recall are swapped"),
    (PATH, lambda e, start, steps: path(e, start, steps)[:-1], "shape [3]"),
    (PATH, lambda e, start, steps: checks._beam(e, start, steps, width=2), "40 tokens and six tags"),
    (PATH, lambda e, start, steps: path(e, start, steps.nan_to_num(neginf=-1.0)), "between large emissions"),
    (PATH, lambda e, start, steps: float((e.max(1).values).sum()), "a tensor of shape [4] ([L]), got a float"),
    (TRAINED, lambda *given: trained(*given)[0], "two tensors (W, losses), got a tensor"),
    (TRAINED, lambda tasks, W, rate: (trained(tasks, W, rate)[0].T, trained(tasks, W, rate)[1]), "[3, 2]"),
]
HIDDEN: list[Any] = []
