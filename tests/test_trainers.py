"""What holds for every trainer: bad options refused at the door, a loss that is no number, no trace in global state."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from metalearn_lib import EpisodeSampler, FineTuned, Prototypical, language_models, meta_train
from metalearn_lib.classification import Classifier, fit
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation import distil, match, meta_distil
from metalearn_lib.encoders import Averaged, Convolutional, WordAverage
from metalearn_lib.errors import TrainingDiverged
from metalearn_lib.meta_embeddings import ALaCarte, ContextAttention, collect, fit_attention
from metalearn_lib.text import Vocabulary, WordVectors

WORDS = [f"w{i}" for i in range(12)]
CLASSES = ["a", "b", "c"]
Trainer = Callable[..., Any]


def texts() -> Corpus:
    rng = random.Random(0)
    labels = CLASSES * 8
    lines = [" ".join([WORDS[CLASSES.index(c)], *rng.sample(WORDS[3:], 4)]) for c in labels]
    return Corpus("toy", lines, labels)


def vectors() -> WordVectors:
    return WordVectors.from_array(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 5)))


def small(**options: Any) -> Classifier:
    return Classifier(WordAverage(vectors()), CLASSES, **options)


def sampler() -> EpisodeSampler:
    return EpisodeSampler(texts(), n_way=3, k_shot=2, n_query=2, seed=0)


def word_contexts() -> tuple[ContextAttention, Any]:
    tokens = [text.split() for text in texts().texts]
    start = ALaCarte(tokens, WORDS, vectors(), window=2)
    return ContextAttention(start, window=2, hidden=3), collect(tokens, vectors(), min_count=2, window=2)


def trained_learner(**options: Any) -> Any:
    learner = Prototypical(Convolutional(vectors(), widths=(1, 2), channels=3, dropout=0.5))
    return meta_train(learner, sampler(), **{"steps": 2, **options})


def trained_language_model(**options: Any) -> Any:
    sentences = [text.split() for text in texts().texts]
    vocabulary = Vocabulary.build(sentences, sentence_marks=True)
    model = language_models.NeuralLanguageModel("lstm", vocabulary, dim=4)
    return language_models.fit(model, sentences, **{"epochs": 1, **options})


def adapted_head(**options: Any) -> Any:
    del options["progress"]
    return FineTuned(Averaged(vectors()), **{"steps": 2, **options}).predict(sampler().sample(2))


TRAINERS: dict[str, Trainer] = {
    "meta_train": trained_learner,
    "fit": lambda **o: fit(small(dropout=0.5), texts(), **{"epochs": 1, **o}),
    "language_models.fit": trained_language_model,
    "fit_attention": lambda **o: fit_attention(*word_contexts(), **{"steps": 2, "tasks": 4, **o}),
    "match": lambda **o: match(WordAverage(vectors()), Averaged(vectors()), texts(), **{"epochs": 1, **o}),
    "meta_distil": lambda **o: meta_distil(small(), small(), texts(), texts(), **{"steps": 2, **o}),
    "distil": lambda **o: distil(small(), small(), texts(), **{"epochs": 1, **o}),
    "FineTuned": adapted_head,
}
# what each trainer calls its sizes and its rate
COUNTS = {
    "meta_train": ["steps", "tasks_per_step", "validate_every", "valid_episodes", "patience"],
    "fit": ["epochs", "batch_size", "patience"],
    "language_models.fit": ["epochs", "tokens_per_batch"],
    "fit_attention": ["steps", "tasks", "max_shots"],
    "match": ["epochs", "batch_size"],
    "meta_distil": ["steps", "batch_size"],
    "distil": ["epochs", "batch_size"],
    "FineTuned": [],
}
RATES = {"fit": "rates", **dict.fromkeys(["match", "meta_distil", "distil"], "rate")}


def global_state() -> tuple[bytes, object, object]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 (the global state is what is looked at)
    return torch.get_rng_state().numpy().tobytes(), (name, keys.tobytes(), *rest), random.getstate()


@pytest.mark.parametrize("name", TRAINERS)
def test_global_state_is_as_it_was_also_after_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    train = TRAINERS[name]
    made: list[tuple[bytes, object, object]] = []

    def step(*_: object, **__: object) -> None:
        made.append(global_state())
        raise KeyboardInterrupt

    with torch.random.fork_rng(devices=[]):  # to make a new model draws from the global generator
        torch.manual_seed(1)
        train(progress=False)
        once = global_state()
        torch.manual_seed(1)
        monkeypatch.setattr(torch.Tensor, "backward", step)
        with pytest.raises(KeyboardInterrupt):
            train(progress=False)
        assert made and global_state() == once
        torch.manual_seed(1)
        monkeypatch.undo()
        train(progress=False, seed=9)
        assert global_state() == once  # whatever was drawn in between


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in TRAINERS for option in COUNTS[name]])
def test_counts_are_whole_and_at_least_one(name: str, option: str) -> None:
    for bad in (0, -1, 2.5, 2.0, True):
        with pytest.raises(ValueError, match=rf"\({option}={bad}\): must be a whole number ≥ 1"):
            TRAINERS[name](progress=False, **{option: bad})


@pytest.mark.parametrize("name", TRAINERS)
def test_a_rate_is_finite_and_above_zero(name: str) -> None:
    rate = RATES.get(name, "lr")
    for bad in (0, 0.0, -1e-3, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"must be a finite number > 0; at 0 nothing is learned"):
            TRAINERS[name](progress=False, **{rate: bad})


@pytest.mark.parametrize("name", ["meta_train", "fit"])
def test_a_clip_that_trains_nothing_or_turns_the_gradient_round_is_refused(name: str) -> None:
    for bad in (0, -1, float("nan")):
        with pytest.raises(ValueError, match=rf"{name}\(clip={bad}\): must be > 0"):
            TRAINERS[name](progress=False, clip=bad)
    TRAINERS[name](progress=False, clip=float("inf"))


@pytest.mark.parametrize("name", ["meta_train", "fit", "language_models.fit"])
def test_weight_decay_is_not_negative(name: str) -> None:
    with pytest.raises(ValueError, match=r"\(weight_decay=-0\.1\): must be a finite number ≥ 0; 0 is none"):
        TRAINERS[name](progress=False, weight_decay=-0.1)


@pytest.mark.parametrize("name", TRAINERS)
def test_a_loss_that_is_no_number_is_named_with_trainer_and_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "item", lambda _: float("nan"))
    with pytest.raises(TrainingDiverged, match=r"\w: the loss is nan at step 1; lower the learning rate or check"):
        TRAINERS[name](progress=False)


@pytest.mark.parametrize("name", [name for name in TRAINERS if name != "FineTuned"])
def test_a_bar_is_shown_unless_it_is_not_wanted(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("METALEARN_HEADLESS", raising=False)
    TRAINERS[name](progress=False)
    assert capsys.readouterr() == ("", "")
    TRAINERS[name]()
    shown = capsys.readouterr()
    assert "it/s]" in shown.out or "/1 [" in shown.out or "/2 [" in shown.out
    assert shown.err == ""
