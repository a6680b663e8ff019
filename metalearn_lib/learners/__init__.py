"""Few-shot learners: the floors that every method must pass, gradient-based and metric learners.   Chapters 03, 04"""

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
from metalearn_lib.learners.label_prototypes import LabelPrototypes, readable
from metalearn_lib.learners.maml import ANIL, MAML, GradientLearner, MetaSGD
from metalearn_lib.learners.matching import Matching
from metalearn_lib.learners.metric import Distance, pairwise, prototypes
from metalearn_lib.learners.multitask import MultiTask
from metalearn_lib.learners.prototypical import Prototypical
from metalearn_lib.learners.relation import Relation
from metalearn_lib.learners.reptile import Reptile
from metalearn_lib.learners.ridge import Ridge, ridge_weights
from metalearn_lib.learners.signatures import DistributionalSignatures
from metalearn_lib.learners.text_model import TextModel, mlp

__all__ = [
    "ANIL",
    "MAML",
    "Blend",
    "Centroid",
    "Distance",
    "DistributionalSignatures",
    "FineTuned",
    "GloveCentroid",
    "GradientLearner",
    "LabelPrototypes",
    "Learner",
    "LogisticRegression",
    "Matching",
    "MetaLearner",
    "MetaSGD",
    "MultiTask",
    "NearestNeighbour",
    "NotTrainable",
    "Prototypical",
    "Relation",
    "Reptile",
    "Ridge",
    "TextModel",
    "TfidfCentroid",
    "mlp",
    "pairwise",
    "prototypes",
    "readable",
    "ridge_weights",
]
