"""Few-shot learners: the floors that every method must pass, and the metric learners.   Chapter 04"""

from metalearn_lib.learners.base import Learner, MetaLearner, NotTrainable
from metalearn_lib.learners.baselines import (
    Centroid,
    FineTuned,
    GloveCentroid,
    LogisticRegression,
    NearestNeighbour,
    TfidfCentroid,
)
from metalearn_lib.learners.blend import Blend
from metalearn_lib.learners.matching import Matching
from metalearn_lib.learners.metric import Distance, pairwise, prototypes
from metalearn_lib.learners.prototypical import Prototypical
from metalearn_lib.learners.relation import Relation
from metalearn_lib.learners.ridge import Ridge, ridge_weights
from metalearn_lib.learners.signatures import DistributionalSignatures

__all__ = [
    "Blend",
    "Centroid",
    "Distance",
    "DistributionalSignatures",
    "FineTuned",
    "GloveCentroid",
    "Learner",
    "LogisticRegression",
    "Matching",
    "MetaLearner",
    "NearestNeighbour",
    "NotTrainable",
    "Prototypical",
    "Relation",
    "Ridge",
    "TfidfCentroid",
    "pairwise",
    "prototypes",
    "ridge_weights",
]
