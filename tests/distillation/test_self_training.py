"""Self-training: labels that a classifier gave itself."""

from __future__ import annotations

from typing import Any

import torch

from metalearn_lib.classification import Classifier, accuracy
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation import pseudo_labelled, self_train, without_labels
from metalearn_lib.encoders import WordAverage
from metalearn_lib.text import WordVectors


class Unsure:
    """Says "space" for even texts and "sport" for odd ones, surer from text to text."""

    classes = ("space", "sport")

    def logits(self, texts: Any) -> torch.Tensor:
        rows = torch.arange(len(texts))
        sure, even = 1 + rows / 20, rows % 2 == 0
        return torch.stack([torch.where(even, sure, 0.0), torch.where(even, 0.0, sure)], 1)


def test_the_surest_of_each_class_are_kept(texts: Corpus) -> None:
    every = pseudo_labelled(Unsure(), without_labels(texts))
    assert list(every.texts) == list(texts.texts) and list(every.labels) == ["space", "sport"] * 30
    half = pseudo_labelled(Unsure(), texts, keep=0.1)
    assert list(half.texts) == list(texts.texts[54:]) and half.counts() == {"space": 3, "sport": 3}


def test_a_class_predicted_once_is_kept(texts: Corpus) -> None:
    assert pseudo_labelled(Unsure(), texts.subset([0, 1]), keep=0.1).counts() == {"space": 1, "sport": 1}


def test_two_labels_and_the_rest_by_itself(texts: Corpus, words: WordVectors) -> None:
    def make() -> Classifier:
        return Classifier(WordAverage(words), ["space", "sport"])

    labelled = texts.subset(range(10))
    student = self_train(make, labelled, without_labels(texts), rounds=1, keep=1.0, epochs=20, rate=1e-1)
    assert accuracy(student, texts).mean > 0.9
