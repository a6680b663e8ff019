"""Memory that is kept between calls: nobody sees it, whoever calls, in whatever order, and it has an upper bound."""

import copy
import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from metalearn_lib.errors import InnerLoopDiverged
from metalearn_lib.inner_loop import InnerLoop, Tasks, buffers, peak_memory, tasks
from metalearn_lib.inner_loop.buffers import Buffers

RATE = 0.1


def mlp(activation=nn.ReLU, out=3, before=()):
    torch.manual_seed(0)
    return nn.Sequential(*before, nn.Linear(6, 4), activation(), nn.Linear(4, out)).double()


def dual(**settings):
    return InnerLoop(settings.pop("model", None) or mlp(), steps=3, engine="dual", **settings)


def everything(loop, given):
    return [
        loop.gradients(given, RATE),
        loop.displacement(given, RATE),
        loop.outputs(given, RATE),
        loop.outputs(given, RATE, steps=0),
        loop.adapt(given, RATE),
        loop.adapt(given, RATE, steps=0),
    ]


def held(loop):
    return loop._engine.buffers.nbytes


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
@pytest.mark.parametrize("query", [5, 1])
@pytest.mark.parametrize("regression", [False, True], ids=["classes", "regression"])
@pytest.mark.parametrize("settings", [{}, {"first_order": True}, {"adapt": "head"}], ids=str)
def test_a_result_stays_what_it_was_whatever_is_asked_next(make_tasks, same, settings, regression, query, activation):
    loop = dual(model=mlp(activation, out=1 if regression else 3), **settings)
    one, two = (make_tasks(regression=regression, query=query, seed=seed) for seed in (1, 2))
    for ask in (loop.gradients, loop.displacement, loop.outputs, loop.adapt):
        found = ask(one, RATE)
        before = copy.deepcopy(found)
        for other in (loop.gradients, loop.displacement, loop.outputs, loop.adapt):
            other(two, RATE)
        ask(two, RATE)
        same(found, before)
        same(ask(one, RATE), before)


def test_the_tasks_and_the_model_stay_as_they_are(make_tasks, same):
    loop, given = dual(), make_tasks()
    before = copy.deepcopy((given, loop.network.model.state_dict()))
    everything(loop, given), everything(loop, given)
    same(given, before[0])
    same(list(loop.network.model.state_dict().values()), list(before[1].values()))


@pytest.mark.parametrize("first_order", [False, True])
def test_what_a_call_works_in_is_made_once(make_tasks, first_order):
    loop, given = dual(first_order=first_order), make_tasks(support=50, query=50)
    first, second = (peak_memory(lambda: loop.gradients(given, RATE)) for _ in range(2))
    assert second < first / 2 and first - second == pytest.approx(held(loop), rel=0.1)


def test_sizes_and_kinds_of_numbers_may_change_from_call_to_call(make_tasks, same):
    loop = dual()
    for size in ({}, {"tasks": 1}, {"support": 9, "query": 2}, {}, {"tasks": 7}):
        given = make_tasks(**size)
        same(everything(loop, given), everything(dual(), given))
    loop.network.model.float()
    given = Tasks(*(part.float() if part.is_floating_point() else part for part in make_tasks()))
    assert loop.outputs(given, RATE).dtype == torch.float32
    same(everything(loop, given), everything(dual(model=mlp().float()), given))


def test_what_is_held_is_what_the_last_call_needed_and_no_more_than_the_limit(make_tasks, monkeypatch):
    loop, few, many = dual(), make_tasks(tasks=2), make_tasks(tasks=20)
    loop.gradients(few, RATE)
    small = held(loop)
    loop.gradients(many, RATE)
    assert small > 0 and held(loop) == 10 * small
    loop.gradients(few, RATE)
    assert held(loop) == small
    monkeypatch.setattr(buffers, "LIMIT", small)
    loop.gradients(many, RATE)
    assert held(loop) == 0
    loop.gradients(few, RATE)
    assert held(loop) == small


def test_it_goes_with_the_inner_loop(make_tasks):
    loop = dual()
    loop.gradients(make_tasks(), RATE)
    kept = weakref.ref(loop._engine.buffers._idle[0].room)
    assert kept() is not None
    del loop
    gc.collect()
    assert kept() is None


def test_copies_start_empty_and_compute_the_same(make_tasks, same):
    loop, given = dual(), make_tasks()
    expected = copy.deepcopy(everything(loop, given))
    for other in (copy.deepcopy(loop), pickle.loads(pickle.dumps(loop))):
        assert held(other) == 0 < held(loop)
        same(everything(other, given), expected)


def test_threads_do_not_meet(make_tasks, same):
    loop, given = dual(), [make_tasks(support=40, seed=seed) for seed in range(8)]
    expected = [copy.deepcopy(everything(dual(), one)) for one in given]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            same(list(pool.map(lambda one: everything(loop, one), given)), expected)
    assert len(loop._engine.buffers._idle) == 1


def test_a_call_within_a_call_has_memory_of_its_own(make_tasks, same):
    model = mlp(before=[nn.Identity()])
    inner, outer, inside = dual(model=copy.deepcopy(model)), dual(model=model), []
    given, asking = make_tasks(), []

    def ask_again(module, inputs, output):
        if not asking:
            asking.append(True)
            inside.append(outer.gradients(given, RATE))
            asking.clear()

    expected = inner.gradients(given, RATE)
    model[0].register_forward_hook(ask_again)
    outer.gradients(given, RATE)
    same(outer.gradients(given, RATE), expected)
    same(inside, [expected] * 4)  # for support and query of both calls


def test_after_an_error_the_next_call_is_right(make_tasks, same):
    loop, given = dual(), make_tasks()
    expected = copy.deepcopy(everything(loop, given))
    spoilt = given._replace(support_x=given.support_x * float("nan"))
    with pytest.raises(InnerLoopDiverged):
        loop.gradients(spoilt, RATE)
    same(everything(loop, given), expected)


def test_inference_mode_may_come_first_or_later(make_tasks, same):
    given, expected = make_tasks(), everything(dual(), make_tasks())
    loop = dual()
    with torch.inference_mode():
        same(everything(loop, given), expected)
    same(everything(loop, given), expected)
    with torch.inference_mode():
        same(everything(loop, given), expected)


def test_other_devices_keep_their_memory_themselves():
    kept, like = Buffers[torch.Tensor](), torch.empty(0, device="meta", dtype=torch.float16)
    with kept.lent("any", like, lambda new: new(2, 3)) as room:
        assert (room.shape, room.dtype, room.device) == ((2, 3), like.dtype, like.device)
    assert kept.nbytes == 0


# ------------------------------------------------------------------------------------------------- the labels


@pytest.fixture
def read(monkeypatch):
    """How often labels were read."""
    calls, check = [], tasks._check_classes
    monkeypatch.setattr(tasks, "_check_classes", lambda *given: calls.append(given) or check(*given))
    return calls


@pytest.mark.parametrize("engine", ["loop", "batched", "dual"])
@pytest.mark.parametrize("which", ["support_y", "query_y"])
def test_labels_are_read_again_only_when_something_was_written(make_tasks, read, which, engine):
    loop, given = InnerLoop(mlp(), engine=engine), make_tasks()
    for _ in range(3):
        loop.gradients(given, RATE), loop.outputs(given, RATE)
    assert len(read) == 1
    getattr(given, which)[0, 0] = 3
    for _ in range(2):
        with pytest.raises(ValueError, match="the tasks have 4 classes, the model has 3 outputs"):
            loop.gradients(given, RATE)
    getattr(given, which)[0, 0] = 2
    loop.gradients(given, RATE), loop.gradients(given, RATE)
    assert len(read) == 4
    loop.gradients(given._replace(**{which: getattr(given, which).clone()}), RATE)
    assert len(read) == 5


def test_labels_that_count_no_writing_are_read_each_time(make_tasks, read):
    with torch.inference_mode():
        given, loop = make_tasks(), dual()
        loop.outputs(given, RATE), loop.outputs(given, RATE)
        assert len(read) == 2
        given.support_y[0, 0] = 3
        with pytest.raises(ValueError, match="4 classes"):
            loop.outputs(given, RATE)


@pytest.mark.parametrize("engine", ["loop", "batched", "dual"])
def test_sizes_that_differ_are_named(make_tasks, engine):
    loop, given = InnerLoop(mlp(), engine=engine), make_tasks()
    for part in ("support_x", "support_y", "query_x", "query_y"):
        for shorter in (getattr(given, part)[:-1], getattr(given, part)[:, :-1]):
            with pytest.raises(ValueError, match=r"tasks: \[T, M, …\], \[T, M\], \[T, Q, …\], \[T, Q\], not \("):
                loop.gradients(given._replace(**{part: shorter}), RATE)
