"""The inner loop of gradient-based meta-learning: one front, three engines that compute the same.   Chapter 03"""

from metalearn_lib.inner_loop.choice import EngineRefused, InnerLoop
from metalearn_lib.inner_loop.network import forward_each
from metalearn_lib.inner_loop.tasks import InnerLoopDiverged, Rates, Tasks, Weights, task_losses

__all__ = [
    "EngineRefused",
    "InnerLoop",
    "InnerLoopDiverged",
    "Rates",
    "Tasks",
    "Weights",
    "forward_each",
    "task_losses",
]
