"""Closed forms and rules against short versions of their formulas, one task and one query at a time, in float64."""

import pytest
import torch
from torch.nn.functional import linear, normalize, one_hot

from metalearn_lib.encoders import Identity
from metalearn_lib.episodes import Episodes
from metalearn_lib.learners import ridge_weights
from metalearn_lib.meta_networks import (
    ConditionallyShifted,
    DeepSets,
    FastWeights,
    LastLayer,
    Mahalanobis,
    MetaNetworks,
    SetAttentionWriter,
    Writer,
    delta_rule,
    hebb,
    linear_attention,
)


@pytest.fixture
def episodes():
    generator = torch.Generator().manual_seed(0)
    ways = torch.arange(3)
    return Episodes(
        support_x=torch.randn(2, 9, 12, dtype=torch.float64, generator=generator),
        support_y=ways.repeat_interleave(3).repeat(2, 1),
        query_x=torch.randn(2, 6, 12, dtype=torch.float64, generator=generator),
        query_y=ways.repeat_interleave(2).repeat(2, 1),
        n_way=3,
        k_shot=3,
    )


def moved(writer):
    """The writer in float64, every weight away from its start."""
    generator = torch.Generator().manual_seed(1)
    writer = writer.double()
    with torch.no_grad():
        for parameter in writer.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
    return writer


def each_query(episodes):
    for task in range(2):
        for query, x in enumerate(normalize(episodes.query_x[task], dim=-1)):
            yield task, query, normalize(episodes.support_x[task], dim=-1), episodes.support_y[task], x


def cosine(a, b):
    return (a @ b / a.norm() / b.norm()).item()


def test_linear_attention_is_hebb_and_hebb_is_a_sum_of_outer_products(episodes):
    keys, values = episodes.support_x, one_hot(episodes.support_y, 3).double()
    weights = hebb(keys, values)
    assert torch.allclose(linear_attention(episodes.query_x, keys, values), episodes.query_x @ weights.mT, atol=1e-9)
    one = sum(torch.outer(v, k) for v, k in zip(values[0], keys[0], strict=True))
    torch.testing.assert_close(weights[0], one, atol=1e-9, rtol=0)


def test_one_pass_of_the_delta_rule_by_hand(episodes):
    keys, values = normalize(episodes.support_x, dim=-1), one_hot(episodes.support_y, 3).double()
    weights = torch.zeros(3, 12, dtype=torch.float64)
    for key, value in zip(keys[1], values[1], strict=True):
        weights += 0.7 * torch.outer(value - weights @ key, key)
    torch.testing.assert_close(delta_rule(keys, values, 0.7)[1], weights, atol=1e-12, rtol=0)


def test_the_converged_delta_rule_is_least_squares_and_ridge_without_penalty(episodes):
    keys, values = normalize(episodes.support_x, dim=-1), one_hot(episodes.support_y, 3).double()
    converged = delta_rule(keys, values, 1.0, passes=3000)
    least_norm = (torch.linalg.pinv(keys) @ values).mT
    torch.testing.assert_close(converged, least_norm, atol=1e-6, rtol=0)
    ridge = ridge_weights(keys, values, torch.tensor(1e-9, dtype=torch.float64)).mT
    torch.testing.assert_close(converged, ridge, atol=1e-6, rtol=0)


def test_orthogonal_keys_make_all_rules_equal():
    keys = torch.eye(6, dtype=torch.float64)[None]
    values = torch.randn(1, 6, 3, dtype=torch.float64)
    torch.testing.assert_close(delta_rule(keys, values, 1.0), hebb(keys, values), atol=1e-12, rtol=0)


def test_hebbian_writer_is_dot_products_with_class_means(episodes):
    logits = FastWeights(Identity(12)).double().predict(episodes)
    for task, query, support, labels, x in each_query(episodes):
        for way in range(3):
            expected = 10 * (x @ support[labels == way].mean(0)).item()
            assert logits[task, query, way].item() == pytest.approx(expected, rel=1e-6)


def test_deep_sets_head_and_linear_tail(episodes):
    writer = moved(Writer(Identity(12), DeepSets(12, hidden=5), LastLayer(10, 12)))
    logits, scale = writer.predict(episodes), writer.log_scale.exp().item()
    for task, query, support, labels, x in each_query(episodes):
        phi = writer.head.phi(support * 12**0.5).relu()
        codes = torch.stack([phi[labels == way].mean(0) for way in range(3)])
        for way in range(3):
            code = torch.cat([codes[way], codes.mean(0)])
            weights = support[labels == way].mean(0) + writer.tail.out(code) / 12**0.5
            assert logits[task, query, way].item() == pytest.approx(scale * cosine(x, weights), abs=1e-9)


def test_set_attention(episodes):
    writer = moved(SetAttentionWriter(Identity(12), hidden=5))
    logits, scale, head = writer.predict(episodes), writer.log_scale.exp().item(), writer.head
    of_query, of_key, of_value, of_own = zip(head.project.weight.split(5), head.project.bias.split(5), strict=True)
    for task, query, support, labels, x in each_query(episodes):
        means = [support[labels == way].mean(0) for way in range(3)]
        unit = [mean / mean.norm() * 12**0.5 for mean in means]
        for way in range(3):
            asked = linear(unit[way], *of_query)
            scores = torch.stack([asked @ linear(other, *of_key) / 5**0.5 for other in unit]).softmax(0)
            mixed = sum(score * linear(other, *of_value) for score, other in zip(scores, unit, strict=True))
            code = torch.cat([linear(unit[way], *of_own), mixed]).relu()
            weights = means[way] + writer.tail.out(code) / 12**0.5
            assert logits[task, query, way].item() == pytest.approx(scale * cosine(x, weights), abs=1e-9)


def test_mahalanobis(episodes):
    writer = moved(Mahalanobis(Identity(12)))
    logits, scale, ridge = writer.predict(episodes), writer.log_scale.exp().item(), writer.log_ridge.exp().item()
    eye = torch.eye(12, dtype=torch.float64)
    for task, query, support, labels, x in each_query(episodes):
        for way in range(3):
            own = support[labels == way]
            metric = 12 * (0.75 * own.T.cov() + 0.25 * support.T.cov()) + ridge * eye
            apart = x - own.mean(0)
            expected = -scale / 2 * (apart @ torch.linalg.solve(metric, apart)).item()
            assert logits[task, query, way].item() == pytest.approx(expected, rel=1e-9)


def test_meta_networks_read_the_gradients_of_the_support_loss(episodes):
    writer = moved(MetaNetworks(Identity(12), hidden=4, keys=3))
    logits, scale = writer.predict(episodes), writer.log_scale.exp().item()
    for task, query, support, labels, x in each_query(episodes):
        means = torch.stack([support[labels == way].mean(0) for way in range(3)])
        classes = (means / means.norm(dim=1, keepdim=True)).requires_grad_()
        fast = []
        for example, label in zip(support, labels, strict=True):
            loss = torch.nn.functional.cross_entropy(scale * classes @ example, label)
            gradient = torch.autograd.grad(loss, classes)[0] / scale
            inputs = torch.stack([gradient, classes], dim=-1) * 12**0.5
            fast.append(writer.generator(inputs).squeeze(-1) / 12**0.5)
        attention = (writer.log_sharpness.exp() * (writer.keys(support) @ writer.keys(x))).softmax(0)
        weights = classes + sum(share * each for share, each in zip(attention, fast, strict=True))
        torch.testing.assert_close(logits[task, query], scale * weights @ x, atol=1e-9, rtol=0)


def test_conditionally_shifted_neurons_read_the_gradients_in_the_features(episodes):
    writer = moved(ConditionallyShifted(Identity(12), hidden=4, keys=3))
    logits, scale = writer.predict(episodes), writer.log_scale.exp().item()
    for task, query, support, labels, x in each_query(episodes):
        means = torch.stack([support[labels == way].mean(0) for way in range(3)])
        classes = means / means.norm(dim=1, keepdim=True)
        shifts = []
        for example, label in zip(support, labels, strict=True):
            z = example.clone().requires_grad_()
            loss = torch.nn.functional.cross_entropy(scale * classes @ z, label)
            shifts.append(writer.signal(torch.autograd.grad(loss, z)[0] / scale * 12**0.5).tanh())

        features = []
        for vector in (x, *support):
            attention = (writer.log_sharpness.exp() * (writer.keys(support) @ writer.keys(vector))).softmax(0)
            shift = sum(share * each for share, each in zip(attention, shifts, strict=True))
            features.append(vector + writer.out(writer.hidden(vector * 12**0.5).relu() + shift) / 12**0.5)
        shifted = torch.stack(features[1:])
        for way in range(3):
            expected = scale * cosine(features[0], shifted[labels == way].mean(0))
            assert logits[task, query, way].item() == pytest.approx(expected, abs=1e-9)
