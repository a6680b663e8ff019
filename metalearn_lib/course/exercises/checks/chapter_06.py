"""Self-checks of chapter 06: averages, masked attention, à la carte, two correlations, learned weights of sources."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from metalearn_lib.meta_embeddings.similarity import spearman

from .core import Answer, Cases, CheckFailed, Function, expect, self_check
from .episode_loss import EPISODE_LOSS_SLIPS
from .loops import outer_loop


def _sum(a: Tensor, b: Tensor, *, sides: tuple[int, int] = (0, 1)) -> Tensor:
    """The sum of two tables, the narrower one padded on the right: (left, right)."""
    width = max(a.shape[1], b.shape[1])
    first, second = (pad(x, [side * (width - x.shape[1]) for side in sides]) for x in (a, b))
    return first + second


def _counts(a: Tensor, b: Tensor, *, known: Function = lambda table: table.any(1)) -> Tensor:
    """How many of the two sources know each word [V, 1], at least 1."""
    return (known(a).to(a.dtype) + known(b).to(b.dtype)).clamp(min=1)[:, None]


def _averaged(known: Function) -> Function:
    return lambda a, b: _sum(a, b) / _counts(a, b, known=known)


@self_check(
    "6.1",
    reference=lambda a, b: _sum(a, b) / _counts(a, b),
    mistakes={
        "a silent source was counted: divide by the number of sources that know the word": lambda a, b: _sum(a, b) / 2,
        "this is the sum; divide by the number of sources that know the word": _sum,
        "the zeros belong on the right": lambda a, b: _sum(a, b, sides=(1, 0)) / _counts(a, b),
        "a known word may have a 0 among its numbers: ask any, not all": _averaged(lambda table: table.all(1)),
        "the numbers of a known word may add up to 0: ask whether any differs from 0": _averaged(
            lambda table: table.sum(1) != 0
        ),
        "the first number of a known word may be 0: ask whether any differs from 0": _averaged(
            lambda table: table[:, 0] != 0
        ),
        "a known word may have negative numbers only: ask whether any differs from 0": _averaged(
            lambda table: (table > 0).any(1)
        ),
    },
    returns="[V, max(D1, D2)]",
    hint=2,
)
def average_of_known(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The mean over the sources that know a word, the narrower one padded."""
    dtype = torch.float32 if cases == "shown" else torch.float64
    zero, none = [0.0, 0.0], [0.0, 0.0, 0.0]
    plain_a = torch.tensor([[2.0, 4.0], zero, [6.0, 2.0], zero])
    plain_b = torch.tensor([[4.0, 2.0, 8.0], [1.0, 3.0, 5.0], none, none])
    odd_a = torch.tensor([[6.0, 0.0], [3.0, -3.0], [0.0, 5.0], [-1.0, -2.0]])
    odd_b = torch.tensor([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [0.0, 1.0, 0.0], [3.0, -3.0, 0.0]])
    a, b = torch.cat([plain_a, odd_a]).to(dtype), torch.cat([plain_b, odd_b]).to(dtype)
    if cases == "hidden":
        a, b = a.flip(0) * 3, torch.cat([b, b], dim=1).flip(0)
    answer.expect("two sources of 2 dimensions, in float64,", a[:4].double(), b[:4, :2].double(), hint=1)
    for first, second in ((a, b), (b, a)):
        widths = f"{first.shape[1]} and {second.shape[1]} dimensions"
        _whichever_is_narrower(answer, widths, first[:4], second[:4])
        answer.expect(f"{widths} and words known to both, to one or to no source", first[:4], second[:4], hint=1)
        yield answer.expect(f"{widths}, zeros and minus signs among the numbers of known words,", first, second, hint=1)
    yield answer.expect("the same source twice", a, a, hint=1)


def _whichever_is_narrower(answer: Answer, widths: str, first: Tensor, second: Tensor) -> None:
    """Name the likely cause of an error: one table is always padded."""
    try:
        answer(first, second)
    except CheckFailed as error:
        if "raised" not in str(error):
            raise
        cause = "the first table may be the narrower one, or the second; pad whichever it is"
        raise CheckFailed(f"with {widths} {error}: {cause}; see hint 3") from None


def _attended(attention: Function, *, factor: Function = lambda known: known.shape[1]) -> Function:
    """n Σ αₛ vₛ, with the attention made of the scores and of who knows the word."""
    return lambda mapped, known, score: factor(known) * (attention(mapped @ score, known)[..., None] * mapped).sum(1)


def _masked(scores: Tensor, known: Tensor) -> Tensor:
    return scores.masked_fill(~known, -1e9).softmax(1) * known


@self_check(
    "6.2",
    reference=_attended(_masked),
    mistakes={
        "the factor n, the number of sources, is missing": _attended(_masked, factor=lambda known: 1),
        "all sources count alike: the attention was not used": _attended(lambda s, k: torch.ones_like(s) / s.shape[1]),
        "the softmax runs over words, not over sources": _attended(lambda s, k: s.softmax(0)),
        "a silent source has a score of 0, not no weight at all": _attended(lambda s, k: s.softmax(1)),
        "a silent source got a low score; it must get −∞, so that its attention is exactly 0": _attended(
            lambda s, k: s.masked_fill(~k, -10).softmax(1)
        ),
        "n is the number of all sources, known or not": _attended(_masked, factor=lambda k: k.sum(1, keepdim=True)),
    },
    returns="[V, d]",
    nan_hint=2,
)
def masked_dynamic(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Attention over the sources that know the word."""
    words, n, dim = (4, 3, 2) if cases == "shown" else (6, 4, 5)
    dtype = torch.float32 if cases == "shown" else torch.float64
    mapped, score = torch.randn(words, n, dim, dtype=dtype), torch.randn(dim, dtype=dtype)
    known, all_know, nobody = torch.ones(3, words, n, dtype=torch.bool)
    known[1, 0] = known[2, 1:] = nobody[:] = False
    given = f"{n} sources and {dim} dimensions"
    yield answer.expect(f"{given}, all of which know the word,", mapped[:1], all_know[:1], score, hint=1)
    some = mapped * known[..., None]
    yield answer.expect(f"{given}, some of which do not know some words,", some, known, score, hint=1)
    for sign in (-1, 1):
        answer.expect(f"{given}, scores far from 0,", some, known, sign * 40 * score, hint=1)
    yield answer.expect(f"{given} in float64", some.double(), known, score.double(), hint=1)
    yield answer.expect("words that no source knows", torch.zeros_like(mapped), nobody, score, hint=2)


def _ridge(weight: Function, *, scale: float = 1.0, everywhere: bool = False, right: bool = True) -> Function:
    """A weighted ridge regression of vectors on the means of their contexts, words weighted by their counts."""

    def answer(means: Tensor, targets: Tensor, counts: Tensor, penalty: float) -> Tensor:
        weighted = (means * weight(counts.to(means.dtype))[:, None]).T
        eye = torch.ones if everywhere else torch.eye
        matrix = weighted @ means + scale * penalty * eye(*(2 * [means.shape[1]]), dtype=means.dtype)
        return torch.linalg.solve(matrix, (weighted if right else means.T) @ targets).T

    return answer


_a_la_carte = _ridge(torch.log1p)


@self_check(
    "6.3",
    reference=_a_la_carte,
    mistakes={
        "this is the transpose: new vectors are means @ A.T": lambda *given: _a_la_carte(*given).T,
        "the words are not weighted by ln(1 + c)": _ridge(torch.ones_like),
        "the weights are the counts themselves, not ln(1 + c)": _ridge(lambda counts: counts),
        "the weights are ln c, not ln(1 + c)": _ridge(torch.log),
        "the weights were squared": _ridge(lambda counts: torch.log1p(counts) ** 2),
        "the weighted errors were averaged over the words; they are added up here": _ridge(
            lambda counts: torch.log1p(counts) / len(counts)
        ),
        "the weights were divided by their sum": _ridge(lambda counts: torch.log1p(counts) / torch.log1p(counts).sum()),
        "λ was squared": lambda u, w, c, penalty: _a_la_carte(u, w, c, penalty**2),
        "λ was added to every entry of the matrix, not only to the diagonal": _ridge(torch.log1p, everywhere=True),
        "the weights belong on both sides, on the right one, too": _ridge(torch.log1p, right=False),
        "λ was left out": _ridge(torch.log1p, scale=0.0),
        "the map goes the wrong way, from vectors to means": lambda u, w, c, penalty: _a_la_carte(w, u, c, penalty),
    },
    returns="[D, D]",
    tolerance=1e-3,
    hint=2,
)
def fit_a_la_carte(answer: Answer, cases: Cases) -> Iterator[Any]:
    """The matrix from context means to word vectors, by weighted ridge regression."""
    words, dim, penalty = (12, 3, 0.5) if cases == "shown" else (40, 6, 2.0)
    dtype = torch.float32 if cases == "shown" else torch.float64
    means, noise = torch.randn(words, dim, dtype=dtype), torch.randn(words, dim, dtype=dtype)
    exact = means @ torch.randn(dim, dim, dtype=dtype).T
    counts, given = torch.arange(1, words + 1) ** 2, f"{words} words of {dim} dimensions"
    yield answer.expect(given, means, exact + noise, counts, penalty, hint=1)
    yield answer.expect(f"{given} and λ = {8 * penalty:g}", means, exact + noise, counts, 8 * penalty, hint=1)
    yield answer.expect(f"{given} in float64", means.double(), (exact + noise).double(), counts, penalty, hint=1)
    linear = "targets that are a linear map of the means"
    yield answer.expect(linear, means, exact, counts, 1e-9, hint=2, tolerance=1e-2)


def _rho(x: Tensor, y: Tensor) -> float:
    return float(spearman(x.double().numpy(), y.double().numpy()))


def _pearson(x: Tensor, y: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([x, y]))[0, 1])


def _ties_in_order(x: Tensor, y: Tensor, *, stable: bool = True) -> float:
    """Equal values get different ranks."""
    return _pearson(*(values.argsort(stable=stable).argsort().double() for values in (x, y)))


def _short_formula(x: Tensor, y: Tensor) -> float:
    d = rankdata(x.numpy()) - rankdata(y.numpy())
    return float(1 - 6 * (d**2).sum() / (len(x) ** 3 - len(x)))


def _all_pairs(cosines: Tensor, people: Tensor, known: Tensor) -> float:
    return _rho(cosines, people)


def _known_pairs(cosines: Tensor, people: Tensor, known: Tensor, *, rho: Function = _rho) -> float:
    return rho(cosines[known], people[known])


def _filled(
    cosines: Tensor,
    people: Tensor,
    known: Tensor,
    *,
    rho: Function = _rho,
    fill: Function = lambda cosines, known: cosines[known].mean(),
) -> float:
    return rho(torch.where(known, cosines, fill(cosines, known)), people)


def _both(flattering: Function, honest: Function) -> Function:
    return lambda *given: (flattering(*given), honest(*given))


@self_check(
    "6.4",
    reference=_both(_known_pairs, _filled),
    mistakes={
        "this is the correlation of the values; rank both first": _both(
            partial(_known_pairs, rho=_pearson), partial(_filled, rho=_pearson)
        ),
        "an unknown pair has cosine 0 here; give it the mean cosine of the known ones": _both(_known_pairs, _all_pairs),
        "the mean is that of all cosines; take the known ones only": _both(
            _known_pairs, partial(_filled, fill=lambda cosines, known: cosines.mean())
        ),
        "unknown pairs got a cosine that is lower than all known ones; give them the mean": _both(
            _known_pairs, partial(_filled, fill=lambda cosines, known: cosines.new_tensor(-1.0))
        ),
        "equal cosines must share their mean rank": _both(_known_pairs, partial(_filled, rho=_ties_in_order)),
        "equal cosines must share their mean rank; argsort twice gives them different ones": _both(
            _known_pairs, partial(_filled, rho=partial(_ties_in_order, stable=False))
        ),
        "1 − 6 Σd² / (n³ − n) is right without equal values only; take the correlation of the ranks": _both(
            _known_pairs, partial(_filled, rho=_short_formula)
        ),
        "this is the share of known pairs times the flattering one; compute ρ over all pairs": _both(
            _known_pairs, lambda *given: _known_pairs(*given) * float(given[2].double().mean())
        ),
        "this is over the known pairs only": _both(_known_pairs, _known_pairs),
        "this is over all pairs": _both(_all_pairs, _all_pairs),
        "the order: the flattering one comes first": _both(_filled, _known_pairs),
        "the sign of ρ counts: no absolute value": _both(
            lambda *given: abs(_known_pairs(*given)), lambda *given: abs(_filled(*given))
        ),
        "the sign is turned": _both(lambda *given: -_known_pairs(*given), lambda *given: -_filled(*given)),
    },
    returns="two numbers (flattering, honest)",
    parts=("the first number", "the second number"),
    tolerance=1e-5,
)
def flattering_and_honest(answer: Answer, cases: Cases) -> Iterator[Any]:
    """Spearman's correlation over the known pairs, and over all."""
    n = 20 if cases == "shown" else 61
    people, known = torch.rand(n) * 10, torch.arange(n) % 3 > 0
    agreed = torch.ones(n, dtype=torch.bool)
    bent = (people / 10) ** 3 - 0.2
    yield answer.expect("cosines in the order of what people said, not in proportion,", bent, people, agreed, hint=2)
    agreeing = people / 10 + torch.randn(n) * 0.2
    given = f"{n} pairs, {int(known.sum())} of them known,"
    answer.expect(
        given, (agreeing - 0.4) * known, people, known, hint=(1, 2)
    )  # 0: what a table gives for unknown words
    yield from answer.expect(f"{given} with high cosines,", agreeing * known, people, known, hint=(1, 2))
    answer.expect("a source that turns the order of people round", -people, people, agreed, hint=2)
    yield "the other way round"


def _logits(
    log_weights: Tensor, support: list[Tensor], labels: Tensor, query: list[Tensor], n_way: int, *, slip: str = ""
) -> Tensor:
    """Minus the weighted sum of squared distances to the prototypes, source by source. `slip`: with a mistake."""
    kinds = {"log": log_weights, "shares": log_weights.softmax(0), "vectors": (2 * log_weights).exp()}
    weights = kinds.get(slip, log_weights.exp())
    total = torch.zeros(())
    order = labels.sort().values if slip == "order" else labels
    for weight, known, asked in zip(weights, support, query, strict=True):
        centres = torch.stack([known[order == c].mean(0) for c in range(n_way)])
        squares = ((asked[:, None] - centres) ** 2).sum(-1)
        total = total + weight * (squares.sqrt() if slip == "root" else squares)
        if slip == "one source":
            break
    total = total / len(support) if slip == "mean" else total
    return (-total).softmax(1) if slip == "softmax" else total if slip == "far" else -total


def _episode_loss(log_weights: Tensor, episode: Any, *inputs: Any, slip: str = "") -> Tensor:
    support, labels, query, truth = episode
    if slip == "support":
        query, truth = support, labels
    logits = _logits(log_weights, support, labels, query, inputs[2], slip=slip)
    return cross_entropy(logits, truth, reduction="sum" if slip == "sum" else "mean")


def _weights_loop(slip: str = "") -> tuple[Function, dict[str, Function]]:
    return outer_loop(
        partial(_episode_loss, slip=slip),
        lambda episodes, start, n_way, rate: (episodes, start, rate),
        knob="θ",
        task="episode",
    )


_weighed, _loop_slips = _weights_loop()


@self_check(
    "6.5",
    reference=_weighed,
    mistakes={
        "these are the weights exp(θ); return θ": lambda *given: (_weighed(*given)[0].exp(), _weighed(*given)[1]),
        "every row is the last θ; note a copy, .detach().clone()": (
            lambda *given: (_weighed(*given)[0][-1:].expand(len(given[0]), -1), _weighed(*given)[1])
        ),
        "the rate was left out": lambda episodes, start, n_way, _: _weighed(episodes, start, n_way, 1.0),
        **{cause: slip for cause, slip in _loop_slips.items() if not cause.startswith("the two are swapped")},
        **{
            cause: _weights_loop(slip)[0]
            for cause, slip in {
                "the weights are exp(θ), not θ": "log",
                "the weights are exp(θ), not a softmax": "shares",
                "the vectors were multiplied by exp(θ), so their squared distances by exp(2θ)": "vectors",
                "the sources were averaged; add them up": "mean",
                "only the first source was used": "one source",
                **EPISODE_LOSS_SLIPS,
            }.items()
        },
    },
    returns="two things, θ after each step and the losses",
    parts=("θ after each step", "the losses"),
    tolerance=1e-6,
)
def learn_weights(answer: Answer, cases: Cases) -> Iterator[Any]:
    """One weight for each source, learned by the loss of episodes."""
    widths, ways, shots = ([3, 2], 3, 2) if cases == "shown" else ([2, 4, 3], 4, 1)

    def episodes(count: int, ways: int, shots: int) -> list[Any]:
        """The first source tells the classes apart, the others are noise."""
        labels, truth = torch.arange(ways * shots) % ways, torch.arange(ways * 3) % ways
        drawn = []
        for _ in range(count):
            centres = [torch.randn(ways, width).double() * (place == 0) for place, width in enumerate(widths)]
            sets = [[c[y] + 0.4 * (1 + (place > 0)) * torch.randn(len(y), c.shape[1]).double()
                     for place, c in enumerate(centres)] for y in (labels, truth)]  # fmt: skip
            drawn.append((sets[0], labels, sets[1], truth))
        return drawn

    start = torch.randn(len(widths)).double() * 0.3
    given = f"{len(widths)} sources, 3 episodes,"
    yield from answer.expect(given, episodes(3, ways, shots), start, ways, 0.2, hint=(2, 3))
    yield from answer.expect("2 classes, 2 episodes,", episodes(2, 2, 3), start, 2, 0.3, hint=(2, 3))
    zeros, many = torch.zeros(len(widths)).double() - 2, 120
    _, losses = answer.value(episodes(many, ways, shots), zeros, ways, 0.5)
    losses = torch.tensor([float(torch.as_tensor(loss).detach()) for loss in losses])
    first, last = float(losses[:10].mean()), float(losses[-30:].mean())
    told = f"one that goes from {first:.2f} to {last:.2f}"
    expect(last < 0.7 * first, f"{many} episodes,", "a loss that falls by a third", told, hint=2)
    yield "the loss falls"
