"""Learners of a stream that are networks: fine-tuning, replay, meta-experience replay, A-GEM, EWC.   Chapter 07

They share one interface, `learn(x, y)` for the next texts and `predict(x)`; none is told which task a text belongs to.
"""

from __future__ import annotations

import numpy as np

from metalearn_lib.errors import TrainingDiverged, check_options
from metalearn_lib.online.network import Network
from metalearn_lib.online.state import Stateful

Array = np.ndarray


class OnlineLearner(Stateful):
    """Learns from texts as they arrive, x [n, D] with class numbers y [n], and tells apart all classes seen so far."""

    name: str = "learner"

    def __init__(self, dim: int, n_classes: int) -> None:
        check_options(type(self).__name__, dim=dim, n_classes=n_classes)
        self.dim, self.n_classes = dim, n_classes
        self.seen = np.zeros(n_classes, bool)

    def learn(self, x: Array, y: Array) -> None:
        """The next texts of the stream, seen once; raises ValueError for other vectors or classes than its own."""
        if x.ndim != 2 or x.shape[1] != self.dim or len(x) != len(y) or not len(y):
            raise ValueError(f"{self.name}: vectors {x.shape} with labels {y.shape}; it learns from [n, {self.dim}]")
        if y.min() < 0 or y.max() >= self.n_classes:
            raise ValueError(f"{self.name}: class number {int(y.max())}; it was made for {self.n_classes} classes")
        self.seen[y] = True
        self._learn(x, y)

    def end_task(self, x: Array, y: Array) -> None:
        """A task is over; these were its texts. Most learners do not need to know, so nothing is done."""

    def scores(self, x: Array) -> Array:
        """[n, C]; of a class that was never seen −∞."""
        if not self.seen.any():
            raise ValueError(f"{self.name} has seen no text yet; let it learn first")
        return np.where(self.seen, self._scores(x), -np.inf)

    def predict(self, x: Array) -> Array:
        """The class numbers [n] with the highest scores among all classes seen so far."""
        return self.scores(x).argmax(1)

    def _learn(self, x: Array, y: Array) -> None:
        raise NotImplementedError

    def _scores(self, x: Array) -> Array:
        raise NotImplementedError


class FineTuning(OnlineLearner):
    """Gradient descent on each batch as it comes, `steps` times, and on nothing else: the lower bound.

    With `hidden=0` it is a linear head that starts at zero.
    """

    name = "fine-tuning"

    def __init__(
        self,
        dim: int,
        n_classes: int,
        *,
        lr: float = 0.1,
        hidden: int = 128,
        steps: int = 1,
        seed: int = 0,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        super().__init__(dim, n_classes)
        check_options(type(self).__name__, lr=lr, steps=steps)
        self.lr, self.steps = lr, steps
        self.network = Network(dim, n_classes, hidden=hidden, seed=seed, dtype=dtype)

    def _learn(self, x: Array, y: Array) -> None:
        for _ in range(self.steps):
            self._step(x, y)

    def _step(self, x: Array, y: Array) -> None:
        self.network.step(x, y, self.lr)

    def _scores(self, x: Array) -> Array:
        logits = self.network.logits(x)
        if not np.isfinite(logits).all():
            raise TrainingDiverged(f"{self.name}: the logits are not finite; lower lr={self.lr}")
        return logits


class Reservoir(Stateful):
    """A memory of `size` texts in which every text of the stream so far stays with the same chance (Vitter, 1985).

    Text number n takes a free place, or with chance size/n the place of a text drawn at random. A memory larger than
    the stream keeps all of it.
    """

    def __init__(self, size: int, dim: int, *, seed: int = 0, dtype: type[np.floating] = np.float32) -> None:
        check_options("Reservoir", size=size, dim=dim, seed=seed)
        self.x, self.y = np.zeros((size, dim), dtype), np.zeros(size, np.int64)
        self.count = np.zeros((), np.int64)  # texts that came by
        self._random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return min(int(self.count), len(self.y))

    def add(self, x: Array, y: Array) -> None:
        for text, label in zip(x, y, strict=True):
            place = int(self.count)
            self.count += 1
            if place >= len(self.y):
                place = int(self._random.integers(place + 1))
            if place < len(self.y):
                self.x[place], self.y[place] = text, label

    def draw(self, number: int) -> tuple[Array, Array]:
        """`number` of the texts, or fewer where it holds fewer, each at most once."""
        rows = self._random.permutation(len(self))[:number] if number < len(self) else np.arange(len(self))
        return self.x[rows], self.y[rows]


class Replay(FineTuning):
    """Each step learns from the new texts and from `replayed` texts of a reservoir together.

    Raises ValueError for a memory of 0, which is `FineTuning`.
    """

    name = "replay"

    def __init__(self, dim: int, n_classes: int, *, memory: int = 200, replayed: int = 10, seed: int = 0, **options):  # type: ignore[no-untyped-def]
        super().__init__(dim, n_classes, seed=seed, **options)
        if memory == 0:
            raise ValueError(f"{type(self).__name__}(memory=0): without a memory this is FineTuning; use that")
        check_options(type(self).__name__, memory=memory, replayed=replayed)
        self.replayed = replayed
        self.memory = Reservoir(memory, dim, seed=seed + 1, dtype=self.network.theta.dtype.type)

    def _learn(self, x: Array, y: Array) -> None:
        super()._learn(x, y)
        self.memory.add(x, y)

    def _step(self, x: Array, y: Array) -> None:
        old_x, old_y = self.memory.draw(self.replayed)
        self.network.step(np.concatenate([x, old_x]), np.concatenate([y, old_y]), self.lr)


class MetaExperienceReplay(Replay):
    r"""MER (Riemer et al., 2019, algorithm 1): replay text by text, with Reptile steps within and across batches.

    For each new text, `steps` times: learn from `replayed` texts of the memory and the new one, one after another,
    then $\theta\leftarrow\theta_0+\beta(\theta_k-\theta_0)$ with $\theta_0$ the weights before; after all of it
    $\theta\leftarrow\theta_A+\gamma(\theta-\theta_A)$ with $\theta_A$ those before the text. With β = γ = 1 it *is*
    replay text by text.
    """

    name = "MER"

    def __init__(self, dim: int, n_classes: int, *, beta: float = 1.0, gamma: float = 1.0, **options):  # type: ignore[no-untyped-def]
        super().__init__(dim, n_classes, **options)
        for name, value in (("beta", beta), ("gamma", gamma)):
            if not 0 < value <= 1:
                raise ValueError(f"MetaExperienceReplay({name}={value}): must be > 0 and ≤ 1; 0 learns nothing")
        self.beta, self.gamma = beta, gamma

    def _learn(self, x: Array, y: Array) -> None:
        network, (beta, gamma) = self.network, (self.beta, self.gamma)
        for row in range(len(y)):
            text, label = x[row : row + 1], y[row : row + 1]
            across = network.theta.copy() if gamma < 1 else network.theta
            for _ in range(self.steps):
                within = network.theta.copy() if beta < 1 else network.theta
                old_x, old_y = self.memory.draw(self.replayed)
                for old in range(len(old_y)):
                    network.step(old_x[old : old + 1], old_y[old : old + 1], self.lr)
                network.step(text, label, self.lr)
                if beta < 1:
                    network.theta[:] = within + beta * (network.theta - within)
            if gamma < 1:
                network.theta[:] = across + gamma * (network.theta - across)
            self.memory.add(text, label)


class AGem(Replay):
    r"""A-GEM (Chaudhry et al., 2019, equation 11): a step on the new texts that does not oppose the remembered ones.

    With g the gradient of the new texts and r that of `replayed` texts of the memory, g loses its part along r where
    $g^\top r<0$: $g-\frac{g^\top r}{r^\top r}\,r$.
    """

    name = "A-GEM"

    def _step(self, x: Array, y: Array) -> None:
        gradient = self.network.gradient(x, y)
        if len(self.memory):
            reference = self.network.gradient(*self.memory.draw(self.replayed))
            if (product := gradient @ reference) < 0:
                gradient -= product / (reference @ reference) * reference
        self.network.theta -= self.lr * gradient


class ElasticWeights(FineTuning):
    r"""EWC (Kirkpatrick et al., 2017, equation 3): weights that mattered to earlier tasks are held back in proportion.

    The loss gets $\frac\lambda2\sum_t\sum_i F_{t,i}(\theta_i-\theta^*_{t,i})^2$, with $F_t$ the mean squared gradient
    of task t's texts at its end. The sum over tasks is kept as two vectors. The pull is taken at the
    end of a step (an implicit step), so that no λ makes it diverge.
    """

    name = "EWC"

    def __init__(self, dim: int, n_classes: int, *, strength: float = 100.0, **options):  # type: ignore[no-untyped-def]
        super().__init__(dim, n_classes, **options)
        if not 0 <= strength < np.inf:
            raise ValueError(f"ElasticWeights(strength={strength}): must be ≥ 0; at 0 it is FineTuning")
        self.strength = strength
        self.stiffness, self.pull = np.zeros_like(self.network.theta), np.zeros_like(self.network.theta)

    def _step(self, x: Array, y: Array) -> None:
        super()._step(x, y)
        amount = self.lr * self.strength
        self.network.theta[:] = (self.network.theta + amount * self.pull) / (1 + amount * self.stiffness)

    def end_task(self, x: Array, y: Array) -> None:
        fisher = self.network.gradient(x, y, squared=True)
        self.stiffness += fisher
        self.pull += fisher * self.network.theta
