"""The learners of the grid by name: how each is made from a bench.   Chapter 12

A recipe returns a learner, or a learner and a note on what was chosen. Where a recipe learns from the validation
classes, too, the learner's name says so.
"""

from __future__ import annotations

from collections.abc import Callable

from metalearn_lib import encoders, learners
from metalearn_lib.choosing.bench import Bench, blend, trained, with_validation
from metalearn_lib.choosing.settings import Setting
from metalearn_lib.encoders import Encoder
from metalearn_lib.learners import Centroid, Learner, Prototypical

Recipe = Callable[[Bench], Learner | tuple[Learner, str]]


def _word_average(bench: Bench) -> Encoder:
    """What floors and meta-learners without a network of their own share: idf-weighted GloVe averages."""
    return encoders.Averaged(weighting="idf", background=bench.train)


def _mapped(bench: Bench, *, normalise: bool = False) -> Encoder:
    return encoders.Projected(bench.once(_word_average), normalise=normalise)


def _whitened_words(bench: Bench) -> Encoder:
    background = bench.train if bench.setting.glove == "idf" else None
    averaged = encoders.Averaged(weighting=bench.setting.glove, background=background, log_counts=True)
    return encoders.Whitened(averaged, bench.train, shrink=bench.setting.shrink)


def _words(bench: Bench) -> Learner:
    return Centroid(bench.once(_whitened_words), name="GloVe whitened")


def _word_view(bench: Bench) -> Learner:
    """The view of the word vectors that goes into the blends."""
    if not bench.setting.glove_map:
        return bench.once(_words)

    def build() -> Prototypical:
        encoder = encoders.Projected(bench.once(_whitened_words), dropout=0.3, normalise=True)
        return Prototypical(encoder, distance="cosine")

    learner = trained(bench, build, n_way=15, n_query=5, tasks=1, lr=2e-3)
    return Centroid(encoders.Frozen(learner.encoder), name="GloVe whitened and mapped")


def _tfidf_view(bench: Bench) -> Learner:
    return learners.TfidfCentroid(bench.train, idf_power=bench.setting.idf_power)


def _cnn(bench: Bench) -> Learner:
    def build() -> Prototypical:
        network = encoders.Convolutional(max_length=bench.setting.max_length)
        return Prototypical(encoders.Projected(network, dropout=0.2, normalise=True), distance="cosine")

    learner = trained(bench, build, n_way=15, n_query=4, steps=400, tasks=1, lr=2e-3)
    return Centroid(encoders.Frozen(learner.encoder), name="prototypes, CNN")


def _minilm(bench: Bench) -> Encoder:
    return encoders.Transformer("minilm", windows=bench.setting.windows)


def _centred_minilm(bench: Bench) -> Encoder:
    return encoders.Whitened(bench.once(_minilm), bench.train, shrink=1.0)


def _mapped_minilm(bench: Bench) -> Encoder:
    def build() -> Prototypical:
        whitened = encoders.Whitened(bench.once(_minilm), bench.train, shrink=0.6)
        return Prototypical(encoders.Projected(whitened, dropout=0.7, normalise=True), distance="cosine")

    return encoders.Frozen(trained(bench, build, n_way=25, n_query=5, steps=400, tasks=1).encoder)


def _without_transformer(bench: Bench) -> tuple[Learner, str]:
    views = [_tfidf_view, _word_view, *([_cnn] if bench.setting.intents else [])]
    weights = (
        ((0.1, 0.25, 0.5, 1.0), (0.5, 1.0, 2.0)) if bench.setting.intents else ((0.05, 0.1, 0.15, 0.25, 0.5, 1.0),)
    )
    return blend(bench, lambda b: [b.once(view) for view in views], *weights)


def _minilm_blend(bench: Bench) -> tuple[Learner, str]:
    def intents(b: Bench) -> list[Learner]:
        maps = Centroid(b.once(_mapped_minilm), name="linear map"), Centroid(b.once(_centred_minilm), name="centred")
        return [*maps, b.once(_tfidf_view)]

    def topics(b: Bench) -> list[Learner]:
        return [Centroid(b.once(_minilm), name="MiniLM"), b.once(_tfidf_view), b.once(_word_view)]

    if bench.setting.intents:
        return blend(bench, intents, (0.5, 1.0, 2.0), (0.05, 0.2, 0.4, 0.8))
    return blend(bench, topics, (0.5, 1.0, 2.0), (0.1, 0.2, 0.4))


def _minilm_ridge(bench: Bench) -> tuple[Learner, str]:
    views = (_centred_minilm, _mapped_minilm) if bench.setting.intents else (_minilm,)

    def build(b: Bench) -> list[Learner]:
        both = encoders.Concatenated([b.once(view) for view in views])
        return [learners.Ridge(both, penalty=0.5), b.once(_tfidf_view)]

    return blend(bench, build, (0.05, 0.1, 0.2, 0.4, 0.8))


def _refitted(bench: Bench) -> tuple[Learner, str]:
    """All settings are chosen by now: the validation classes may be learned from, and stop nothing any more."""
    both = with_validation(bench)
    learner = Centroid(_mapped_minilm(Bench(bench.setting, both, both, quick=bench.quick)))
    return learner, "centring, whitening and map learned from training and validation classes"


def _signatures(bench: Bench) -> Learner:
    length = min(bench.setting.max_length, 60)
    build = lambda: learners.DistributionalSignatures(bench.train, max_length=length)  # noqa: E731
    return trained(bench, build, steps=100, tasks=1)


# In the order in which they are measured: what the figures to reach speak of comes first.
RECIPES: dict[str, Recipe] = {
    "tf-idf centroid, plain": lambda b: learners.TfidfCentroid(b.train, weighting="plain"),
    "tf-idf centroid, log": lambda b: learners.TfidfCentroid(b.train),
    "blend without Transformer": _without_transformer,
    "MiniLM blend": _minilm_blend,
    "MiniLM ridge": _minilm_ridge,
    "MiniLM linear map": lambda b: Centroid(b.once(_mapped_minilm)),
    "MiniLM linear map, refitted on train + valid": _refitted,
    "MiniLM centroid": lambda b: Centroid(b.once(_minilm)),
    "GloVe whitened centroid": lambda b: b.once(_words),
    "prototypes, CNN": lambda b: b.once(_cnn),
    "GloVe centroid": lambda b: learners.GloveCentroid(b.train),
    "nearest neighbour": lambda b: learners.NearestNeighbour(b.once(_word_average)),
    "fine-tuned head": lambda b: learners.FineTuned(b.once(_word_average)),
    "prototypes, linear map": lambda b: trained(b, lambda: Prototypical(_mapped(b))),
    "matching": lambda b: trained(b, lambda: learners.Matching(_mapped(b))),
    "ridge": lambda b: trained(b, lambda: learners.Ridge(_mapped(b, normalise=True))),
    "relation": lambda b: trained(b, lambda: learners.Relation(_mapped(b, normalise=True))),
    "logistic regression": lambda b: learners.LogisticRegression(b.once(_word_average)),
    "matching, full context": lambda b: trained(
        b, lambda: learners.Matching(_mapped(b), full_context=True), steps=300, tasks=2
    ),
    "distributional signatures": _signatures,
}
FLOORS = ("tf-idf centroid, plain", "tf-idf centroid, log")
PRETRAINED = tuple(name for name in RECIPES if name.startswith("MiniLM"))
SLOW = {"logistic regression": 300, "matching, full context": 300, "distributional signatures": 200}  # episodes at most


def skips(name: str, setting: Setting) -> bool:
    """True where a recipe makes no sense for a corpus."""
    return name == "MiniLM linear map, refitted on train + valid" and not setting.intents
