"""Will it transfer? Three numbers that are known before anything is trained on the target.

How far apart two domains are: proxy A-distance (Ben-David et al., 2007). How well a source's outputs or features sort
the target's classes: LEEP (Nguyen et al., 2020), H-score (Bao et al., 2019).   Chapter 09
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def proxy_a_distance(source: Tensor, target: Tensor, *, seed: int = 0) -> float:
    r"""How well a linear classifier tells vectors of two domains [n, D], [m, D] apart: 0 not at all, 2 always.

    $\hat d_A=2\,(1-2\varepsilon)$, with $\varepsilon$ its balanced error on the half it was not trained on (Ben-David
    et al., 2007, section 4); below 0 counts as 0. No label of either domain is needed. Raises ValueError for vectors of
    different sizes, fewer than four of a domain, or NaN.

    >>> near = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    >>> proxy_a_distance(near, near + 100)
    2.0

    Chapter: 09
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1] or min(len(source), len(target)) < 4:
        raise ValueError(
            f"proxy_a_distance: shapes {list(source.shape)} and {list(target.shape)}; "
            "give [n, D] and [m, D], at least four vectors of each domain"
        )
    vectors = _finite(torch.cat([source, target]), "proxy_a_distance")
    domain = np.repeat([0, 1], [len(source), len(target)])
    scale = vectors.std(0)
    standard = ((vectors - vectors.mean(0)) / torch.where(scale > 0, scale, 1.0)).numpy()
    probe = LogisticRegression(C=0.01, class_weight="balanced", max_iter=500)
    folds = StratifiedKFold(2, shuffle=True, random_state=seed)
    wrong = cross_val_predict(probe, standard, domain, cv=folds) != domain
    error = (wrong[domain == 0].mean() + wrong[domain == 1].mean()) / 2
    return max(0.0, float(2 * (1 - 2 * error)))


def leep(probabilities: Tensor, labels: Sequence[str]) -> float:
    r"""Log expected empirical prediction of target labels from a source classifier's outputs [n, Z] (higher is better).

    With $\theta(x)_z$ the probability that the source gives its own class $z$, and $\hat P(y\mid z)$ estimated from
    the same n texts, $\frac1n\sum_i\log\sum_z\hat P(y_i\mid z)\,\theta(x_i)_z$ (Nguyen et al., 2020, equation 2). It
    is at most 0. Raises ValueError where rows are no probabilities or not one a label.

    >>> leep(torch.eye(2), ["ham", "spam"])
    0.0

    Chapter: 09
    """
    theta = _finite(probabilities, "leep")
    if theta.ndim != 2 or len(theta) != len(labels) or not len(labels):
        raise ValueError(f"leep: probabilities of shape {list(theta.shape)} for {len(labels)} labels; give [n, Z]")
    if (theta < 0).any() or not torch.allclose(theta.sum(1), torch.ones(len(theta), dtype=theta.dtype), atol=1e-4):
        raise ValueError("leep: the rows are no probabilities (≥ 0, sum 1); give logits.softmax(1), not logits")
    joint = _one_hot(labels).T @ theta / len(theta)  # [C, Z]
    given = joint / joint.sum(0).clamp(min=1e-300)
    expected = (theta @ given.T)[torch.arange(len(theta)), _numbers(labels)]
    return float(expected.log().mean())


def h_score(features: Tensor, labels: Sequence[str], *, shrink: float | None = None) -> float:
    r"""How much of the features' variance lies between the classes, all directions counting alike (higher is better).

    $\mathrm{tr}\big(\mathrm{cov}(f)^{-1}\,\mathrm{cov}(\mathbb E[f\mid y])\big)$ for features f [n, D] (Bao et al.,
    2019, definition 2), at most the number of classes less one. The covariance of few texts has no inverse: a share
    s = `shrink` of it gives way to its own average variance, and only 1 - s of the rest is believed (Ibrahim et al.,
    2021); by default s is what Ledoit and Wolf (2004) find best. Raises ValueError for fewer than two classes, a
    `shrink` outside 0 … 1, or NaN.

    >>> h_score(torch.tensor([[1.0], [1.0], [-1.0], [-1.0]]), ["ham", "ham", "spam", "spam"], shrink=0.0)
    1.0

    Chapter: 09
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    values = _finite(features, "h_score")
    if values.ndim != 2 or len(values) != len(labels) or len(set(labels)) < 2:
        raise ValueError(
            f"h_score: features of shape {list(values.shape)}, {len(labels)} labels of {len(set(labels))} classes; "
            "give [n, D] and one label a row, of at least two classes"
        )
    if shrink is not None and not 0 <= shrink <= 1:
        raise ValueError(f"h_score(shrink={shrink}): need 0 ≤ shrink ≤ 1")
    centred = values - values.mean(0)
    covariance = centred.T @ centred / len(values)
    average = float(covariance.trace()) / len(covariance)
    if average == 0:
        return 0.0  # all texts have the same features
    amount = float(ledoit_wolf_shrinkage(centred.numpy(), assume_centered=True)) if shrink is None else shrink
    shrunk = (1 - amount) * covariance + amount * average * torch.eye(len(covariance), dtype=values.dtype)
    members = _one_hot(labels)
    means = members.T @ centred / members.sum(0)[:, None]  # [C, D]
    between = means.T @ (means * members.mean(0)[:, None])
    return float((1 - amount) * torch.linalg.lstsq(shrunk, between).solution.trace())


def _numbers(labels: Sequence[str]) -> Tensor:
    return torch.from_numpy(np.unique(np.array(labels, dtype=object), return_inverse=True)[1])


def _one_hot(labels: Sequence[str]) -> Tensor:
    return torch.nn.functional.one_hot(_numbers(labels)).double()


def _finite(values: Tensor, who: str) -> Tensor:
    if not torch.isfinite(values).all():
        raise ValueError(f"{who}: the vectors hold NaN or infinity; check the encoder")
    return values.detach().cpu().double()
