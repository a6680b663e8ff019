"""Proxy A-distance, LEEP and H-score against their formulas and at their ends."""

import math

import pytest
import torch

from metalearn_lib.transfer import h_score, leep, proxy_a_distance


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_distance_is_0_for_one_domain_2_for_two_and_between_in_between() -> None:
    same, far = proxy_a_distance(normal(200, 5), normal(200, 5, 1)), proxy_a_distance(normal(99, 5), normal(50, 5) + 9)
    half = proxy_a_distance(normal(200, 5), normal(200, 5, 1) + torch.tensor([1.0, 0, 0, 0, 0]))
    assert same < 0.25 and far == 2 and same < half < far


def test_distance_is_symmetric_and_seeded() -> None:
    a, b = normal(100, 4), normal(100, 4, 1) + 0.5
    assert proxy_a_distance(a, b, seed=3) == proxy_a_distance(a, b, seed=3)
    assert proxy_a_distance(a, b) == pytest.approx(proxy_a_distance(b, a), abs=0.2)


def test_leep_is_its_formula() -> None:
    theta, labels = normal(30, 4).softmax(1), [f"c{i % 3}" for i in range(30)]
    total = 0.0
    for i, label in enumerate(labels):
        expected = 0.0
        for z in range(4):
            joint = sum(theta[j, z] for j in range(30) if labels[j] == label) / 30
            expected += joint / (theta[:, z].sum() / 30) * theta[i, z]
        total += math.log(expected)
    assert leep(theta, labels) == pytest.approx(total / 30, abs=1e-9)


def test_leep_of_useless_outputs_is_minus_the_entropy_of_the_labels() -> None:
    assert leep(torch.full((8, 5), 0.2), ["a", "b"] * 4) == pytest.approx(-math.log(2))
    assert leep(torch.eye(3).repeat(2, 1), list("abcabc")) == 0


def test_h_score_is_its_formula() -> None:
    labels = [f"c{i % 3}" for i in range(60)]
    f = normal(60, 5) + torch.tensor([[i % 3, 0, 0, 0, 0] for i in range(60)])
    centred = f - f.mean(0)
    covariance = centred.T @ centred / 60
    means = torch.stack([centred[[i for i in range(60) if i % 3 == c]].mean(0) for c in range(3)])[
        [i % 3 for i in range(60)]
    ]
    assert h_score(f, labels, shrink=0.0) == pytest.approx(
        float((torch.linalg.inv(covariance) @ (means.T @ means / 60)).trace()), abs=1e-9
    )
    mixed = 0.7 * covariance + 0.3 * covariance.trace() / 5 * torch.eye(5)
    assert h_score(f, labels, shrink=0.3) == pytest.approx(
        0.7 * float((torch.linalg.inv(mixed) @ (means.T @ means / 60)).trace()), abs=1e-9
    )


def test_h_score_does_not_see_scale_or_rotation_and_is_bounded() -> None:
    labels = [f"c{i % 4}" for i in range(80)]
    f = normal(80, 6) + 3 * torch.eye(6, dtype=torch.float64)[[i % 4 for i in range(80)]]
    turned = f @ torch.linalg.qr(normal(6, 6, 2))[0] * 7
    assert h_score(f, labels) == pytest.approx(h_score(turned, labels), rel=1e-6)
    assert h_score(normal(80, 6), labels) < h_score(f, labels) < 3
    assert h_score(torch.ones(4, 3), ["a", "b", "a", "b"]) == 0


def test_more_features_than_texts_need_the_shrinkage() -> None:
    labels = ["a", "b"] * 10
    assert h_score(normal(20, 100), labels) < 0.35  # unshrunk it would be 1: any labels can be told apart


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"shapes \[5, 2\] and \[5, 3\]"):
        proxy_a_distance(normal(5, 2), normal(5, 3))
    with pytest.raises(ValueError, match="at least four vectors"):
        proxy_a_distance(normal(3, 2), normal(5, 2))
    with pytest.raises(ValueError, match="proxy_a_distance: the vectors hold NaN"):
        proxy_a_distance(torch.full((5, 2), torch.nan), normal(5, 2))
    with pytest.raises(ValueError, match="for 2 labels"):
        leep(torch.eye(3), ["a", "b"])
    with pytest.raises(ValueError, match="not logits"):
        leep(normal(3, 3), list("abc"))
    with pytest.raises(ValueError, match="at least two classes"):
        h_score(normal(3, 2), ["a"] * 3)
    with pytest.raises(ValueError, match="shrink=2"):
        h_score(normal(3, 2), list("aab"), shrink=2)
