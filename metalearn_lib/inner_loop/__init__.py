"""The inner loop of gradient-based meta-learning: one front, three engines that compute the same.   Chapter 03"""

from metalearn_lib.inner_loop.choice import EngineRefused, InnerLoop
from metalearn_lib.inner_loop.memory import peak_memory
from metalearn_lib.inner_loop.network import forward_each
from metalearn_lib.inner_loop.tasks import Rates, Tasks, Weights, task_losses

__all__ = [
    "EngineRefused",
    "InnerLoop",
    "Rates",
    "Tasks",
    "Weights",
    "forward_each",
    "peak_memory",
    "task_losses",
]
