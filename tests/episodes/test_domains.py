"""Sinusoids: the tasks of meta-regression. Samplers of a corpus's domains are tested with the other samplers."""

import math

import pytest
import torch

from metalearn_lib import SinusoidSampler


def test_targets_are_the_wave_of_each_task():
    sampler = SinusoidSampler(k_shot=5, n_query=7, seed=3)
    episodes, (amplitude, phase) = sampler.sample(40, first=10), sampler.waves(40, first=10)
    assert episodes.support_x.shape == (40, 5, 1) and episodes.query_x.shape == (40, 7, 1)
    assert episodes.support_y.shape == (40, 5) and episodes.query_y.shape == (40, 7)
    assert episodes.support_y.dtype == torch.float32 and (episodes.n_way, episodes.k_shot) == (1, 5)
    assert episodes.n_query == 7 and len(episodes) == 40 and episodes.pool is None
    for x, y in ((episodes.support_x, episodes.support_y), (episodes.query_x, episodes.query_y)):
        for task in range(40):
            a, b = amplitude[task].item(), phase[task].item()
            expected = [a * math.sin(value + b) for value in x[task, :, 0].tolist()]
            assert y[task].tolist() == pytest.approx(expected, abs=1e-5)


def test_amplitudes_phases_and_inputs_fill_their_ranges_evenly():
    sampler = SinusoidSampler(k_shot=4, n_query=4, seed=0)
    episodes, (amplitude, phase) = sampler.sample(4000), sampler.waves(4000)
    for values, low, high in (
        (amplitude, 0.1, 5), (phase, 0, math.pi), (episodes.support_x, -5, 5), (episodes.query_x, -5, 5)
    ):  # fmt: skip
        assert low <= values.min() and values.max() <= high
        counts = torch.histc(values.flatten(), bins=10, min=low, max=high)
        assert (counts / counts.mean() - 1).abs().max() < 0.2
    both = torch.corrcoef(torch.stack([amplitude[:, 0], phase[:, 0], episodes.support_x[:, 0, 0]]))
    assert (both - torch.eye(3)).abs().max() < 0.06  # drawn independently


def test_tasks_and_their_inputs_differ():
    drawn = SinusoidSampler(seed=7).sample(10)
    assert len({tuple(x) for x in drawn.support_x[..., 0].tolist()}) == 10
    assert not torch.isin(drawn.support_x, drawn.query_x).any()


def test_keys_tell_samplers_apart():
    assert SinusoidSampler(k_shot=5).key == SinusoidSampler(k_shot=5, seed=0).key
    settings = ({"k_shot": 5}, {"k_shot": 6}, {"n_query": 3}, {"seed": 2})
    assert len({SinusoidSampler(**setting).key for setting in settings}) == 4
