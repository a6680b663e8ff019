"""Measure recipes on one split of one corpus, each beside the floors on the same episodes.   Chapter 12"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from metalearn_lib.choosing.bench import Bench
from metalearn_lib.choosing.recipes import FLOORS, RECIPES, SLOW
from metalearn_lib.choosing.settings import SETTINGS
from metalearn_lib.choosing.store import Store
from metalearn_lib.corpora import Corpus, CorpusError
from metalearn_lib.encoders import Transformer
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.evaluation import evaluate
from metalearn_lib.learners import Learner
from metalearn_lib.scores import Score

SHOTS = (1, 5)


def measure_split(
    store: Store,
    corpus: str,
    split: str,
    learners: Sequence[str],
    *,
    episodes: int,
    quick: bool = False,
    say: Callable[[str], None],
) -> str | None:
    """Measure what the store does not have yet; returns why the corpus cannot be had, or None."""
    number = {name: min(episodes, SLOW.get(name, episodes)) for name in (*FLOORS, *learners)}
    missing = [
        name
        for name in learners
        if not all(store.has(corpus, split, name, k_shot, number[name], quick) for k_shot in SHOTS)
    ]
    if not missing:
        return None
    try:
        train, valid, test = SETTINGS[corpus].parts(corpus, split)
    except CorpusError as error:
        return str(error)
    encoder = Transformer("minilm", windows=SETTINGS[corpus].windows)
    bench, floors = Bench(train, valid, encoder, quick=quick), dict[str, dict[int, Score]]()
    for name in dict.fromkeys((*FLOORS, *missing)):
        started = time.perf_counter()
        made = RECIPES[name](bench)
        learner, note = made if isinstance(made, tuple) else (made, "")
        built = time.perf_counter() - started
        measured = scores(learner, test, number[name])
        if name in FLOORS:
            floors[name] = measured
        if name not in missing:
            continue
        for k_shot, score in measured.items():
            over = {floor: difference(score, values[k_shot]) for floor, values in floors.items() if floor != name}
            store.add({
                "corpus": corpus, "split": split, "learner": name, "shots": k_shot, "episodes": len(score.values),
                "mean": round(100 * score.mean, 2), "half_width": round(50 * (score.high - score.low), 2),
                "over": over, "note": note, "build_seconds": round(built, 1), "quick": quick,
            })  # fmt: skip
        shown = " / ".join(f"{100 * score.mean:.1f}" for score in measured.values())
        say(f"{corpus} {split}  {name}: {shown}  ({time.perf_counter() - started:.0f} s) {note}")
    return None


def scores(learner: Learner, test: Corpus, episodes: int) -> dict[int, Score]:
    """The score for each number of shots, on the same episodes for every learner."""
    return {k: evaluate(learner, EpisodeSampler(test, k_shot=k, seed=0), episodes=episodes) for k in SHOTS}


def difference(score: Score, floor: Score) -> list[float]:
    """Difference and its 95 % interval in points: paired, over the episodes that both saw."""
    n = min(len(score.values), len(floor.values))
    mine, other = (Score.of(s.values[:n], key=s.key) for s in (score, floor))
    over = mine.minus(other)
    return [round(100 * points, 2) for points in (over.difference, over.low, over.high)]
