"""Meta-training: one loop for every learner.   Chapters 03, 04"""

from metalearn_lib.optimise import History
from metalearn_lib.training.loop import meta_train

__all__ = ["History", "meta_train"]
