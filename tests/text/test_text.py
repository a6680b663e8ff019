"""Tokens, vocabulary, vectors, statistics; torchtext stays behind one door and leaves TLS alone."""

import math
import random
import re
import ssl
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import metalearn_lib
from metalearn_lib import text
from metalearn_lib.corpora import Corpus

LIBRARY = Path(metalearn_lib.__file__).parent


def test_vocabulary_orders_by_frequency_and_knows_the_unknown():
    vocabulary = text.Vocabulary.build([["b", "a", "b"], ["c", "b", "a"]], min_count=2, sentence_marks=True)
    assert vocabulary.itos == ["<unk>", "<pad>", "<bos>", "<eos>", "b", "a"]
    assert vocabulary.encode(["a", "c", "never seen"]) == [5, 0, 0]
    assert len(vocabulary) == 6
    vocabulary.encode(["another"])
    assert "another" not in vocabulary.stoi  # torchtext's own table would have grown


def test_vectors_put_unknown_words_at_zero():
    vectors = text.WordVectors.from_array(["a", "b"], np.array([[1.0, 2.0], [3.0, 4.0]]))
    ids = vectors.encode(["b", "x", "a"])
    assert vectors.table[ids].tolist() == [[3, 4], [0, 0], [1, 2]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[1.0, 2.0]]), r"2 words but vectors of shape \(1, 2\)"),
        (np.array([[1.0], [np.nan]]), "the vector of 'b' holds NaN"),
        (np.array([[1.0], [np.inf]]), "the vector of 'b' holds NaN or infinity"),
        (np.array([1.0, 2.0]), r"shape \(2,\)"),
    ],
)
def test_bad_vectors_are_refused(array, message):
    with pytest.raises(ValueError, match=message):
        text.WordVectors.from_array(["a", "b"], array)


def test_idf_keeps_the_vocabulary_open():
    counts = text.WordStatistics.of(["the cat sat", "the dog", "the the end"])
    assert counts.idf("the") == pytest.approx(1)
    assert counts.idf("never") == pytest.approx(math.log(4) + 1) == max(counts.idf(w) for w in ("cat", "dog", "never"))
    assert counts.probability("the") == 4 / 8 and counts.probability("never") == 0


def test_statistics_belong_to_the_corpus_object():
    one, two = Corpus("x", ["a b"], ["y"]), Corpus("x", ["a c"], ["y"])
    assert text.statistics(one) is text.statistics(one)
    assert text.statistics(one).document_counts != text.statistics(two).document_counts


def test_pad_cuts_and_fills():
    assert text.pad([[1, 2, 3], [], [4]], max_length=2, value=9).tolist() == [[1, 2], [9, 9], [4, 9]]
    assert text.pad([[], []], max_length=5).shape == (2, 1)


def test_tls_is_left_untouched():
    before = ssl._create_default_https_context
    text.tokenize("a first use of torchtext")
    text.Vocabulary.build([["a"]])
    assert ssl._create_default_https_context is before is ssl.create_default_context


def test_only_fields_imports_torchtext():
    importing = re.compile(r"^\s*(from|import) torchtext\b", re.MULTILINE)
    importers = [path for path in LIBRARY.rglob("*.py") if importing.search(path.read_text("utf-8"))]
    assert importers == [LIBRARY / "text" / "fields.py"]


def test_importing_loads_nothing_heavy_draws_no_random_number_and_sets_no_thread():
    script = (
        "import sys, torch\n"
        "torch.manual_seed(1); state, threads = torch.get_rng_state(), torch.get_num_threads()\n"
        "import metalearn_lib; loaded = set(sys.modules); metalearn_lib.Prototypical\n"
        "print(torch.equal(state, torch.get_rng_state()), threads == torch.get_num_threads(), *loaded)"
    )
    same_state, same_threads, *loaded = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    assert (same_state, same_threads) == ("True", "True")
    heavy = "torchtext transformers sklearn scipy pandas matplotlib gensim IPython ipywidgets"
    assert set(heavy.split()).isdisjoint(loaded)


TRAIN = Corpus(
    "train", ["a cat purrs", "a dog barks and barks", "the dog", "the cat is a cat"], ["cat", "dog", "dog", "cat"]
)


def fields(**options):
    return text.Fields(TRAIN, **{"min_count": 1, **options})


def test_fields_number_words_and_labels_of_the_training_texts_only():
    pipeline = fields()
    assert pipeline.text.vocab.itos[:2] == ["<unk>", "<pad>"]
    assert pipeline.classes == ["cat", "dog"]
    batch = next(iter(pipeline.batches(Corpus("x", ["a zebra", "the cat is"], ["dog", "cat"]), train=False)))
    stoi = pipeline.text.vocab.stoi
    assert batch.text.tolist() == [[stoi["a"], 0, 1], [stoi["the"], stoi["cat"], stoi["is"]]]
    assert batch.label.tolist() == [1, 0]


def test_bucketed_batches_hold_each_text_once_and_are_seeded():
    many = Corpus("many", [("a " * (1 + i % 30)).strip() for i in range(300)], ["cat", "dog"] * 150)
    pipeline, state = fields(), random.getstate()
    batches = [b.text for b in pipeline.batches(many, batch_size=10, seed=3)]
    again = [b.text for b in pipeline.batches(many, batch_size=10, seed=3)]
    assert random.getstate() == state
    assert all(torch.equal(a, b) for a, b in zip(batches, again, strict=True))
    assert sorted(int((row == batches[0][0, 0]).sum()) for b in batches for row in b) == sorted(
        [1 + i % 30 for i in range(300)]
    )
    padding = sum(int((b == 1).sum()) for b in batches) / sum(b.numel() for b in batches)
    assert padding < 0.1  # unsorted it is nearly a half


def test_fields_carry_word_vectors():
    vectors = text.WordVectors.from_array(["cat", "dog"], np.array([[1.0, 2.0], [3.0, 4.0]]))
    vocab = fields(vectors=vectors).text.vocab
    assert vocab.vectors[vocab.stoi["dog"]].tolist() == [3, 4]
    assert not vocab.vectors[[0, 1, vocab.stoi["the"]]].any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fields().batches(Corpus("x", ["a bird"], ["bird"])), "the label 'bird', unknown to the training"),
        (lambda: fields().batches(Corpus("x", [" "], ["cat"])), r"Fields\.batches: text 0 is empty"),
        (lambda: text.Fields(Corpus("x", [""], ["cat"])), "Fields: text 0 is empty"),
        (lambda: fields(min_count=9), "no word of 'train' occurs 9 times"),
        (lambda: fields(max_length=0), "max_length=0"),
        (lambda: text.Vocabulary.build([["a", "b"]], min_count=3), "no word occurs 3 times"),
        (lambda: text.load_vectors("fasttext"), "'fasttext'; use 'glove'"),
        (lambda: text.WordStatistics.of([]), "no words"),
        (lambda: text.check_texts(["fine", " \n"], "somebody"), "somebody: text 1 is empty"),
        (lambda: text.check_texts(["fine", None], "somebody"), "somebody: text 1 is None"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
