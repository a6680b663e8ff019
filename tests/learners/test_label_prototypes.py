"""LabelPrototypes: names alone, names and shots, missing names."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from metalearn_lib import EpisodeSampler, evaluate, meta_train, text
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Projected
from metalearn_lib.learners import Centroid, LabelPrototypes
from metalearn_lib.learners.label_prototypes import readable

WORDS = ["cat", "dog", "sun", "rain", "car", "bus", "the", "is"]
LABELS = ["pet animal", "sky_weather", "road.traffic"]


def vectors() -> text.WordVectors:
    table = np.random.default_rng(0).normal(size=(len(WORDS) + 6, 12)) * 0.1
    for row, axis in enumerate((0, 0, 1, 1, 2, 2, 3, 4, 0, 0, 1, 1, 2, 2)):
        table[row, axis] += 2
    return text.WordVectors.from_array([*WORDS, "pet", "animal", "sky", "weather", "road", "traffic"], table)


def corpus(n: int = 60) -> Corpus:
    keys = [("cat", "dog"), ("sun", "rain"), ("car", "bus")]
    texts = [f"the {keys[i % 3][(i // 3) % 2]} is " + "the is " * (i % 4) for i in range(n)]
    return Corpus("toy", [t.strip() for t in texts], [LABELS[i % 3] for i in range(n)])


def episodes(k: int = 2) -> EpisodeSampler:
    return EpisodeSampler(corpus(), n_way=3, k_shot=k, n_query=5, seed=0)


def test_readable() -> None:
    labels = "rec.sport.hockey", "card_arrival", "AddToPlaylist", "money-fx"
    assert list(map(readable, labels)) == ["rec sport hockey", "card arrival", "add to playlist", "money fx"]


def test_names_alone_are_a_classifier() -> None:
    learner = LabelPrototypes(Averaged(vectors()), shots=False)
    assert evaluate(learner, episodes(), episodes=20).mean > 0.9
    logits = learner.logits(corpus(), LABELS)
    assert (logits.argmax(1) == torch.tensor([i % 3 for i in range(60)])).float().mean() > 0.9


def test_zero_shot_looks_at_no_support() -> None:
    learner = LabelPrototypes(Averaged(vectors()), shots=False)
    batch = episodes().sample(3)
    other = replace(batch, support_x=(batch.support_x + 3) % 60)  # the next text of the same class
    assert torch.equal(learner.predict(batch), learner.predict(other))


def test_prototypes_are_their_formula() -> None:
    encoder = Averaged(vectors())
    learner = LabelPrototypes(encoder, weight=3.0).double()
    batch = episodes(k=2).sample(2)
    x = normalize(encoder(batch.support_x, batch.pool).double(), dim=-1)
    q = normalize(encoder(batch.query_x, batch.pool).double(), dim=-1)
    for t in range(2):
        for c, name in enumerate(batch.classes[t]):
            d = normalize(encoder.prepare([readable(name)])[0].double(), dim=0)
            p = normalize(3 * d + x[t][batch.support_y[t] == c].sum(0), dim=0)
            assert torch.allclose(learner.predict(batch)[t, :, c].double(), 10 * q[t] @ p, atol=1e-5)


def test_a_light_name_leaves_the_class_mean_and_many_shots_outweigh_it() -> None:
    encoder = Averaged(vectors())
    batch = episodes(k=5).sample(4)
    light = LabelPrototypes(encoder, weight=1e-6).predict(batch)
    assert torch.allclose(light, Centroid(encoder).predict(batch), atol=1e-3)


def test_permuted_support_gives_the_same() -> None:
    learner, batch = LabelPrototypes(Averaged(vectors())), episodes(k=3).sample(2)
    order = torch.tensor([1, 2, 0, 5, 3, 4, 7, 8, 6])
    turned = replace(batch, support_x=batch.support_x[:, order])
    assert torch.allclose(learner.predict(batch), learner.predict(turned), atol=1e-5)


def test_corpus_and_episode_agree() -> None:
    data = corpus()
    learner = LabelPrototypes(Averaged(vectors()), weight=2.0)
    batch = episodes(k=2).sample(1)
    support = data.subset(batch.support_x[0].tolist())
    logits = learner.logits(data.subset(batch.query_x[0].tolist()), batch.classes[0], support=support)
    assert torch.allclose(logits, learner.predict(batch)[0], atol=1e-5)


def test_a_background_takes_the_means_away() -> None:
    data, encoder = corpus(), Averaged(vectors())
    learner = LabelPrototypes(encoder, shots=False, background=data)
    x = normalize(encoder.inputs(data), dim=1)
    d = normalize(encoder.prepare([readable(c) for c in LABELS]), dim=1)
    expected = 10 * normalize(x - x.mean(0), dim=1) @ normalize(d - d.mean(0), dim=1).T
    assert torch.allclose(learner.logits(data, LABELS), expected, atol=1e-5)


def test_the_weight_of_a_name_can_be_meta_learned() -> None:
    learner = LabelPrototypes(Averaged(vectors()), dict.fromkeys(LABELS, "the is"), weight=20.0)
    meta_train(learner, episodes(k=3), steps=60, lr=0.1, progress=False)
    assert learner.weight < 10  # these descriptions say nothing
    mapped = LabelPrototypes(Projected(Averaged(vectors()), normalise=True))
    meta_train(mapped, episodes(k=1), steps=2, progress=False)
    assert bool(mapped.encoder.map.weight.any())


def test_bad_input() -> None:
    encoder = Averaged(vectors())
    with pytest.raises(ValueError, match=r"no description of 'road\.traffic' \(1 of 3 classes"):
        LabelPrototypes(encoder, dict.fromkeys(LABELS[:2], "pet")).logits(corpus(), LABELS)
    with pytest.raises(ValueError, match="description of 'a' is empty"):
        LabelPrototypes(encoder, {"a": " "})
    with pytest.raises(ValueError, match="label '17' holds no word"):
        LabelPrototypes(encoder).logits(corpus(), ["pet", "17"])
    for weight in (0, -1, float("inf")):
        with pytest.raises(ValueError, match="must be finite and > 0"):
            LabelPrototypes(encoder, weight=weight)
    with pytest.raises(ValueError, match="no trainable parameter"):
        meta_train(LabelPrototypes(encoder, shots=False), episodes(), steps=1)
