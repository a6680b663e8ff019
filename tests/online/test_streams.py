from __future__ import annotations

import numpy as np
import pytest
import torch

from metalearn_lib.corpora import Corpus
from metalearn_lib.online import NearestClassMean, Stream, Task, class_stream, clinc_domains, domain_stream, run
from tests.online.toy import stream, task

LABELS = [label for label in "abcdef" for _ in range(10)]
CORPUS = Corpus("toy", [f"text {i}" for i in range(60)], LABELS, domains=["web", "wire"] * 30)
VECTORS = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
GROUPS = {"first": ["a", "b"], "second": ["c", "d"], "third": ["e", "f"]}


def test_every_class_is_in_one_task_and_no_text_is_learned_and_tested():
    made = class_stream(CORPUS, VECTORS, GROUPS, seed=1, per_class=10)
    assert sorted(c for t in made.tasks for c in t.classes) == list(range(6))
    learned, tested = ({x.tobytes() for t in made.tasks for x in getattr(t, part)} for part in ("x", "test_x"))
    assert learned.isdisjoint(tested) and len(learned) == 42 and len(tested) == 18
    row = {v.numpy().tobytes(): label for v, label in zip(VECTORS, LABELS, strict=True)}
    for each in made.tasks:
        assert [row[x.tobytes()] for x in each.x] == [made.classes[y] for y in each.y]


def test_the_seed_decides_order_and_texts():
    streams = [class_stream(CORPUS, VECTORS, GROUPS, seed=seed) for seed in (0, 0, *range(1, 6))]
    assert streams[0].key == streams[1].key
    assert len({s.key for s in streams[1:]}) == 6
    assert len({tuple(t.name for t in s.tasks) for s in streams}) > 1
    given = class_stream(CORPUS, VECTORS, {"y": ["e"], "x": ["a"]}, shuffle=False)
    assert [t.name for t in given.tasks] == ["y", "x"]


def test_a_domain_is_a_task_with_all_classes():
    made = domain_stream(CORPUS, VECTORS, per_class=5)
    assert {t.name for t in made.tasks} == {"web", "wire"}
    assert all(t.classes == list(range(6)) for t in made.tasks)


def test_joined_holds_the_same_texts():
    parts, whole = stream(), stream().joined(seed=3)
    assert len(whole) == 1
    assert sorted(x.tobytes() for x in whole.tasks[0].x) == sorted(x.tobytes() for t in parts.tasks for x in t.x)


def test_clinc_has_ten_domains_of_fifteen_intents():
    domains = clinc_domains()
    assert len(domains) == 10 and all(len(intents) == 15 for intents in domains.values())
    assert len({intent for intents in domains.values() for intent in intents}) == 150


def test_a_class_that_comes_back_is_counted_once():
    tasks = (task([0, 1]), task([2, 3]), task([0, 1], seed=9))
    again = Stream(tasks, tuple("abcd"))
    matrix = run(NearestClassMean(6, 4), again)
    assert matrix.values[-1].min() == 1 and matrix.before[2] == 1  # it was known when it came back
    with pytest.raises(ValueError, match="'a' is in two groups"):
        class_stream(CORPUS, VECTORS, {"first": ["a", "b"], "second": ["a", "c"]})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stream((), ("a",)), "no task"),
        (lambda: Stream((task([0, 1]), task([0, 1])), ("a", "b")), None),
        (lambda: Stream((task([0, 5]),), ("a", "b")), "class number 5, but 2 classes"),
        (lambda: Stream((task([0]), task([1], dim=7)), ("a", "b")), "encode all tasks alike"),
        (lambda: Task("t", np.zeros((2, 3)), np.zeros(3, int), np.zeros((1, 3)), np.zeros(1, int)), "with labels"),
        (lambda: Task("t", np.full((1, 3), np.nan), np.zeros(1, int), np.zeros((1, 3)), np.zeros(1, int)), "NaN"),
        (lambda: class_stream(CORPUS, VECTORS, {"one": ["a", "z"]}), "no class 'z'"),
        (lambda: class_stream(CORPUS, VECTORS[:5], GROUPS), "5 vectors for 60 texts"),
        (lambda: class_stream(CORPUS, VECTORS, GROUPS, test_share=1.0), "test_share"),
        (lambda: class_stream(CORPUS, VECTORS, GROUPS, per_class=2, test_share=0.1), "too few"),
        (lambda: domain_stream(Corpus("plain", ["a", "b"], ["x", "y"]), VECTORS[:2]), "has no domains"),
    ],
)
def test_bad_input(make, message):
    if message is None:
        twin = task([0, 1])
        renamed = Task("again", twin.x, twin.y, twin.test_x, twin.test_y)
        with pytest.raises(ValueError, match="hold the same texts"):
            Stream((twin, renamed), ("a", "b"))
        return
    with pytest.raises(ValueError, match=message):
        make()
