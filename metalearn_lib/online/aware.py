"""Online-aware meta-learning: a representation on which learning text by text disturbs little (OML).   Chapter 07

Javed and White (2019). The stream is learned inside the meta-loss, so what interferes has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalearn_lib.errors import check_options
from metalearn_lib.optimise import descend, in_training
from metalearn_lib.progress import progress_bar

Array = np.ndarray


class Representation(nn.Module):
    r"""$x+Mx+U\,\mathrm{relu}(Vx)$, at the start x itself: M and U are zero. x [..., D] → [..., D].   Chapter: 07"""

    def __init__(self, dim: int, *, hidden: int = 100) -> None:
        super().__init__()
        check_options("Representation", dim=dim, hidden=hidden)
        self.map = nn.Linear(dim, dim, bias=False)
        self.up, self.down = nn.Linear(dim, hidden), nn.Linear(hidden, dim, bias=False)
        for layer in (self.map, self.down):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.map(x) + self.down(torch.relu(self.up(x)))

    def features(self, x: Array) -> Array:
        """Vectors of the representation [n, D], without a gradient."""
        with torch.no_grad():
            return self(torch.from_numpy(np.asarray(x, np.float32))).numpy()


def online_head(features: Tensor, labels: Tensor, n_classes: int, rate: Tensor | float) -> Tensor:
    r"""A linear head W [T, D, C] that starts at zero and takes one step of descent for each text, in their order.

    features [T, n, D], labels [T, n]. The step is written out, $W\leftarrow W-\eta\,\phi(x)\,(p-y)^\top$, so a
    gradient flows through all of them (Javed and White, 2019, equation 2 and algorithm 2).
    """
    targets = nn.functional.one_hot(labels, n_classes).to(features.dtype)  # [T, n, C]
    weights = features.new_zeros(len(features), features.shape[-1], n_classes)
    for text, target in zip(features.unbind(1), targets.unbind(1), strict=True):
        error = torch.einsum("td,tdc->tc", text, weights).softmax(-1) - target
        weights = weights - rate * text[:, :, None] * error[:, None, :]
    return weights


def meta_train_online(
    representation: Representation,
    x: Array,
    y: Array,
    *,
    steps: int = 250,
    trajectories: int = 3,
    n_way: int = 10,
    k_shot: int = 5,
    lr: float = 1e-3,
    inner_lr: float = 0.01,
    seed: int = 0,
    progress: bool = False,
) -> list[float]:
    """Train a representation so that an online head learns from it without forgetting; returns the meta-losses.

    Each meta-step draws streams of `n_way` classes, class after class, `k_shot` texts each, lets a head learn from
    them text by text, and lowers its loss on other texts of all these classes and on the stream itself. The rate of the
    head is learned, from `inner_lr` on. Raises ValueError where the classes are too few or too small.   Chapter: 07
    """
    check_options("meta_train_online", steps=steps, trajectories=trajectories, n_way=n_way, k_shot=k_shot, lr=lr)
    check_options("meta_train_online", rate=inner_lr)
    rows = {int(label): np.flatnonzero(y == label) for label in np.unique(y)}
    if len(rows) < n_way or min(map(len, rows.values())) < 2 * k_shot:
        raise ValueError(
            f"meta_train_online(n_way={n_way}, k_shot={k_shot}): needs {n_way} classes of {2 * k_shot} texts, "
            f"has {len(rows)}, the smallest of {min(map(len, rows.values()))}"
        )
    vectors = torch.from_numpy(np.asarray(x, np.float32))
    labels = torch.arange(n_way).repeat_interleave(k_shot).expand(trajectories, -1)
    log_rate = nn.Parameter(torch.tensor(float(np.log(inner_lr))))

    def loss(chosen: Tensor) -> Tensor:
        features = representation(vectors[chosen])  # [T, N, 2K, D]
        stream, others = (part.flatten(1, 2) for part in features.split(k_shot, dim=2))
        head = online_head(stream, labels, n_way, log_rate.exp())
        logits = torch.cat([stream, others], dim=1) @ head
        return cross_entropy(logits.flatten(0, 1), labels.repeat(1, 2).flatten())

    def draws() -> Iterator[Tensor]:
        random = np.random.default_rng(seed)
        for _ in progress_bar(range(steps), "OML", show=progress):
            classes = [random.permutation(list(rows))[:n_way] for _ in range(trajectories)]
            yield torch.from_numpy(
                np.stack([[random.permutation(rows[int(c)])[: 2 * k_shot] for c in each] for each in classes])
            )

    return _adam(representation, loss, draws(), lr, seed, extra=[log_rate])


def pretrain_jointly(
    representation: Representation,
    x: Array,
    y: Array,
    *,
    steps: int = 1000,
    batch: int = 64,
    lr: float = 1e-3,
    seed: int = 0,
) -> list[float]:
    """Train a representation and a linear head to tell all training classes apart, the usual way: OML's control."""
    check_options("pretrain_jointly", steps=steps, batch=batch, lr=lr)
    names, numbers = np.unique(y, return_inverse=True)
    vectors, targets = torch.from_numpy(np.asarray(x, np.float32)), torch.from_numpy(numbers)
    head = nn.Parameter(torch.zeros(vectors.shape[1], len(names)))
    random = np.random.default_rng(seed)
    draws = (torch.from_numpy(random.integers(len(y), size=batch)) for _ in range(steps))

    def loss(chosen: Tensor) -> Tensor:
        return cross_entropy(representation(vectors[chosen]) @ head, targets[chosen])

    return _adam(representation, loss, draws, lr, seed, extra=[head])


def _adam(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    batches: Iterator[Tensor],
    lr: float,
    seed: int,
    *,
    extra: list[nn.Parameter],
) -> list[float]:
    optimizer = torch.optim.Adam([*model.parameters(), *extra], lr)
    with in_training(model, seed=seed):
        return list(descend(loss, batches, optimizer, who="representation", clip=1.0))
