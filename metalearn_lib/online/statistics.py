"""Class statistics that are kept up to date text by text: they do not depend on the order of a stream.   Chapter 07"""

from __future__ import annotations

import numpy as np

from metalearn_lib.online.learners import OnlineLearner

Array = np.ndarray


class NearestClassMean(OnlineLearner):
    """A class is the mean of its texts so far, the nearest one wins (Mensink et al., 2013).

    `cosine` scales every text to length 1 and compares directions.
    """

    name = "nearest class mean"

    def __init__(self, dim: int, n_classes: int, *, cosine: bool = False) -> None:
        super().__init__(dim, n_classes)
        self.cosine = cosine
        self.means, self.counts = np.zeros((n_classes, dim)), np.zeros(n_classes)

    def _learn(self, x: Array, y: Array) -> None:
        self._merge(self._scaled(x), y)

    def _merge(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Take texts into their classes' means; the change each class saw [C', D] with its weight [C'].

        Two sets of n and m texts whose means differ by δ have n m/(n+m) δδᵀ more scatter together than apart.
        """
        labels, rows, new = np.unique(y, return_inverse=True, return_counts=True)
        sums = np.zeros((len(labels), x.shape[1]))
        np.add.at(sums, rows, x)
        old = self.counts[labels]
        change = sums / new[:, None] - self.means[labels]
        self.counts[labels] = old + new
        self.means[labels] += change * (new / (old + new))[:, None]
        return change, old * new / (old + new)

    def _scores(self, x: Array) -> Array:
        means = self._scaled(self.means) if self.cosine else self.means
        return self._scaled(x) @ means.T - (0 if self.cosine else 0.5 * (means * means).sum(1))

    def _scaled(self, x: Array) -> Array:
        x = np.asarray(x, np.float64)
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) if self.cosine else x


class StreamingLda(NearestClassMean):
    r"""Class means and one covariance within classes, all updated text by text (Hayes and Kanan, 2020).

    Score of class c: $\mu_c^\top\Lambda x-\frac12\mu_c^\top\Lambda\mu_c$ with
    $\Lambda=\big((1-s)\,\Sigma+s\,\frac{\mathrm{tr}\,\Sigma}{D}I\big)^{-1}$, s = `shrink`, and Σ the scatter within
    classes over the number of texts: after any order of the texts the same as linear discriminant analysis with equal
    priors on all of them at once. (The paper adds sI instead and divides by the number of updates.)
    """

    name = "streaming LDA"

    def __init__(self, dim: int, n_classes: int, *, shrink: float = 0.01) -> None:
        super().__init__(dim, n_classes)
        if not 0 < shrink <= 1:
            raise ValueError(f"StreamingLda(shrink={shrink}): need 0 < shrink ≤ 1, or few texts have no inverse")
        self.shrink = shrink
        self.scatter = np.zeros((dim, dim))

    def _merge(self, x: Array, y: Array) -> tuple[Array, Array]:
        labels, rows = np.unique(y, return_inverse=True)
        change, weight = super()._merge(x, y)
        apart = x - _means(x, rows, len(labels))[rows]
        self.scatter += apart.T @ apart + (change.T * weight) @ change
        return change, weight

    def _scores(self, x: Array) -> Array:
        covariance = self.scatter / self.counts.sum()
        average = covariance.trace() / self.dim or 1.0
        shrunk = (1 - self.shrink) * covariance + self.shrink * average * np.eye(self.dim)
        weights = np.linalg.solve(shrunk, self.means.T)  # [D, C]
        return x @ weights - 0.5 * (self.means.T * weights).sum(0)


def _means(x: Array, rows: Array, groups: int) -> Array:
    sums = np.zeros((groups, x.shape[1]))
    np.add.at(sums, rows, x)
    return sums / np.bincount(rows, minlength=groups)[:, None]
