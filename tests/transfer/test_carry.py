"""carry_over: what each kind of transfer keeps, and what it refuses."""

import numpy as np
import pytest
import torch

from metalearn_lib import text
from metalearn_lib.classification import Classifier, accuracy, fit
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Convolutional, Frozen, SelfAttention
from metalearn_lib.transfer import carry_over

WORDS = ["cat", "dog", "sun", "rain", "car", "bus", "the", "is"]


def vectors() -> text.WordVectors:
    return text.WordVectors.from_array(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 6)))


def source() -> Classifier:
    torch.manual_seed(0)
    corpus = Corpus(
        "source", ["the cat", "dog is", "the sun", "rain is"] * 4, ["pets", "pets", "weather", "weather"] * 4
    )
    model = Classifier(
        Convolutional(vectors(), channels=8, widths=(1, 2), dropout=0.0), ["pets", "weather"], dropout=0.2
    )
    fit(model, corpus, epochs=5, batch_size=4, rates=1e-2, progress=False)
    return model


TARGET = Corpus("target", ["the car", "bus is", "the sun", "rain the"] * 3, ["ride", "ride", "sky", "sky"] * 3)


def test_parameters_start_where_the_source_ended_and_it_stays() -> None:
    model = source()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    new = carry_over(model, ["ride", "sky", "sea"])
    for name, value in new.encoder.state_dict().items():
        assert torch.equal(value, before[f"encoder.{name}"])
    assert new.head.out_features == 3 and new.dropout.p == 0.2
    fit(new, TARGET, epochs=2, rates=1e-2, progress=False)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not torch.equal(new.encoder.convolutions[0].weight, before["encoder.convolutions.0.weight"])


def test_features_are_the_vectors_of_the_source_and_rest() -> None:
    model = source()
    new = carry_over(model, ["ride", "sky"], how="features", dropout=0.0)
    assert isinstance(new.encoder, Frozen)
    assert torch.allclose(new.encoder.inputs(TARGET), model.encoder.embed(TARGET.texts))
    fit(new, TARGET, epochs=30, rates=3e-2, progress=False)
    assert torch.allclose(new.encoder.encoder.embed(TARGET.texts), model.encoder.embed(TARGET.texts))
    assert accuracy(new, TARGET).mean == 1


def test_structure_is_the_form_with_weights_of_its_own() -> None:
    model = source()
    a, b, c = (carry_over(model, ["ride", "sky"], how="structure", seed=seed) for seed in (1, 1, 2))
    weight = "encoder.convolutions.0.weight"
    assert a.state_dict()[weight].shape == model.state_dict()[weight].shape
    assert torch.equal(a.state_dict()[weight], b.state_dict()[weight])
    assert not torch.equal(a.state_dict()[weight], c.state_dict()[weight])
    assert not torch.equal(a.state_dict()[weight], model.state_dict()[weight])


def test_word_vectors_are_shared_not_copied() -> None:
    model = source()
    for how in ("parameters", "structure"):
        new = carry_over(model, ["ride", "sky"], how=how).encoder
        assert new.table is model.encoder.table and new.vectors is model.encoder.vectors
        assert new.convolutions[0].weight is not model.encoder.convolutions[0].weight


def test_the_global_random_state_stays() -> None:
    model = source()
    before = torch.get_rng_state()
    carry_over(model, ["ride", "sky"], how="structure")
    assert torch.equal(torch.get_rng_state(), before)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="how='weights'"):
        carry_over(source(), ["ride", "sky"], how="weights")
    with pytest.raises(ValueError, match="at least two different class names"):
        carry_over(source(), ["ride"])
    attention = Classifier(SelfAttention(vectors(), dim=8, heads=2), ["pets", "weather"])
    with pytest.raises(ValueError, match=r"SelfAttention \(the encoder itself\) has weights but no reset_parameters"):
        carry_over(attention, ["ride", "sky"], how="structure")
