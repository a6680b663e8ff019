"""`python -m tests.benchmarks.online [SECTION …]`: what does not fit a quick chapter 07 → data/results/online.json.

Sections: streams in many orders (news46, CLINC150, domains), oml and graph in many trainings; by default all.
Settings are chosen first, on other texts: `tune`. What needs CLINC150 or BANKING77 is left as it was where these
corpora are not present. A stopped call goes on where it stopped; to start afresh, delete the file.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from metalearn_lib import corpora
from metalearn_lib.choosing import provenance
from metalearn_lib.encoders import Averaged, Transformer
from metalearn_lib.files import results_folder, write_rows
from metalearn_lib.online import (
    LIKENESSES,
    AccuracyMatrix,
    AGem,
    ElasticWeights,
    FineTuning,
    MetaExperienceReplay,
    NearestClassMean,
    Replay,
    Representation,
    Stream,
    StreamingLda,
    Task,
    TaskGraph,
    class_stream,
    clinc_domains,
    domain_stream,
    meta_train_online,
    news_groups,
    pretrain_jointly,
    run,
)
from metalearn_lib.optimise import seeded

PATH = results_folder() / "online.json"
LENGTH = 10.0  # every text's vector is scaled to it: no statistics of texts to come are needed
Rows = list[dict[str, Any]]

# (learner, its options, options that are tried, joint training?); `passes` over all texts are for joint training alone
GRID_LR = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
# of a memory smaller than `replayed` all is taken
REPLAY = {
    "lr": (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6),
    "replayed": (2, 5, 10, 40, 80, 160, 320, 640),
}
ONE_LR = (0.001, 0.003, 0.006, 0.01, 0.02, 0.04)
LEARNERS: dict[str, tuple[Any, dict[str, Any], dict[str, Sequence[float]], bool]] = {
    "fine-tuning": (FineTuning, {}, {"lr": GRID_LR}, False),
    "fine-tuning, five steps": (FineTuning, {"steps": 5}, {"lr": GRID_LR}, False),
    "joint, one pass": (FineTuning, {}, {"lr": GRID_LR}, True),
    "joint, ten passes": (FineTuning, {"passes": 10}, {"lr": GRID_LR}, True),
    "joint training": (FineTuning, {}, {"lr": GRID_LR[:10], "passes": (10, 20, 40, 80, 160)}, True),
    "EWC": (ElasticWeights, {}, {"lr": GRID_LR[2:], "strength": (0.1, 1, 10, 100, 1000, 10_000)}, False),
    "A-GEM, 200": (AGem, {"memory": 200, "replayed": 50}, {"lr": GRID_LR}, False),
    "replay 200": (Replay, {"memory": 200}, REPLAY, False),
    "replay 200, five steps": (Replay, {"memory": 200, "steps": 5}, REPLAY, False),
    "replay 500, five steps": (Replay, {"memory": 500, "steps": 5}, REPLAY, False),
    "one by one, 200": (MetaExperienceReplay, {"memory": 200, "replayed": 4, "steps": 2}, {"lr": ONE_LR}, False),
    "MER 200": (
        MetaExperienceReplay,
        {"memory": 200, "replayed": 4, "steps": 2},
        {"lr": (0.01, 0.02, 0.04, 0.08), "beta": (0.6, 0.8, 0.95), "gamma": (0.3, 0.6, 0.9)},  # at 1, 1: one by one
        False,
    ),
    "nearest class mean": (NearestClassMean, {}, {}, False),
    "streaming LDA": (StreamingLda, {}, {"shrink": (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9)}, False),
}
# the same with another memory, at the settings of the row named
SIZES = {
    **{f"replay {size}": ("replay 200", size) for size in (50, 500, 10_000)},
    **{f"replay {size}, five steps": (f"replay {like}, five steps", size) for size, like in ((50, 200), (10_000, 500))},
    "one by one, 500": ("one by one, 200", 500),
    "MER 500": ("MER 200", 500),
}
NEWS_ONLY = {"one by one, 200", "MER 200"}
# passes are chosen on the first stream alone, the others have ten
LEFT_OUT: dict[str, set[str]] = {
    "news46": set(),
    "CLINC150": {*NEWS_ONLY, "joint training"},
    "domains": {*NEWS_ONLY, "joint training"},
}
SLOW = MetaExperienceReplay  # chosen and measured last
STREAMS = {"news46": 20, "CLINC150": 10, "domains": 10}  # orders of each
TRAININGS = 6  # of OML on each split, and of graphs


def main(sections: Sequence[str]) -> None:
    """Measure the sections that the corpora at hand allow, in this order, and write the file after each piece."""
    torch.set_num_threads(1)
    stored = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    tables = {name: stored.get(name, []) for name in ("settings", "streams", "oml", "graph", "curves", "nodes")}
    for section in sections or (*STREAMS, "oml", "graph"):
        if section in STREAMS:
            measure_stream(section, tables)
        else:
            {"oml": measure_oml, "graph": measure_graph}[section](tables)


def measure_stream(stream: str, tables: dict[str, Rows]) -> None:
    """Choose the settings of every learner, then let it go through the stream in every order."""
    if stream == "CLINC150" and not corpora.is_present("clinc150"):
        return
    for slow in (False, True):
        for name in LEARNERS:
            if issubclass(LEARNERS[name][0], SLOW) == slow and name not in {
                *LEFT_OUT[stream],
                *_settings(tables, stream),
            }:
                tables["settings"].append({"stream": stream, "learner": name, **tune(stream, name)})
                _write(tables)
        settings = _settings(tables, stream)
        rows = {name: (name, chosen) for name, chosen in settings.items()}
        if stream == "news46":
            sizes = {name: row for name, row in SIZES.items() if row[0] in settings}
            rows |= {name: (like, {**settings[like], "memory": size}) for name, (like, size) in sizes.items()}
        done = {(row["order"], row["learner"]) for row in tables["streams"] if row["stream"] == stream}
        for name, (like, options) in rows.items():
            missing = [order for order in range(STREAMS[stream]) if (order, name) not in done]
            tables["streams"] += [stream_row(stream, order, name, like, options) for order in missing]
            _write(tables)


def measure_oml(tables: dict[str, Rows]) -> None:
    for split in (0, 1):
        if not any(row["pool"] == f"news46, split {split}" for row in tables["oml"]):
            tables["oml"] += oml_rows(split)
            _write(tables)


def measure_graph(tables: dict[str, Rows]) -> None:
    names = ("clinc150", "news46", "banking77")
    if not all(corpora.is_present(name) or name == "news46" for name in names):
        return
    kept = _settings(tables, "graph")
    tables["settings"] += [{"stream": "graph", "learner": kind, **options} for kind, options in tune_graph(kept)]
    chosen = _settings(tables, "graph")
    for seed in range(TRAININGS):
        fresh = seed not in {row["training"] for row in tables["graph"]}
        if not fresh and {row["start"] for row in tables["curves"] if row["training"] == seed} >= {*chosen, "oracle"}:
            continue
        graph = TaskGraph(graph_tasks(names, seed), seed=seed, **GRAPH)  # type: ignore[arg-type]
        done = {row["start"] for row in tables["curves"] if row["training"] == seed}
        tables["curves"] += curve_rows("mixed", graph, seed, chosen, done)
        if fresh:
            tables["graph"] += graph_rows("mixed", graph, seed, chosen["last"]["rate"])
            tables["nodes"] += node_rows("mixed", graph) if seed == 0 else []
        _write(tables)


def tune(stream: str, name: str) -> dict[str, float]:
    """The options with the best average accuracy on streams of texts that are measured nowhere."""
    streams = [make_stream(stream, 1000 + order, reserve=True) for order in range(2)]
    scores = {
        options: np.mean([measured(name, dict(options), s, order).average for order, s in enumerate(streams)])
        for options in _combinations(LEARNERS[name][2])
    }
    chosen = dict(max(scores, key=lambda options: scores[options]))
    edges = [o for o, values in LEARNERS[name][2].items() if chosen[o] in (values[0], values[-1])]
    print(f"{stream}: {name} {chosen} {max(scores.values()):.3f}", *(f"EDGE of {o}" for o in edges), flush=True)
    return chosen


def stream_row(stream: str, order: int, name: str, like: str, options: dict[str, float]) -> dict[str, Any]:
    """A learner on one order; `like` is the row of `LEARNERS` whose kind it is."""
    made = make_stream(stream, order)
    started = time.process_time()
    matrix = measured(like, options, made, order)
    seconds = round(time.process_time() - started, 3)
    numbers = {
        "accuracy": matrix.average,
        "backward": matrix.backward,
        "at_once": matrix.at_once,
        "forgetting": matrix.forgetting,
        "forward": matrix.forward(0.5 if stream == "domains" else 0.0),
    }
    shown = {key: None if np.isnan(value) else round(value, 5) for key, value in numbers.items()}
    return {"stream": stream, "learner": name, "order": order, **shown, "seconds": seconds}


def measured(name: str, options: dict[str, float], stream: Stream, seed: int) -> Any:
    """The accuracy matrix of a learner of the table."""
    kind, fixed, _, joint = LEARNERS[name]
    options = {**fixed, **options}
    passes = int(options.pop("passes", 1))
    if kind not in (NearestClassMean, StreamingLda):
        options["seed"] = seed
    learner = kind(stream.dim, len(stream.classes), **options)
    with np.errstate(all="ignore"):
        try:
            if not joint:
                return run(learner, stream)
            run(learner, stream.joined(seed=seed), passes=passes)
        except RuntimeError:  # diverged: a rate of the grid that is too high
            return AccuracyMatrix(np.zeros((1, 1)), np.full(1, np.nan), ("diverged",))
    # no task came after another: one row, and an accuracy for each task, as in the last row of a stream's matrix
    average = np.mean([np.mean(learner.predict(task.test_x) == task.test_y) for task in stream.tasks])
    return AccuracyMatrix(np.array([[average]]), np.full(1, np.nan), ("all at once",))


@cache
def make_stream(stream: str, seed: int, *, reserve: bool = False) -> Stream:
    """The stream in one order; `reserve`: of texts that are kept for the choice of settings.

    The reserve of "news46" is of newsgroups alone: Reuters' smaller topics have no text to spare.
    """
    corpus, vectors, spare = _texts(stream)
    kept = np.flatnonzero(spare if reserve else ~spare)
    part, x = corpus.subset(kept), vectors[kept]
    if stream == "domains":
        return domain_stream(part, x, seed=seed, per_class=750)
    if stream == "CLINC150":
        return class_stream(part, x, clinc_domains(), seed=seed, per_class=30, test_share=1 / 3)
    groups = {
        name: [c for c in group if c in set(part.labels)] for name, group in news_groups(corpus, seed=seed).items()
    }
    return class_stream(part, x, {name: group for name, group in groups.items() if group}, seed=seed)


@cache
def _texts(stream: str) -> tuple[corpora.Corpus, np.ndarray, np.ndarray]:
    """Corpus, its vectors, and which of its texts are kept for the choice of settings."""
    if stream == "CLINC150":
        corpus = corpora.load("clinc150").at_most(60, seed=0)
        vectors = Transformer(max_length=32).embed(corpus)
        return corpus, scaled(vectors), np.arange(len(corpus)) % 2 == 1
    corpus = corpora.load("news46" if stream == "news46" else "sentiment_domains")
    vectors = scaled(Averaged("glove", weighting="sif").embed(corpus))
    if stream == "domains":
        return corpus, vectors, np.arange(len(corpus)) % 3 == 2
    posts = np.array(["." in label for label in corpus.labels])
    return corpus, vectors, posts & (np.arange(len(corpus)) % 2 == 1)


def scaled(vectors: Any, centre: np.ndarray | float = 0.0) -> np.ndarray:
    """Every vector less `centre`, of the same length; one without known words stays zero."""
    x = np.asarray(vectors, np.float32) - centre
    return LENGTH * x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6)


HEAD_RATES = (0.1, 0.03, 0.01, 0.003, 0.001, 1e-4, 1e-5, 1e-6, 1e-7)  # of equally good ones the smallest
OML_LENGTH = 3.0


def oml_rows(split: int) -> Iterator[dict[str, Any]]:
    """Frozen vectors, joint pre-training and OML: new classes, one after another, one text at a time.

    The rate of the head is chosen for each of them on the validation classes of all trainings together, the smallest
    within a point of the best: these are fewer classes than the test's, so a rate may do there that fails on the test.
    """
    corpus, vectors, _ = _texts("news46")
    parts = [set(part.classes) for part in corpus.split_classes(seed=split)]
    rows = [np.array([i for i, label in enumerate(corpus.labels) if label in part]) for part in parts]
    x = scaled(vectors, vectors[rows[0]].mean(0)) * (OML_LENGTH / LENGTH)  # less the mean of the training classes
    found: dict[str, list[tuple[float, list[Stream], list[dict[float, float]]]]] = {}
    for seed in range(TRAININGS):
        for name, (representation, seconds) in _representations(corpus, x, rows[0], seed).items():
            features = representation.features(x)
            streams = [_one_class_a_task(corpus, features, part, seed) for part in rows[1:]]
            heads = [{rate: _online(stream, rate) for rate in HEAD_RATES} for stream in streams]
            found.setdefault(name, []).append((seconds, streams, heads))
        print(f"OML: split {split}, training {seed}", flush=True)
    for name, trainings in found.items():
        validated = {r: np.mean([valid[r] for _, _, (valid, _) in trainings]) for r in HEAD_RATES}
        rate = min(r for r, accuracy in validated.items() if accuracy >= max(validated.values()) - 0.01)
        for seed, (seconds, (_, stream), (_, test)) in enumerate(trainings):
            yield {
                "pool": f"news46, split {split}",
                "representation": name,
                "training": seed,
                "rate": rate,
                "accuracy": round(test[rate], 5),
                "shuffled": round(_online(stream.joined(seed=seed), rate), 5),
                "class means": round(run(NearestClassMean(50, len(stream.classes)), stream).average, 5),
                "LDA": round(run(StreamingLda(50, len(stream.classes)), stream).average, 5),
                "by rate": {str(r): round(a, 5) for r, a in test.items()},
                "seconds": round(seconds, 2),
            }


def _representations(
    corpus: corpora.Corpus, x: np.ndarray, rows: np.ndarray, seed: int
) -> dict[str, tuple[Representation, float]]:
    """Each trained on these rows, at most 60 texts a class, with its seconds."""
    learned = _at_most([corpus.labels[i] for i in rows], rows, 60, seed)
    y = np.unique([corpus.labels[i] for i in learned], return_inverse=True)[1]
    with seeded(seed):
        frozen, joint, oml = (Representation(50) for _ in range(3))
    times = [time.process_time()]
    pretrain_jointly(joint, x[learned], y, steps=300, lr=3e-3, seed=seed)
    times.append(time.process_time())
    meta_train_online(oml, x[learned], y, steps=250, lr=3e-3, inner_lr=0.1, seed=seed)
    times.append(time.process_time())
    return {"frozen": (frozen, 0.0), "joint": (joint, times[1] - times[0]), "OML": (oml, times[2] - times[1])}


def _online(stream: Stream, rate: float) -> float:
    head = FineTuning(stream.dim, len(stream.classes), hidden=0, lr=rate)
    return float(run(head, stream, batch=1).average)


def _one_class_a_task(corpus: corpora.Corpus, features: np.ndarray, rows: np.ndarray, seed: int) -> Stream:
    part = corpus.subset(rows)
    groups = {label: [label] for label in part.classes}
    return class_stream(part, features[rows], groups, seed=seed, per_class=45, test_share=1 / 3)


def _at_most(labels: Sequence[str], rows: np.ndarray, number: int, seed: int) -> np.ndarray:
    random, names = np.random.default_rng(seed), np.array(labels)
    return np.concatenate([random.permutation(rows[names == label])[:number] for label in sorted(set(labels))])


AT = (1, 5, 10, 20, 40)
GRAPH = {"lr": 0.05, "epochs": 10}
WEIGHED = ("centroid", "separability")
ALONE = (
    *("scratch", "last", "mean", "3 random", "same corpus"),
    *(f"nearest, {kind}" for kind in LIKENESSES),
    *(f"3 nearest, {kind}" for kind in WEIGHED),
)
# statistics of the new task's own few texts: no network, no earlier task
STATISTICS: dict[str, Sequence[float]] = {"class means": (1.0,), "LDA": (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95)}
RATES, SHARPNESSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8), (0.25, 0.5, 1.0, 2.0)  # at 0 it is the plain mean


def tune_graph(done: Collection[str] = ()) -> Iterator[tuple[str, dict[str, float]]]:
    """Rate of every start, and sharpness of the weighted ones: best after ten steps on intents measured nowhere.

    Of the statistics, the shrinkage. What is `done` is left out.
    """
    found: dict[tuple[str, float, float], list[float]] = {}
    starts = [
        *((k, 0.0) for k in ALONE if k not in done),
        *((name, s) for k in WEIGHED for s in SHARPNESSES if (name := f"weighted mean, {k}") not in done),
    ]
    shrunk: dict[tuple[str, float], list[float]] = {
        (k, s): [] for k, tried in STATISTICS.items() if k not in done for s in tried
    }
    if not starts and not shrunk:
        return
    for seed in (1000, 1001):
        graph = TaskGraph(graph_tasks(("clinc150", "banking77"), seed, reserve=True), seed=seed, **GRAPH)  # type: ignore[arg-type]
        alike = {kind: graph.likeness(kind) for kind in LIKENESSES}
        for target, earlier in _places(graph, seed, orders=3):
            for kind, sharpness in starts:
                body = _start(graph, kind, target, earlier, alike, sharpness)
                for rate in RATES:
                    found.setdefault((kind, rate, sharpness), []).append(
                        graph.adapted(target, body, at=[10], rate=rate)[0]
                    )
            for (_, shrink), each in shrunk.items():
                each.append(by_statistics(graph, target, shrink))
    for kind in dict.fromkeys(kind for kind, *_ in found):
        _, rate, sharpness = max((key for key in found if key[0] == kind), key=lambda key: np.mean(found[key]))
        print(
            f"graph: {kind} rate {rate} sharpness {sharpness}",
            "EDGE" if rate in (RATES[0], RATES[-1]) else "",
            flush=True,
        )
        yield kind, {"rate": rate, "sharpness": sharpness}
    for kind in dict.fromkeys(kind for kind, _ in shrunk):
        _, shrink = max((key for key in shrunk if key[0] == kind), key=lambda key: np.mean(shrunk[key]))
        print(f"graph: {kind} shrink {shrink}", flush=True)
        yield kind, {"shrink": shrink}


def by_statistics(graph: TaskGraph, target: int, shrink: float) -> float:
    """Accuracy of LDA on the vectors of the new task's few texts; with `shrink` 1 of nearest class means."""
    (x, y), task = graph.support[target], graph.tasks[target]
    learner = StreamingLda(x.shape[1], graph.n_way, shrink=shrink)
    learner.learn(x, y)
    return float((learner.predict(task.test_x) == task.test_y).mean())


def _places(graph: TaskGraph, seed: int, orders: int) -> Iterator[tuple[int, list[int]]]:
    for order in range(orders):
        places = np.random.default_rng([seed, order]).permutation(len(graph)).tolist()
        yield from ((places[at], places[:at]) for at in range(3, len(graph)))


def _start(
    graph: TaskGraph, kind: str, target: int, earlier: list[int], alike: dict[str, np.ndarray], sharpness: float
) -> np.ndarray:
    if kind == "3 random":
        drawn = np.random.default_rng([target, len(earlier), *earlier[:3]]).permutation(earlier)[:3]
        return np.asarray(graph.bodies[drawn].mean(0))
    if kind == "same corpus":  # all earlier ones where there is none
        own = [t for t in earlier if graph.tasks[t].name.split()[0] == graph.tasks[target].name.split()[0]]
        return np.asarray(graph.bodies[own or earlier].mean(0))
    name, _, likeness = kind.partition(", ")
    name = "k nearest" if name == "3 nearest" else name
    return graph.start(name, target, earlier, alike[likeness or "centroid"], sharpness=sharpness)  # type: ignore[arg-type]


def graph_rows(pool: str, graph: TaskGraph, seed: int, rate: float) -> Iterator[dict[str, Any]]:
    """Likeness against transfer; a training draws tasks, texts and weights anew."""
    transfer = graph.transfer(steps=10, rate=rate)
    for kind in LIKENESSES:
        table = graph.likeness(kind)
        rho = [spearmanr(np.delete(table[i], i), np.delete(transfer[i], i))[0] for i in range(len(graph))]
        yield {"pool": pool, "training": seed, "likeness": kind, "rho": round(float(np.nanmean(rho)), 5)}


def curve_rows(
    pool: str,
    graph: TaskGraph,
    seed: int,
    chosen: dict[str, dict[str, float]],
    done: Collection[str] = (),
    *,
    orders: int = 4,
) -> Iterator[dict[str, Any]]:
    """Accuracy by steps from every start that is not done.

    "oracle" takes, at each number of steps, the earlier task that is best on the test itself: biased upwards.
    """
    single = chosen["last"]["rate"]
    alike = {kind: graph.likeness(kind) for kind in LIKENESSES}
    found: dict[str, list[np.ndarray]] = {}
    for target, earlier in _places(graph, seed, orders):
        for kind, options in chosen.items():
            if kind in done:
                continue
            if kind in STATISTICS:
                accuracy = np.full(len(AT), by_statistics(graph, target, options["shrink"]))
            else:
                body = _start(graph, kind, target, earlier, alike, options["sharpness"])
                accuracy = graph.adapted(target, body, at=AT, rate=options["rate"])
            found.setdefault(kind, []).append(accuracy)
        if "oracle" not in done:
            each = [graph.adapted(target, graph.bodies[source], at=AT, rate=single) for source in earlier]
            found.setdefault("oracle", []).append(np.max(each, axis=0))
    for name, each in found.items():
        accuracies = [round(float(a), 5) for a in np.mean(each, axis=0)]
        yield {"pool": pool, "training": seed, "start": name, "steps": list(AT), "accuracy": accuracies}
    print(f"graph of {pool}: training {seed}, {len(graph)} tasks", flush=True)


def node_rows(pool: str, graph: TaskGraph) -> Rows:
    """Each task with its place in a plane, by the two largest directions of the likeness, and its nearest task."""
    alike = graph.likeness("centroid")
    both = (alike + alike.T) / 2
    values, vectors = np.linalg.eigh(both - both.mean(0) - both.mean(1)[:, None] + both.mean())
    places = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))
    np.fill_diagonal(alike, -np.inf)
    return [
        {
            "pool": pool,
            "task": task.name,
            "x": round(float(x), 4),
            "y": round(float(y), 4),
            "nearest": int(row.argmax()),
        }
        for task, (x, y), row in zip(graph.tasks, places, alike, strict=True)
    ]


def graph_tasks(names: Sequence[str], seed: int, *, reserve: bool = False) -> list[Task]:
    """Tasks of five classes, 50 texts each to learn from and 20 for the test; at most ten of a corpus in a mixed pool.

    A quarter of the intents, whole domains of CLINC150, is kept for the choice of rates: `reserve`.
    """
    random, tasks = np.random.default_rng(seed), []
    for name in names:
        corpus, vectors = _graph_texts(name)
        if name == "clinc150":
            domains = [part for i, part in enumerate(clinc_domains().values()) if (i % 4 == 0) == reserve]
            groups = [group for domain in domains for group in _fives(domain, random)]
        else:
            kept = [c for i, c in enumerate(corpus.classes) if name == "news46" or (i % 4 == 0) == reserve]
            groups = _fives(kept, random)
        if len(names) > 1:
            groups = [groups[i] for i in random.permutation(len(groups))[:10]]
        named = {f"{name} {number}": group for number, group in enumerate(groups)}
        tasks += class_stream(corpus, vectors, named, seed=seed, per_class=70, test_share=2 / 7).tasks
    return tasks


@cache
def _graph_texts(name: str) -> tuple[corpora.Corpus, np.ndarray]:
    corpus = corpora.load(name)
    return corpus, scaled(Averaged("glove", weighting="sif").embed(corpus))


def _fives(labels: Sequence[str], random: np.random.Generator) -> list[list[str]]:
    mixed = random.permutation(sorted(labels)).tolist()
    return [mixed[i : i + 5] for i in range(0, len(mixed) - 4, 5)]


def _combinations(grid: dict[str, Sequence[float]]) -> list[tuple[tuple[str, float], ...]]:
    found: list[tuple[tuple[str, float], ...]] = [()]
    for name, values in grid.items():
        found = [(*each, (name, value)) for each in found for value in values]
    return found


def _settings(tables: dict[str, Rows], stream: str) -> dict[str, dict[str, float]]:
    """The options of each row that was tuned."""
    rows = [row for row in tables["settings"] if row["stream"] == stream]
    return {row["learner"]: {k: v for k, v in row.items() if k not in ("stream", "learner")} for row in rows}


def _write(tables: dict[str, Rows]) -> None:
    write_rows(PATH, {"about": provenance()}, **tables)


if __name__ == "__main__":
    main(sys.argv[1:])
