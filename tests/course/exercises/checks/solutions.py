"""The functions in the answer cells of a chapter."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import torch

from metalearn_lib import Score
from metalearn_lib.course.exercises import exercises
from tests.notebooks.stored_notebook import StoredNotebook


def solved(notebook: StoredNotebook, number: str, **names: Any) -> Any:
    """The function that answers exercise `number`; `names`: what its cell uses of the chapter, beside usual imports."""
    names = {"math": math, "random": random, "np": np, "torch": torch, "Score": Score, **names}
    (exercise,) = [e for e in exercises(notebook.raw["cells"]) if e.number == number]
    exec(exercise.solution, names)
    return names[exercise.checks[0]]
