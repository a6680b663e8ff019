"""A learner goes through a stream: accuracy on every task after every task, and what is read from that.   Chapter 07"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from metalearn_lib import files
from metalearn_lib.errors import check_options
from metalearn_lib.online.learners import OnlineLearner
from metalearn_lib.online.streams import Stream

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class AccuracyMatrix:
    r"""R [T, T]: accuracy on the test of task j after learning tasks 0 … i (Lopez-Paz and Ranzato, 2017).

    `before` [T] is the accuracy on task j just before it is learned; NaN for the first task, and where no class of a
    task was known yet. All numbers are shares.
    """

    values: Array
    before: Array
    names: tuple[str, ...]

    @property
    def average(self) -> float:
        """Average accuracy at the end, over the tasks: mean of the last row."""
        return float(self.values[-1].mean())

    @property
    def at_once(self) -> float:
        """Accuracy on each task right after learning it, on average: mean of the diagonal."""
        return float(self.values.diagonal().mean())

    @property
    def backward(self) -> float:
        r"""Backward transfer $\frac1{T-1}\sum_{j<T}(R_{Tj}-R_{jj})$: below 0 is forgetting; NaN for one task."""
        return _mean((self.values[-1] - self.values.diagonal())[:-1])

    @property
    def forgetting(self) -> float:
        """How far each task fell from its own best accuracy, on average (Chaudhry et al., 2018); NaN for one task."""
        return _mean((np.nanmax(np.tril(self.values), axis=0) - self.values[-1])[:-1])

    def forward(self, chance: float = 0.0) -> float:
        """Forward transfer: accuracy on a task just before it is learned, less that of guessing; NaN where unknown."""
        known = self.before[~np.isnan(self.before)]
        return _mean(known) - chance


def run(
    learner: OnlineLearner,
    stream: Stream,
    *,
    batch: int = 10,
    passes: int = 1,
    checkpoint: Path | str | None = None,
    watch: Callable[[int], None] = lambda task: None,
) -> AccuracyMatrix:
    """Let a learner go through a stream, `batch` texts at a time, and judge it after every task.   Chapter: 07

    It is judged on all classes seen so far, and not told which task a text is from. `passes` over a task's texts
    before the next one: more than one is no stream any more, but what joint training is allowed. With `checkpoint`, a
    file, the state is kept after every task, and a later call goes on from there; it raises ValueError where the file
    belongs to another stream, another order of it, or another learner. `watch` is called after every task.
    """
    check_options("run", batch=batch, passes=passes)
    if learner.n_classes != len(stream.classes) or learner.dim != stream.dim:
        raise ValueError(
            f"run: {learner.name} was made for {learner.n_classes} classes and {learner.dim} numbers a text, the "
            f"stream has {len(stream.classes)} and {stream.dim}"
        )
    count = len(stream)
    values, before = np.full((count, count), np.nan), np.full(count, np.nan)
    path = None if checkpoint is None else Path(checkpoint)
    belongs = {"stream": stream.key, "batch": batch, "passes": passes, **learner.settings()}
    first = _resume(path, learner, values, before, belongs) if path is not None and path.exists() else 0
    for number, task in list(enumerate(stream.tasks))[first:]:
        if learner.seen.any() and learner.seen[task.classes].any():
            before[number] = (learner.predict(task.test_x) == task.test_y).mean()
        for _ in range(passes):
            for x, y in task.batches(batch):
                learner.learn(x, y)
        learner.end_task(task.x, task.y)
        for other, judged in enumerate(stream.tasks):
            values[number, other] = (learner.predict(judged.test_x) == judged.test_y).mean()
        if path is not None:
            _keep(path, learner, values, before, belongs, done=number + 1)
        watch(number)
    return AccuracyMatrix(values, before, tuple(task.name for task in stream.tasks))


def _keep(
    path: Path, learner: OnlineLearner, values: Array, before: Array, belongs: dict[str, object], *, done: int
) -> None:
    arrays = {f"learner.{name}": array for name, array in learner.state().items()}
    arrays |= {"values": values, "before": before, "done": np.array(done)}
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    files.write_tensors(path, tensors, {"belongs": json.dumps(belongs, sort_keys=True)})


def _resume(path: Path, learner: OnlineLearner, values: Array, before: Array, belongs: dict[str, object]) -> int:
    """Take over a saved state; the number of tasks that are done."""
    try:
        tensors, meta = files.read_tensors(path)
        saved = json.loads(meta["belongs"])
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        done, rows, column = int(arrays.pop("done")), arrays.pop("values"), arrays.pop("before")
    except (ValueError, LookupError) as error:
        raise ValueError(f"checkpoint {path.name} cannot be read ({error}); delete it to start again") from error
    if differing := sorted(key for key in {*saved, *belongs} if saved.get(key) != belongs.get(key)):
        raise ValueError(
            f"checkpoint {path.name} belongs to another run (different: {', '.join(differing)}); a stream in another "
            "order is another stream: delete the file or name another one"
        )
    learner.restore({name.removeprefix("learner."): array for name, array in arrays.items()})
    values[:], before[:] = rows, column
    return done


def _mean(values: Array) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
