"""Size, latency and the front; 8-bit copies."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib import encoders
from metalearn_lib.classification import Classifier
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation import Ensemble, TfidfTeacher, costs, on_front, quantised
from metalearn_lib.encoders import WordAverage
from metalearn_lib.encoders.transformer import _threads
from metalearn_lib.text import WordVectors

CLASSES = ["space", "sport"]


def test_every_shipped_number_counts_once(texts: Corpus, words: WordVectors, student: Classifier) -> None:
    found = costs(student, texts.texts[:3], repeats=1)
    assert found.parameters == 13 * 16 + 13 + 16 * 2 + 2  # table, weights of words, head
    assert found.microseconds > 0 and found.megabytes > 4e-6 * found.parameters
    frozen = costs(Classifier(encoders.Averaged(words), CLASSES), texts.texts[:1], repeats=1)
    assert frozen.parameters == 13 * 16 + 16 * 2 + 2
    cnn = Classifier(encoders.Convolutional(words, widths=(1,), channels=5), CLASSES)
    assert costs(cnn, texts.texts[:1], repeats=1).parameters == 13 * 16 + (16 * 5 + 5) + 5 * 2 + 2


def test_eight_bits_keep_the_logits_near_and_the_original_as_it_was(texts: Corpus) -> None:
    table = torch.randn(500, 64, generator=torch.Generator().manual_seed(0))
    many = WordVectors.from_array([*texts.texts[0].split(), *(f"w{n}" for n in range(495))], table.numpy())
    classifier = Classifier(WordAverage(many), CLASSES)
    kept = copy.deepcopy(classifier.state_dict())
    small = quantised(classifier)
    assert torch.allclose(small.logits(texts.texts), classifier.logits(texts.texts), atol=0.05)
    assert all(torch.equal(value, kept[name]) for name, value in classifier.state_dict().items())
    sizes = [costs(c, texts.texts[:1], repeats=1).megabytes for c in (classifier, small)]
    assert sizes[0] > 2.5 * sizes[1]


class Own:
    """A teacher of one's own, as `distil` needs it."""

    classes = tuple(CLASSES)

    def logits(self, texts: Sequence[str] | Corpus) -> torch.Tensor:
        return torch.zeros(len(texts), 2)


class Shipping(Own):
    def shipped(self) -> dict[str, torch.Tensor]:
        return {"bias": torch.zeros(7)}


def test_a_teacher_of_ones_own_says_what_it_ships_and_an_ensemble_costs_its_members(
    texts: Corpus, student: Classifier
) -> None:
    tfidf = TfidfTeacher(texts, background=texts)
    teachers = [Shipping(), student, tfidf, Ensemble([tfidf, Ensemble([Shipping(), student])])]
    own, learner, words, nested = (costs(teacher, ["a text"], repeats=1).parameters for teacher in teachers)
    assert own == 7 and nested == own + learner + words
    for teacher in (Own(), Ensemble([Shipping(), Own()])):
        with pytest.raises(TypeError, match=r"Own does not say what must be shipped; give it a method shipped\(\)"):
            costs(teacher, ["a text"])  # type: ignore[arg-type]


class Threads(Shipping):
    """Notes how many threads it is given, by torch and by what a Transformer takes."""

    def __init__(self) -> None:
        self.given: set[tuple[int, int]] = set()

    def logits(self, texts: Sequence[str] | Corpus) -> torch.Tensor:
        outside = torch.get_num_threads()
        with _threads():
            self.given.add((outside, torch.get_num_threads()))
        return super().logits(texts)


@pytest.mark.parametrize("asked", [None, "3"])
def test_all_that_is_timed_runs_on_one_thread(monkeypatch: pytest.MonkeyPatch, asked: str | None) -> None:
    monkeypatch.delenv("METALEARN_THREADS", raising=False)
    if asked:
        monkeypatch.setenv("METALEARN_THREADS", asked)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        costs(model := Threads(), ["a text"])
        assert model.given == {(1, 1)}
        assert torch.get_num_threads() == 2 and os.environ.get("METALEARN_THREADS") == asked
    finally:
        torch.set_num_threads(before)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_every_point_off_the_front_is_beaten_by_one_on_it(points: list[tuple[int, int]]) -> None:
    cost, accuracy = zip(*points, strict=True)
    front = on_front(cost, accuracy)
    assert any(front)
    best = [point for point, on in zip(points, front, strict=True) if on]
    for (c, a), on in zip(points, front, strict=True):
        beaten = any(bc <= c and ba >= a and (bc, ba) != (c, a) for bc, ba in best)
        assert beaten != on
