"""`python -m tests.benchmarks.translation SECTION …`: what chapter 11 does not train itself, over splits and trainings.

Writes `translation.json` and `translation_start.safetensors` into data/results/. Sections:
settings (chosen on validation languages) and editing; request-settings and requests, with `--texts` of an intent and
language; long (the start of the sequence model, trained once; a killed call goes on where it stopped) and half (the
same with half of the English strings), writer-settings, and writing.
Editing and requests are measured over `--seeds` splits or trainings, writing over as many draws of own pairs. A section
that is measured again takes the place of its old rows. Split number s of the English strings goes with training s.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import nn

from metalearn_lib import TextModel, encoders, meta_train, mlp
from metalearn_lib.choosing import provenance
from metalearn_lib.corpora import Corpus
from metalearn_lib.corpora.translations import Pair, Parallel
from metalearn_lib.episodes import DomainSampler, Episodes
from metalearn_lib.files import read_tensors, results_folder, write_rows, write_tensors
from metalearn_lib.learners import MAML, MultiTask, Reptile
from metalearn_lib.learners.baselines import Centroid
from metalearn_lib.optimise import seeded
from metalearn_lib.translation import (
    CharacterNgrams,
    Copy,
    EditCodec,
    Editor,
    LookUp,
    PairSampler,
    PieceCodec,
    Seq2Seq,
    TranslationMemory,
    WordsOrEdits,
    WordTable,
    Writer,
    expanded,
    fine_tuned,
    parallel,
    score,
    shared_classes,
    split_english,
)
from metalearn_lib.translation.languages import EDITING, INTO_ENGLISH, REQUESTS, languages_of
from metalearn_lib.translation.seq2seq import PAD

Row = dict[str, Any]
MESSAGES = ("django_messages", "wagtail_messages", "sphinx_messages")
SPLIT = (0.8, 0.1, 0.1)
PAIRS = (50, 500)
EDITOR_RATES, EDITOR_STEPS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2), {50: (10, 30, 90), 500: (100, 300)}
CAUTIONS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)
HALF = 250  # meta-steps of joint training before MAML begins; both then take as many again
REQUEST_RATES, REQUEST_STEPS = (0.1, 0.3, 1.0, 3.0, 10.0), (10, 30, 100, 300)
MET = {15: 60, 40: 300}  # texts of an intent and language at most, and meta-steps of four tasks
WEIGHTS = (1, 3, 10, 30, 100, 300)  # how many texts of other languages one of the new language counts as
WRITER_RATES, WRITER_STEPS = (1e-3, 3e-3, 1e-2), (150, 400)  # in batches of 16 pairs
EVERY = 125  # steps of the long start between two validations; a step has 64 pairs
TABLES = ("settings", "editing", "requests", "curve", "writing")


@cache
def messages(split: int) -> list[Parallel]:
    """Training, validation and test strings of all languages, short ones in lower case."""
    of_editing = {language for part in EDITING.values() for pair in part for language in pair}
    languages = sorted(of_editing | set(languages_of(INTO_ENGLISH)))
    return split_english(parallel(*MESSAGES, languages=languages).short().lower(), SPLIT, seed=split)


def some(pairs: Sequence[Pair], number: int, seed: int) -> list[Pair]:
    """So many pairs, in random order; fewer where there are not as many."""
    return [pairs[i] for i in np.random.default_rng(seed).permutation(len(pairs))[:number]]


# ---- editing


def editors(train: Parallel, seed: int) -> tuple[EditCodec, dict[str, nn.Module]]:
    """The codec, and the starts: untrained, joint, half of that, and first-order MAML from there on."""
    texts = {f"{a}>{b}": some(train.pairs(a, b), 400, seed) for a, b in EDITING["train"]}
    codec = EditCodec([pair for pairs in texts.values() for pair in pairs], coverage=0.9)
    tasks = PairSampler({k: codec.examples(v) for k, v in texts.items()}, k_support=10, n_query=10, rows=18, seed=seed)
    fresh = codec.model(hidden=128, seed=seed)
    joint = MultiTask(copy.deepcopy(fresh))
    meta_train(joint, tasks, steps=HALF, lr=2e-3, progress=False, seed=seed)
    half = copy.deepcopy(joint.model)
    maml = MAML(copy.deepcopy(half), first_order=True, inner_steps=5, inner_lr=0.1)
    meta_train(joint, tasks, steps=HALF, lr=2e-3, progress=False, seed=seed + 1)
    meta_train(maml, tasks, steps=HALF, lr=1e-3, progress=False, seed=seed + 1)
    return codec, {"scratch": fresh, "joint": joint.model, "FOMAML": maml.model, "joint, half": half}


STARTS = ("scratch", "joint", "FOMAML")


def editing_settings() -> Iterator[Row]:
    """Rate, steps and caution, for the editor alone and for the blend: best in the mean of the validation pairs."""
    train, valid, _ = messages(0)
    codec, starts = editors(train, 0)
    pairs = [valid.pairs(a, b) for a, b in EDITING["valid"]]
    for name, number in product(STARTS, PAIRS):
        reached: dict[tuple[Any, ...], list[float]] = {}
        for rate, steps in product(EDITOR_RATES, EDITOR_STEPS[number]):
            for (a, b), texts in zip(EDITING["valid"], pairs, strict=True):
                own = some(train.pairs(a, b), number, 0)
                table = WordTable(own)
                adapted = fine_tuned(starts[name], codec.examples(own), steps=steps, lr=rate, pairs_per_step=16)
                for caution in CAUTIONS:
                    editor = Editor(codec, adapted, caution=caution)
                    for part, row in (("editing", editor), ("blend", WordsOrEdits(table, editor))):
                        reached.setdefault((part, rate, steps, caution), []).append(score(row, texts).mean)
        for part in ("editing", "blend"):
            best, (_, rate, steps, caution) = max((_mean(v), k) for k, v in reached.items() if k[0] == part)
            row = {"part": part, "learner": name, "pairs": number, "rate": rate, "steps": steps, "caution": caution}
            yield row | {"valid": round(100 * best, 2)}


def editing(seed: int, settings: dict[tuple[Any, ...], Row]) -> Iterator[Row]:
    """chrF on the test strings of each pair of relatives, by row and number of pairs."""
    train, _, test = messages(seed)
    codec, starts = editors(train, seed)
    for a, b in EDITING["test"]:
        texts, drawn = test.pairs(a, b), some(train.pairs(a, b), max(PAIRS), seed)
        rows: dict[tuple[str, int], Any] = {("copy", 0): Copy()}
        for name, start in starts.items():
            rows[name, 0] = Editor(codec, start)
            rows[f"{name}, cautious", 0] = Editor(codec, start, caution=0.7)
        for number in PAIRS:
            own = drawn[:number]
            rows["word table", number] = table = WordTable(own)
            for name, part in product(STARTS, ("editing", "blend")):
                how = settings[part, name, number]
                options = {"steps": how["steps"], "lr": how["rate"], "pairs_per_step": 16, "seed": seed}
                adapted = fine_tuned(starts[name], codec.examples(own), **options)
                editor = Editor(codec, adapted, caution=how["caution"])
                if part == "editing":
                    rows[name, number] = editor
                else:
                    rows[f"{name}, blend", number] = WordsOrEdits(table, editor)
        for (name, number), translator in rows.items():
            row = {"split": seed, "pair": f"{a}>{b}", "pairs": number, "row": name}
            yield row | {"chrf": [round(100 * value, 1) for value in score(translator, texts).values]}


# ---- into English


def writer_tasks(train: Parallel, seed: int, **sizes: int) -> tuple[PieceCodec, Seq2Seq, PairSampler]:
    """The codec of the training languages, an untrained model, and tasks of them into English."""
    texts = {language: train.pairs(language, "en") for language in INTO_ENGLISH["train"]}
    codec = PieceCodec(sorted({text for pairs in texts.values() for pair in pairs for text in pair[1:]}))
    examples = {language: codec.examples(pairs) for language, pairs in texts.items()}
    tasks = PairSampler(examples, rows=codec.length, seed=seed, **({"k_support": 8, "n_query": 8} | sizes))
    return codec, Seq2Seq(len(codec), codec.length, dim=128, seed=seed), tasks


def long_start(folder: Path, steps: int, strings: str, say: Callable[[str], None]) -> Iterator[Row]:
    """Joint training as long as strings of the validation part gain by it; the best weights, in half precision.

    `strings`: "all", or "half" of the English strings of training, which leaves no file. `valid` is the share of the
    next pieces that are right, without the padding.
    """
    train, valid, _ = messages(0)
    codec, model, tasks = writer_tasks(train, 0)
    if strings == "half":
        part, _ = split_english(train, (0.5, 0.5), seed=100)
        examples = {code: codec.examples(part.pairs(code, "en")) for code in INTO_ENGLISH["train"]}
        tasks = PairSampler(examples, k_support=8, n_query=8, rows=codec.length, seed=0)
    held = {language: codec.examples(valid.pairs(language, "en")) for language in INTO_ENGLISH["train"]}
    watch = PairSampler(held, k_support=1, n_query=24, rows=codec.length, seed=1)
    learner, began = MultiTask(model, test_steps=0), time.process_time()
    history = meta_train(
        learner, tasks, valid=watch, steps=steps, lr=2e-3, clip=1.0, validate_every=EVERY, valid_episodes=13,
        patience=6, checkpoint=folder / f"translation_{strings}.ckpt", progress=False,
    )  # fmt: skip
    seconds = time.process_time() - began
    say(f"{len(history.losses)} steps, best {history.best_step}, {seconds:.0f} CPU s of this call")
    padding = float((watch.sample(13).query_y == PAD).double().mean())  # where the target is over; always right
    for place, value in enumerate(history.valid_scores, 1):
        loss = float(np.mean(history.losses[EVERY * (place - 1) : EVERY * place]))
        row = {"strings": strings, "step": min(EVERY * place, len(history.losses)), "loss": round(loss, 4)}
        right = (value - padding) / (1 - padding)
        yield row | {"valid": round(100 * right, 2), "kept": history.best_step}
    if strings == "all":
        tensors = {name: value.half() for name, value in learner.model.state_dict().items()}
        made_by = "python -m tests.benchmarks.translation long"
        about = {"codec": codec.identity, "steps": str(history.best_step), "made_by": made_by, "split": "0"}
        write_tensors(results_folder() / "translation_start.safetensors", tensors, about)


def stored_start(codec: PieceCodec) -> Seq2Seq:
    """The model of the stored file; ValueError where it was made for other pieces."""
    tensors, about = read_tensors(results_folder() / "translation_start.safetensors")
    if about["codec"] != codec.identity:
        raise ValueError("translation_start.safetensors is of other pieces; make it again with the section long")
    model = Seq2Seq(len(codec), codec.length, dim=128)
    model.load_state_dict({name: value.float() for name, value in tensors.items()})
    return model


def writer_settings() -> Iterator[Row]:
    """Rate and steps for the stored start, and from scratch, on the validation language."""
    train, valid, _ = messages(0)
    codec, fresh, _ = writer_tasks(train, 0)
    (language,) = INTO_ENGLISH["valid"]
    for name, start in {"scratch": fresh, "long": stored_start(codec)}.items():
        examples = codec.examples(some(train.pairs(language, "en"), 500, 0))
        tried = []
        for rate, steps in product(WRITER_RATES, WRITER_STEPS):
            fitted = fine_tuned(start, examples, steps=steps, lr=rate, pairs_per_step=16)
            tried.append((score(Writer(codec, fitted), valid.pairs(language, "en")).mean, rate, steps))
        best, rate, steps = max(tried)
        row = {"part": "writer", "learner": name, "pairs": 500, "rate": rate, "steps": steps}
        yield row | {"valid": round(100 * best, 2)}


def writing(seed: int, settings: dict[tuple[Any, ...], Row]) -> Iterator[Row]:
    """chrF into English, for one draw of own pairs; the stored start is the same for all draws."""
    train, _, test = messages(0)
    codec, fresh, _ = writer_tasks(train, 0)
    long = stored_start(codec)
    others = [pair for language in INTO_ENGLISH["train"] for pair in train.pairs(language, "en")]
    for language in INTO_ENGLISH["test"]:
        own = some(train.pairs(language, "en"), 500, seed)
        rows: dict[str, Any] = {"copy": Copy(), "long": Writer(codec, long)} if not seed else {}
        rows |= {"memory": TranslationMemory(own), "memory + others": TranslationMemory([*own, *others])}
        for name, start in {"scratch": fresh, "long": long}.items():
            how = settings["writer", name, 500]
            options = {"steps": how["steps"], "lr": how["rate"], "pairs_per_step": 16, "seed": seed}
            rows[f"{name}, 500"] = Writer(codec, fine_tuned(start, codec.examples(own), **options))
        measured = {(language, name): (row, test.pairs(language, "en")) for name, row in rows.items()}
        if language == "es":  # what is forgotten, and what is kept by mixing old pairs in
            old = codec.examples(some(others, 1000, seed))
            mixed = Writer(codec, fine_tuned(long, codec.examples(own), mixed=old, **options))
            measured["es", "long, 500, mixed"] = mixed, test.pairs("es", "en")
            for code, (name, row) in product(
                ("pt", "de"), {"long, 500 of es": rows["long, 500"], "mixed": mixed}.items()
            ):
                measured[code, name] = row, test.pairs(code, "en")
            for code in ("pt", "de"):
                measured[code, "long"] = Writer(codec, long), test.pairs(code, "en")
        for (code, name), (row, texts) in measured.items():
            values = [round(100 * value, 1) for value in score(row, texts).values]
            yield {"draw": seed, "language": code, "row": name, "chrf": values}


# ---- requests


@cache
def requests(seed: int, texts: int) -> tuple[Corpus, encoders.Encoder]:
    """The intents that every language has, and the vectors of their texts."""
    corpus = expanded("home_requests", languages=languages_of(REQUESTS), per_intent=texts, seed=seed)
    return shared_classes(corpus, least=texts), encoders.Frozen(CharacterNgrams())


def request_learners(seed: int, texts: int) -> dict[str, Any]:
    """Untrained, joint, first-order MAML and Reptile: the same model, tasks and number of steps; and the floors."""
    corpus, vectors = requests(seed, texts)
    train = corpus.only(domains=REQUESTS["train"])

    def model() -> TextModel:
        with seeded(seed):
            return TextModel(vectors, mlp(2048, 64, len(corpus.classes)))

    found: dict[str, Any] = {
        "scratch": MAML(model(), first_order=True),
        "joint": MultiTask(model()),
        "FOMAML": MAML(model(), first_order=True, inner_lr=1.0),
        "Reptile": Reptile(model(), inner_lr=1.0),
    }
    for name, learner in found.items():
        if name != "scratch":
            tasks = DomainSampler(train, k_shot=5, n_query=5, seed=10 + seed)
            meta_train(learner, tasks, steps=MET[texts], lr=3e-3, progress=False, seed=seed)
    floors = {"character centroid": Centroid(vectors), "nearest of 12": LookUp(vectors, train)}
    return found | floors | {"centroid of 12": LookUp(vectors, train, weight=1)}


def drawn_requests(corpus: Corpus, language: str, shots: int, seed: int) -> Episodes:
    part = corpus.only(domains=[language])
    return DomainSampler(part, k_shot=shots, n_query=10, seed=seed).sample(10)


def right(learner: Any, episodes: Episodes) -> list[float]:
    """The accuracy in each episode."""
    with torch.no_grad():
        found: list[float] = learner.predict(episodes).argmax(-1).eq(episodes.query_y).double().mean(1).tolist()
    return found


def request_settings(texts: int) -> Iterator[Row]:
    """Steps and rate of each learner in a new language: best in the mean of the validation languages."""
    corpus, _ = requests(0, texts)
    for name, learner in request_learners(0, texts).items():
        for shots in (1, 5):
            practice = [drawn_requests(corpus, language, shots, 5) for language in REQUESTS["valid"]]
            tried: list[tuple[float, float, int]] = []
            if name == "centroid of 12":
                for learner.weight in WEIGHTS:
                    tried.append((_mean(_mean(right(learner, e)) for e in practice), learner.weight, 0))
            elif name not in ("character centroid", "nearest of 12"):
                for learner.inner_lr, learner.test_steps in product(REQUEST_RATES, REQUEST_STEPS):
                    reached = _mean(_mean(right(learner, e)) for e in practice)
                    tried.append((reached, learner.inner_lr, learner.test_steps))
            if tried:
                best, rate, steps = max(tried)
                row = {"part": f"requests, {texts} texts", "learner": name, "pairs": shots, "rate": rate}
                yield row | {"steps": steps, "valid": round(100 * best, 2)}


def requested(seed: int, texts: int, settings: dict[tuple[Any, ...], Row]) -> Iterator[Row]:
    """Accuracy in each new language and in Hungarian, a validation language without a relative in training.

    Zero shots: joint training and the look-ups alone, without a single example.
    """
    corpus, _ = requests(seed, texts)
    for name, learner in request_learners(seed, texts).items():
        for language, shots in product((*REQUESTS["test"], "hu"), (0, 1, 5)):
            if not shots and name not in ("joint", "nearest of 12", "centroid of 12"):
                continue
            chosen = settings.get((f"requests, {texts} texts", name, shots), {"rate": 1.0, "steps": 0})
            if isinstance(learner, LookUp):
                learner.own = shots > 0
                learner.weight = chosen["rate"] if name == "centroid of 12" else None
            elif name != "character centroid":
                learner.inner_lr, learner.test_steps = chosen["rate"], chosen["steps"]
            episodes = drawn_requests(corpus, language, max(shots, 1), 1000)
            row = {"training": seed, "texts": texts, "language": language, "learner": name, "shots": shots}
            yield row | {"accuracy": [round(100 * value, 1) for value in right(learner, episodes)]}


# ---- the file


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def main(
    sections: list[str],
    seeds: Annotated[int, typer.Option(help="How many splits or trainings.")] = 5,
    first: Annotated[int, typer.Option(help="The number of the first one.")] = 0,
    texts: Annotated[int, typer.Option(help="Requests of an intent and language, 15 or 40.")] = 15,
    steps: Annotated[int, typer.Option(help="Of the long start, at most.")] = 6000,
    folder: Annotated[Path, typer.Option(help="Where checkpoints of the long start lie.")] = Path("build"),
) -> None:
    """Measure sections: settings, editing, request-settings, requests, long, half, writer-settings, writing."""
    torch.set_num_threads(1)
    path = results_folder() / "translation.json"

    def tables() -> dict[str, list[Row]]:
        stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return {name: stored.get(name, []) for name in TABLES}

    def keep(table: str, rows: Iterable[Row], same: Sequence[str]) -> None:
        made = list[Row]()
        for row in rows:
            print(table, row, flush=True)
            made.append(row)
        stored = tables()  # as they are now: another section may have been measured meanwhile
        again = {tuple(row.get(name) for name in same) for row in made}
        stored[table] = [row for row in stored[table] if tuple(row.get(name) for name in same) not in again] + made
        write_rows(path, {"about": provenance()}, **stored)

    for section in sections:
        settings = {(row["part"], row["learner"], row["pairs"]): row for row in tables()["settings"]}
        place = ("part", "learner", "pairs")
        if section == "settings":
            keep("settings", editing_settings(), place)
        elif section == "request-settings":
            keep("settings", request_settings(texts), place)
        elif section == "writer-settings":
            keep("settings", writer_settings(), place)
        elif section in ("long", "half"):
            strings = {"long": "all", "half": "half"}[section]
            keep("curve", long_start(folder, steps, strings, print), ("strings", "step"))
        else:
            for seed in range(first, first + seeds):
                if section == "editing":
                    keep("editing", editing(seed, settings), ("split", "pair", "pairs", "row"))
                elif section == "requests":
                    same = ("training", "texts", "language", "learner", "shots")
                    keep("requests", requested(seed, texts, settings), same)
                elif section == "writing":
                    keep("writing", writing(seed, settings), ("draw", "language", "row"))
                else:
                    raise typer.BadParameter(f"{section!r} is no section")


if __name__ == "__main__":
    typer.run(main)
