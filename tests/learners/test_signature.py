"""Who a learner is: a checkpoint of one that differs in anything but what trains is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from metalearn_lib import (
    ANIL,
    MAML,
    Blend,
    EpisodeSampler,
    Matching,
    MetaSGD,
    MultiTask,
    Prototypical,
    Reptile,
    TextModel,
    meta_train,
    mlp,
)
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Convolutional, Frozen, Projected, Standardised, Whitened
from metalearn_lib.learners import Centroid, DistributionalSignatures, MetaLearner
from metalearn_lib.meta_optimizers import LearnedOptimizer
from metalearn_lib.text import WordVectors

WORDS = ["play", "jazz", "rain", "sun", "pizza", "soup"]
CORPUS = Corpus("small", [f"{a} {b}" for a in WORDS for b in WORDS], ["m", "w", "f"] * 12)
OTHER = Corpus("small", [f"{text} jazz" for text in CORPUS.texts], sorted(CORPUS.labels))


def vectors(seed: int = 0, words: list[str] = WORDS) -> WordVectors:
    return WordVectors.from_array(words, np.random.default_rng(seed).normal(size=(len(words), 5)))


def averaged(**options: object) -> Averaged:
    return Averaged(options.pop("vectors", vectors()), **options)  # type: ignore[arg-type]


def projected(encoder: object = None, **options: object) -> Prototypical:
    return Prototypical(Projected(encoder or averaged(), **options))  # type: ignore[arg-type]


def cnn(**options: object) -> Convolutional:
    torch.manual_seed(0)
    return Convolutional(vectors(), channels=3, **options)  # type: ignore[arg-type]


def head() -> nn.Module:
    return mlp(5, 4, 3)


PAIRS = {
    "dropout": (lambda: projected(dropout=0.2), lambda: projected(dropout=0.5)),
    "normalise": (projected, lambda: projected(normalise=True)),
    "weighting": (projected, lambda: projected(averaged(weighting="sif"))),
    "idf": (projected, lambda: projected(averaged(weighting="idf", background=CORPUS))),
    "background": (
        lambda: projected(averaged(weighting="idf", background=CORPUS)),
        lambda: projected(averaged(weighting="idf", background=OTHER)),
    ),
    "log_counts": (projected, lambda: projected(averaged(log_counts=True))),
    "vectors": (projected, lambda: projected(averaged(vectors=vectors(1)))),
    "words": (projected, lambda: projected(averaged(vectors=vectors(words=WORDS[::-1])))),
    "max_length": (lambda: Prototypical(cnn(max_length=9)), lambda: Prototypical(cnn(max_length=10))),
    "class": (lambda: Prototypical(cnn()), lambda: Matching(cnn())),
    "distance": (lambda: Prototypical(cnn()), lambda: Prototypical(cnn(), distance="cosine")),
    "frozen settings": (
        lambda: projected(Frozen(cnn(max_length=9))),
        lambda: projected(Frozen(cnn(max_length=10))),
    ),
    "frozen or not": (lambda: projected(cnn()), lambda: projected(Frozen(cnn()))),
    "whitened by": (lambda: projected(Whitened(averaged(), CORPUS)), lambda: projected(Whitened(averaged(), OTHER))),
    "standardised by": (
        lambda: projected(Standardised(averaged(), CORPUS)),
        lambda: projected(Standardised(averaged(), CORPUS.only(["m"]))),
    ),
    "signatures": (
        lambda: DistributionalSignatures(CORPUS, vectors=vectors(), hidden=3),
        lambda: DistributionalSignatures(CORPUS, vectors=vectors(), hidden=3, epsilon=1e-2),
    ),
    "inner steps": (lambda: MAML(head(), inner_steps=2), lambda: MAML(head(), inner_steps=3)),
    "inner rate": (lambda: MAML(head()), lambda: MAML(head(), inner_lr=0.2)),
    "order": (lambda: MAML(head()), lambda: MAML(head(), first_order=True)),
    "what adapts": (lambda: MAML(head()), lambda: MAML(head(), adapt="2")),
    "test steps": (lambda: ANIL(head()), lambda: ANIL(head(), test_steps=9)),
    "queries": (lambda: Reptile(head()), lambda: Reptile(head(), use_queries=False)),
    "activation": (lambda: MAML(head()), lambda: MAML(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)))),
    "hidden": (lambda: MAML(head()), lambda: MAML(mlp(5, 9, 3))),
    "learned rates": (lambda: MAML(head(), one_rate=False), lambda: MetaSGD(head())),
    "horizon": (lambda: LearnedOptimizer(head()), lambda: LearnedOptimizer(head(), horizon=40)),
    "method": (lambda: Reptile(head()), lambda: MultiTask(head())),
    "order of the classes": (lambda: MultiTask(head(), classes=["a", "b"]), lambda: MultiTask(head(), classes="ba")),
    "text model": (
        lambda: MAML(TextModel(averaged(), head())),
        lambda: MAML(TextModel(averaged(log_counts=True), head())),
    ),
    "members": (
        lambda: Blend([Centroid(averaged()), Centroid(averaged(weighting="sif"))]),
        lambda: Blend([Centroid(averaged()), Centroid(averaged(weighting="sif", log_counts=True))]),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_that_differ_have_two_signatures(name: str) -> None:
    one, other = PAIRS[name]
    assert one().signature() == one().signature()  # other starting values: the checkpoint holds those
    assert one().signature() != other().signature()


def test_frozen_weights_count_by_value_and_trained_ones_do_not() -> None:
    torch.manual_seed(1)
    another = Convolutional(vectors(), channels=3)
    assert Prototypical(cnn()).signature() == Prototypical(another).signature()
    assert projected(Frozen(cnn())).signature() != projected(Frozen(another)).signature()
    members = [[Prototypical(encoder), Centroid(averaged())] for encoder in (cnn(), another)]
    assert Blend(members[0]).signature() != Blend(members[1]).signature()


@pytest.mark.parametrize("name", ["dropout", "max_length", "text model", "frozen settings"])
def test_use_and_training_do_not_change_it(name: str) -> None:
    learner = PAIRS[name][0]()
    before = learner.signature()
    meta_train(learner, EpisodeSampler(CORPUS, n_way=3, k_shot=1, n_query=2), steps=2, progress=False)
    assert learner.signature() == before


def test_a_checkpoint_of_other_settings_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    sampler = EpisodeSampler(CORPUS, n_way=3, k_shot=1, n_query=2)
    options = {"steps": 2, "checkpoint": tmp_path / "run", "progress": False}
    meta_train(projected(dropout=0.2), sampler, **options)
    meta_train(projected(dropout=0.2), sampler, **options)
    for name in ("dropout", "normalise", "idf", "vectors"):
        with pytest.raises(ValueError, match=r"another run \(different: learner\)"):
            meta_train(PAIRS[name][1](), sampler, **options)


def test_another_process_agrees() -> None:
    code = (
        "from tests.learners.test_signature import PAIRS\n"
        "print(*(make().signature() for pair in PAIRS.values() for make in pair), sep='\\n')"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONHASHSEED": "7"}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert told.stdout.splitlines() == [make().signature() for pair in PAIRS.values() for make in pair]


def test_a_learner_of_ones_own_is_looked_into() -> None:
    class Own(MetaLearner):
        def __init__(self, **settings: object) -> None:
            super().__init__()
            self.settings, self._hidden, self._seen = settings, settings.get("k"), {}
            self.weight = nn.Parameter(torch.zeros(2))

    assert Own(k=1).signature() == Own(k=1).signature() != Own(k=2).signature()
    used = Own(k=1)
    used._seen["text"] = 1  # a cache
    assert used.signature() == Own(k=1).signature()
