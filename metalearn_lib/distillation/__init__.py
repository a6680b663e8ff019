"""Distillation: a small, fast student learns from what a large teacher says about texts that nobody labelled.

Soft targets, embeddings matched or solved, self-training, a teacher that learns to teach, and what it all costs.
Chapter 08
"""

from metalearn_lib.distillation.costs import Costs, costs, on_front, quantised
from metalearn_lib.distillation.hidden import Hinted, MiddleLayer, match_hidden
from metalearn_lib.distillation.matching import Matched, latent_average, match, solved_average
from metalearn_lib.distillation.meta import MetaHistory, meta_distil, quiz_loss
from metalearn_lib.distillation.self_training import pseudo_labelled
from metalearn_lib.distillation.soft_targets import distil, distillation_loss, soft_targets, without_labels
from metalearn_lib.distillation.teachers import Ensemble, Teacher, TfidfTeacher, align, linear_teacher

__all__ = [
    "Costs", "Ensemble", "Hinted", "Matched", "MetaHistory", "MiddleLayer", "Teacher", "TfidfTeacher", "align", "costs",
    "distil", "distillation_loss", "latent_average", "linear_teacher", "match", "match_hidden", "meta_distil",
    "on_front", "pseudo_labelled", "quantised", "quiz_loss", "soft_targets", "solved_average",
    "without_labels",
]  # fmt: skip
