"""Self-training: labels that a classifier gave itself."""

from __future__ import annotations

from typing import Any

import torch

from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation import pseudo_labelled, without_labels


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
