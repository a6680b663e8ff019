"""Whole-corpus classification: an encoder and a head, trained by gradient descent, measured text by text.

Not few-shot: one fixed set of classes, as many texts as there are. What transfer (chapter 09) fine-tunes and
distillation (chapter 08) trains.   Chapters 08, 09
"""

from metalearn_lib.classification.files import load, save
from metalearn_lib.classification.fitting import fit
from metalearn_lib.classification.model import Classifier, accuracy, targets

__all__ = ["Classifier", "accuracy", "fit", "load", "save", "targets"]
