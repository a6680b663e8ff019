"""A small classifier of vectors, its gradient by hand: a step from one text takes tens of microseconds.   Chapter 07

Autograd takes several times as long as the arithmetic of such a step; a test compares the two.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from metalearn_lib.errors import check_options
from metalearn_lib.online.state import Stateful

Array = np.ndarray


class Network(Stateful):
    """x [n, D] → logits [n, C] through one layer of `hidden` rectified units; with `hidden=0` a linear map from zero.

    All weights are one vector `theta` [P]; `parts` are views of it: (W₁ [D, H], b₁ [H],) W₂ [H or D, C], b₂ [C].
    """

    def __init__(
        self, dim: int, n_classes: int, *, hidden: int = 128, seed: int = 0, dtype: type[np.floating] = np.float32
    ) -> None:
        check_options("Network", dim=dim, n_classes=n_classes, seed=seed)
        check_options("Network", hidden=hidden, least=0)
        layers = [(dim, hidden), (hidden, n_classes)] if hidden else [(dim, n_classes)]
        shapes = [shape for rows, columns in layers for shape in ((rows, columns), (columns,))]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)]).tolist()
        self._places = [(slice(*pair), shape) for pair, shape in zip(pairwise(ends), shapes, strict=True)]
        self.hidden = hidden
        self.theta = np.zeros(ends[-1], dtype)
        self.parts = self.split(self.theta)
        if hidden:  # as torch's nn.Linear starts
            random = np.random.default_rng(seed)
            for part, (rows, _) in zip(self.parts, [layer for layer in layers for _ in range(2)], strict=True):
                part[:] = random.uniform(-1, 1, part.shape) / np.sqrt(rows)

    @property
    def body_size(self) -> int:
        """How many numbers of `theta` come before the last layer."""
        return int(self._places[-2][0].start)

    def split(self, flat: Array) -> list[Array]:
        """Views [W₁, b₁, W₂, b₂] of a vector [P]."""
        return [flat[place].reshape(shape) for place, shape in self._places]

    def features(self, x: Array) -> Array:
        """What the last layer reads: [n, H], or x itself in a linear map."""
        if not self.hidden:
            return x
        first, bias, *_ = self.parts
        return np.maximum(x @ first + bias, 0)

    def logits(self, x: Array) -> Array:
        *_, last, bias = self.parts
        return self.features(x) @ last + bias

    def gradient(self, x: Array, y: Array, *, squared: bool = False) -> Array:
        """The gradient [P] of the mean cross-entropy; `squared`: the mean of each text's own squared gradient."""
        x, found = np.asarray(x, self.theta.dtype), np.empty_like(self.theta)
        *body, last, last_bias = self.split(found)
        h = self.features(x)
        *first, weights, bias = self.parts
        d = h @ weights + bias  # d: the loss's derivative, first by the logits [n, C]
        d -= d.max(1, keepdims=True)
        np.exp(d, out=d)
        d /= d.sum(1, keepdims=True)
        d[np.arange(len(y)), y] -= 1
        back = (d @ weights.T) * (h > 0) if first else None
        scale = 1 / len(y)
        if squared:
            h, d, x = h * h, d * d, x * x
            back = None if back is None else back * back
        np.dot(h.T, d, out=last)
        d.sum(0, out=last_bias)
        if back is not None:
            np.dot(x.T, back, out=body[0])
            back.sum(0, out=body[1])
        found *= scale
        return found

    def step(self, x: Array, y: Array, rate: float) -> None:
        """One step of gradient descent on the mean cross-entropy of these texts."""
        gradient = self.gradient(x, y)
        gradient *= rate
        self.theta -= gradient
