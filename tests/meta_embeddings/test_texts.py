"""TextMeans gives the vectors of Averaged, under every table, and counts a list of texts once."""

from __future__ import annotations

import copy

import torch

from metalearn_lib import text
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Frozen
from metalearn_lib.meta_embeddings import TextMeans

CORPUS = Corpus("small", ["hot tea , hot soup", "cold ice", "ice and tea", "nothing known"], ["a", "b", "a", "b"])
OTHERS = ["cold tea", "an unknown word", "hot"]


def test_the_vectors_are_those_of_averaged(source):
    means = TextMeans(CORPUS)
    for vectors in (source("hot tea cold ice", 3), source("and soup tea", 5), source("elsewhere", 2)):
        theirs = Averaged(vectors, weighting="idf", background=CORPUS)
        for texts in (CORPUS, OTHERS):
            assert torch.equal(means(vectors).embed(texts), theirs.embed(texts))


def test_words_are_counted_once_for_all_tables_and_copies(source, monkeypatch):
    means = TextMeans(CORPUS)
    first = means(source("hot tea", 3)).embed(OTHERS)
    monkeypatch.setattr(text, "tokenize", None)
    again = means(source("hot tea", 3))
    assert torch.equal(Frozen(copy.deepcopy(again)).embed(OTHERS), first)
