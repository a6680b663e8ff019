"""The average of trained word vectors."""

from __future__ import annotations

import pytest
import torch

from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import WordAverage
from metalearn_lib.text import WordVectors, common_words, statistics


def test_common_words_come_by_the_texts_that_hold_them(texts: Corpus, words: WordVectors) -> None:
    kept = common_words(texts, size=4, vectors=words)
    assert set(kept.words) == {"the", "of", "and", "was"}
    assert torch.equal(kept.table[1], words.table[words.stoi[kept.words[0]]])
    assert len(common_words(texts, size=99, vectors=words).words) == 12


def test_common_words_refuses_what_leaves_nothing(texts: Corpus, words: WordVectors) -> None:
    with pytest.raises(ValueError, match="size=0"):
        common_words(texts, size=0, vectors=words)
    with pytest.raises(ValueError, match="no word of 'nothing' has a vector"):
        common_words(Corpus("nothing", ["xyzzy"], ["a"]), size=5, vectors=words)


def test_it_is_the_weighted_average_written_out(texts: Corpus, words: WordVectors) -> None:
    encoder = WordAverage(words, background=texts).double()
    counts = statistics(texts)
    line = "the moon and the team"
    weights = torch.tensor([counts.idf(word) for word in line.split()], dtype=torch.float64)
    rows = words.table[words.encode(line.split())].double()
    by_hand = (weights[:, None] * rows).sum(0) / weights.sum()
    assert torch.allclose(encoder.embed([line])[0], by_hand, atol=1e-6)
    shuffled = encoder.embed(["team the and moon the"])[0]
    assert torch.allclose(shuffled, by_hand, atol=1e-6)


def test_shares_add_up_to_one_and_a_text_of_no_known_word_is_zero(words: WordVectors) -> None:
    encoder = WordAverage(words)
    prepared = encoder.prepare(["moon goal the", "xyzzy"])
    assert torch.allclose(encoder.shares(prepared).sum(1), torch.tensor([1.0, 0.0]))
    assert not encoder.embed(["xyzzy"]).any()


def test_padding_changes_nothing_and_learns_nothing(words: WordVectors) -> None:
    encoder = WordAverage(words)
    alone = encoder.embed(["moon goal"])[0]
    assert torch.allclose(encoder.embed(["moon goal", "the of and was mars"])[0], alone)
    encoder.encode(encoder.prepare(["moon", "moon goal team"])).sum().backward()
    assert encoder.table.weight.grad is not None and not encoder.table.weight.grad[0].any()
    assert encoder.log_weight.grad is not None and encoder.log_weight.grad[0] == 0


def test_only_the_first_words_count(words: WordVectors) -> None:
    assert torch.equal(WordAverage(words, max_length=1).embed(["moon goal"]), WordAverage(words).embed(["moon"]))
    with pytest.raises(ValueError, match="max_length=0"):
        WordAverage(words, max_length=0)
