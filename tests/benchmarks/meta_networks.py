"""`python -m tests.benchmarks.meta_networks`: chapter 05's writers beside their floors, what α does, and how fast.

Writes `meta_networks.json` into data/results/: a row for each corpus, split, training seed, learner and shots. A row
that is measured again takes the place of the old one. Everything that is chosen (weights of blends, MAML's rates, the
training step that is kept) is chosen on validation classes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from metalearn_lib import EpisodeSampler, evaluate, meta_train
from metalearn_lib.choosing import provenance
from metalearn_lib.choosing.settings import SETTINGS
from metalearn_lib.choosing.shots import AnyShots
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Encoder, Frozen, Projected, Standardised, Whitened
from metalearn_lib.files import results_folder, write_rows
from metalearn_lib.learners import MAML, Blend, Learner, Prototypical, Ridge, TextModel, TfidfCentroid, mlp
from metalearn_lib.learners.baselines import Centroid
from metalearn_lib.meta_networks import (
    ConditionallyShifted,
    DeepSets,
    FastWeights,
    FiLMWriter,
    LowRank,
    Mahalanobis,
    MetaNetworks,
    SetAttentionWriter,
    TaskIdNetwork,
    WordWriter,
    Writer,
)
from metalearn_lib.optimise import seeded
from metalearn_lib.scores import Score

Row = dict[str, Any]
SHOTS, EPISODES, AT_MOST = (1, 5), 600, 150
DENSE = tuple(0.025 * 2 ** (step / 2) for step in range(13))  # weights of the vectors beside tf-idf, 0.025 … 1.6
ALPHAS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # of MAML's inner loop
BUDGET = {"steps": 400, "tasks_per_step": 4, "lr": 5e-4, "n_query": 10}
WORD_BUDGET = {"steps": 250, "tasks_per_step": 2, "n_query": 5}
WORD_RATES = (1e-3, 3e-3)  # validation chooses; its seconds are those of both trainings
REFERENCES = ("tf-idf", "linear map", "validated blend", "MAML", "alpha 0")
PROTOCOL = (
    "5-way, 15 queries, 600 episodes of test classes, accuracy in %; minus: paired difference to a row of the same "
    "episodes with its 95 % interval; seconds: CPU of the training"
)


@dataclass
class Split:
    """One split of a corpus: its parts, and the frozen vectors that all learners share."""

    corpus: str
    name: str
    train: Corpus
    valid: Corpus
    test: Corpus
    vectors: Encoder
    made: dict[str, Learner] = field(default_factory=dict)

    @classmethod
    def of(cls, corpus: str, name: str) -> Split:
        parts = (part.at_most(AT_MOST, seed=0) for part in SETTINGS[corpus].parts(corpus, name))
        train, valid, test = parts
        averaged = Averaged(weighting="sif", log_counts=True)
        return cls(corpus, name, train, valid, test, Frozen(Whitened(averaged, train, shrink=0.3)))

    def mapped(self) -> Encoder:
        return Projected(self.vectors, normalise=True)

    def episodes(self, part: Corpus, k_shot: int, seed: int) -> EpisodeSampler:
        return EpisodeSampler(part, n_way=5, k_shot=k_shot, n_query=15, seed=seed)

    def validated(self, k_shot: int) -> float:
        """The weight of the vectors, beside tf-idf, that is best on validation episodes."""
        drawn = self.episodes(self.valid, k_shot, 3).sample(400)
        words, vectors = (view.predict(drawn) for view in self.views())
        right = {w: (words + w * vectors).argmax(-1).eq(drawn.query_y).double().mean().item() for w in DENSE}
        return max(right, key=lambda weight: right[weight])

    def views(self) -> tuple[Learner, Learner]:
        if not self.made:
            self.made = {"words": TfidfCentroid(self.train, idf_power=1.5), "vectors": Centroid(self.vectors)}
        return self.made["words"], self.made["vectors"]


WRITERS: dict[str, Callable[[Split], Learner]] = {
    "linear map": lambda s: Prototypical(s.mapped(), distance="cosine"),
    "ridge on a map": lambda s: Ridge(s.mapped()),
    "set attention": lambda s: SetAttentionWriter(s.mapped()),
    "FiLM": lambda s: FiLMWriter(s.mapped()),
    "rank-4 map": lambda s: Writer(s.mapped(), DeepSets(50), LowRank(128, 50)),
    "Mahalanobis": lambda s: Mahalanobis(s.mapped()),
    "conditionally shifted": lambda s: ConditionallyShifted(s.mapped()),
    "Meta Networks": lambda s: MetaNetworks(s.mapped()),
    "Hebb's rule": lambda s: FastWeights(s.mapped()),
    "delta rule": lambda s: FastWeights(s.mapped(), rule="delta"),
    "task id": lambda s: TaskIdNetwork(s.mapped(), s.train),
}
EVERYWHERE = ("linear map",)  # on the other corpora, too


def floors(split: Split, seed: int) -> Iterator[tuple[str, int, Learner, float, str]]:
    """What learns nothing across tasks, or one number."""
    words, vectors = split.views()
    for k_shot in SHOTS:
        weight = split.validated(k_shot)
        yield "tf-idf", k_shot, words, 0.0, ""
        yield "centroid", k_shot, vectors, 0.0, ""
        yield (
            "validated blend",
            k_shot,
            Blend([words, vectors], weights=[1, weight]),
            0.0,
            f"vectors weigh {weight:.3g}",
        )


def trained(
    split: Split, build: Callable[[], Learner], seed: int, budget: dict[str, Any]
) -> tuple[Learner, float, str, float]:
    """Trained on 1 … 5 shots in turn, stopped on validation classes: learner, CPU seconds, step kept, its accuracy."""
    options = dict(budget)
    tasks, n_query = options["tasks_per_step"], options.pop("n_query")
    sampler = AnyShots(split.train.min_size(15), block=tasks, n_way=5, n_query=n_query, seed=10 + seed)
    valid = AnyShots(split.valid.min_size(15), block=50, n_way=5, n_query=10, seed=2, shots=SHOTS)
    with seeded(seed):
        learner = build()
    started = time.process_time()
    history = meta_train(
        learner, sampler, valid=valid, validate_every=50, valid_episodes=100, progress=False, seed=seed, **options
    )
    return learner, time.process_time() - started, f"step {history.best_step} kept", max(history.valid_scores)


def vector_writers(split: Split, seed: int) -> Iterator[tuple[str, int, Learner, float, str]]:
    """All of `WRITERS` on news46, on other corpora those of `EVERYWHERE`."""
    for name, make in WRITERS.items():
        if split.corpus != "news46" and name not in EVERYWHERE:
            continue
        learner, seconds, note, _ = trained(split, lambda make=make: make(split), seed, BUDGET)
        yield from ((name, k_shot, learner, seconds, note) for k_shot in SHOTS)


def word_writers(split: Split, seed: int, *, alone: bool = False) -> Iterator[tuple[str, int, Learner, float, str]]:
    """Starts at the blend that validation classes chose; `alone`: without the second tail."""
    weights = [split.validated(k_shot) for k_shot in SHOTS]
    start = None if alone else (weights[0] * weights[1]) ** 0.5
    runs = []
    for rate in WORD_RATES:
        build = lambda: WordWriter(split.train, split.vectors, dense_weight=start)  # noqa: E731
        runs.append((rate, *trained(split, build, seed, WORD_BUDGET | {"lr": rate})))
    rate, learner, _, note, _ = max(runs, key=lambda run: run[-1])
    note = f"rate {rate:g}, {note}" + ("" if start is None else f", vectors weigh {start:.3g} at the start")
    yield from ((learner.name, k_shot, learner, sum(run[2] for run in runs), note) for k_shot in SHOTS)


def maml(split: Split, seed: int) -> Iterator[tuple[str, int, Learner, float, str]]:
    """MAML trained and tuned at each number of shots, on the same whitened vectors, each number standardised."""
    features = Frozen(Standardised(split.vectors, split.train))
    for k_shot in SHOTS:
        practice, tried = split.episodes(split.valid, k_shot, 3), []
        for inner_lr in (0.1, 0.3):
            with seeded(seed):
                learner = MAML(TextModel(features, mlp(features.dim, 128, 5)), inner_lr=inner_lr)
            started = time.process_time()
            meta_train(
                learner, EpisodeSampler(split.train, n_way=5, k_shot=k_shot, n_query=10, seed=10 + seed),
                valid=split.episodes(split.valid, k_shot, 2), validate_every=50, valid_episodes=100, progress=False,
                seed=seed, steps=400, tasks_per_step=8, lr=2e-3,
            )  # fmt: skip
            seconds = time.process_time() - started
            for learner.test_steps, learner.inner_lr in product((5, 20), RATES):
                reached = evaluate(learner, practice, episodes=200).mean
                tried.append((reached, learner, learner.test_steps, learner.inner_lr, seconds, inner_lr))
        _, learner, learner.test_steps, learner.inner_lr, seconds, inner_lr = max(tried, key=lambda each: each[0])
        note = f"trained at {inner_lr:g}; {learner.test_steps} steps at {learner.inner_lr:g}"
        yield "MAML", k_shot, learner, seconds, note


def alphas(split: Split, seed: int) -> Iterator[tuple[str, int, Learner, float, str]]:
    """The set-attention writer under α × the support loss + (1 - α) × the query loss."""
    for alpha in ALPHAS:
        build = lambda alpha=alpha: SetAttentionWriter(split.mapped(), task_weight=alpha, meta_weight=1 - alpha)  # noqa: E731
        learner, seconds, note, _ = trained(split, build, seed, BUDGET)
        yield from ((f"alpha {alpha:g}", k_shot, learner, seconds, note) for k_shot in SHOTS)


GROUPS = {
    "floors": floors,
    "vectors": vector_writers,
    "maml": maml,
    "words": word_writers,
    "words alone": partial(word_writers, alone=True),
    "alpha": alphas,
}


def measure(path: Path, corpus: str, name: str, seed: int, groups: list[str], say: Callable[[str], None]) -> None:
    """Measure the groups on one split with one training seed, and add their rows to the file."""
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else []
    split, scores = Split.of(corpus, name), dict[tuple[str, int], Score]()
    for group in groups:
        for learner_name, k_shot, learner, seconds, note in GROUPS[group](split, seed):
            score = evaluate(learner, split.episodes(split.test, k_shot, 1000), episodes=EPISODES)
            scores[learner_name, k_shot] = score
            row = {"corpus": corpus, "split": name, "seed": seed, "learner": learner_name, "shots": k_shot}
            minus = {
                other: [round(100 * each, 2) for each in (gap.difference, gap.low, gap.high)]
                for other in REFERENCES
                if other != learner_name and (other, k_shot) in scores
                for gap in [score.minus(scores[other, k_shot])]
            }
            rows = [old for old in rows if not row.items() <= old.items()]
            weights = sum(p.numel() for p in learner.parameters() if p.requires_grad)
            half = 50 * (score.high - score.low)
            row |= {"mean": round(100 * score.mean, 2), "half_width": round(half, 2), "minus": minus}
            rows.append(row | {"weights": weights, "seconds": round(seconds, 2), "note": note})
            say(f"{corpus} {name} seed {seed}: {learner_name}, {k_shot} shots: {score} {note}")
            write_rows(path, {"about": {"protocol": PROTOCOL} | provenance()}, results=rows)


def main(
    out: Annotated[Path | None, typer.Option(help="data/results/meta_networks.json")] = None,
    corpus: Annotated[list[str] | None, typer.Option(help="news46, clinc150, banking77; all of them.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="All that the corpus has.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Of the training: 0.")] = None,
    group: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(GROUPS)}; the floors, vectors and words.")
    ] = None,
) -> None:
    """Writers and floors on the splits of three corpora."""
    torch.set_num_threads(1)
    path = out or results_folder() / "meta_networks.json"
    for name in corpus or ("news46", "clinc150", "banking77"):
        for part in split or SETTINGS[name].splits:
            for number in seed or (0,):
                measure(path, name, part, number, group or ["floors", "vectors", "words"], print)


if __name__ == "__main__":
    typer.run(main)
