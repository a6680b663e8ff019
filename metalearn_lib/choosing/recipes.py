"""The learners of the grid by name: how each is made from a bench.   Chapter 12

A recipe returns a learner, or a learner and a note on what was chosen; it may learn from the training classes, and
choose on the validation classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from metalearn_lib import encoders, learners
from metalearn_lib.choosing import views
from metalearn_lib.choosing.bench import Bench, trained
from metalearn_lib.choosing.recommendation import shapes, shapes_with_encoder
from metalearn_lib.choosing.search import Shape, choose
from metalearn_lib.encoders import Encoder
from metalearn_lib.learners import Learner, Prototypical
from metalearn_lib.meta_networks import SetAttentionWriter, WordWriter

Recipe = Callable[[Bench], Learner | tuple[Learner, str]]


def _word_average(bench: Bench) -> Encoder:
    """What floors and meta-learners without a network of their own share: idf-weighted GloVe averages."""
    return encoders.Averaged(weighting="idf", background=bench.train)


def _mapped(bench: Bench, *, normalise: bool = False) -> Encoder:
    return encoders.Projected(bench.once(_word_average), normalise=normalise)


def _chosen(bench: Bench, offered: Callable[[Bench], Iterator[Shape]]) -> tuple[Learner, str]:
    learner = choose(bench, offered)
    return learner, str(learner)


def _ridge_head(bench: Bench, penalty: float) -> Learner:
    """A ridge classifier on the centred and the mapped vectors of the pretrained encoder."""
    both = encoders.Concatenated([bench.once(views.centred_encoder), bench.once(views.mapped_encoder)])
    learner = learners.Ridge(both, penalty=penalty)
    learner.name = f"ridge {penalty:g}"
    return learner


def _ridge_shapes(bench: Bench) -> Iterator[Shape]:
    for penalty in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0):
        yield (((_ridge_head, (penalty,)), 1.0),)


def _logistic(bench: Bench) -> Learner:
    """A logistic regression on the pretrained encoder's vectors: what transfer learning does."""
    assert bench.encoder is not None
    return learners.LogisticRegression(bench.encoder)


def _class_names(bench: Bench, weight: float, centred: bool) -> Learner:
    """The name of a class counts as so many examples of it."""
    assert bench.encoder is not None
    background = bench.train if centred else None
    learner = learners.LabelPrototypes(bench.encoder, weight=weight, background=background)
    learner.name = f"names count {weight:g}, {'centred' if centred else 'as they are'}"
    return learner


def _name_shapes(bench: Bench) -> Iterator[Shape]:
    for weight, centred in product((0.25, 0.5, 1.0, 2.0, 4.0, 8.0), (False, True)):
        yield (((_class_names, (weight, centred)), 1.0),)


def _signatures(bench: Bench) -> Learner:
    build = lambda: learners.DistributionalSignatures(bench.train, max_length=views.length(bench))  # noqa: E731
    return trained(bench, build, steps=1000, tasks=1, rates=[1e-3, 1e-2])


def _two_views(bench: Bench) -> Iterator[Shape]:
    """tf-idf and whitened word vectors with 13 weights, 0.025 … 1.6: what a word writer starts from."""
    for step in range(13):
        yield ((views.counted, (1.5,)), 1.0), ((views.words, ("sif", 0.3)), 0.025 * 2 ** (step / 2))


def _word_writer(bench: Bench) -> tuple[Learner, str]:
    """A network that writes a weight for every word; it starts as the blend of two views that `choose` finds."""
    vectors = encoders.Frozen(bench.once(views.whitened_words, "sif", 0.3))
    start = choose(bench, _two_views).log_weights[1].exp().item()
    build = lambda: WordWriter(bench.train, vectors, dense_weight=start)  # noqa: E731
    learner = trained(bench, build, n_query=5, steps=300, tasks=2, rates=[1e-3, 3e-3])
    return learner, f"vectors weigh {start:.3g} at the start"


# In the order in which they are measured: what the figures to reach speak of comes first.
RECIPES: dict[str, Recipe] = {
    "tf-idf centroid, plain": lambda b: learners.TfidfCentroid(b.train, weighting="plain"),
    "tf-idf centroid, log": lambda b: learners.TfidfCentroid(b.train),
    "recommended": lambda b: _chosen(b, shapes),
    "recommended, MiniLM": lambda b: _chosen(b, shapes_with_encoder),
    "MiniLM ridge": lambda b: _chosen(b, _ridge_shapes),
    "MiniLM linear map": lambda b: b.once(views.mapped),
    "MiniLM centroid": lambda b: b.once(views.pretrained),
    "MiniLM centred": lambda b: b.once(views.centred),
    "MiniLM, logistic regression": _logistic,
    "MiniLM, class names": lambda b: _chosen(b, _name_shapes),
    "GloVe whitened centroid": lambda b: b.once(views.words, "sif", 0.3),
    "prototypes, CNN": lambda b: b.once(views.network),
    "GloVe centroid": lambda b: learners.GloveCentroid(b.train),
    "nearest neighbour": lambda b: learners.NearestNeighbour(b.once(_word_average)),
    "fine-tuned head": lambda b: learners.FineTuned(b.once(_word_average)),
    "prototypes, linear map": lambda b: trained(b, lambda: Prototypical(_mapped(b))),
    "matching": lambda b: trained(b, lambda: learners.Matching(_mapped(b))),
    "ridge": lambda b: trained(b, lambda: learners.Ridge(_mapped(b, normalise=True))),
    "set-attention writer": lambda b: trained(b, lambda: SetAttentionWriter(_mapped(b, normalise=True))),
    "word writer": _word_writer,
    "relation": lambda b: trained(b, lambda: learners.Relation(_mapped(b, normalise=True))),
    "logistic regression": lambda b: learners.LogisticRegression(b.once(_word_average)),
    "matching, full context": lambda b: trained(
        b, lambda: learners.Matching(_mapped(b), full_context=True), steps=300, tasks=2
    ),
    "distributional signatures": _signatures,
}
FLOORS = ("tf-idf centroid, plain", "tf-idf centroid, log")
NAMED = tuple(name for name in RECIPES if "class names" in name)  # they are told what the classes are called
SLOW = {"logistic regression": 300, "matching, full context": 300, "distributional signatures": 200}  # episodes at most
