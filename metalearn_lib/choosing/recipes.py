"""What the benchmark measures: a recipe for every learner.   Chapter 04

A recipe sees the training classes; the validation classes stop its training and choose its weights. No recipe looks at
a test class. Where a recipe does otherwise (validation classes learned from, too), the learner's name says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import product

import torch

from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import (
    Averaged,
    Concatenated,
    Convolutional,
    Encoder,
    Frozen,
    Projected,
    Transformer,
    Whitened,
)
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.learners import (
    Blend,
    Centroid,
    DistributionalSignatures,
    FineTuned,
    GloveCentroid,
    Learner,
    LogisticRegression,
    Matching,
    NearestNeighbour,
    Prototypical,
    Relation,
    Ridge,
    TfidfCentroid,
)
from metalearn_lib.training import meta_train

from .settings import AnyShots, Setting


class Bench:
    """One split of one corpus, and the encoders that several learners share; each is made when first asked for."""

    def __init__(self, setting: Setting, train: Corpus, valid: Corpus, *, quick: bool = False) -> None:
        self.setting, self.train, self.valid, self.quick = setting, train, valid, quick

    @cached_property
    def features(self) -> Encoder:
        """What floors and meta-learners without a network of their own share: idf-weighted GloVe averages."""
        return Averaged(weighting="idf", background=self.train)

    @cached_property
    def glove(self) -> Learner:
        return Centroid(self.whitened, name="GloVe whitened")

    @cached_property
    def whitened(self) -> Encoder:
        background = self.train if self.setting.glove == "idf" else None
        averaged = Averaged(weighting=self.setting.glove, background=background, log_counts=True)
        return Whitened(averaged, self.train, shrink=self.setting.shrink)

    @cached_property
    def words(self) -> Learner:
        """The view of the word vectors that goes into the blends."""
        if not self.setting.glove_map:
            return self.glove
        torch.manual_seed(0)
        encoder = Projected(self.whitened, dropout=0.3, normalise=True)
        learner = Prototypical(encoder, distance="cosine")
        self.fit(learner, n_way=15, n_query=5, steps=600, tasks=1, lr=2e-3)
        return Centroid(Frozen(learner.encoder), name="GloVe whitened and mapped")

    @cached_property
    def tfidf(self) -> Learner:
        return TfidfCentroid(self.train, idf_power=self.setting.idf_power)

    @cached_property
    def cnn(self) -> Encoder:
        torch.manual_seed(0)
        encoder = Projected(Convolutional(max_length=self.setting.max_length), dropout=0.2, normalise=True)
        learner = Prototypical(encoder, distance="cosine")
        self.fit(learner, n_way=15, n_query=4, steps=400, tasks=1, lr=2e-3)
        return Frozen(learner.encoder)

    @cached_property
    def minilm(self) -> Encoder:
        return Transformer("minilm", windows=self.setting.windows)

    @cached_property
    def centred(self) -> Encoder:
        return Whitened(self.minilm, self.train, shrink=1.0)

    @cached_property
    def linear(self) -> Encoder:
        torch.manual_seed(0)
        encoder = Projected(Whitened(self.minilm, self.train, shrink=0.6), dropout=0.7, normalise=True)
        learner = Prototypical(encoder, distance="cosine")
        self.fit(learner, n_way=25, n_query=5, steps=400, tasks=1, lr=1e-3)
        return Frozen(learner.encoder)

    def fit(
        self, learner: Learner, *, n_way: int = 5, n_query: int = 10, steps: int = 600, tasks: int = 4, lr: float = 1e-3
    ) -> Learner:
        """Meta-train on the training classes; the validation classes say which step was best."""
        sampler = AnyShots(self.train, n_way=n_way, n_query=n_query, seed=1)
        unseen = self.valid is not self.train
        valid = AnyShots(self.valid, n_way=5, n_query=10, seed=2, shots=(1, 5)) if unseen else None
        steps = 20 if self.quick else steps
        meta_train(
            learner, sampler, valid=valid, steps=steps, tasks_per_step=tasks, lr=lr, validate_every=100, patience=2,
            valid_episodes=100, progress=False,
        )  # fmt: skip
        return learner

    def judges(self) -> list[tuple[Bench, Corpus]]:
        """Benches, and classes unknown to them: on these the weights of a blend are chosen."""
        if not self.setting.folds:
            return [(self, self.valid)]
        labels, texts = [*self.train.labels, *self.valid.labels], [*self.train.texts, *self.valid.texts]
        known = Corpus(f"{self.train.name}+valid", texts, labels)
        groups = [[label for label in known.classes if label.startswith(fold)] for fold in self.setting.folds]
        return [
            (
                Bench(self.setting, known.only(group), self.valid, quick=self.quick),
                known.only(label for label in known.classes if label not in group),
            )
            for group in groups
        ]

    def blend(self, build: Callable[[Bench], Sequence[Learner]], *grid: Sequence[float]) -> tuple[Learner, str]:
        """The members that `build` makes, with the weights of `grid` that do best on classes unknown to them."""
        choices = list(product([1.0], *grid))
        hits = dict.fromkeys(choices, 0.0)
        episodes = 20 if self.quick else 200
        for bench, corpus in self.judges():
            members = [member.eval() for member in build(bench)]
            for k_shot in (1, 5):
                drawn = EpisodeSampler(corpus, k_shot=k_shot, seed=3).sample(episodes)
                with torch.no_grad():
                    votes = torch.stack([member.predict(drawn) for member in members])
                for weights in choices:
                    found = torch.einsum("v,v...->...", torch.tensor(weights), votes).argmax(-1)
                    hits[weights] += float((found == drawn.query_y).double().mean())
        best = max(choices, key=lambda weights: hits[weights])
        members = list(build(self))
        note = " + ".join(f"{weight:g} {member.name}" for weight, member in zip(best, members, strict=True))
        where = "leaving groups out" if self.setting.folds else "on validation classes"
        return Blend(members, weights=best), f"{note}; weights chosen {where}"


Recipe = Callable[[Bench], Learner | tuple[Learner, str]]


def _without_transformer(bench: Bench) -> tuple[Learner, str]:
    if bench.setting.intents:
        return bench.blend(lambda b: [b.tfidf, b.words, _cnn(b)], (0.1, 0.25, 0.5, 1.0), (0.5, 1.0, 2.0))
    return bench.blend(lambda b: [b.tfidf, b.words], (0.05, 0.1, 0.15, 0.25, 0.5, 1.0))


def _minilm_blend(bench: Bench) -> tuple[Learner, str]:
    if bench.setting.intents:
        return bench.blend(
            lambda b: [Centroid(b.linear, name="linear map"), Centroid(b.centred, name="centred"), b.tfidf],
            (0.5, 1.0, 2.0), (0.05, 0.2, 0.4, 0.8),
        )  # fmt: skip
    return bench.blend(
        lambda b: [Centroid(b.minilm, name="MiniLM"), b.tfidf, b.words], (0.5, 1.0, 2.0), (0.1, 0.2, 0.4)
    )


def _minilm_ridge(bench: Bench) -> tuple[Learner, str]:
    def build(b: Bench) -> list[Learner]:
        views = [b.centred, b.linear] if b.setting.intents else [b.minilm]
        return [Ridge(Concatenated(views), penalty=0.5), b.tfidf]

    return bench.blend(build, (0.05, 0.1, 0.2, 0.4, 0.8))


def _refitted(bench: Bench) -> tuple[Learner, str]:
    """All settings are chosen by now: the validation classes may be learned from, and stop nothing any more."""
    both = Corpus(
        f"{bench.train.name}+valid",
        [*bench.train.texts, *bench.valid.texts],
        [*bench.train.labels, *bench.valid.labels],
    )
    learner = Centroid(Bench(bench.setting, both, both, quick=bench.quick).linear)
    return learner, "centring, whitening and map learned from training and validation classes"


def _cnn(bench: Bench) -> Learner:
    return Centroid(bench.cnn, name="prototypes, CNN")


def _mapped(bench: Bench, *, normalise: bool = False) -> Encoder:
    torch.manual_seed(0)
    return Projected(bench.features, normalise=normalise)


# In the order in which they are measured: what the figures to reach speak of comes first.
RECIPES: dict[str, Recipe] = {
    "tf-idf centroid, plain": lambda b: TfidfCentroid(b.train, weighting="plain"),
    "tf-idf centroid, log": lambda b: TfidfCentroid(b.train),
    "blend without Transformer": _without_transformer,
    "MiniLM blend": _minilm_blend,
    "MiniLM ridge": _minilm_ridge,
    "MiniLM linear map": lambda b: Centroid(b.linear),
    "MiniLM linear map, refitted on train + valid": _refitted,
    "MiniLM centroid": lambda b: Centroid(b.minilm),
    "GloVe whitened centroid": lambda b: b.glove,
    "prototypes, CNN": _cnn,
    "GloVe centroid": lambda b: GloveCentroid(b.train),
    "nearest neighbour": lambda b: NearestNeighbour(b.features),
    "fine-tuned head": lambda b: FineTuned(b.features),
    "prototypes, linear map": lambda b: b.fit(Prototypical(_mapped(b))),
    "matching": lambda b: b.fit(Matching(_mapped(b))),
    "ridge": lambda b: b.fit(Ridge(_mapped(b, normalise=True))),
    "relation": lambda b: b.fit(Relation(_mapped(b, normalise=True))),
    "logistic regression": lambda b: LogisticRegression(b.features),
    "matching, full context": lambda b: b.fit(Matching(_mapped(b), full_context=True), steps=300, tasks=2),
    "distributional signatures": lambda b: b.fit(
        DistributionalSignatures(b.train, max_length=min(b.setting.max_length, 60)), steps=100, tasks=1
    ),
}
PRETRAINED = tuple(name for name in RECIPES if name.startswith("MiniLM"))
SLOW = {"logistic regression": 300, "matching, full context": 300, "distributional signatures": 200}  # episodes at most


def skips(name: str, setting: Setting) -> bool:
    """True where a recipe makes no sense for a corpus."""
    return name == "MiniLM linear map, refitted on train + valid" and not setting.intents
