"""MetaEmbedding begins as the SVD combination, is what its equation says, and learns which source to trust."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.evaluation import evaluate
from metalearn_lib.learners import Prototypical
from metalearn_lib.meta_embeddings import MetaEmbedding, svd
from metalearn_lib.text import WordVectors, statistics
from metalearn_lib.training import meta_train

KINDS = ("linear", "dynamic", "contextual")
WORDS = " ".join(f"w{i}" for i in range(30))


@pytest.fixture
def corpus():
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in random.integers(0, 30, 6)) for _ in range(40)]
    return Corpus("small", texts, [str(i % 4) for i in range(40)])


@pytest.fixture
def pair(source):
    return [source(WORDS, 5, 1), source(WORDS, 7, 2)]


def at_random(encoder):
    """The encoder with every parameter drawn anew."""
    draw = torch.Generator().manual_seed(0)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, generator=draw)
    return encoder


@pytest.mark.parametrize("kind", KINDS)
def test_it_begins_as_the_svd_combination(pair, corpus, kind):
    encoder = MetaEmbedding(pair, background=corpus, kind=kind, dim=4)
    by_svd = Averaged(svd(pair, dim=4), weighting="idf", background=corpus)
    torch.testing.assert_close(encoder.embed(corpus.texts), by_svd.embed(corpus.texts), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_from_scratch_in_float64(pair, corpus, kind):
    encoder = at_random(MetaEmbedding(pair, background=corpus, kind=kind, dim=4, hidden=3).double())
    counts, text = statistics(corpus), corpus.texts[0]
    words = text.split()
    mapped = [
        torch.stack([m @ source.table[source.stoi[w]].double() for w in words])
        for m, source in zip(encoder.maps, pair, strict=True)
    ]  # n × [L, dim]
    if kind == "linear":
        scores = torch.zeros(len(words), 2).double()
    elif kind == "dynamic":
        scores = torch.stack([m @ encoder.score for m in mapped], 1) + encoder.offsets
    else:
        scores = torch.stack([encoder.lstm(m[None])[0][0] @ encoder.score for m in mapped], 1) + encoder.offsets
    alpha = scores.softmax(1)
    metas = 2 * (alpha[:, :1] * mapped[0] + alpha[:, 1:] * mapped[1])
    idf = torch.tensor([counts.idf(w) for w in words]).double()
    expected = (idf[:, None] * metas).sum(0) / idf.sum()
    torch.testing.assert_close(encoder(torch.tensor([0]), corpus)[0], expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(encoder.attention(words), alpha.detach(), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(pair, corpus, kind):
    encoder = at_random(MetaEmbedding(pair, background=corpus, kind=kind, dim=3).double())
    names, values = zip(*encoder.named_parameters(), strict=True)
    x = torch.arange(4)

    def output(*given):
        return torch.func.functional_call(encoder, dict(zip(names, given, strict=True)), (x, corpus))

    assert torch.autograd.gradcheck(output, values)


@pytest.mark.parametrize("kind", KINDS)
def test_company_in_the_batch_changes_nothing(pair, corpus, kind):
    encoder = at_random(MetaEmbedding(pair, background=corpus, kind=kind, dim=4))
    texts = ["w1 w2", "w3 w4 w5 w6 w7", "never seen"]
    together = encoder.embed(texts)
    torch.testing.assert_close(together, torch.cat([encoder.embed([t]) for t in texts]), atol=1e-5, rtol=1e-4)
    assert not together[2].any()


def test_a_source_that_lacks_the_word_gets_no_weight(source, corpus):
    encoder = MetaEmbedding([source("w1 w2 w3", 4, 1), source("w3 w4", 4, 2)], background=corpus, dim=2)
    torch.testing.assert_close(
        encoder.attention(["w1", "w3", "w4"]), torch.tensor([[1.0, 0], [0.5, 0.5], [0, 1]]), atol=1e-6, rtol=0
    )
    with pytest.raises(ValueError, match="no source knows 'w9'"):
        encoder.attention(["w9"])


def test_the_fixed_table_is_the_encoder_on_single_words(pair, corpus):
    encoder = at_random(MetaEmbedding(pair, background=corpus, dim=4))
    table = encoder.table()
    torch.testing.assert_close(encoder.embed(["w3"])[0], table.table[table.stoi["w3"]], atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="in every text"):
        MetaEmbedding(pair, background=corpus, dim=4, kind="contextual").table()


def test_it_learns_to_trust_the_source_that_tells_classes_apart():
    """One source knows the topics, the other is noise, longer by far; only attention and maps can repair it."""
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(160)]
    topics = random.normal(size=(16, 8))
    good = WordVectors.from_array(words, np.array([topics[i % 16] for i in range(160)]))
    noise = WordVectors.from_array(words, random.normal(size=(160, 8)) * 4)
    labels = [f"c{topic:02d}" for topic in range(16) for _ in range(20)]
    texts = [" ".join(f"w{16 * int(n) + int(c[1:])}" for n in random.integers(10, size=3)) for c in labels]
    corpus = Corpus("topics", texts, labels)
    train, test = corpus.only([f"c{i:02d}" for i in range(10)]), corpus.only([f"c{i:02d}" for i in range(10, 16)])
    learner = Prototypical(MetaEmbedding([good, noise], background=train, dim=16, kind="dynamic"), distance="cosine")
    sampler = EpisodeSampler(test, n_way=5, k_shot=1, n_query=5, seed=1)
    before = evaluate(learner, sampler, episodes=100)
    tasks = EpisodeSampler(train, n_way=5, k_shot=1, n_query=5, seed=0)
    meta_train(learner, tasks, steps=60, lr=2e-2, tasks_per_step=2, progress=False)
    after = evaluate(learner, sampler, episodes=100)
    assert after.beats(before, by=0.2)
    assert learner.encoder.attention(words[:50])[:, 0].mean() > 0.6


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "static"}, "use 'linear'"),
        ({"hidden": 0}, "hidden=0"),
        ({"max_length": 0}, "max_length=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dim": 99}, r"svd\(dim=99\)"),
    ],
)
def test_bad_options_are_refused(pair, corpus, options, says):
    with pytest.raises(ValueError, match=says):
        MetaEmbedding(pair, background=corpus, **({"dim": 4} | options))


def test_same_seed_same_weights_and_torchs_generator_is_left_alone(pair, corpus):
    state = torch.random.get_rng_state()
    one, two = (MetaEmbedding(pair, background=corpus, kind="contextual", dim=4, seed=5) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b)
