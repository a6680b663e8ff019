"""Timing on a machine that others use too: contestants take turns, and the calmest rounds count."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import psutil
import torch
from torch.utils.benchmark import Timer

_SAMPLE_SECONDS = 0.01  # a fast contestant is called until this much time has passed
_ROUND_SECONDS = 0.25  # shorter rounds could not tell how busy the machine was: /proc counts in hundredths of a second
_CALM = 0.05  # the share of the processors that others may use in a round that counts as calm
_LEAST = 5  # rounds of a case that takes long
_GEMM_SIZES = (384, 512, 768, 1024, 1536, 2048)


def alternate(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int, seconds: float, patience: int
) -> tuple[dict[str, list[float]], float]:
    """Seconds a call of each contestant, one number a round, and the share of the processors that others used.

    Every contestant has its turn in every round, in an order drawn anew. Rounds in which other programs used more than
    5 % of the processors are repeated, at most `patience` × `rounds` in all; then the calmest count, whatever they say
    about the contestants. After `seconds`, five calm rounds are enough; after `patience` × `seconds`, any five.
    """
    repeats = {name: max(1, math.ceil(_SAMPLE_SECONDS / _seconds(run, 1))) for name, run in contestants.items()}
    draw, own, taken = random.Random(0), psutil.Process(), list[tuple[float, dict[str, float]]]()
    began, least = time.perf_counter(), min(rounds, _LEAST)

    def enough() -> bool:
        calm, spent = sum(busy <= _CALM for busy, _ in taken), time.perf_counter() - began
        if calm >= (rounds if spent < seconds else least):
            return True
        return len(taken) >= (patience * rounds if spent < patience * seconds else least)

    while not enough():
        _others_share(own)  # from here on
        found: dict[str, list[float]] = {name: [] for name in contestants}
        started = time.perf_counter()
        while not found[next(iter(found))] or (rounds > 1 and time.perf_counter() - started < _ROUND_SECONDS):
            for name in draw.sample(list(contestants), len(contestants)):
                found[name].append(_seconds(contestants[name], repeats[name]))
        taken.append((_others_share(own), {name: statistics.median(times) for name, times in found.items()}))
    calmest = sorted(taken, key=lambda entry: entry[0])[:rounds]
    return (
        {name: [times[name] for _, times in calmest] for name in contestants},
        statistics.mean(busy for busy, _ in calmest),
    )


def _seconds(run: Callable[[], object], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - started) / repeats


def _others_share(own: psutil.Process) -> float:
    """The share of the machine's processors that other programs have used since the last call, between 0 and 1."""
    others = psutil.cpu_percent() - own.cpu_percent() / (psutil.cpu_count() or 1)
    return min(1.0, max(0.0, others / 100))


def peak_gemm(*, seconds: float) -> float:
    """Floating-point operations per second of the best float32 matrix product, two for each multiply-add."""
    speeds = []
    for size in _GEMM_SIZES:
        tensors = {name: torch.randn(size, size) for name in ("a", "b", "out")}
        timer = Timer("torch.mm(a, b, out=out)", globals=tensors, num_threads=torch.get_num_threads())
        speeds.append(2 * size**3 / timer.blocked_autorange(min_run_time=seconds).median)
    return max(speeds)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, lower and upper quartile; a single value stands for all three."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high
