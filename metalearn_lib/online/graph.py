"""A graph of tasks: how alike they are, and from which of them a new one should start.   Chapter 07

Every task leaves a network behind, all trained from the same first weights. A new task has few texts; it starts from
one of these networks, or from a mean of them, and takes some steps of descent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from metalearn_lib.errors import check_options
from metalearn_lib.online.network import Network
from metalearn_lib.online.streams import Task

Array = np.ndarray
Likeness = Literal["centroid", "class centroids", "gradient", "Fisher", "separability"]
Start = Literal["scratch", "last", "nearest", "mean", "weighted mean", "k nearest"]
LIKENESSES: tuple[Likeness, ...] = get_args(Likeness)
STARTS: tuple[Start, ...] = get_args(Start)


class TaskGraph:
    """Tasks of equally many classes as nodes; each has a network trained on all its texts, from one start.

    A task that is new shows the first `k_shot` texts of each class, its support; a task that was seen before showed
    everything. Raises ValueError for fewer than two tasks, different numbers of classes, a class with fewer than
    `k_shot` texts, and two tasks with the same texts.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        k_shot: int = 5,
        hidden: int = 64,
        epochs: int = 10,
        lr: float = 0.1,
        seed: int = 0,
        length: float = 10.0,
    ) -> None:
        check_options("TaskGraph", k_shot=k_shot, hidden=hidden, epochs=epochs, lr=lr, seed=seed)
        if len(tasks) < 2:
            raise ValueError(f"TaskGraph: {len(tasks)} task; a graph needs two or more")
        if len(ways := {len(task.classes) for task in tasks}) > 1:
            raise ValueError(f"TaskGraph: tasks of {sorted(ways)} classes; give all the same number")
        contents = [task.x.tobytes() for task in tasks]
        if len(set(contents)) < len(tasks):
            twin = next(i for i, content in enumerate(contents) if contents.index(content) < i)
            raise ValueError(f"TaskGraph: {tasks[twin].name!r} holds the same texts as an earlier task; leave it out")
        self.tasks = [_from_zero(task) for task in tasks]
        self.n_way, self.k_shot, self.length = ways.pop(), k_shot, length
        self.support = [_first(task, k_shot) for task in self.tasks]
        self._fresh = Network(tasks[0].x.shape[1], self.n_way, hidden=hidden, seed=seed)
        self._random = np.random.default_rng(seed)
        self.bodies = np.stack([self._trained(task, epochs, lr) for task in self.tasks])  # [T, P']
        self.scratch = self._scaled(self._fresh.theta[: self._fresh.body_size], self.tasks[0].x)

    def __len__(self) -> int:
        return len(self.tasks)

    def likeness(self, kind: Likeness) -> Array:
        """[T, T]: how like an earlier task (column), known in full, is to a new one (row), known by its support.

        "centroid": cosine of the mean vectors. "class centroids": cosine of each new class's mean to the nearest old
        one, averaged. "gradient": cosine of the gradients by the first layer, at the common start under a head made of
        class means. "Fisher": the same of the squared gradients (Achille et al., 2019). "separability": in the features
        of the earlier task's network, the share of the support's variance that lies between its classes. Raises
        ValueError for another kind.
        """
        if kind == "separability":
            return np.array([[self._separated(body, *pair) for body in self.bodies] for pair in self.support])
        if kind == "class centroids":
            centres = [[_class_means(x, y) for x, y in pairs] for pairs in (self._whole(), self.support)]
            return np.array([[_cosines(new, old).max(1).mean() for old in centres[0]] for new in centres[1]])
        views = {
            "centroid": lambda x, y: x.mean(0),
            "gradient": lambda x, y: self._gradient(x, y, squared=False),
            "Fisher": lambda x, y: self._gradient(x, y, squared=True),
        }
        if kind not in views:
            raise ValueError(f"likeness({kind!r}): use one of {', '.join(LIKENESSES)}")
        old, new = (np.stack([views[kind](x, y) for x, y in pairs]) for pairs in (self._whole(), self.support))
        return _cosines(new, old)

    def start(
        self, kind: Start, target: int, earlier: Sequence[int], likeness: Array, *, k: int = 3, sharpness: float = 1.0
    ) -> Array:
        """First-layer weights [P'] from which task `target` starts, `earlier` being the tasks so far in their order.

        "weighted mean": weights ∝ exp(`sharpness` · z), with z the likeness to the target, standardised over `earlier`.
        Raises ValueError for another kind, or where no task was before.
        """
        if kind not in STARTS:
            raise ValueError(f"start({kind!r}): use one of {', '.join(STARTS)}")
        if kind == "scratch":
            return self.scratch
        if not len(earlier) or target in earlier:
            raise ValueError(
                f"start({kind!r}): earlier tasks {list(earlier)} for task {target}; give other ones before it"
            )
        bodies, alike = self.bodies[list(earlier)], likeness[target, list(earlier)]
        if kind == "last":
            return bodies[-1]
        if kind == "mean":
            return bodies.mean(0)
        if kind == "weighted mean":
            z = (alike - alike.mean()) / (alike.std() or 1.0)
            weights = np.exp(sharpness * z)
            return weights @ bodies / weights.sum()
        nearest = np.argsort(-alike, kind="stable")[: 1 if kind == "nearest" else k]
        return bodies[nearest].mean(0)

    def adapted(self, target: int, body: Array, *, at: Sequence[int] = (1, 10, 40), rate: float = 0.1) -> Array:
        """Accuracy on the target's test after these numbers of steps on its support, [len(at)].

        The head starts at zero; the first layer is scaled so that the support's features have the same mean length
        whatever the start (the network is homogeneous in it), or one rate could not suit all starts.
        """
        x, y = self.support[target]
        task, network = self.tasks[target], self._fresh
        kept = network.theta.copy()
        network.theta[:] = 0
        network.theta[: network.body_size] = self._scaled(body, x)
        found = []
        for step in range(1, max(at) + 1):
            network.step(x, y, rate)
            if step in at:
                found.append((network.logits(task.test_x).argmax(1) == task.test_y).mean())
        network.theta[:] = kept
        return np.array(found)

    def transfer(self, *, steps: int = 10, rate: float = 0.1) -> Array:
        """[T, T]: accuracy on a row's task after `steps` steps from a column's network; NaN on the diagonal."""
        found = np.full((len(self), len(self)), np.nan)
        for target in range(len(self)):
            for source in range(len(self)):
                if source != target:
                    found[target, source] = self.adapted(target, self.bodies[source], at=[steps], rate=rate)[0]
        return found

    def _trained(self, task: Task, epochs: int, lr: float) -> Array:
        size = self._fresh.body_size
        network = Network(task.x.shape[1], int(task.y.max()) + 1, hidden=self._fresh.hidden)
        network.theta[size:] = 0
        network.theta[:size] = self._fresh.theta[:size]
        for _ in range(epochs):
            order = self._random.permutation(len(task.y))
            for rows in np.array_split(order, max(1, len(order) // 10)):
                network.step(task.x[rows], task.y[rows], lr)
        return self._scaled(network.theta[:size], task.x)

    def _scaled(self, body: Array, x: Array) -> Array:
        """The same first layer, its features on x of the mean length `length`."""
        mean = np.linalg.norm(self._features(body, x), axis=1).mean()
        return body * (self.length / mean) if mean > 0 else body

    def _features(self, body: Array, x: Array) -> Array:
        first, bias = (body[place].reshape(shape) for place, shape in self._fresh._places[:2])
        return np.maximum(x @ first + bias, 0)

    def _separated(self, body: Array, x: Array, y: Array) -> float:
        features = self._features(body, x)
        apart = features - _class_means(features, y)[y]
        return 1 - float((apart**2).sum() / max(((features - features.mean(0)) ** 2).sum(), 1e-12))

    def _gradient(self, x: Array, y: Array, *, squared: bool) -> Array:
        network = self._fresh
        kept, size = network.theta.copy(), network.body_size
        means = _class_means(network.features(x), y)
        network.parts[-2][:] = ((means - means.mean(0)) / max(float(np.linalg.norm(means - means.mean(0))), 1e-12)).T
        network.parts[-1][:] = 0
        found = network.gradient(x, y, squared=squared)[:size]
        network.theta[:] = kept
        return found

    def _whole(self) -> list[tuple[Array, Array]]:
        return [(task.x, task.y) for task in self.tasks]


def _from_zero(task: Task) -> Task:
    """The task with its classes numbered from 0."""
    y, test_y = (np.searchsorted(task.classes, labels) for labels in (task.y, task.test_y))
    return Task(task.name, task.x, y, task.test_x, test_y)


def _first(task: Task, number: int) -> tuple[Array, Array]:
    """The first `number` texts of each class."""
    rows = [np.flatnonzero(task.y == label)[:number] for label in task.classes]
    if (fewest := min(map(len, rows))) < number:
        raise ValueError(f"TaskGraph(k_shot={number}): a class of {task.name!r} has {fewest} texts; use fewer shots")
    chosen = np.concatenate(rows)
    return task.x[chosen], task.y[chosen]


def _class_means(x: Array, y: Array) -> Array:
    return np.stack([x[y == label].mean(0) for label in range(int(y.max()) + 1)])


def _cosines(a: Array, b: Array) -> Array:
    a, b = (m / np.maximum(np.linalg.norm(m, axis=1, keepdims=True), 1e-12) for m in (a, b))
    return a @ b.T
