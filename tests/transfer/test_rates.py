"""Layer groups, discriminative rates, gradual unfreezing, the slanted triangle."""

import pytest
import torch

from metalearn_lib.classification import Classifier, fit
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Convolutional, LanguageModelEncoder, Recurrent, SelfAttention, Transformer
from metalearn_lib.language_models import NeuralLanguageModel
from metalearn_lib.text import Vocabulary, WordVectors
from metalearn_lib.transfer import discriminative, gradual, layer_groups, slanted_triangular

CLASSES = ["space", "sport"]


@pytest.fixture
def model(words: WordVectors) -> Classifier:
    return Classifier(Convolutional(words, channels=4, widths=(1, 2)), CLASSES)


def language_model(words: WordVectors) -> LanguageModelEncoder:
    vocabulary = Vocabulary.build([words.words], sentence_marks=True)
    return LanguageModelEncoder(NeuralLanguageModel("lstm", vocabulary, dim=8))


@pytest.mark.parametrize(
    ("encoder", "layers"),
    [
        (lambda words: Convolutional(words, channels=4, widths=(1, 2)), 2),
        (lambda words: Recurrent(words, hidden=4), 1),
        (lambda words: SelfAttention(words, dim=8, heads=2), 4),
        (language_model, 2),
        (lambda _: Transformer(frozen=False), 8),  # embeddings, six layers, the pooler that MiniLM brings
    ],
)
def test_every_trainable_number_is_in_one_group_and_the_head_comes_first(encoder, layers, words) -> None:
    model = Classifier(encoder(words), CLASSES)
    groups = layer_groups(model)
    assert len(groups) == layers + 1
    assert groups[0] == list(model.head.parameters())
    flat = [id(p) for group in groups for p in group]
    assert len(flat) == len(set(flat)) == len(list(model.parameters()))


def test_the_layer_next_to_the_text_comes_last(words: WordVectors) -> None:
    model = Classifier(language_model(words), CLASSES)
    assert any(p is model.encoder.model.embedding.weight for p in layer_groups(model)[-1])
    model = Classifier(Transformer(frozen=False), CLASSES)
    assert any(p is model.encoder.model.embeddings.word_embeddings.weight for p in layer_groups(model)[-1])
    names = {id(p): name for name, p in model.named_parameters()}
    order = [names[id(group[0])] for group in layer_groups(model) if "encoder.layer" in names[id(group[0])]]
    assert [name.split("layer.")[1][0] for name in order] == list("543210")


def test_frozen_parameters_are_left_out(model: Classifier, words: WordVectors) -> None:
    model.encoder.convolutions[0].requires_grad_(False)
    assert len(layer_groups(model)) == 2
    assert len(layer_groups(Classifier(Averaged(words), CLASSES))) == 1


def test_rates_fall_geometrically_and_layers_wake_in_turn(model: Classifier, texts: Corpus) -> None:
    assert [g["lr"] for g in discriminative(model, 1.0, decay=2.0)] == [1.0, 0.5, 0.25]
    assert [g["from_epoch"] for g in gradual(model, 1.0, every=3)] == [0, 3, 6]
    lowest = model.encoder.convolutions[0].weight
    before = lowest.detach().clone()
    fit(model, texts, epochs=2, rates=gradual(model, 1e-2), progress=False)
    assert torch.equal(lowest, before)  # it would wake in epoch 2
    fit(model, texts, epochs=3, rates=gradual(model, 1e-2), progress=False)
    assert not torch.equal(lowest, before)


def test_the_triangle_is_that_of_the_paper() -> None:
    steps, cut_share, ratio = 1000, 0.1, 32
    factor = slanted_triangular(cut=cut_share, ratio=ratio)
    cut = int(steps * cut_share)
    for t in range(0, steps, 37):  # equation 3, written out
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_share - 1))
        assert factor(t / steps) == pytest.approx((1 + p * (ratio - 1)) / ratio, abs=1e-9)


def test_bad_input(model: Classifier) -> None:
    with pytest.raises(ValueError, match="rate=0"):
        discriminative(model, 0)
    with pytest.raises(ValueError, match=r"decay=0\.5"):
        discriminative(model, 1.0, decay=0.5)
    with pytest.raises(ValueError, match="every=0"):
        gradual(model, 1.0, every=0)
    with pytest.raises(ValueError, match=r"cut=1\.0"):
        slanted_triangular(cut=1.0)
    with pytest.raises(ValueError, match="all parameters are frozen"):
        layer_groups(model.requires_grad_(False))
