"""Ways of looking at a text that recipes share: counted words, word vectors, a small network, a pretrained encoder.

Each takes a bench and settings, and learns from the training classes alone.   Chapters 04, 12
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from metalearn_lib import encoders, learners, text
from metalearn_lib.choosing.bench import Bench, trained
from metalearn_lib.encoders import Encoder
from metalearn_lib.learners import Centroid, Learner, Prototypical

Weighting = Literal["idf", "sif"]
LONGEST = 60  # words that the network reads at most


def counted(bench: Bench, power: float) -> Learner:
    """tf-idf centroids with damped counts; the idf to some power."""
    learner = learners.TfidfCentroid(bench.train, idf_power=power)
    learner.name = f"tf-idf^{power:g}" if power != 1 else "tf-idf"
    return learner


def whitened_words(bench: Bench, weighting: Weighting, shrink: float) -> Encoder:
    """Averaged GloVe vectors, whitened by what the training classes teach."""
    background = bench.train if weighting == "idf" else None
    averaged = encoders.Averaged(weighting=weighting, background=background, log_counts=True)
    return encoders.Whitened(averaged, bench.train, shrink=shrink)


def words(bench: Bench, weighting: Weighting, shrink: float) -> Learner:
    """Centroids of whitened word vectors."""
    return Centroid(bench.once(whitened_words, weighting, shrink), name=f"GloVe {weighting}, whitened {shrink:g}")


def mapped_words(bench: Bench, weighting: Weighting, shrink: float) -> Learner:
    """The same under a linear map that is meta-trained prototypically."""

    def build() -> Prototypical:
        encoder = encoders.Projected(bench.once(whitened_words, weighting, shrink), dropout=0.3, normalise=True)
        return Prototypical(encoder, distance="cosine")

    learner = trained(bench, build, n_way=15, n_query=5, tasks=1, rates=[2e-3])
    return Centroid(encoders.Frozen(learner.encoder), name=f"GloVe {weighting}, whitened {shrink:g}, mapped")


def network(bench: Bench) -> Learner:
    """A prototypical network: a small CNN on GloVe vectors."""

    def build() -> Prototypical:
        body = encoders.Convolutional(max_length=length(bench))
        return Prototypical(encoders.Projected(body, dropout=0.2, normalise=True), distance="cosine")

    learner = trained(bench, build, n_way=15, n_query=4, steps=400, tasks=1, rates=[2e-3])
    return Centroid(encoders.Frozen(learner.encoder), name="CNN prototypes")


def length(bench: Bench) -> int:
    """Nearly all training texts are no longer than this many words."""
    return min(LONGEST, int(np.quantile([len(text.tokenize(t)) for t in bench.train.texts], 0.98)) + 1)


def pretrained(bench: Bench) -> Learner:
    """Centroids of the pretrained encoder's vectors as they are."""
    return Centroid(_encoder(bench), name="encoder")


def centred_encoder(bench: Bench) -> Encoder:
    """The pretrained encoder, the mean of the training texts taken away."""
    return encoders.Whitened(_encoder(bench), bench.train, shrink=1.0)


def centred(bench: Bench) -> Learner:
    """Centroids of the centred vectors."""
    return Centroid(bench.once(centred_encoder), name="encoder, centred")


def mapped_encoder(bench: Bench) -> Encoder:
    """The pretrained encoder, whitened, under a linear map that is meta-trained prototypically."""

    def build() -> Prototypical:
        whitened = encoders.Whitened(_encoder(bench), bench.train, shrink=0.6)
        return Prototypical(encoders.Projected(whitened, dropout=0.7, normalise=True), distance="cosine")

    return encoders.Frozen(trained(bench, build, n_way=25, n_query=5, steps=400, tasks=1).encoder)


def mapped(bench: Bench) -> Learner:
    """Centroids of the mapped vectors."""
    return Centroid(bench.once(mapped_encoder), name="encoder, mapped")


def _encoder(bench: Bench) -> Encoder:
    assert bench.encoder is not None, "this view needs a pretrained encoder"
    return bench.encoder
