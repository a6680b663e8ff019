"""carried: four starts on the same labels; mean_over_draws: trainings averaged text by text."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from metalearn_lib.classification import Classifier, accuracy, fit
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Convolutional, Frozen
from metalearn_lib.scores import Score
from metalearn_lib.text import WordVectors
from metalearn_lib.transfer import KINDS, carried, carry_over, frozen_vectors, mean_over_draws


def source(texts: Corpus, words: WordVectors, seed: int) -> Classifier:
    torch.manual_seed(seed)
    model = Classifier(Convolutional(words, channels=8, widths=(1, 2), dropout=0.0), texts.classes, seed=seed)
    fit(model, texts, epochs=5, batch_size=8, rates=1e-2, progress=False)
    return model


@pytest.fixture
def sources(texts: Corpus, words: WordVectors) -> list[Classifier]:
    return [source(texts, words, seed) for seed in (0, 1)]


@pytest.fixture
def target(texts: Corpus) -> Corpus:
    return replace(texts, labels=[{"space": "sky", "sport": "ride"}[label] for label in texts.labels])


def test_all_kinds_are_judged_on_the_same_texts(sources: list[Classifier], target: Corpus) -> None:
    found = carried({"topics": sources}, target, target, shots=2, epochs=2)["topics"]
    assert tuple(found) == KINDS
    assert len({score.key for score in found.values()}) == 1
    assert all(len(score.values) == len(target) for score in found.values())


def test_each_kind_is_what_its_name_says(sources: list[Classifier], target: Corpus) -> None:
    """The reference: one training each, written out."""
    found = carried(
        {"t": sources[:1]}, target, target, shots=2, epochs=3, batch_size=4, rate=3e-3, head_rate=2e-2, seed=5
    )["t"]
    few = target.at_most(2, seed=5)
    for kind, rate in zip(KINDS, (3e-3, 2e-2, 2e-2, 3e-3), strict=True):
        how = {"features": "features", "parameters": "parameters"}.get(kind, "structure")
        model = carry_over(sources[0], few.classes, how=how, seed=5)  # type: ignore[arg-type]
        if kind == "random weights, frozen":
            model = Classifier(Frozen(model.encoder), few.classes, seed=5)
        fit(model, few, epochs=3, batch_size=4, rates=rate, seed=5, progress=False)
        assert found[kind].values.tolist() == accuracy(model, target).values.tolist(), kind


def test_the_sources_stay_and_another_seed_draws_other_labels(sources: list[Classifier], target: Corpus) -> None:
    before = [{k: v.clone() for k, v in model.state_dict().items()} for model in sources]
    first, again, other = (
        carried({"t": sources}, target, target, shots=1, epochs=1, seed=seed)["t"] for seed in (0, 0, 7)
    )
    assert all(torch.equal(v, b[k]) for m, b in zip(sources, before, strict=True) for k, v in m.state_dict().items())
    assert all(np.array_equal(first[kind].values, again[kind].values) for kind in KINDS)
    assert any(not np.array_equal(first[kind].values, other[kind].values) for kind in KINDS)


def test_a_source_that_knows_the_answer_beats_frozen_random_weights(sources: list[Classifier], target: Corpus) -> None:
    found = carried({"topics": sources}, target, target, shots=2, epochs=30, head_rate=3e-2)["topics"]
    assert found["features"].mean >= found["random weights, frozen"].mean
    assert found["features"].mean > 0.9


def test_sources_share_the_random_weights(sources: list[Classifier], target: Corpus) -> None:
    both = carried({"a": sources[:1], "b": sources[1:]}, target, target, shots=2, epochs=2)
    assert all(both["a"][kind] is both["b"][kind] for kind in KINDS[:2])
    alone = carried({"b": sources[1:]}, target, target, shots=2, epochs=2)["b"]
    assert all(np.array_equal(alone[kind].values, both["b"][kind].values) for kind in KINDS)


def test_a_strength_fits_the_heads_of_frozen_encoders_to_their_end(sources: list[Classifier], target: Corpus) -> None:
    """The reference: one training, written out; whole networks and the head of few passes stay as they are."""
    few = target.at_most(2, seed=5)
    settings = {"shots": 2, "epochs": 3, "batch_size": 4, "seed": 5}
    found = carried({"t": sources[:1]}, target, target, strength=0.5, **settings)["t"]  # type: ignore[arg-type]
    without = carried({"t": sources[:1]}, target, target, **settings)["t"]  # type: ignore[arg-type]
    assert tuple(found) == (*KINDS, "features, short head")
    for kind, how in (("random weights, frozen", "structure"), ("features", "features")):
        body = Frozen(carry_over(sources[0], few.classes, how=how, seed=5).encoder)  # type: ignore[arg-type]
        x, z = body.embed(few), body.embed(target)
        mean, deviation = x.mean(0), x.std(0) + 1e-6
        head = LogisticRegression(C=0.5, max_iter=300, tol=1e-3).fit((x - mean) / deviation, few.labels)
        assert (
            found[kind].values.tolist()
            == accuracy(head.predict((z - mean) / deviation).tolist(), target).values.tolist()
        )
    for kind, as_before in (("random weights",) * 2, ("parameters",) * 2, ("features, short head", "features")):
        assert np.array_equal(found[kind].values, without[as_before].values), kind


def test_frozen_vectors_are_those_of_embed_and_copies_read_no_text_twice(
    sources: list[Classifier], target: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = sources[0].encoder
    assert torch.allclose(frozen_vectors(encoder, target, batch=3), encoder.embed(target), atol=1e-6)
    assert torch.equal(frozen_vectors(Frozen(encoder), target), Frozen(encoder).embed(target))
    copy = carry_over(sources[0], ["a", "b"], how="structure", seed=1).encoder
    monkeypatch.setattr(Convolutional, "_prepare", None)
    assert torch.allclose(frozen_vectors(copy, target), copy.embed(target), atol=1e-6)


def test_means_are_text_by_text_and_keep_or_take_a_key() -> None:
    scores = [Score.of([0.0, 1.0], key=("a",)), Score.of([1.0, 1.0], key=("a",))]
    assert mean_over_draws(scores).values.tolist() == [0.5, 1.0]
    assert mean_over_draws(scores).key == ("a",)
    assert mean_over_draws(scores, key="posts").minus(mean_over_draws(scores[:1], key="posts")).paired


def test_bad_input_is_refused(sources: list[Classifier], target: Corpus) -> None:
    for wrong in ({}, {"a": []}, {"a": sources, "b": sources[:1]}):
        with pytest.raises(ValueError, match="trained equally often"):
            carried(wrong, target, target, shots=2)
    with pytest.raises(ValueError, match="shots"):
        carried({"t": sources}, target, target, shots=0)
    with pytest.raises(ValueError, match=r"scores of \[2, 3\] texts"):
        mean_over_draws([Score.of([0.0, 1.0]), Score.of([0.0, 1.0, 1.0])])
    with pytest.raises(ValueError, match=r"scores of \[\] texts"):
        mean_over_draws([])
