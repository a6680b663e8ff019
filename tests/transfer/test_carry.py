"""carry_over: what each kind of transfer keeps, and what it refuses."""

from dataclasses import replace

import pytest
import torch

from metalearn_lib.classification import Classifier, accuracy, fit
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Convolutional, Frozen, SelfAttention
from metalearn_lib.text import WordVectors
from metalearn_lib.transfer import carry_over


@pytest.fixture
def model(texts: Corpus, words: WordVectors) -> Classifier:
    """The source: trained on the two topics."""
    torch.manual_seed(0)
    source = Classifier(Convolutional(words, channels=8, widths=(1, 2), dropout=0.0), texts.classes, dropout=0.2)
    fit(source, texts, epochs=5, batch_size=8, rates=1e-2, progress=False)
    return source


@pytest.fixture
def target(texts: Corpus) -> Corpus:
    return replace(texts, labels=[{"space": "sky", "sport": "ride"}[label] for label in texts.labels])


def test_parameters_start_where_the_source_ended_and_it_stays(model: Classifier, target: Corpus) -> None:
    before = {k: v.clone() for k, v in model.state_dict().items()}
    new = carry_over(model, ["ride", "sky", "sea"])
    for name, value in new.encoder.state_dict().items():
        assert torch.equal(value, before[f"encoder.{name}"])
    assert new.head.out_features == 3 and new.dropout.p == 0.2
    fit(new, target, epochs=2, rates=1e-2, progress=False)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not torch.equal(new.encoder.convolutions[0].weight, before["encoder.convolutions.0.weight"])


def test_features_are_the_vectors_of_the_source_and_rest(model: Classifier, target: Corpus) -> None:
    new = carry_over(model, ["ride", "sky"], how="features", dropout=0.0)
    assert isinstance(new.encoder, Frozen)
    assert torch.allclose(new.encoder.inputs(target), model.encoder.embed(target.texts))
    fit(new, target, epochs=30, rates=3e-2, progress=False)
    assert torch.allclose(new.encoder.encoder.embed(target.texts), model.encoder.embed(target.texts))
    assert accuracy(new, target).mean == 1


def test_structure_is_the_form_with_weights_of_its_own(model: Classifier) -> None:
    a, b, c = (carry_over(model, ["ride", "sky"], how="structure", seed=seed) for seed in (1, 1, 2))
    weight = "encoder.convolutions.0.weight"
    assert a.state_dict()[weight].shape == model.state_dict()[weight].shape
    assert torch.equal(a.state_dict()[weight], b.state_dict()[weight])
    assert not torch.equal(a.state_dict()[weight], c.state_dict()[weight])
    assert not torch.equal(a.state_dict()[weight], model.state_dict()[weight])


def test_word_vectors_are_shared_not_copied(model: Classifier) -> None:
    for how in ("parameters", "structure"):
        new = carry_over(model, ["ride", "sky"], how=how).encoder
        assert new.table is model.encoder.table and new.vectors is model.encoder.vectors
        assert new.convolutions[0].weight is not model.encoder.convolutions[0].weight


def test_the_global_random_state_stays(model: Classifier) -> None:
    before = torch.get_rng_state()
    carry_over(model, ["ride", "sky"], how="structure")
    assert torch.equal(torch.get_rng_state(), before)


def test_bad_input(model: Classifier, words: WordVectors) -> None:
    with pytest.raises(ValueError, match="how='weights'"):
        carry_over(model, ["ride", "sky"], how="weights")
    with pytest.raises(ValueError, match="at least two different class names"):
        carry_over(model, ["ride"])
    attention = Classifier(SelfAttention(words, dim=8, heads=2), ["space", "sport"])
    with pytest.raises(ValueError, match=r"SelfAttention \(the encoder itself\) has weights but no reset_parameters"):
        carry_over(attention, ["ride", "sky"], how="structure")
