"""Measure recipes on one split of one corpus, each beside the floors on the same episodes.   Chapter 12"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from metalearn_lib.choosing.bench import Bench
from metalearn_lib.choosing.recipes import FLOORS, RECIPES, SLOW, Recipe
from metalearn_lib.choosing.sources import Source, Unfit
from metalearn_lib.choosing.store import Cell, Store
from metalearn_lib.corpora import Corpus, CorpusError
from metalearn_lib.encoders import Encoder, Transformer
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.evaluation import evaluate
from metalearn_lib.learners import Learner
from metalearn_lib.scores import Score

WAYS = 5


@dataclass(frozen=True)
class TaskShape:
    """How tasks are drawn; `ways` None: five classes, or all where the test part has fewer."""

    ways: int | None = None
    queries: int = 15  # a class
    shots: tuple[int, ...] = (1, 5)


def measure_split(
    store: Store,
    corpus: str,
    split: str,
    learners: Sequence[str],
    *,
    source: Source,
    shape: TaskShape = TaskShape(),
    recipes: Mapping[str, Recipe] = RECIPES,
    remark: str = "",
    episodes: int,
    quick: bool = False,
    say: Callable[[str], None],
) -> str | None:
    """Measure what the store does not have yet; returns why the corpus cannot be had, or None.

    `remark` stands before the note of every row. A learner that cannot be made from these classes is left out and
    said. Raises `Unfit` where the split has too few classes or texts for the shape.
    """
    number = {name: min(episodes, SLOW.get(name, episodes)) for name in (*FLOORS, *learners)}

    def lacking(ways: int) -> list[str]:
        cells = {name: [Cell(corpus, split, name, ways, shape.queries, k) for k in shape.shots] for name in learners}
        return [name for name in learners if not all(store.has(c, number[name], quick) for c in cells[name])]

    ways = WAYS if shape.ways is None else shape.ways
    missing = lacking(ways)
    if not missing:
        return None
    try:
        train, valid, test = source.parts(corpus, split)
    except Unfit:
        raise
    except CorpusError as error:
        return str(error)
    if shape.ways is None and 2 <= len(test.classes) < WAYS:
        ways = len(test.classes)
        missing = lacking(ways)
        say(f"{corpus} {split}: the test part has {ways} classes, so tasks are {ways}-way")
    _check(corpus, split, train, test, ways=ways, shape=shape)
    if valid is None and missing:
        say(f"{corpus} {split}: no validation classes; what is chosen, is chosen on a third of the training classes")
    bench = Bench(train, valid, pretrained(source.windows), quick=quick)
    floors = dict[str, dict[int, Score]]()
    for name in dict.fromkeys((*FLOORS, *missing)) if missing else ():
        started = time.perf_counter()
        try:
            made = recipes[name](bench)
        except ValueError as error:
            say(f"{corpus} {split}  {name} left out: {error}")
            continue
        learner, note = made if isinstance(made, tuple) else (made, "")
        built = time.perf_counter() - started
        measured = scores(learner, test, number[name], ways=ways, queries=shape.queries, shots=shape.shots)
        if name in FLOORS:
            floors[name] = measured
        if name not in missing:
            continue
        for k_shot, score in measured.items():
            over = {floor: difference(score, values[k_shot]) for floor, values in floors.items() if floor != name}
            store.add({
                **Cell(corpus, split, name, ways, shape.queries, k_shot)._asdict(), "episodes": len(score.values),
                "mean": round(100 * score.mean, 2), "half_width": round(50 * (score.high - score.low), 2),
                "over": over, "note": "; ".join(filter(None, (remark, note))), "build_seconds": round(built, 1),
                "quick": quick,
            })  # fmt: skip
        shown = " / ".join(f"{100 * score.mean:.1f}" for score in measured.values())
        say(f"{corpus} {split}  {name}: {shown}  ({time.perf_counter() - started:.0f} s) {note}")
    return None


def pretrained(windows: int) -> Encoder:
    """What the recipes with a pretrained encoder are given: MiniLM, frozen, reading so many pieces of 128 tokens."""
    return Transformer("minilm", windows=windows)


def scores(
    learner: Learner, test: Corpus, episodes: int, *, ways: int, queries: int, shots: Sequence[int]
) -> dict[int, Score]:
    """The score for each number of shots, on the same episodes for every learner."""
    samplers = {k: EpisodeSampler(test, n_way=ways, k_shot=k, n_query=queries, seed=0) for k in shots}
    return {k: evaluate(learner, sampler, episodes=episodes) for k, sampler in samplers.items()}


def difference(score: Score, floor: Score) -> list[float]:
    """Difference and its 95 % interval in points: paired, over the episodes that both saw."""
    n = min(len(score.values), len(floor.values))
    mine, other = (Score.of(s.values[:n], key=s.key) for s in (score, floor))
    over = mine.minus(other)
    return [round(100 * points, 2) for points in (over.difference, over.low, over.high)]


def _check(corpus: str, split: str, train: Corpus, test: Corpus, *, ways: int, shape: TaskShape) -> None:
    if len(train.classes) < 2:
        raise Unfit(f"{corpus} {split}: one class to train on; list two or more")
    if len(test.classes) < ways:
        raise Unfit(
            f"{corpus} {split}: {len(test.classes)} test classes are too few for {ways}-way tasks; "
            f"{'list two or more' if len(test.classes) < 2 else f'--ways {len(test.classes)} would do'}"
        )
    needed = max(shape.shots) + shape.queries
    if small := [label for label, number in test.counts().items() if number < needed]:
        raise Unfit(
            f"{corpus} {split}: {len(small)} of {len(test.classes)} test classes ({', '.join(small[:5])}) have fewer "
            f"than {needed} texts, {max(shape.shots)} shots and {shape.queries} queries; take fewer with --shots and "
            "--queries, or leave these classes out"
        )
