from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metalearn_lib.online import LIKENESSES, STARTS, TaskGraph
from tests.online.toy import task

TASKS = [task([0, 1], seed=1), task([0, 1], seed=2), task([2, 3], seed=3), task([4, 5], seed=4)]


@pytest.fixture(scope="module")
def graph() -> TaskGraph:
    return TaskGraph(TASKS, hidden=16)


@pytest.mark.parametrize("kind", LIKENESSES)
def test_likeness_has_a_number_for_each_pair(graph, kind):
    alike = graph.likeness(kind)
    assert alike.shape == (4, 4) and np.isfinite(alike).all()


@pytest.mark.parametrize("kind", ["centroid", "class centroids"])
def test_tasks_of_one_kind_are_more_alike(graph, kind):
    alike = graph.likeness(kind)
    assert alike[0, 1] > max(alike[0, 2], alike[0, 3]) and alike[1, 0] > max(alike[1, 2], alike[1, 3])


def test_starts_by_hand(graph):
    alike, before = np.array([[0.0, 3.0, 2.0, 1.0]] * 4), [3, 1, 2]
    starts = {kind: graph.start(kind, 0, before, alike, k=2) for kind in STARTS}
    bodies = graph.bodies
    np.testing.assert_array_equal(starts["last"], bodies[2])
    np.testing.assert_array_equal(starts["nearest"], bodies[1])
    np.testing.assert_allclose(starts["mean"], bodies[[1, 2, 3]].mean(0), atol=1e-6)
    np.testing.assert_allclose(starts["k nearest"], bodies[[1, 2]].mean(0), atol=1e-6)
    z = np.array([-1, 1, 0]) / np.std([1, 2, 3])
    weights = np.exp(z) / np.exp(z).sum()
    np.testing.assert_allclose(starts["weighted mean"], weights @ bodies[before], atol=1e-5)
    flat = graph.start("weighted mean", 0, before, alike, sharpness=0)
    np.testing.assert_allclose(flat, starts["mean"], atol=1e-5)


def test_adapting_learns_and_leaves_the_graph_as_it_was(graph):
    first = graph.adapted(0, graph.scratch, at=(1, 40))
    assert first[-1] > 0.9
    np.testing.assert_array_equal(graph.adapted(0, graph.scratch, at=(1, 40)), first)
    # the network is homogeneous in its first layer, so its size is no part of a start
    np.testing.assert_allclose(graph.adapted(0, 7 * graph.scratch, at=(1, 40)), first)
    transfer = graph.transfer(steps=3)
    assert np.isnan(transfer.diagonal()).all() and transfer[0, 1] == graph.adapted(0, graph.bodies[1], at=[3])[0]


def test_support_is_all_that_a_new_task_shows():
    other = task([2, 3], seed=3)
    last = [np.flatnonzero(other.y == label)[5:] for label in (2, 3)]
    changed = other.x.copy()
    changed[np.concatenate(last)] += 1
    graphs = [TaskGraph([*TASKS[:2], each], hidden=8) for each in (other, replace(other, x=changed))]
    for kind in LIKENESSES:
        np.testing.assert_allclose(*(g.likeness(kind)[2, :2] for g in graphs), atol=1e-6)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (TASKS[:1], "1 task; a graph needs two"),
        ([TASKS[0], task([0, 1, 2])], "all the same number"),
        ([TASKS[0], TASKS[1], replace(TASKS[0], name="twin")], "'twin' holds the same texts"),
        ([TASKS[0], task([2, 3], per_class=4)], "a class of .* has 4 texts"),
    ],
)
def test_tasks_that_make_no_graph(tasks, message):
    with pytest.raises(ValueError, match=message):
        TaskGraph(tasks)


def test_unknown_kinds_and_no_earlier_task(graph):
    alike = graph.likeness("centroid")
    with pytest.raises(ValueError, match="likeness"):
        graph.likeness("taste")
    with pytest.raises(ValueError, match="start"):
        graph.start("best", 0, [1], alike)
    for earlier in ([], [0, 1]):
        with pytest.raises(ValueError, match="earlier tasks"):
            graph.start("mean", 0, earlier, alike)
