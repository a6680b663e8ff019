"""How fast: sampling, metric learners on cached encodings, and importing the library."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from metalearn_lib import corpora
from metalearn_lib.encoders import Averaged, Concatenated, Encoder, Frozen
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.files import write_text
from metalearn_lib.learners import Learner, Matching, Prototypical

REPEATS = 7
_IMPORTS = (
    "import metalearn_lib",
    "from metalearn_lib import EpisodeSampler, Prototypical, evaluate, meta_train",  # names are imported on first use
)


def measure(path: Path, *, about: dict[str, Any], repeats: int = REPEATS) -> dict[str, Any]:
    """Measure everything and write it to `path`; 5-way, 15 queries a class, vectors of newsgroups."""
    corpus = corpora.load("newsgroups").at_most(150, seed=0)
    averaged = Averaged()
    rows = [_sampling(corpus, k_shot, repeats) for k_shot in (1, 5)]
    # 50 numbers a text, and 400: as many as a small Transformer gives.
    for encoder in (Frozen(averaged), Concatenated([averaged] * 8)):
        for learner in (Prototypical(encoder), Matching(encoder)):
            rows += [_predicting(learner, encoder, corpus, k_shot, repeats) for k_shot in (1, 5)]
    for statement in _IMPORTS:
        seconds = [_importing(statement) for _ in range(repeats)]
        rows.append(_row(f"{statement} (after import torch)", "s", 0.3, "lower", seconds))
    measured = {"about": about, "speed": rows}
    write_text(json.dumps(measured, ensure_ascii=False, indent=1) + "\n", path)
    return measured


def _sampling(corpus: corpora.Corpus, k_shot: int, repeats: int, *, batch: int = 1000) -> dict[str, Any]:
    sampler = EpisodeSampler(corpus, k_shot=k_shot)
    times = [1000 * t / batch for t in _times(lambda: sampler.sample(batch), repeats)]
    return _row(f"sampling, {k_shot} shot, {batch} at once", "ms an episode", 0.04, "lower", times)


def _predicting(
    learner: Learner, encoder: Encoder, corpus: corpora.Corpus, k_shot: int, repeats: int, *, batch: int = 50
) -> dict[str, Any]:
    batches = [EpisodeSampler(corpus, k_shot=k_shot).sample(batch, first=batch * i) for i in range(10)]
    learner.eval()

    def run() -> None:
        with torch.no_grad():
            for episodes in batches:
                learner.predict(episodes)

    speeds = [len(batches) * batch / t for t in _times(run, repeats)]
    what = f"{learner.name}, {k_shot} shot, cached vectors of {encoder.dim} numbers"
    return _row(what, "episodes/s", 10_000, "higher", speeds)


def _importing(statement: str) -> float:
    code = f"import time, torch; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def _times(run: Callable[[], object], repeats: int) -> list[float]:
    run()  # once to warm up
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return times


def _row(what: str, unit: str, target: float, better: str, values: list[float]) -> dict[str, Any]:
    numbers = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {"what": what, "unit": unit, "target": target, "better": better, "repeats": len(values)} | numbers


def speed_table(measured: dict[str, Any]) -> Table:
    """Medians beside what is to be reached."""
    table = Table("what", "median", "to reach", "", title="speed")
    for row in measured["speed"]:
        good = row["median"] <= row["target"] if row["better"] == "lower" else row["median"] >= row["target"]
        sign = "≤" if row["better"] == "lower" else "≥"
        value = f"{row['median']:,.3f}" if row["median"] < 10 else f"{row['median']:,.0f}"
        table.add_row(row["what"], f"{value} {row['unit']}", f"{sign} {row['target']:,}", "✓" if good else "✗")
    return table
