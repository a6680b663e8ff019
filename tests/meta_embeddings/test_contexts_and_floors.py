"""Words in context against a plain loop over texts, random words against what a floor must be, and who stands apart."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from metalearn_lib.encoders.cache import EncodingCache
from metalearn_lib.meta_embeddings import random_words, standing, words_in_context
from metalearn_lib.text import WordVectors

TEXTS = [["tea", "cup"], ["tea"], [], ["cup", "teacup", "tea"]]
PIECES = {"tea": [1], "cup": [2], "teacup": [1, 2]}


class Pieces(dict):
    """What a fast tokenizer returns: tensors by name, and whose word each piece is."""

    def __init__(self, texts, max_length):
        owners = [
            [*[None, *(place for place, word in enumerate(text) for _ in PIECES[word])][: max_length - 1], None]
            for text in texts
        ]
        ids = [
            [*[7, *(n for word in text for n in PIECES[word])][: max_length - 1], 8] for text in texts
        ]  # 7 and 8 are the marks
        width = max(map(len, ids))
        self.owners = owners
        super().__init__(
            input_ids=torch.tensor([row + [0] * (width - len(row)) for row in ids]),
            attention_mask=torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids]),
        )

    def word_ids(self, row):
        return self.owners[row]


class Model(nn.Module):
    """A state tells the piece, its place, and how long its text is."""

    def __init__(self):
        super().__init__()
        self.reads = 0

    def forward(self, input_ids, attention_mask):
        self.reads += 1
        places = torch.arange(input_ids.shape[1]).expand_as(input_ids)
        lengths = attention_mask.sum(1, keepdim=True).expand_as(input_ids)
        return SimpleNamespace(last_hidden_state=torch.stack([input_ids, places, lengths], -1).float())


class FakeTransformer(nn.Module):
    dim = 3

    def __init__(self, cache=None):
        super().__init__()
        self.model, self.cache = Model(), cache

    def tokenizer(self, texts, *, max_length, is_split_into_words, truncation, padding, return_tensors):
        assert is_split_into_words and truncation and padding and return_tensors == "pt"
        return Pieces(texts, max_length)


def test_a_word_in_context_is_the_mean_of_the_states_of_its_pieces():
    found = words_in_context(TEXTS, encoder=FakeTransformer(), batch=2)
    states = {"tea": [[1, 1, 4], [1, 1, 3], [1, 4, 6]], "cup": [[2, 2, 4], [2, 1, 6]], "teacup": [[1, 2, 6], [2, 3, 6]]}
    assert sorted(found.words) == sorted(states)
    for word, rows in states.items():
        torch.testing.assert_close(found.table[found.stoi[word]], torch.tensor(rows).float().mean(0))


def test_rare_words_and_words_behind_the_cut_have_no_vector():
    assert sorted(words_in_context(TEXTS, min_count=2, encoder=FakeTransformer()).words) == ["cup", "tea"]
    assert sorted(words_in_context([["tea", "cup", "teacup"]], max_length=4, encoder=FakeTransformer()).words) == [
        "cup",
        "tea",
    ]


def test_contexts_are_read_once_where_encodings_are_kept(tmp_path):
    first = FakeTransformer(EncodingCache("fake", folder=tmp_path))
    again = FakeTransformer(EncodingCache("fake", folder=tmp_path))
    made, kept = (words_in_context(TEXTS, encoder=encoder) for encoder in (first, again))
    assert (first.model.reads, again.model.reads) == (1, 0)
    assert list(made.words) == list(kept.words)
    torch.testing.assert_close(made.table, kept.table)
    words_in_context(TEXTS[:2], encoder=again)
    assert again.model.reads == 1, "other texts are other contexts"


@pytest.mark.parametrize(
    ("texts", "options", "says"),
    [
        ([["tea"]], {"min_count": 2}, "no word is read 2 times"),
        ([[]], {}, "no word is read"),
        ([["tea"]], {"max_length": 2}, "max_length=2"),
        ([["tea"]], {"min_count": 0}, "min_count=0"),
    ],
)
def test_words_in_context_refuse_what_gives_no_vector(texts, options, says):
    with pytest.raises(ValueError, match=says):
        words_in_context(texts, encoder=FakeTransformer(), **options)


def test_random_words_are_nearly_orthogonal_and_the_same_for_the_same_seed():
    words = [f"w{i}" for i in range(200)]
    one, two, other = (random_words(words, dim=400, seed=seed).table[1:] for seed in (0, 0, 1))
    torch.testing.assert_close(one, two)
    assert not torch.allclose(one, other)
    dots = one @ one.T
    assert dots.diagonal().mean() == pytest.approx(1, abs=0.05)
    assert (dots - torch.diag(dots.diagonal())).std() == pytest.approx(400**-0.5, rel=0.1)


def test_random_words_refuse_no_words_and_no_numbers():
    with pytest.raises(ValueError, match="no words"):
        random_words([], dim=3)
    with pytest.raises(ValueError, match="dim=0"):
        random_words(["tea"], dim=0)


def test_standing_counts_standard_deviations_above_random_pairs_and_leaves_unknown_words_out():
    table = np.random.default_rng(0).normal(size=(400, 50))
    table[1] = table[0] + 0.1 * table[1]
    vectors = WordVectors.from_array([f"w{i}" for i in range(400)], table)
    near, apart, unknown = standing(vectors, [("w0", "w1"), ("w2", "w3"), ("w0", "x")], among=[*vectors.words, "x"])
    assert near == pytest.approx(50**0.5, rel=0.1), "a cosine near 1, in units of 1 / sqrt(50)"
    assert abs(apart) < 4
    assert unknown is None
    with pytest.raises(ValueError, match="knows 1 of the 2 words"):
        standing(vectors, [("w0", "w1")], among=["w0", "x"])
