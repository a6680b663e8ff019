"""Meta-training: one loop for every learner, and the same training several times.   Chapters 03, 04"""

from metalearn_lib.optimise import History
from metalearn_lib.training.loop import meta_train
from metalearn_lib.training.several import Trainings, trainings

__all__ = ["History", "Trainings", "meta_train", "trainings"]
