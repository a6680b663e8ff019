from __future__ import annotations

import numpy as np
import pytest

from metalearn_lib.online import AccuracyMatrix, FineTuning, MetaExperienceReplay, NearestClassMean, run
from tests.online.test_learners import ALL
from tests.online.toy import stream

R = AccuracyMatrix(
    np.array([[0.8, 0.0, 0.0], [0.9, 0.6, 0.1], [0.5, 0.3, 0.7]]), np.array([np.nan, 0.2, 0.1]), ("a", "b", "c")
)


def test_the_measures_by_hand():
    assert R.average == pytest.approx(0.5)
    assert R.at_once == pytest.approx(0.7)
    assert R.backward == pytest.approx(((0.5 - 0.8) + (0.3 - 0.6)) / 2)
    assert R.forgetting == pytest.approx(((0.9 - 0.5) + (0.6 - 0.3)) / 2)
    assert R.forward(chance=0.1) == pytest.approx(0.05)


def test_of_one_task_nothing_is_forgotten_and_nothing_known():
    whole = run(NearestClassMean(6, 6), stream().joined())
    assert whole.average == 1
    assert np.isnan([whole.backward, whole.forgetting, whole.forward()]).all()


def test_a_learner_of_other_classes_is_refused():
    with pytest.raises(ValueError, match="made for 5 classes and 6 numbers"):
        run(NearestClassMean(6, 5), stream())


@pytest.mark.parametrize("name", ALL)
def test_a_stopped_stream_goes_on_as_if_nothing_had_happened(name, tmp_path):
    whole = run(ALL[name](6, 6, seed=2), stream())
    file = tmp_path / "state.safetensors"

    def stop(number: int) -> None:
        if number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(ALL[name](6, 6, seed=2), stream(), checkpoint=file, watch=stop)
    calls: list[int] = []
    resumed = run(ALL[name](6, 6, seed=2), stream(), checkpoint=file, watch=calls.append)
    assert calls == [2]
    np.testing.assert_array_equal(resumed.values, whole.values)
    np.testing.assert_array_equal(resumed.before, whole.before)


def test_the_state_is_all_there_is():
    learner = MetaExperienceReplay(6, 6, memory=10, seed=5)
    made = stream()
    learner.learn(made.tasks[0].x, made.tasks[0].y)
    other = MetaExperienceReplay(6, 6, memory=10, seed=5).restore(learner.state())
    for each in (learner, other):
        each.learn(made.tasks[1].x, made.tasks[1].y)
    np.testing.assert_array_equal(learner.network.theta, other.network.theta)
    with pytest.raises(ValueError, match=r"memory.x is \(10, 6\) in the saved state, \(9, 6\) here"):
        MetaExperienceReplay(6, 6, memory=9, seed=5).restore(learner.state())


def test_another_order_or_learner_is_refused(tmp_path):
    file = tmp_path / "state.safetensors"
    run(FineTuning(6, 6), stream(), checkpoint=file)
    with pytest.raises(ValueError, match=r"belongs to another run \(different: stream\)"):
        run(FineTuning(6, 6), stream([[2, 3], [0, 1], [4, 5]]), checkpoint=file)
    with pytest.raises(ValueError, match="different: lr"):
        run(FineTuning(6, 6, lr=0.2), stream(), checkpoint=file)
    file.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="cannot be read"):
        run(FineTuning(6, 6), stream(), checkpoint=file)
